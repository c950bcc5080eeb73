"""A screen that shares what has not changed with the one before: the same verdicts, less work."""

from collections.abc import Sequence

import pytest

from classifiers import Concept, HashEncoder, Passage, Screen, segment, windows
from classifiers.combine import shipped
from classifiers.encoder import Vectors

NAMES = ("Ada Vask", "Bo Marrin", "Cy Lothar", "Di Quennel", "Eve Torsten", "Flo Hendry")
TEXT = (
    "Ada Vask painted harbours in Sallow Quay. Bo Marrin sailed to Tollan twice. Cy Lothar kept "
    "bees. Di Quennel, whom nobody knew, taught arithmetic in Brede. Eve Torsten dug wells."
)


class Counting(HashEncoder):
    """Remembers what it was asked to encode."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return super().encode(texts)


def concept(name: str, *, exemplar: str = "kept bees by the sea") -> Concept:
    return Concept(
        name,
        aliases=(name,),
        exemplars=(f"{name} {exemplar}.", f"{name} sailed to Tollan twice."),
        neighbours=(f"The town of {name.split(maxsplit=1)[0]} keeps bees.",),
        protected=(f"Whoever {exemplar} saw {name} walk home along the dyke in the rain " * 3,),
    )


def said(screen: Screen) -> object:
    passages = [
        Passage(TEXT, windows(segment(TEXT)), before="Who painted harbours?"),
        Passage("Cy Lothar kept bees by the sea.", windows(segment("Cy Lothar kept bees by "))),
        Passage("adavaskpaintedharboursinsallowquay and Flo Hen", (), cut=True),
    ]
    found = [
        sorted(
            (v.concept, v.kind, v.start, v.end, round(v.score, 5), v.hit, v.near, v.matched)
            for v in verdicts
        )
        for verdicts in screen.judge(passages)
    ]
    nearest = [(v.concept, round(v.score, 5), v.matched) for v in screen.nearest(TEXT[:41])]
    return found, sorted(nearest), screen.longest


SETS = {
    "one more": [*map(concept, NAMES)],
    "one less": [*map(concept, NAMES[1:5])],
    "one changed": [concept(NAMES[0], exemplar="painted harbours"), *map(concept, NAMES[1:5])],
    "another order": [*map(concept, reversed(NAMES[:5]))],
    "nothing left": [concept(NAMES[5])],
}


@pytest.mark.parametrize("after", SETS.values(), ids=SETS.keys())
def test_what_is_shared_changes_no_verdict(after: list[Concept]) -> None:
    encoder = HashEncoder()
    before = Screen([*map(concept, NAMES[:5])], encoder, combinations=shipped())
    first = said(before)
    changed = Screen(after, encoder, combinations=shipped(), like=before)
    afresh = Screen(after, encoder, combinations=shipped())
    assert said(changed) == said(afresh)
    assert changed.thresholds == pytest.approx(afresh.thresholds)
    assert changed.fingerprint == afresh.fingerprint
    assert said(before) == first  # whoever still uses it sees nothing of the change


def test_changes_upon_changes_are_those_of_a_screen_made_at_once() -> None:
    encoder = HashEncoder()
    screen = Screen([concept(NAMES[0])], encoder)
    names = [
        f"{first} {last}" for first in ("Gus", "Hal", "Ida") for last in ("Ohm", "Pell", "Rix")
    ]
    kept = [concept(NAMES[0])]
    for name in names:
        kept = [*kept, concept(name, exemplar=f"met {name.split()[1]} in Brede")]
        screen = Screen(kept, encoder, like=screen)
    assert said(screen) == said(Screen(kept, encoder))
    assert len(screen.stock.parts) < len(names)


def test_only_what_is_new_is_encoded() -> None:
    encoder = Counting()
    before = Screen([*map(concept, NAMES[:5])], encoder)
    encoder.asked.clear()
    Screen([*map(concept, NAMES)], encoder, like=before)
    assert encoder.asked
    assert all("Flo" in text for text in encoder.asked)
    encoder.asked.clear()
    changed = Concept(NAMES[0], aliases=(), exemplars=("Ada Vask sailed to Tollan twice.",))
    Screen([changed, *map(concept, NAMES[1:5])], encoder, like=before)
    assert encoder.asked == []


def test_another_encoder_shares_nothing() -> None:
    before = Screen([concept(NAMES[0])], HashEncoder())
    other = Screen([concept(NAMES[0])], HashEncoder(64), like=before)
    assert other.fingerprint == Screen([concept(NAMES[0])], HashEncoder(64)).fingerprint
    assert other.judge([Passage(TEXT, windows(segment(TEXT)))])
