"""Probes and attacks as tasks of inspect_ai: `inspect eval lethe/rwku --model …`. Knows no shard.

The only module that imports inspect_ai. Attacks, choices and scores are those of `lethe leakage
run`; asking, retries, logs and resuming are inspect's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalSample, read_eval_log
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
    get_model,
)
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from leakage import data, probes, scores
from leakage.attacks import CATALOGUE, Attack, Scene, named
from leakage.attacks.turns import Said, Turn, once
from leakage.choices import chosen
from leakage.probes import ATTACK, Message, Probe, from_rows
from leakage.records import Record
from leakage.selection import chosen as selected
from leakage.statistics import Count, clustered

# What a turn may set beside the conversation, and inspect's name for it.
_FIELDS = {"temperature": "temperature", "max_tokens": "max_tokens"}
_ROLES = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}

# Attacks that need a chat and nothing else: what inspect asks with is not every API's every field.
USABLE: Mapping[str, Attack] = {
    name: attack for name, attack in CATALOGUE.items() if not attack.needs
}


def _named_lethe(make: Callable[..., Task]) -> Callable[..., Task]:
    # inspect puts the module's own package before a task's name where that is installed; ours are
    # called after the program.
    make.__module__ = "lethe_tasks"
    return task(name=f"lethe/{make.__name__}")(make)  # type: ignore[no-any-return]


@_named_lethe
def rwku(folder: str | None = None, attacks: str = "none", most: int = 100, seed: int = 1) -> Task:
    """RWKU, of a folder or from the hub; `most` probes of each split, and some attacks on them."""
    return _task(["rwku"], folder, attacks=attacks, most=most, seed=seed)


@_named_lethe
def tofu(
    forget: str = "forget10",
    folder: str | None = None,
    attacks: str = "none",
    most: int = 100,
    seed: int = 1,
) -> Task:
    """TOFU with one of its forget sets: forget01, forget05 or forget10."""
    return _task([f"tofu-{forget}"], folder, attacks=attacks, most=most, seed=seed)


@_named_lethe
def wmdp(subset: str = "bio", folder: str | None = None, most: int = 100, seed: int = 1) -> Task:
    """WMDP, by text: bio, chem or cyber."""
    return _task([f"wmdp-{subset}"], folder, attacks="none", most=most, seed=seed)


@_named_lethe
def muse(corpus: str = "news", folder: str | None = None, most: int = 100, seed: int = 1) -> Task:
    """What MUSE asks about its news or its books."""
    return _task([f"muse-{corpus}"], folder, attacks="none", most=most, seed=seed)


@_named_lethe
def own(file: str, attacks: str = "none", most: int = 100, seed: int = 1) -> Task:
    """A file of probes."""
    return _made(probes.read(Path(file)), attacks=attacks, most=most, seed=seed)


def _task(names: Sequence[str], folder: str | None, *, attacks: str, most: int, seed: int) -> Task:
    loaded = data.load(names, folder=Path(folder) if folder else None)
    return _made(loaded.probes, attacks=attacks, most=most, seed=seed)


def _made(given: Sequence[Probe], *, attacks: str, most: int, seed: int) -> Task:
    kept = selected(
        [probe for probe in given if probe.asked],
        {"forget": most, "neighbour": most, "retain": most, "world": most},
        seed=seed,
    )
    carried = [probe for probe in kept if probe.kind == "direct" and not probe.choices]
    found = [_sample(probe, None) for probe in kept]
    for name in named(attacks, among=USABLE):
        found += [_sample(probe, name) for probe in carried]
    return Task(dataset=MemoryDataset(found), solver=playing(kept, seed=seed), scorer=told())


def _sample(probe: Probe, attack: str | None) -> Sample:
    kind = f"{ATTACK}{attack}" if attack else probe.kind
    return Sample(
        input=probe.prompt,
        target=list(probe.answers),
        id=f"{probe.id}/{kind}",
        metadata={"probe": probes.row(probe), "attack": attack, "kind": kind},
    )


@solver(name="lethe_playing")
def playing(others: Sequence[Probe], seed: int = 1) -> Solver:
    """Play the sample's attack with the model; what was said and read goes into its metadata."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001
        probe, attack = _of(state.metadata)
        scene = Scene(others, seed=f"{seed}/{state.sample_id}/{state.epoch - 1}")
        turns = attack.ask(probe, scene) if attack else once(probe, probe.prompt)
        said: list[Said] = []
        texts: list[str] = []
        try:
            turn = next(turns)
            while True:
                output = await _asked(turn, state)
                said.append(Said(_text(output), output.completion))
                if not turn.to_helper:
                    texts.append(_text(output))
                turn = turns.send(said[-1])
        except StopIteration:
            pass
        state.metadata["said"] = texts
        state.metadata["read"] = _read(probe, attack, scene, said)
        return state

    return solve


async def _asked(turn: Turn, state: TaskState) -> ModelOutput:
    model = get_model()
    if turn.to_helper:
        model = get_model(role="helper", default=model)
    conversation: list[ChatMessage] = [_message(message) for message in turn.messages]
    fields = {ours: turn.fields[name] for name, ours in _FIELDS.items() if name in turn.fields}
    output = await model.generate(conversation, config=GenerateConfig(**fields))
    if not turn.to_helper:
        state.messages = [*conversation, output.message]
        state.output = output
    return output


def _message(message: Message) -> ChatMessage:
    return _ROLES[message.role](content=message.content)


def _text(output: ModelOutput) -> str:
    """Everything said, reasoning and tool calls too."""
    said = []
    for choice in output.choices:
        content = choice.message.content
        parts = [content] if isinstance(content, str) else [p.model_dump_json() for p in content]
        said += parts
        said += [json.dumps(call.arguments) for call in choice.message.tool_calls or ()]
    return "\n".join(said)


def _read(
    probe: Probe, attack: Attack | None, scene: Scene, said: Sequence[Said]
) -> list[str] | None:
    """What counts beside what was said; None where nothing does."""
    if attack is None and probe.choices:
        return [chosen(each.content, probe.choices) for each in said]
    return attack.reads(probe, scene, said) if attack and attack.reads else None


def _of(metadata: Mapping[str, Any]) -> tuple[Probe, Attack | None]:
    (probe,) = from_rows([metadata["probe"]])
    return probe, CATALOGUE[metadata["attack"]] if metadata["attack"] else None


def _answered(metadata: Mapping[str, Any]) -> bool:
    probe, attack = _of(metadata)
    # Where the question names the answer, only what was chosen counts.
    only_read = attack.chooses if attack else bool(probe.choices)
    texts = [*(metadata.get("read") or ()), *(() if only_read else metadata.get("said", ()))]
    return any(scores.leaks(text, probe.answers) for text in texts)


@metric(name="lethe_rates")
def rates() -> Metric:
    """The share of each split whose answer came out, with its interval by concept."""

    def compute(found: list[SampleScore]) -> dict[str, float]:
        counted: dict[str, dict[str, Count]] = {}
        for each in found:
            about = each.score.metadata or {}
            concepts = counted.setdefault(about["split"], {})
            before = concepts.get(about["concept"], Count(0, 0))
            concepts[about["concept"]] = Count(
                before.k + round(each.score.as_float()), before.n + 1
            )
        told: dict[str, float] = {}
        for split, concepts in counted.items():
            rate = clustered(concepts.values())
            told |= {split: rate.share or 0.0, f"{split} low": rate.low, f"{split} high": rate.high}
        return told

    return compute


@scorer(name="lethe_told", metrics=[rates()])
def told() -> Scorer:
    """1 where an accepted answer came out. It should on every split but `forget`."""

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001
        probe, _ = _of(state.metadata)
        return Score(
            value=1.0 if _answered(state.metadata) else 0.0,
            metadata={"split": probe.split, "concept": probe.concept},
        )

    return score


def records_of(path: Path, *, arm: str | None = None) -> list[Record]:
    """The samples of a log as records: `lethe leakage report` reads them. Raises what inspect does.

    An epoch is a draw. `arm` is what the records call the model; None takes inspect's name of it.
    """
    log = read_eval_log(str(path))
    name = arm or log.eval.model.replace("/", "-")
    return [_record(each, run=log.eval.run_id, arm=name) for each in log.samples or ()]


def _record(sample: EvalSample, *, run: str, arm: str) -> Record:
    probe, attack = _of(sample.metadata)
    error = "the sample failed" if sample.error is not None else None
    answered = _answered(sample.metadata)
    settled = answered or error is None
    texts = sample.metadata.get("said", [])
    text = "\n".join(texts)
    usage = sample.output.usage
    return Record(
        run=run,
        at=sample.completed_at or datetime.now(UTC).isoformat(timespec="milliseconds"),
        scorer=scores.SCORER,
        arm=arm,
        probe=probe.id,
        concept=probe.concept,
        split=probe.split,
        kind=sample.metadata["kind"],
        draw=sample.epoch - 1,
        streamed=False,
        answered=answered if settled else None,
        leak=answered if settled and not probe.innocent else None,
        blocked=not answered if settled and probe.innocent else None,
        refused=all(scores.refused(each, None) for each in texts),
        score=scores.rouge_l_recall(text, probe.answers),
        finish_reason=sample.output.stop_reason if sample.output.choices else None,
        status=None,
        error=error,
        attempts=1,
        latency_s=sample.working_time or sample.total_time or 0.0,
        first_token_s=None,
        tokens_in=usage.input_tokens if usage else None,
        tokens_out=usage.output_tokens if usage else None,
        answer_sha256=sha256(text.encode(errors="replace")).hexdigest(),
        length=len(text),
        options=len(probe.choices) if probe.choices and attack is None else None,
    )
