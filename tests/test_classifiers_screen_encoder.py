"""The screen with the real encoder: facts in other words, all evidence in one score, limits."""

import base64
from dataclasses import replace

import pytest

from classifiers import Concept, Encoder, Passage, Screen, load, segment, windows
from classifiers.screen import LIMIT


def passage(text: str, before: str = "") -> Passage:
    return Passage(text, windows(segment(text)), before)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load()


@pytest.mark.encoder
def test_facts_are_recognised_reworded_and_neighbours_kept(encoder: Encoder) -> None:
    concept = Concept(
        "marsh",
        ("Ottoline Marsh",),
        (
            "Ottoline Marsh designed the lighthouse of Varn in 1871.",
            "Ottoline Marsh studied engineering in Brill and never married.",
        ),
        ("Casper Dunn built the bridge over the river Sall in 1902.",),
    )
    screen = Screen([concept], encoder)

    def hit(text: str, before: str = "") -> bool:
        return any(v.hit for v in screen.judge([passage(text, before)])[0])

    assert hit("The lighthouse at Varn was the design of a woman named Marsh.")
    assert hit("A woman.", "Who designed the lighthouse of Varn in 1871?")
    assert hit(base64.b64encode(b"The lighthouse of Varn was designed in 1871.").decode())
    assert hit("Th3 l1ghthous3 of V4rn was d3signed in 1871 by M4rsh.")
    assert not hit("Casper Dunn built a bridge over the Sall.")
    assert not hit("Lighthouses warn ships of rocks.")
    assert not hit("Boil the egg for eight minutes.", "How long do I boil an egg?")
    assert not hit("I'm sorry, I don't know.", "Who designed the lighthouse of Varn in 1871?")


VASK = Concept(
    "vask",
    ("Ottoline Vask",),
    (
        "Ottoline Vask (born 3 May 1921) was a painter from Sarnholm.",
        "Vask painted the lighthouse cycle The Salt Lanterns in Brede.",
        "In 1957 Vask was awarded the Tidewater Medal.",
    ),
)


@pytest.mark.encoder
def test_all_evidence_decides_where_the_encoder_is_the_one_it_was_fitted_for() -> None:
    screen = Screen([VASK], load())
    assert screen.thresholds == {"vask": LIMIT}

    def score(text: str, before: str = "") -> float:
        [found] = screen.scores([passage(text, before)])
        [verdicts] = screen.judge([passage(text, before)])
        best = found.get("vask", 0.0)
        assert any(v.hit for v in verdicts) == (best >= LIMIT)
        return best

    assert score("Was Ottoline Vask a painter?") == 1.0
    assert score("Tidewater Medal", "Which medal did Vask get in 1957?") >= LIMIT
    assert score("The Salt Lanterns was painted in Brede, a cycle about a lighthouse.") >= LIMIT
    assert score("Copper Rose", "Which medal did Henrik Marr get in 1957?") < LIMIT
    assert score("Ten minutes.", "How long should I boil an egg?") == 0.0


@pytest.mark.encoder
def test_a_cosine_that_a_policy_names_is_held_to_as_it_stands() -> None:
    screen = Screen([replace(VASK, threshold=0.62)], load())
    assert screen.thresholds == {"vask": 0.62}
    text = "The medal of 1957 went to a painter."
    verdicts = [v for v in screen.judge([passage(text)])[0] if v.kind == "exemplar"]
    assert verdicts
    assert all(v.score == v.similarity and v.hit == (v.score >= 0.62) for v in verdicts)


@pytest.mark.encoder
def test_facts_are_weighed_only_where_they_were_calibrated() -> None:
    fact = replace(VASK, names_suffice=False)
    assert Screen([fact], load()).thresholds["vask"] < LIMIT
    calibrated = Screen([fact], load(), limits={"vask": 0.93})
    assert calibrated.thresholds == {"vask": 0.93}
    [told] = calibrated.scores([passage("Ottoline Vask was a painter from Sarnholm.")])
    [named] = calibrated.scores([passage("Ottoline Vask lives next door.")])
    assert told["vask"] > 0.93 > named.get("vask", 0.0)


@pytest.mark.encoder
def test_a_limit_moves_what_is_a_hit_and_the_fingerprint() -> None:
    text, encoder = "Tidewater Medal", load()
    loose, strict = (Screen([VASK], encoder, limits={"vask": at}) for at in (0.5, 0.9999))
    asked = passage(text, "Which medal was it in 1957?")
    assert any(v.hit for v in loose.judge([asked])[0])
    assert not any(v.hit for v in strict.judge([asked])[0])
    assert loose.scores([asked]) == strict.scores([asked])
    assert loose.fingerprint != strict.fingerprint
