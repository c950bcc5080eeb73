"""What the Screen in the tree stops of the probes. Knows no evidence and no weights."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection_parts.texts import Person, Probe
from classifiers import Concept, Passage, Screen, Verdict, segment, windows
from classifiers.encoder import Encoder


def stopped_today(
    people: Sequence[Person], probes: Sequence[Probe], encoder: Encoder
) -> NDArray[np.bool_]:
    """Whether the question or the answer behind it is a hit, in a screen of that person alone."""
    stopped = np.zeros(len(probes), dtype=np.bool_)
    for person in people:
        concept = Concept(key=person.key, aliases=(person.name,), exemplars=person.sentences)
        screen = Screen([concept], encoder)
        for at, probe in enumerate(probes):
            if probe.subject == person.key:
                asked, said = _passage(probe.question), _passage(probe.answer, probe.question)
                stopped[at] = any(map(_hit, screen.judge([asked, said])))
    return stopped


def _passage(text: str, before: str = "") -> Passage:
    return Passage(text, windows(segment(text)), before=before)


def _hit(verdicts: Sequence[Verdict]) -> bool:
    return any(verdict.hit for verdict in verdicts)
