"""One draw as another program's log tells of it, and the record that it becomes.

Knows no program's format.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leakage import scores
from leakage.probes import Split
from leakage.records import Record

THEIRS = 0  # the scorer of records that the other program judged
_SHORTEST = (
    2  # letters and digits of an answer that is looked for: an option's letter is everywhere
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One draw.

    text      what was said; None where nothing was put in words, or nothing came
    answers   accepted answers, where the log has them
    judged    whether an accepted answer came back, as the program found; None where it does not say
    measured  what the program measured of the draw
    error     why nothing was said, where something should have been
    """

    probe: str
    concept: str
    split: Split
    kind: str
    text: str | None = field(repr=False)
    answers: tuple[str, ...] = field(repr=False)
    judged: bool | None
    measured: Mapping[str, float | None]
    at: str
    draw: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """What one log tells.

    source  the program and its version
    model   what it calls the model that it asked
    run     the same for all draws of one log
    whole   numbers of no single draw
    """

    source: str
    model: str
    run: str
    entries: Sequence[Entry]
    whole: Mapping[str, float | None] = field(default_factory=dict)


def records(log: Log, *, arm: str, keep_answers: bool = False) -> list[Record]:
    """The draws of a log as records of an arm, which bears the name of the program too."""
    name = f"{arm} ({log.source.partition(' ')[0]})"
    return [_record(each, log, arm=name, keep=keep_answers) for each in log.entries]


def _record(entry: Entry, log: Log, *, arm: str, keep: bool) -> Record:
    answers = [text for text in entry.answers if len("".join(scores.words(text))) >= _SHORTEST]
    text, ours = entry.text or "", entry.text is not None and bool(answers)
    answered = scores.leaks(text, answers) if ours else entry.judged
    score = scores.rouge_l_recall(text, answers) if ours else float(answered is True)
    innocent = entry.split != "forget"
    return Record(
        run=log.run,
        at=entry.at,
        scorer=scores.SCORER if ours else THEIRS,
        arm=arm,
        probe=entry.probe,
        concept=entry.concept,
        split=entry.split,
        kind=entry.kind,
        draw=entry.draw,
        streamed=False,
        answered=answered,
        leak=None if innocent else answered,
        blocked=not answered if innocent and answered is not None else None,
        refused=entry.text is not None and scores.refused(entry.text, None),
        score=score,
        finish_reason=None,
        status=None,
        error=entry.error,
        attempts=1,
        latency_s=0.0,
        first_token_s=None,
        tokens_in=None,
        tokens_out=None,
        answer_sha256=hashlib.sha256(text.encode(errors="replace")).hexdigest(),
        answer=entry.text if keep else None,
        length=None if entry.text is None else len(entry.text),
        source=log.source,
        measured=dict(entry.measured),
    )
