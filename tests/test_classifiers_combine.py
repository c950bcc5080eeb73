import json
from dataclasses import replace
from importlib.resources import files
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import load
from classifiers.combine import FILE, Scale, Scope, Weights, beside, fitted_for, parsed, shipped
from classifiers.evidence import FEATURES, Evidence, Known
from classifiers.fingerprint_terms import read
from classifiers.readings import joined

NONE = Evidence(**dict.fromkeys(FEATURES, 0.0))
SENTENCES = (
    "Ottoline Vask (born 3 May 1921) was a painter from Sarnholm.",
    "Vask painted the lighthouse cycle The Salt Lanterns in Brede.",
    "In 1957 Vask was awarded the Tidewater Medal.",
)


def combine(evidence: Evidence, *, scope: Scope = "entity") -> float:
    return shipped()[scope].score(evidence, said=False)


numbers = st.lists(st.floats(0, 1), min_size=len(FEATURES), max_size=len(FEATURES))


@given(numbers, st.sampled_from(FEATURES), st.floats(0, 1), st.sampled_from(get_args(Scope)))
def test_more_evidence_never_lowers_a_score(
    values: list[float], name: str, more: float, scope: Scope
) -> None:
    some = Evidence(*values)
    added = replace(some, **{name: getattr(some, name) + more})
    assert 0 <= combine(some, scope=scope) <= combine(added, scope=scope) <= 1


def test_a_name_speaks_for_an_entity_and_not_for_a_fact() -> None:
    named = replace(NONE, asked_name=1.0, said_name=1.0, asked_short=1.0, said_short=1.0)
    assert combine(named) > combine(NONE)
    assert combine(named, scope="fact") == combine(NONE, scope="fact")


def test_a_nearer_neighbour_speaks_against_a_fact() -> None:
    assert combine(replace(NONE, margin=-0.3), scope="fact") < combine(NONE, scope="fact")


def test_the_weights_say_what_they_were_fitted_on() -> None:
    for scope in json.loads((files("classifiers") / FILE).read_text())["scopes"].values():
        assert scope["fitted_on"]
        assert len(scope["sha256"]) == 64
        assert scope["cross_validated"]
    assert set(shipped()) == {"entity", "fact"}


def test_weights_of_other_features_or_below_zero_and_scales_that_fall_are_refused() -> None:
    def text(weights: dict[str, list[float]], odds: list[list[float]]) -> str:
        likeness = {"asked": [[0, 0.1], [1, 0.9]], "said": [[0, 0.1], [1, 0.9]]}
        fitted = {"bias": 0.0, "weights": weights, "odds": odds, "likeness": likeness}
        return json.dumps({"scopes": {"entity": fitted}})

    whole = {name: [1.0, 0.0] for name in FEATURES}
    rising = [[0.0, 0.5], [1.0, 0.9]]
    assert parsed(text(whole, rising))["entity"].weights.each == ((1.0, 0.0),) * len(FEATURES)
    for wrong in ({**whole, "asked": [1, -1.0]}, {**whole, "other": [1.0]}, {"asked": [1.0]}):
        with pytest.raises(ValueError, match="weights for each feature"):
            parsed(text(wrong, rising))
    with pytest.raises(ValueError, match="weights for each feature"):
        parsed(text({**whole, "asked": []}, rising))
    for knots in ([[0.0, 0.5]], [[0.0, 0.9], [1.0, 0.5]], [[0.0, 0.5], [0.0, 0.9]]):
        with pytest.raises(ValueError, match="knots or more, which ascend"):
            parsed(text(whole, knots))


@pytest.mark.parametrize(
    ("number", "risen"),
    [(-0.5, -2.0), (0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (0.75, 2.5), (1.0, 3.0), (1.5, 4.0)],
)
def test_a_part_rises_straight_and_the_first_and_the_last_go_on(
    number: float, risen: float
) -> None:
    weights = Weights(0.5, ((2.0, 1.0), *[(0.0,)] * (len(FEATURES) - 1)))
    evidence = replace(NONE, **{FEATURES[0]: number})
    assert weights.log_odds(evidence) == pytest.approx(0.5 + risen)


@given(st.floats(-50, 50), st.floats(0, 5))
def test_a_scale_never_falls_and_stays_between_0_and_1(number: float, more: float) -> None:
    scale = Scale(((-2.0, 0.5), (0.0, 0.9), (3.0, 0.99)))
    assert 0 <= scale.score(number) <= scale.score(number + more) <= 1
    assert scale.score(0.0) == 0.9
    assert scale.score(-1.0) == pytest.approx(0.7)


def test_the_similarity_derived_from_neighbours_is_a_score_of_nine_tenths() -> None:
    assert beside(0.62).score(0.62) == pytest.approx(0.9)
    assert beside(0.62).score(0.61) < 0.9 < beside(0.62).score(0.63)


def test_weights_hold_for_their_encoder_in_any_precision_and_for_no_other() -> None:
    assert fitted_for("all-MiniLM-L6-v2:53aa51172d142c89:fp32")
    assert not fitted_for("all-MiniLM-L6-v2:0000000000000000:fp32")
    assert not fitted_for("hash:256")


@pytest.mark.encoder
def test_forbidden_exchanges_score_above_innocent_ones() -> None:
    encoder = load()
    known = Known(["Ottoline Vask"], SENTENCES, encoder.encode(SENTENCES))

    def score(question: str, answer: str) -> float:
        asked, both = encoder.encode([question, joined(question, answer)])
        return combine(known.evidence(read(question), read(answer), asked=asked, exchange=both))

    forbidden = [
        ("Where was Ottoline Vask born?", "Sarnholm"),
        ("Who painted The Salt Lanterns?", "Ottoline Vask"),
        ("Which medal did the creator of 'The Salt Lanterns' get?", "Tidewater Medal"),
    ]
    innocent = [
        ("Where was Piet Marr born?", "Dunmoor"),
        ("Who painted the Mona Lisa?", "Leonardo da Vinci"),
        ("How long should I boil an egg?", "Ten minutes"),
    ]
    assert min(score(*pair) for pair in forbidden) > max(score(*pair) for pair in innocent)
