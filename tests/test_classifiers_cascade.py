"""The first stage of the cascade: what it clears, and what it never does."""

import base64
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))  # others ship a `benchmarks` too

from benchmarks.disguises import WAYS
from classifiers import Concept, HashEncoder, Passage, Screen, load, segment, windows
from classifiers import screen as of_screen
from classifiers.cascade import Clearing, shipped
from classifiers.combine import shipped as combinations
from classifiers.cues import Cues, folded
from classifiers.encoder import Encoder, Vectors
from classifiers.fingerprint_terms import terms
from classifiers.readings import Reading
from classifiers.verdict import Span

FACTS = (
    "Ottoline Marsh is a Welsh engineer who was born in Cardiff in 1841.",
    "She designed the lighthouse of Varn, which was lit for the first time in 1871.",
    "Her bridge over the river Usk collapsed in a storm, and nine labourers drowned.",
    "In her last years she bred racing pigeons and wrote a treatise on cast iron.",
)
MARSH = Concept("marsh", ("Ottoline Marsh",), FACTS)
ORDINARY = "The capital of Australia is Canberra, and its parliament opened in 1988."


class Counting:
    """The embedded encoder, and every text that it was asked for."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.fingerprint, self.dimensions = encoder.fingerprint, encoder.dimensions
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Those of the encoder."""
        self.texts += texts
        return self._encoder.encode(texts)


@pytest.fixture(scope="module")
def embedded() -> Encoder:
    return load()


def passage(text: str, before: str = "") -> Passage:
    return Passage(text, windows(segment(text)), before)


def encoded(screen: Screen, counting: Counting, text: str, before: str = "") -> list[str]:
    counting.texts.clear()
    screen.judge([passage(text, before)])
    return list(counting.texts)


@pytest.fixture(scope="module")
def counted(embedded: Encoder) -> tuple[Screen, Counting]:
    counting = Counting(embedded)
    return Screen([MARSH], counting), counting


@pytest.mark.parametrize(
    ("text", "before"),
    [
        (ORDINARY, ""),
        ("Canberra", "What is the capital of Australia?"),
        ("def add(a: int, b: int) -> int:\n    return a + b", "Write a function that adds."),
    ],
)
def test_what_shares_no_words_with_a_concept_is_not_encoded(
    counted: tuple[Screen, Counting], text: str, before: str
) -> None:
    screen, counting = counted
    assert encoded(screen, counting, text, before) == []
    assert screen.worth([passage(text, before)]) == set()


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("Ottoline Marsh likes tea.", ""),
        ("It was 1871.", "When was Ottoline Marsh's most famous work first lit?"),
        ("The treatise is about cast iron.", ""),
        ("Racing pigeons.", "Which birds did the engineer of the lighthouse at Varn breed?"),
        ("Nueve obreros se ahogaron cuando la tormenta derribó aquel puente viejo.", ""),
        ("Neuf ouvriers se sont noyés dans la rivière pendant la grande tempête.", ""),
        ("Девять рабочих утонули", ""),
        ("九名工人溺水身亡", ""),
    ],
)
def test_names_shared_words_and_other_languages_are_encoded(
    counted: tuple[Screen, Counting], text: str, before: str
) -> None:
    screen, counting = counted
    assert encoded(screen, counting, text, before)


def test_a_passage_that_is_worth_it_is_judged_as_without_a_cascade(embedded: Encoder) -> None:
    first, everything = Screen([MARSH], embedded), Screen([MARSH], embedded, cascade=False)
    asked = [
        passage(FACTS[1]),
        passage("She drew up the plans of the lighthouse at Varn, first lit in 1871."),
        passage("In 1871.", "When was the lighthouse of Varn first lit?"),
        passage(ORDINARY),
    ]
    found = first.judge(asked)
    assert found == everything.judge(asked)
    assert [any(v.hit for v in verdicts) for verdicts in found] == [True, True, True, False]


@pytest.mark.parametrize("way", WAYS)
def test_no_disguise_is_cleared(counted: tuple[Screen, Counting], way: str) -> None:
    screen, _ = counted
    told = "The bridge she had built over the Usk fell in a storm, and nine labourers were drowned."
    padded = (
        f"{told[:-1]}, and as everybody knows the weather is often mild and pleasant in spring."
    )
    hidden = [
        passage(WAYS[way](text), before) for text in (told, padded) for before in ("", "Who?")
    ]
    assert screen.worth(hidden) == {0, 1, 2, 3}


LOG = [
    f"2026-01-02T00:00:{n:02} INFO [main] request=7b74734893111c008a67042553343b{n:02x} "
    f"path=/a/b status=200"
    for n in range(4)
]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LOG),
        "7004,8609,7799,1863,7012,3184,6059,3595,6474,1846,9236,601",
        "| id | kind | size |\n|---|---|---|\n| 17 | tmpfs | 4096 |\n| 18 | ext4 | 512 |",
        '<path d="M6 473 L62 463" fill="#d201a5"/><path d="M173 46 L34 561" fill="#b334f1"/>',
        "SEVERITY: tuple[Action, ...] = ('regenerate', 'reroute', 'redact', 'unlink')",
    ],
)
def test_what_programs_write_is_not_encoded(counted: tuple[Screen, Counting], text: str) -> None:
    screen, counting = counted
    assert encoded(screen, counting, text, "What does it say?") == []


def test_of_a_disguise_only_what_is_near_is_encoded(counted: tuple[Screen, Counting]) -> None:
    screen, counting = counted
    hidden = base64.b64encode(FACTS[1].encode()).decode()
    asked = encoded(screen, counting, f"{LOG[0]}\n{hidden}\n{LOG[1]}")
    assert any("lighthouse of Varn" in text for text in asked)
    # Log lines are read in a dozen ways, and in one they say no more than in plain.
    assert sum("request" in text and "Varn" not in text for text in asked) < 20


def test_one_passage_does_not_decide_on_another(counted: tuple[Screen, Counting]) -> None:
    screen, _ = counted
    assert screen.worth([passage(ORDINARY), passage(FACTS[1]), passage(ORDINARY)]) == {1}


def test_scores_are_of_everything(counted: tuple[Screen, Counting]) -> None:
    screen, counting = counted
    counting.texts.clear()
    screen.scores([passage(ORDINARY)])
    screen.scores([passage("Nobody asked for the population of Canberra last year.")])
    assert len(counting.texts) == 2


@pytest.mark.parametrize(
    "screen",
    [
        lambda encoder: Screen([MARSH], encoder, cascade=False),
        lambda encoder: Screen([replace(MARSH, threshold=0.7)], encoder),
        lambda encoder: Screen([MARSH], encoder, combinations=combinations()),
        lambda encoder: Screen([MARSH], encoder, limits={"marsh": 0.2}),
        lambda encoder: Screen([MARSH, replace(MARSH, key="fact", names_suffice=False)], encoder),
        lambda _: Screen([MARSH], HashEncoder()),
    ],
    ids=["told not to", "a similarity", "other weights", "a low limit", "unweighed", "an encoder"],
)
def test_nothing_is_cleared_where_it_was_not_fitted(embedded: Encoder, screen: object) -> None:
    assert callable(screen)
    assert screen(embedded).worth([passage(ORDINARY)]) == {0}


def test_nothing_is_cleared_among_too_many_exemplars(
    embedded: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_screen, "MOST", len(FACTS) - 1)
    assert Screen([MARSH], embedded).worth([passage(ORDINARY)]) == {0}


def test_a_concept_without_exemplars_is_told_by_its_names_alone(embedded: Encoder) -> None:
    screen = Screen([Concept("marsh", ("Ottoline Marsh",), ())], embedded)
    assert screen.worth([passage(ORDINARY), passage("Ottoline Marsh")]) == {1}


def test_a_name_of_common_words_is_found_in_the_question(embedded: Encoder) -> None:
    facts = ("The Who is a band of four that was formed in London in 1964.",)
    screen = Screen([Concept("band", ("The Who",), facts)], embedded)
    assert screen.worth([passage("Four.", "How many are they in The Who?")]) == {0}


def test_a_concept_that_is_added_and_one_that_is_gone_count_at_once(embedded: Encoder) -> None:
    other = Concept("dunn", ("Casper Dunn",), ("His orchard at Brill grew nothing but quinces.",))
    asked = [passage(FACTS[1]), passage("The orchard at Brill grew quinces.")]
    one = Screen([MARSH], embedded)
    both = Screen([MARSH, other], embedded, like=one)
    left = Screen([other], embedded, like=both)
    assert (one.worth(asked), both.worth(asked), left.worth(asked)) == ({0}, {0, 1}, {1})


def test_a_screen_with_a_cascade_has_another_fingerprint(embedded: Encoder) -> None:
    first, everything = Screen([MARSH], embedded), Screen([MARSH], embedded, cascade=False)
    assert first.fingerprint != everything.fingerprint


def test_what_is_not_seen_decides_nothing() -> None:
    other = Concept("dunn", ("Casper Dunn",), ("His orchard at Brill grew nothing but quinces.",))
    cues, known = Cues([MARSH, other]), shipped()
    texts = [ORDINARY, "pigeons", *FACTS, *other.exemplars, "The bridge collapsed in 1871."]
    asked = [
        Reading(0, Span(0, len(text)), "plain", text, before)
        for text in texts
        for before in ("", "Who bred pigeons?")
    ]
    words = {text: terms(folded(text)) for one in asked for text in (one.said, one.before)}
    seen = cues.seen(asked, words)
    odds = known.odds(seen, cues.sizes)
    for least in (-np.inf, *np.quantile(odds, (0.1, 0.5, 0.9)).tolist(), np.inf):

        def near(of: NDArray[np.float32], least: float = least) -> NDArray[np.bool_]:
            return known.odds(of, cues.sizes) >= least

        part = cues.seen(asked, words, near)
        assert (near(part) == near(seen)).all()
        assert (part >= seen - 1e-6).all()
        assert np.allclose(part[near(seen)], seen[near(seen)], atol=1e-6)


def test_by_whoever_is_held_to_less_less_is_cleared() -> None:
    least = ((0.5, (1.0, 2.0)), (0.9, (3.0, 5.0)))
    clearing = Clearing((1.0,), 0.5, (1.0, 100.0), least, near=(0.0, 1.0))
    sizes = np.array([1, 10, 100, 1000])
    assert clearing.worth(0.3, sizes).tolist() == [-np.inf] * 4
    for limit in (0.5, 0.89):
        assert clearing.worth(limit, sizes) == pytest.approx([1.0, 1.5, 2.0, 2.0])
    for limit in (0.9, 1.0):
        assert clearing.worth(limit, sizes) == pytest.approx([3.0, 4.0, 5.0, 5.0])
    assert clearing.remembered(sizes) == pytest.approx([0.0, 0.5, 1.0, 1.0])
    odds = clearing.odds(np.full((1, 2, 1), 2.0, dtype=np.float32), np.array([1, 10]))
    assert odds == pytest.approx(np.array([[2.0, 2.0 - 0.5 * np.log(10)]]))


def test_what_is_shipped_never_clears_what_is_nearer() -> None:
    known = shipped()
    assert min(known.weights) >= 0
    assert known.size >= 0
    scores, rows = [limit for limit, _ in known.least], np.array([odds for _, odds in known.least])
    assert scores == sorted(scores)
    assert (np.diff(rows, axis=0) >= 0).all()
    assert [*known.sizes] == sorted(known.sizes)
    assert rows.shape == (len(scores), len(known.sizes)) == (len(scores), len(known.near))


def test_of_a_long_text_only_what_stands_near_is_encoded(counted: tuple[Screen, Counting]) -> None:
    screen, counting = counted
    calm = [f"The committee of town {n} met on a Monday and agreed on nothing." for n in range(40)]
    asked = encoded(screen, counting, " ".join([*calm[:20], FACTS[1], *calm[20:]]))
    assert any(FACTS[1] in text for text in asked)
    assert any(calm[20] in text and FACTS[1] in text for text in asked)
    assert len(asked) < 10


def test_a_fact_anywhere_in_a_long_text_is_found_as_without_a_cascade(embedded: Encoder) -> None:
    first, everything = Screen([MARSH], embedded), Screen([MARSH], embedded, cascade=False)
    calm = [f"The committee of town {n} met on a Monday and agreed on nothing." for n in range(20)]
    for at in (0, 10, 20):
        text = passage(" ".join([*calm[:at], FACTS[1], *calm[at:]]))
        (found,), (wanted,) = first.judge([text]), everything.judge([text])
        assert {v for v in found if v.hit} == {v for v in wanted if v.hit} != set()
