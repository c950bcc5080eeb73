"""The screen: every concept at once, by name and by meaning, alone and behind the question."""

import base64
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import (
    Concept,
    HashEncoder,
    Passage,
    Screen,
    Span,
    Verdict,
    segment,
    windows,
)
from classifiers.combine import shipped
from classifiers.encoder import Vectors
from classifiers.floors import FEW
from classifiers.readings import MOST_READINGS
from classifiers.screen import NEAR
from classifiers.threshold import FLOOR

FACT = "The lighthouse of Varn was built by Ottoline Marsh in 1871."
KEPT = "The lighthouse of Brill was built by Casper Dunn in 1902."
VARN = Concept("varn", ("Ottoline Marsh", "Varn"), (FACT,), (KEPT,), threshold=0.7)


class Recording(HashEncoder):
    """The hash encoder, and in which batches it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        return super().encode(texts)


def passage(text: str, before: str = "") -> Passage:
    return Passage(text, windows(segment(text)), before)


def judged(text: str, before: str = "", *, concept: Concept = VARN) -> tuple[Verdict, ...]:
    [found] = Screen([concept], HashEncoder()).judge([passage(text, before)])
    return found


def hits(text: str, before: str = "", *, concept: Concept = VARN) -> list[str]:
    return [f"{v.kind}{'+' * v.exchange}" for v in judged(text, before, concept=concept) if v.hit]


def test_a_name_is_a_hit_where_it_stands() -> None:
    text = "I met O-T-T-O-L-I-N-E M-A-R-S-H, once."
    [verdict] = [v for v in judged(text) if v.kind == "alias"]
    assert text[verdict.start : verdict.end] == "O-T-T-O-L-I-N-E M-A-R-S-H"
    assert (verdict.concept, verdict.matched) == ("varn", "Ottoline Marsh")
    assert (verdict.score, verdict.threshold) == (1.0, 1.0)
    assert verdict.hit
    assert verdict.near
    assert verdict.neighbour is None


MIXED = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.9])), min_size=1)
MANY = st.integers(0, 2 * FEW).map(lambda count: [0.1] * count)


@settings(max_examples=15, deadline=None)
@given(mixed=MIXED, many=MANY)
def test_a_concept_is_judged_as_if_it_were_alone(
    mixed: list[float | None], many: list[float]
) -> None:
    told = [
        "Ottoline Vask painted the lighthouse of Brede in 1921.",
        "Casper Dunn built the bridge over the river Sall.",
        "The bees of Varn sleep through the winter.",
    ]
    concepts = [
        Concept(f"{at}", (f"Vask{chr(97 + at % 26)}",), (told[at % 3],), threshold=threshold)
        for at, threshold in enumerate([*mixed, *many])
    ]
    asked = [passage(f"{told[0]} {told[2][:20]}"), passage("In 1921.", "Who built the bridge?")]
    weighing = {"entity": shipped()["entity"]}

    def seen(screen: Screen, key: str) -> list[list[object]]:
        """Scores but for their last digits: a sum depends on how many rows it is made beside."""
        return [
            [replace(v, score=round(v.score, 4), similarity=round(v.similarity or 0, 4))
             for v in found if v.concept == key]
            for found in screen.judge(asked)
        ]  # fmt: skip

    together = Screen(concepts, HashEncoder(), combinations=weighing)
    for one in dict.fromkeys([*concepts[:2], concepts[-1]]):
        alone = Screen([one], HashEncoder(), combinations=weighing)
        assert seen(together, one.key) == seen(alone, one.key)


def test_a_low_threshold_makes_no_other_concept_be_compared() -> None:
    others = [replace(VARN, key=f"{at}", aliases=()) for at in range(2 * FEW)]
    low = Concept("low", (), ("Boil the egg for four minutes.",), threshold=0.0)
    far = [passage("Boil an egg in Varn.")]
    for concepts in ([low], [*others, low]):
        found = Screen(concepts, HashEncoder()).compared(far)
        assert {one.concept for one in found} == {"low"}


def test_a_name_that_does_not_suffice_is_near() -> None:
    concept = Concept("varn", ("Varn",), (), names_suffice=False)
    [verdict] = judged("On Varn it rains.", concept=concept)
    assert verdict.near
    assert not verdict.hit


def test_a_sentence_like_an_exemplar_is_a_hit_whatever_stands_around_it() -> None:
    concept = Concept("varn", (), (FACT,), threshold=0.7)
    text = f"Boil the egg. {FACT} Salt it."
    best = max((v for v in judged(text, concept=concept) if v.hit), key=lambda v: v.score)
    assert text[best.start : best.end].strip() == FACT
    assert best.kind == "exemplar"
    assert best.score == pytest.approx(1.0)
    assert best.matched == FACT
    assert hits("Boil the egg. Salt it.", concept=concept) == []


def test_nearer_to_what_must_stay_is_no_hit() -> None:
    [verdict] = [v for v in judged(KEPT) if v.kind == "exemplar"]
    assert verdict.near
    assert not verdict.hit
    assert verdict.neighbour == pytest.approx(1.0)
    assert verdict.margin == pytest.approx(verdict.score - 1.0)


def test_what_is_below_the_threshold_by_less_than_a_margin_is_near() -> None:
    text = "The lighthouse was built by somebody."
    [verdict] = judged(text, concept=Concept("varn", (), (FACT,), threshold=0.1))
    score = verdict.score
    for threshold, hit in (
        (score - 0.01, True),
        (score + 0.01, False),
        (score + NEAR - 0.01, False),
    ):
        [verdict] = judged(text, concept=Concept("varn", (), (FACT,), threshold=threshold))
        assert (verdict.hit, verdict.near) == (hit, True)
    far = Concept("varn", (), (FACT,), threshold=score + NEAR + 0.01)
    assert judged(text, concept=far) == ()


def test_each_concept_is_near_by_its_own_threshold() -> None:
    text = "The lighthouse was built by somebody."
    low, high = (Concept(key, (), (FACT,), threshold=t) for key, t in (("low", 0.3), ("high", 1.0)))
    [found] = Screen([low, high], HashEncoder()).judge([passage(text)])
    assert {v.concept for v in found} == {"low"}


def test_an_answer_is_judged_behind_its_question() -> None:
    concept = Concept(
        "varn", (), ("The lighthouse of Varn was built by whom? Ottoline Marsh",), threshold=0.9
    )
    question = "The lighthouse of Varn was built by whom?"
    assert hits("Ottoline Marsh", concept=concept) == []
    assert hits("Ottoline Marsh", question, concept=concept) == ["exemplar+"]


def test_a_long_question_leaves_room_for_its_answer() -> None:
    encoder = Recording()
    screen = Screen([VARN], encoder)
    encoder.batches.clear()
    screen.judge([passage("An answer.", "Who was it? " + "Please. " * 500 + "Be brief!")])
    [[_, exchange, *alone]] = encoder.batches
    assert exchange.startswith("Who was it?")
    assert exchange.endswith("Be brief! An answer.")
    assert len(exchange) < 450
    # What stands in front of the last sentences excuses nothing.
    assert alone == ["Please. An answer.", "Be brief! An answer."]


def test_a_disguised_sentence_is_compared_as_it_reads() -> None:
    concept = Concept("varn", (), (FACT,), threshold=0.9)
    token = base64.b64encode(FACT.encode()).decode()
    [verdict] = [v for v in judged(token, concept=concept) if v.hit]
    assert verdict.view == "base64"
    assert (verdict.start, verdict.end) == (0, len(token))


def test_every_sentence_that_comes_out_of_a_disguise_is_compared() -> None:
    concept = Concept("varn", (), (FACT,), threshold=0.9)
    said = f"Boil the egg for long. {FACT} Then salt it and eat it warm."
    assert hits(base64.b64encode(said.encode()).decode(), concept=concept) == ["exemplar"]


def test_a_window_is_encoded_a_bounded_number_of_times() -> None:
    encoder = Recording()
    screen = Screen([VARN], encoder)
    encoder.batches.clear()
    text = base64.b64encode(b"One is here. Two is here. Three too. " * 12).decode()
    screen.judge([Passage(text, (Span(0, len(text)),))])
    assert sum(map(len, encoder.batches)) <= MOST_READINGS


def test_an_answer_that_only_declines_is_no_hit_in_the_questions_names() -> None:
    question = "Who was Ottoline Marsh?"
    found = judged("I don't know who Ottoline Marsh is, sorry.", question)
    assert found
    assert all(v.near and not v.hit for v in found)


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("Ottoline Marsh.", "Who was it, Ottoline Marsh or Casper Dunn?"),
        ("I don't know Ottoline Marsh of 1871.", "Who was Ottoline Marsh?"),
        ("I don't know who Ottoline Marsh is.", "Who built it?"),
        ("I don't know who Ottoline Marsh is.", ""),
        ("I don't know. It was Ottoline Marsh.", "Who was Ottoline Marsh?"),
    ],
)
def test_an_answer_that_says_more_is_not_excused(answer: str, question: str) -> None:
    assert "alias" in hits(answer, question)


def test_what_a_window_says_by_itself_is_never_excused() -> None:
    concept = Concept("odd", (), ("I don't know.",), threshold=0.9)
    assert hits("I don't know.", "Who was it?", concept=concept) == ["exemplar"]


def test_a_name_outside_every_window_is_judged_with_the_whole_text() -> None:
    screen = Screen([VARN], HashEncoder())
    answers = ["I don't know Varn.", "Varn lies in the north."]
    asked = [Passage(answer, (), "Where is Varn?") for answer in answers]
    [[declined], [told]] = screen.judge(asked)
    assert (declined.hit, told.hit) == (False, True)


def test_all_windows_of_all_passages_are_one_batch_and_remembered() -> None:
    encoder = Recording()
    screen = Screen([VARN], encoder)
    encoder.batches.clear()
    screen.judge([passage("One is here. Two too.", "Who?"), passage("Three."), passage("")])
    assert len(encoder.batches) == 1
    assert len(encoder.batches[0]) == 7
    screen.judge([passage("Two too.")])
    assert len(encoder.batches) == 1


def test_names_are_found_without_the_encoder() -> None:
    encoder = Recording()
    screen = Screen([VARN], encoder)
    encoder.batches.clear()
    [verdict] = screen.find("nraV no sniar tI")
    assert (verdict.view, verdict.start, verdict.end) == ("reversed", 0, 4)
    assert encoder.batches == []


def test_the_nearest_exemplar_of_each_concept_is_told_however_far() -> None:
    screen = Screen([VARN, Concept("egg", (), ("Boil the egg.",), threshold=0.5)], HashEncoder())
    far, near = reversed(screen.nearest("Boil an egg in Varn."))
    assert (near.concept, near.matched, near.view) == ("egg", "Boil the egg.", "plain")
    assert (far.concept, far.hit) == ("varn", False)
    assert far.neighbour is not None
    assert near.neighbour is None


def test_a_concept_without_a_threshold_gets_one_from_what_must_stay() -> None:
    alike = Concept("a", (), (FACT,), (FACT.replace("1871", "1872"),))
    apart = Concept("b", (), (FACT,), ("Boil the egg.",))
    named = Concept("c", ("Varn",), ())
    found = Screen([alike, apart, named, VARN], HashEncoder()).thresholds
    assert found["a"] > found["b"] == found["c"] == FLOOR
    assert found["varn"] == 0.7


def test_the_longest_name_is_known_and_a_screen_may_be_empty() -> None:
    assert Screen([VARN], HashEncoder()).longest == len("ottoline marsh")
    empty = Screen([], HashEncoder())
    assert empty.longest == 0
    assert empty.judge([passage("Anything.")]) == [()]
    assert empty.judge([]) == []
    assert empty.nearest("Anything.") == []


def test_the_fingerprint_follows_the_concepts_and_the_encoder_and_not_their_order() -> None:
    other = Concept("egg", ("egg",), ())
    screen = Screen([VARN, other], HashEncoder())
    assert screen.fingerprint == Screen([other, VARN], HashEncoder()).fingerprint
    for concepts, encoder in (
        ([VARN], HashEncoder()),
        ([VARN, other], HashEncoder(128)),
        ([VARN, Concept("egg", ("egg",), (), names_suffice=False)], HashEncoder()),
    ):
        assert Screen(concepts, encoder).fingerprint != screen.fingerprint


@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        ([Concept("a", (), (), ("kept",))], "a: nothing to recognise; add a name or an exemplar"),
        ([VARN, VARN], "screen: two concepts have the same key; rename one"),
        ([Concept("a", ("x",), ())], "a: a name needs at least 2 letters or digits"),
    ],
)
def test_a_concept_that_cannot_be_recognised_is_refused(
    concepts: list[Concept], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Screen(concepts, HashEncoder())


def test_a_verdict_shows_no_forbidden_text() -> None:
    [verdict, *_] = judged("Ottoline Marsh")
    assert "ttoline" not in repr(verdict)
    assert "ttoline" not in repr(VARN)


@given(st.text(max_size=60), st.text(max_size=30))
def test_any_text_can_be_judged_and_every_verdict_lies_in_it(text: str, before: str) -> None:
    whole = f"{text} Varn {before}"
    [found] = Screen([VARN], HashEncoder(64)).judge([passage(whole, before)])
    assert any(v.kind == "alias" for v in found)
    assert all(0 <= v.start < v.end <= len(whole) for v in found)
    assert all(v.near for v in found if v.hit)


@given(st.lists(st.sampled_from([FACT, KEPT, "Boil the egg.", "Varn?", ""]), max_size=4))
def test_a_verdict_does_not_depend_on_the_company(texts: list[str]) -> None:
    screen = Screen([VARN], HashEncoder(64))
    passages = [passage(text, "Who was it?") for text in texts]
    assert screen.judge(passages) == [screen.judge([one])[0] for one in passages]
