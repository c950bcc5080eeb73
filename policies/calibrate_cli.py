"""`lethe policy calibrate`: policies and harmless texts to curves and locks. Knows no HTTP."""

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from classifiers import Encoder, EncoderError
from classifiers import load as load_encoder
from classifiers.threshold import Share
from policies.calibrate import (
    CONFIDENCE,
    NAMES,
    Blocked,
    Picked,
    Row,
    Scores,
    locked,
    measured,
    picked,
    row,
    together,
)
from policies.draft.documents import Said
from policies.load import LoadedPolicy, load
from policies.lock import Lock, Targets, beside, other_encoder, write
from policies.problem import PolicyErrors
from policies.responses import ResponsesError, Traffic, read_traffic

SUMMARY = "set thresholds by what they let through and stop, and lock them beside the policy"

COLUMNS = ("forbidden caught", "without a name", "neighbours stopped", "traffic stopped")
REMEDY = (
    "add what is missing, give --benign FILE, or allow more with --neighbours-at-most or "
    "--traffic-at-most (1: any)"
)


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe policy calibrate`."""
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="DIR|FILE", help="folders and policy files"
    )
    parser.add_argument(
        "--benign",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="harmless responses of your own traffic: .txt, one a line, or .jsonl, .json with "
        "question and answer, text, or messages (default: the sentences that come with Lethe)",
    )
    parser.add_argument(
        "--neighbours-at-most",
        type=_share,
        default=0.2,
        metavar="SHARE",
        help="of a concept's neighbours that may be stopped; 1: any (default: %(default)g)",
    )
    parser.add_argument(
        "--traffic-at-most",
        type=_share,
        default=0.005,
        metavar="SHARE",
        help="of harmless responses that a concept may stop; 1: any (default: %(default)g)",
    )
    parser.add_argument(
        "--confidence",
        type=_confidence,
        metavar="SHARE",
        help="that the shares hold, such as 0.95, whatever texts were drawn (default: on average)",
    )
    parser.add_argument(
        "--encoder",
        default="embedded",
        metavar="MODEL",
        help="the one that will screen: a sentence-transformers model or an export's folder "
        "(default: the embedded one)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="only say whether every policy has a lock that matches it and the encoder",
    )
    parser.set_defaults(run=calibrate)


def calibrate(arguments: argparse.Namespace) -> int:
    """Print curves, pick thresholds, write locks. Returns 1 where a policy ends without one."""
    try:
        loaded = load(arguments.sources, locks=arguments.check)
        if loaded:
            print(f"lethe: loading the encoder '{arguments.encoder}'", file=sys.stderr)
            encoder = load_encoder(arguments.encoder)
            return _check(loaded, encoder) if arguments.check else _run(loaded, encoder, arguments)
        print("no policy file (*.yaml, *.yml) is here; name another folder or a file")
    except PolicyErrors as errors:
        print(errors)
    except (EncoderError, ResponsesError) as error:
        print(f"lethe policy calibrate: {error}", file=sys.stderr)
    return 1


def _run(loaded: Sequence[LoadedPolicy], encoder: Encoder, arguments: argparse.Namespace) -> int:
    targets = Targets(
        neighbours=_target(arguments.neighbours_at_most),
        traffic=_target(arguments.traffic_at_most),
        confidence=arguments.confidence,
    )
    if targets.neighbours is None and targets.traffic is None:
        raise ResponsesError("both shares are 1, which holds no threshold to anything; lower one")
    traffic = read_traffic(arguments.benign)
    print(
        f"lethe: judging {len(traffic.responses)} harmless responses and all folds", file=sys.stderr
    )
    scores = measured(
        [concept for one in loaded for concept in one.concepts],
        encoder,
        traffic=traffic,
        blocked=[case for one in loaded for case in _blocked(one)],
    )
    print("\n".join(_heading(targets, traffic)))
    status = 0
    for one in loaded:
        keys = set(one.keys)
        chosen = [picked(found, targets) for found in scores if found.concept.key in keys]
        for choice in chosen:
            print("\n".join(_curve(choice, targets.confidence or CONFIDENCE)))
        if any(choice.problems for choice in chosen):
            print(f"{beside(one.path)}: not written, because a target cannot be kept")
            status = 1
            continue
        lock = locked(chosen, encoder, targets=targets, traffic=traffic)
        status = max(status, _write(lock, one.path, together(chosen)))
    return status


def _check(loaded: Iterable[LoadedPolicy], encoder: Encoder) -> int:
    """Whether every policy has a lock; what is in it was compared when it was loaded."""
    status = 0
    for one in loaded:
        path = beside(one.path)
        if one.lock is None:
            print(f"{path}: is not there; run `lethe policy calibrate {one.path}`")
        elif problem := other_encoder(one.lock, encoder.fingerprint, path=one.path):
            print(problem)
        else:
            print(f"{path}: matches; made {one.lock.date} by {one.lock.made_by}")
            continue
        status = 1
    return status


def _write(lock: Lock, policy: Path, stopped: Share) -> int:
    path = beside(policy)
    renewed = path.exists()
    try:
        write(lock, path)
    except OSError as error:
        print(f"{path}: cannot be written: {error.strerror}")
        return 1
    bound = stopped.at_most(lock.confidence)
    print(
        f"{path}: {'renewed' if renewed else 'written'}; all its concepts together stop "
        f"{stopped.k} of {stopped.n} harmless responses (≤ {100 * bound:.1f} %)"
    )
    return 0


def _blocked(loaded: LoadedPolicy) -> Iterator[Blocked]:
    for case in loaded.policy.must_block:
        said = Said(case) if isinstance(case, str) else Said(case.text, case.before)
        yield Blocked(loaded.keys, said)


def _heading(targets: Targets, traffic: Traffic) -> Iterator[str]:
    sure = "on average" if targets.confidence is None else f"confidence {targets.confidence:g}"
    yield (
        f"targets: neighbours {_shown(targets.neighbours)}, traffic {_shown(targets.traffic)} "
        f"a response, {sure}; bounds one-sided, {targets.confidence or CONFIDENCE:g}"
    )
    yield f"traffic: {len(traffic.responses)} " + (
        "different responses"
        if traffic.given
        else "sentences that come with Lethe, none of them yours: give --benign FILE"
    )


def _curve(choice: Picked, confidence: float) -> Iterator[str]:
    """One concept: what each threshold catches and stops, `*` at the one that was picked."""
    scores = choice.scores
    yield ""
    yield f"{scores.concept.key}: {_decided(scores)}"
    yield f"  {'threshold':>11}" + "".join(f"  {title:<20}" for title in COLUMNS).rstrip()
    before = None
    for found in _rows(choice):
        picks = found.threshold == choice.threshold
        shares = _shares(found, confidence)
        # What changes nothing need not be read.
        if picks or shares != before:
            at = "names alone" if found.threshold == NAMES else f"{found.threshold:.4f}"
            yield (
                f"{'*' if picks else ' '} {at:>11}" + "".join(f"  {s:<20}" for s in shares).rstrip()
            )
        before = shares
    for problem in choice.problems:
        yield f"  no threshold: {problem}"
    if choice.problems:
        yield f"  {REMEDY}"


def _decided(scores: Scores) -> str:
    scope = "entity" if scores.concept.names_suffice else "fact"
    how = {
        "score": "the score of all evidence decides",
        "similarity": "the similarity to an exemplar decides",
        "policy": "the similarity that the policy names decides",
        "names": "without exemplars names and quotations alone decide",
    }
    return f"scope {scope}; {how[scores.decides]}"


def _rows(choice: Picked) -> list[Row]:
    picks = () if choice.threshold is None else (choice.threshold,)
    return [row(choice.scores, at) for at in sorted({*choice.scores.curve, *picks})]


def _shares(found: Row, confidence: float) -> tuple[str, ...]:
    caught = ((share, "≥", share.at_least) for share in (found.forbidden, found.unnamed))
    stopped = ((share, "≤", share.at_most) for share in (found.neighbours, found.traffic))
    return tuple(
        f"{share.k} of {share.n} ({sign} {100 * bound(confidence):.1f} %)" if share.n else "none"
        for share, sign, bound in (*caught, *stopped)
    )


def _shown(share: float | None) -> str:
    return "any share" if share is None else f"at most {share:g}"


def _target(share: float) -> float | None:
    return None if share == 1 else share


def _share(given: str) -> float:
    return _between(given, least=0.0, most=1.0, remedy="must be above 0 and at most 1, as in 0.005")


def _confidence(given: str) -> float:
    return _between(
        given, least=0.5, most=0.9999, remedy="must be above 0.5 and below 1, as in 0.95"
    )


def _between(given: str, *, least: float, most: float, remedy: str) -> float:
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not least < number <= most:
        raise argparse.ArgumentTypeError(remedy)
    return number
