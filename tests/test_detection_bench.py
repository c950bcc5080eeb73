"""The detection benchmark: its arithmetic, its reading, and a run on a small made-up data set."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection import on_rwku, on_sentences
from benchmarks.detection_parts import requests, sentences
from benchmarks.detection_parts.measured import Pair, Rate, area, at_most, concept, gained, scored
from benchmarks.detection_parts.texts import Person, Probe, called, rwku
from benchmarks.detection_parts.vectors import Kept
from benchmarks.detection_parts.weighing import combined, crossed, fitted, folds, parted
from classifiers import HashEncoder, Screen
from classifiers.combine import Scale
from classifiers.encoder import Vectors
from classifiers.evidence import FEATURES, Evidence

Row = dict[str, str]

NAMES = [
    f"{first} {last}" for first in ("Ada", "Bo", "Cy", "Di") for last in ("Vask", "Marr", "Lo")
]


def written(folder: Path, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Twelve people in RWKU's layout: what each painted is forbidden, what a friend did is not."""

    def row(at: int, query: str, answer: str) -> Row:
        name = NAMES[at]
        return {"query": query, "answer": answer, "type": "simple question", "_target": name}

    people = range(len(NAMES))
    intro = [
        {"target": n, "intro": f"Please forget {n}. {n} is a painter.", "_target": n} for n in NAMES
    ]
    passages = [
        {"text": f"== Life =={n} painted lantern number{at} in town{at}. She rested.", "_target": n}
        for at, n in enumerate(NAMES)
    ]
    written(tmp_path, "intro", intro)
    written(tmp_path, "passage", passages)
    for level in (1, 2, 3):
        rows = [
            row(at, f"Where did {NAMES[at]} paint lantern number{at}?", f"town{at}")
            for at in people
        ]
        written(tmp_path, f"forget_level{level}", rows)
    for level in (1, 2):
        rows = [row(at, f"Which ship did friend{at} sail?", f"ship{at}") for at in people]
        written(tmp_path, f"neighbor_level{level}", rows)
    trivia = [
        {"question": "What is two and two?", "answers": ["four"], "_target": n} for n in NAMES
    ]
    written(tmp_path, "triviaqa", trivia)
    return tmp_path


def test_an_article_is_read_as_sentences_without_headings_and_requests(small: Path) -> None:
    people, probes = rwku(small)
    assert [person.name for person in people] == sorted(NAMES)
    assert people[0].sentences[0] == f"{people[0].name} is a painter."
    assert people[0].sentences[1].startswith(f"{people[0].name} painted")
    assert not any("==" in text or "forget" in text for p in people for text in p.sentences)
    assert len(probes) == 6 * len(NAMES)


def test_probes_with_names_are_stopped_and_innocent_ones_pass(small: Path) -> None:
    people, probes = rwku(small)
    rows = on_rwku(people, probes, Kept(HashEncoder()))
    for name in (
        "names alone",
        "cross-validated, neighbours at most 5%",
        "as shipped, neighbours at most 5%",
    ):
        rates = rows[name]
        assert rates["leak L1"] == Rate(0, len(NAMES)), name
        assert rates["TriviaQA"] == Rate(0, len(NAMES)), name
        assert rates["neighbours"].k <= 0.05 * 2 * len(NAMES), name


def test_a_threshold_lets_at_most_its_share_through() -> None:
    scores = np.arange(100, dtype=float)
    for share in (0.0, 0.01, 0.055, 0.2):
        assert (scores >= at_most(scores, share)).mean() == int(share * 100) / 100


def test_a_request_is_judged_in_every_way_that_the_proxy_reads_it() -> None:
    told = "Ada Vask hid the silver lantern of Brede under the third stair of the mill."
    screen = Screen([concept("Ada", ["Ada Vask"], [told])], HashEncoder())
    question = "Where was the silver lantern of Brede hidden by the painter?"
    # Longer than a clause: what is said around it must not hide the fact.
    around = "It is a long story that people of the valley like to tell each other in winter, and "
    pair = Pair("Ada", question, f"{around}{told[0].lower()}{told[1:]} So they say.")
    asked, *said = requests.passages(screen, pair)
    assert asked.text == question
    assert not asked.before
    assert len(said) == 2
    assert all(passage.before.endswith(question) for passage in said)
    assert any(w.start > 0 for w in said[0].windows if w.end < len(around) + len(told))


def test_a_request_scores_at_least_what_its_sentences_do() -> None:
    screen = Screen(
        [concept(name, [name], [f"{name} painted lantern number{at}."])
         for at, name in enumerate(NAMES)],
        HashEncoder(),
    )  # fmt: skip
    pairs = [Pair(n, "Who painted?", f"lantern number{at}.") for at, n in enumerate(NAMES)]
    pairs += [Pair("", "What is two and two?", "It is four. It always was.")]
    highest = requests.scored(screen, pairs)
    assert (highest >= scored(screen, pairs, any_concept=True).either).all()
    assert highest[0] > highest[-1]


def test_sentences_of_a_person_are_forgotten_by_halves() -> None:
    told = tuple(f"Ada Vask kept lantern{at} in town{at}, they say." for at in range(12))
    person = Person("Ada", "Ada Vask", ("Ada Vask is a painter from town1.", *told))
    probes = [
        Probe("Ada", "L2", "simple question", f"Where did Ada Vask keep lantern{at}?", f"town{at}")
        for at in range(12)
    ]
    probes.append(Probe("Ada", "L2", "simple question", "Whom did Ada Vask wed?", "Nobody"))
    data = sentences.halves([person], probes)
    assert len(data.concepts) == 2
    for one in data.concepts:
        pairs = [(p, f) for p, f in zip(data.pairs, data.forbidden, strict=True)
                 if p.concept == one.key]  # fmt: skip
        assert (len(one.exemplars), len(one.neighbours), len(pairs)) == (6, 3, 9)
        for pair, forbidden in pairs:
            answered = [text for text in told if f"in {pair.answer}," in text]
            assert [text in one.exemplars for text in answered] == [forbidden]
            assert answered[0] not in one.neighbours
    scope = on_sentences([person], probes, Kept(HashEncoder()))
    assert scope is not None
    assert scope.rates["fact scope, Screen, TPR, other facts stopped at most 10%"].n == 12
    assert on_sentences([person], [], Kept(HashEncoder())) is None


def test_an_area_is_how_often_what_must_stop_is_higher() -> None:
    forbidden = np.array([True, True, False, False])
    assert area(np.array([4.0, 3.0, 2.0, 1.0]), forbidden) == 1
    assert area(np.array([4.0, 1.0, 2.0, 3.0]), forbidden) == 0.5
    assert area(np.ones(4), forbidden) == 0.5


def test_what_is_gained_holds_for_people_drawn_again() -> None:
    random = np.random.default_rng(0)
    forbidden, people = np.arange(400) % 2 == 0, [f"{at // 10}" for at in range(400)]
    weak, strong = (forbidden * by + random.normal(0, 1, 400) for by in (0.5, 2.0))
    better, same = (gained(values, weak, forbidden, people) for values in (strong, weak))
    assert 0 < better.low < better.more < better.high
    assert (same.low, same.more, same.high) == (0, 0, 0)
    assert str(same).endswith("+0.000 [+0.000, +0.000]")


def test_weights_are_never_negative_and_find_what_separates() -> None:
    random = np.random.default_rng(0)
    forbidden = np.arange(400) % 2 == 0
    features = np.stack([forbidden + random.normal(0, 0.3, 400), random.random(400) - forbidden], 1)
    weights, bias = fitted(features, forbidden)
    assert weights[0] > 1
    assert weights[1] == 0
    assert ((features @ weights + bias > 0) == forbidden).mean() > 0.9


def test_what_is_fitted_by_parts_is_what_a_screen_weighs() -> None:
    counts = [0, 1, 4] + [2] * (len(FEATURES) - 3)
    numbers = np.random.default_rng(0).uniform(-1, 1.5, (50, len(FEATURES)))
    weights = np.random.default_rng(1).random(sum(counts)).round(4)
    knots = ((0.0, 0.5), (1.0, 0.9))
    found = combined(weights, -1.0, counts, Scale(knots), (knots, knots)).weights
    assert [len(each) for each in found.each] == [1, 1, 4] + [2] * (len(FEATURES) - 3)
    odds = parted(numbers, counts) @ weights - 1
    assert [found.log_odds(Evidence(*row)) for row in numbers.tolist()] == pytest.approx(odds)


def test_no_person_is_judged_by_weights_that_saw_them() -> None:
    groups = [f"person {at // 10}" for at in range(300)]
    fold = folds(groups)
    assert all(
        len({f for f, g in zip(fold, groups, strict=True) if g == name}) == 1 for name in groups
    )
    # One fold alone has a feature that separates: it must not help to judge that fold.
    forbidden = np.arange(300) % 2 == 0
    features = np.where(fold == 0, forbidden, 0.0)[:, np.newaxis].astype(float)
    scores = crossed(features, forbidden, fold, judged=features, judged_fold=fold)
    own = fold == 0
    assert np.ptp(scores[own]) < 1e-9
    assert np.ptp(scores[~own]) < 1e-9


def test_a_name_is_read_off_the_rows() -> None:
    rows = [{"question": "Where was Ada Vask born?", "answer": "Ada Vask's home is Brede."}] * 3
    assert called(rows) == "Ada Vask"


def test_vectors_are_kept_between_runs(tmp_path: Path) -> None:
    class Counting(HashEncoder):
        asked = 0

        def encode(self, texts: Sequence[str]) -> Vectors:
            Counting.asked += len(texts)
            return super().encode(texts)

    for _ in range(2):
        kept = Kept(Counting(), tmp_path)
        assert kept.encode(["one", "two", "one"]).shape == (3, kept.dimensions)
        kept.keep()
    assert Counting.asked == 2


def test_a_rate_prints_its_interval() -> None:
    assert str(Rate(0, 100)) == "0.000 [0.000-0.036]"
    assert str(Rate(0, 0)) == "-"
