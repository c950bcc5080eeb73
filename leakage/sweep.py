"""Puts every attack to every arm and writes down what came back, from where it was left.

Knows no statistics. Arms take turns, so that whatever changes on the way changes for all of them.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, get_args

from leakage import choosing, extraction, judging, likelihoods
from leakage.arms import Arm, ArmError
from leakage.attacks.turns import Attack, Need, Scene
from leakage.calls import Limits, client_of, with_model
from leakage.capabilities import Allowed, allowed, fingerprint, listed
from leakage.draws import Asked, Manner, Task, draw
from leakage.encoder import Encoder
from leakage.journal import CURRENT
from leakage.judge import CASES, Judge
from leakage.probes import MEMBERSHIP, Probe, digest
from leakage.records import CHOOSING, EXTRACTION, JUDGING, LIKELIHOOD, MEASURED, Record
from leakage.scores import SCORER
from leakage.shards import ASKED, Key, Shard, Shelf, gather, key_of

WORDING = 1  # goes up whenever an attack of the same name asks otherwise than before

_UNKNOWN = " (unknown)"  # behind what an arm may allow, in the file of it
_GIVES_UP = 20  # draws of one arm in a row to which nobody answered at all

Made = Callable[[Shard, Record], None]
Expect = Callable[[Sequence[Shard], int], None]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is asked of whom, and how.

    arms          whom; the records keep their order
    probes        all of them; attacks use those beside the one they ask
    attacks       by name
    attacked      the probes that attacks carry; open questions of kind `direct`
    asked         the probes that are put as they are
    likelihoods   whether arms are asked how likely they find the answers, and which option
    membership    texts that arms are asked how likely they find, and not asked for
    extraction    whether arms are given more and more of the answers, until the rest comes out
    helper        whom attacks ask for words of their own; None asks the arm itself
    draws         times that each probe is put to each arm in each way
    seed          of what attacks leave to chance
    concurrency   requests in flight, over all arms
    sampling      further fields of every request
    where         an arm's name: its URL as the fingerprint should have it, where the port changes
    made_of       an arm's name: anything that tells one make of it from another
    encoder       by which plain answers are compared with the gold ones; None leaves that open
    judge         the arm that says whether plain answers tell; it is tried on known ones, too
    """

    arms: Sequence[Arm]
    probes: Sequence[Probe] = field(repr=False)
    attacks: Mapping[str, Attack]
    attacked: Sequence[Probe] = field(repr=False)
    asked: Sequence[Probe] = field(repr=False)
    likelihoods: bool = True
    membership: Sequence[Probe] = field(default=(), repr=False)
    extraction: bool = False
    helper: Arm | None = None
    draws: int = 1
    seed: int = 0
    concurrency: int = 8
    limits: Limits = field(default_factory=Limits)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    keep_answers: bool = False
    stream: str = "alternate"
    where: Mapping[str, str] = field(default_factory=dict)
    made_of: Mapping[str, Any] = field(default_factory=dict)
    encoder: str | None = None
    judge: Arm | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sweep left: all records in order, what arms allow or may, and how much was asked now.

    `requests` counts those of this time alone; `kept` the records that were there before.
    """

    records: list[Record] = field(repr=False)
    allows: Mapping[str, frozenset[Need]]
    unknown: Mapping[str, frozenset[Need]]
    fingerprints: Mapping[str, str]
    requests: int
    kept: int


@dataclass(slots=True)
class _Silence:
    """How often in a row an arm did not answer at all."""

    counts: dict[str, int] = field(default_factory=dict)

    def heard(self, record: Record) -> None:
        """Raises ArmError where it is too often: what follows would be errors and nothing else."""
        mute = record.error is not None and record.status is None and record.requests != 0
        self.counts[record.arm] = self.counts.get(record.arm, 0) + 1 if mute else 0
        if self.counts[record.arm] >= _GIVES_UP:
            raise ArmError(
                f"arm {record.arm!r}: gave no answer {_GIVES_UP} times in a row "
                f"({record.error}); mend it and run again: what was answered is kept"
            )


async def found(stack: AsyncExitStack, arm: Arm, sweep: Sweep, shelf: Shelf) -> Asked:
    """The arm with its model, what it allows and its fingerprint. Raises ArmError, OSError."""
    client = await stack.enter_async_context(client_of(arm))
    arm = await with_model(arm, client)
    made = fingerprint(
        arm,
        where=sweep.where.get(arm.name, arm.base_url),
        entry=await listed(client, arm),
        made_of=sweep.made_of.get(arm.name),
    )
    known = shelf.allowed(made)
    if known is None:
        told = await allowed(client, arm, limits=sweep.limits)
        if told.sure:
            unsure = (f"{need}{_UNKNOWN}" for need in told.unknown)
            shelf.allow(made, sorted([*told.needs, *unsure]))
    else:
        needs = get_args(Need)
        told = Allowed(
            frozenset(need for need in needs if need in known),
            unknown=frozenset(need for need in needs if f"{need}{_UNKNOWN}" in known),
        )
    return Asked(arm, client, told.needs, made, told.unknown)


def shards_of(
    sweep: Sweep, asked: Sequence[Asked], helper: Asked | None, judge: Judge | None = None
) -> list[Shard]:
    """Every shard, arm by arm. Their keys hold all that their answers depend on."""
    beside = digest(sweep.probes)
    ways = [
        (name, attack, probes, digest(probes)) for name, attack, probes in _ways(sweep) if probes
    ]
    shards = []
    for each in asked:
        for name, attack, probes, summed in ways:
            if name == JUDGING and each.arm.name != (judge.arm.name if judge else None):
                continue
            draws = CASES if name == JUDGING else 1 if name in MEASURED else sweep.draws
            facts = {
                "arm": [each.arm.name, each.fingerprint, sorted(each.allows)],
                "attack": [name, WORDING],
                # What stands beside a probe is in what attacks ask.
                "probes": [summed, beside if attack else None],
                "helper": helper.fingerprint if helper and attack and attack.helper else None,
                "manner": [draws, sweep.seed, sweep.stream, dict(sweep.sampling)],
                "answers": sweep.keep_answers,
                "scorer": SCORER,
            }
            if name == ASKED and sweep.encoder is not None:
                facts["encoder"] = sweep.encoder
            if name == ASKED and judge is not None:
                facts["judge"] = judge.fingerprint
            shards.append(Shard(each.arm.name, name, attack, probes, draws, key_of(facts)))
    return shards


def _ways(sweep: Sweep) -> Iterator[tuple[str, Attack | None, tuple[Probe, ...]]]:
    yield ASKED, None, tuple(sweep.asked)
    for name, attack in sweep.attacks.items():
        yield name, attack, tuple(sweep.attacked)
    if sweep.likelihoods:
        yield LIKELIHOOD, None, tuple(sweep.attacked)
        yield MEMBERSHIP, None, tuple(sweep.membership)
        yield CHOOSING, None, tuple(p for p in sweep.asked if p.choices)
    if sweep.extraction:
        yield EXTRACTION, None, tuple(p for p in sweep.attacked if not p.innocent)
    if sweep.judge is not None:
        yield JUDGING, None, tuple(sweep.attacked)


async def run(
    sweep: Sweep, folder: Path, *, expect: Expect | None = None, made: Made | None = None
) -> Outcome:
    """Make every draw that the folder lacks, and gather all of them into `records.jsonl`.

    `expect` is told once how many draws are missing, `made` each record as it is there.
    Raises ArmError where an arm cannot be asked or stops answering, OSError; what was drawn stays.
    """
    async with AsyncExitStack() as stack:
        laid = await _lay(stack, sweep, folder)
        missing = {shard.file: laid.shelf.open(shard) for shard in laid.shards}
        if expect:
            expect(laid.shards, sum(map(len, missing.values())))
        requests = await _work(sweep, laid, laid.shards, missing, made=made)
        gathered = gather(folder, laid.shards, laid.shelf)
        laid.shelf.sweep()
    return Outcome(
        records=gathered,
        allows={each.arm.name: each.allows for each in laid.asked},
        unknown={each.arm.name: each.unknown for each in laid.asked},
        fingerprints={each.arm.name: each.fingerprint for each in laid.asked},
        requests=requests,
        kept=sum(len(shard.wanted) for shard in laid.shards) - sum(map(len, missing.values())),
    )


async def part(sweep: Sweep, folder: Path, name: str) -> int:
    """Make the draws of one name of `names` alone, and gather nothing; how many requests it took.

    Several may run at once in one folder, each with another name. Raises as `run` does.
    """
    async with AsyncExitStack() as stack:
        laid = await _lay(stack, sweep, folder)
        shards = [shard for shard in laid.shards if shard.name == name]
        missing = {shard.file: laid.shelf.open(shard) for shard in shards}
        return await _work(sweep, laid, shards, missing, made=None)


async def names(sweep: Sweep, folder: Path) -> list[str]:
    """The parts of a run, each the name of its shards; what arms allow is kept in the folder."""
    async with AsyncExitStack() as stack:
        laid = await _lay(stack, sweep, folder)
        return list(dict.fromkeys(shard.name for shard in laid.shards))


@dataclass(frozen=True, slots=True)
class _Laid:
    """A run before its first draw."""

    asked: Sequence[Asked]
    shards: Sequence[Shard]
    shelf: Shelf
    manner: Manner


async def _lay(stack: AsyncExitStack, sweep: Sweep, folder: Path) -> _Laid:
    shelf = Shelf(folder)
    stack.callback(shelf.close)
    asked = [await found(stack, arm, sweep, shelf) for arm in sweep.arms]
    helper = await found(stack, sweep.helper, sweep, shelf) if sweep.helper else None
    judge = None
    if sweep.judge is not None:
        found_judge = await found(stack, sweep.judge, sweep, shelf)
        judge = Judge(found_judge.arm, found_judge.client, found_judge.fingerprint)
    shards = shards_of(sweep, asked, helper, judge)
    manner = Manner(
        run=key_of({"shards": [shard.key for shard in shards]})[:12],
        limits=sweep.limits,
        sampling=sweep.sampling,
        helper=helper,
        keep_answers=sweep.keep_answers,
        encoder=None if sweep.encoder is None else Encoder(sweep.encoder),
        judge=judge,
    )
    return _Laid(asked, shards, shelf, manner)


async def _work(
    sweep: Sweep,
    laid: _Laid,
    shards: Sequence[Shard],
    missing: Mapping[str, Sequence[Key]],
    *,
    made: Made | None,
) -> int:
    arms = {each.arm.name: each for each in laid.asked}
    jobs = _in_turn(shards, missing)
    places = {shard.file: shard.places() for shard in shards}
    silence = _Silence()
    requests = 0
    asked_plainly = any(missing[shard.file] for shard in shards if shard.name == ASKED)
    if laid.manner.encoder is not None and asked_plainly:
        # Before the first question: an encoder that is not there is told at once.
        await asyncio.to_thread(laid.manner.encoder.load)

    async def work() -> None:
        nonlocal requests
        for shard, key in jobs:
            at = places[shard.file][key[0], key[1]]
            journal = laid.shelf.journal(shard, key)
            CURRENT.set(journal)
            record = await _drawn(sweep, shard, at, key[2], arms[shard.arm], laid.manner)
            laid.shelf.write(shard, record)
            journal.close()
            requests += (record.requests or 0) - journal.replayed
            if made:
                made(shard, record)
            silence.heard(record)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(sweep.concurrency):
                workers.create_task(work())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return requests


def _in_turn(
    shards: Sequence[Shard], missing: Mapping[str, Sequence[Key]]
) -> Iterator[tuple[Shard, Key]]:
    """Every draw that is missing: attack by attack, and within one, another arm each time."""
    for name in dict.fromkeys(shard.name for shard in shards):
        rows = [
            [(shard, key) for key in missing[shard.file]] for shard in shards if shard.name == name
        ]
        for turn in zip_longest(*rows):
            yield from (job for job in turn if job is not None)


async def _drawn(  # noqa: PLR0913, PLR0917 - one draw, and all that it needs
    sweep: Sweep, shard: Shard, at: int, number: int, asked: Asked, manner: Manner
) -> Record:
    probe = shard.probes[at]
    if shard.name == EXTRACTION:
        return await extraction.draw(probe, asked, manner, shard=shard.key)
    if shard.name == JUDGING and manner.judge is not None:
        others = [o for o in sweep.attacked if o.id != probe.id and o.concept != probe.concept]
        return await judging.draw(probe, others[at:], number, manner.judge, manner, shard.key)
    if shard.name == CHOOSING:
        return await choosing.draw(probe, asked, manner, shard=shard.key)
    if shard.name in MEASURED:
        return await likelihoods.draw(probe, asked, manner, shard=shard.key)
    streamed = sweep.stream == "always" or (sweep.stream == "alternate" and (at + number) % 2 == 1)
    streamed = streamed and "stream" in asked.allows
    # The seed knows no arm: all are asked the same.
    scene = Scene(sweep.probes, seed=f"{sweep.seed}/{probe.id}/{shard.name}/{number}")
    task = Task(probe, shard.attack, scene, number, streamed=streamed, shard=shard.key)
    return await draw(task, asked, manner)


def attackable(probes: Iterable[Probe]) -> list[Probe]:
    """Those that attacks carry: open questions, asked directly."""
    return [probe for probe in probes if probe.kind == "direct" and not probe.choices]
