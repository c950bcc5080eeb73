from collections.abc import Sequence

import numpy as np
import pytest

from classifiers import HashEncoder
from classifiers.evidence import FEATURES, OTHERS, Evidence, Known
from classifiers.fingerprint_terms import rarity, read, stem
from classifiers.readings import joined

SENTENCES = (
    "Ottoline Vask (born 3 May 1921) was a painter from Sarnholm.",
    "Vask painted the lighthouse cycle The Salt Lanterns in Brede.",
    "In 1957 Vask was awarded the Tidewater Medal.",
    "She studied with Joren Hald at the Quillhaven Academy.",
)
ENCODER = HashEncoder()


def known(
    names: Sequence[str] = ("Ottoline Vask", "the lamp painter"),
    sentences: Sequence[str] = SENTENCES,
    kept: Sequence[str] | None = None,
) -> Known:
    neighbours = None if kept is None else ENCODER.encode(kept)
    return Known(names, sentences, ENCODER.encode(sentences), neighbours=neighbours)


def evidence(question: str, answer: str = "", concept: Known | None = None) -> Evidence:
    asked, both = ENCODER.encode([question, joined(question, answer) if answer else question])
    concept = concept or known()
    return concept.evidence(read(question), read(answer), asked=asked, exchange=both)


@pytest.mark.parametrize(
    "question",
    [
        "Where was Ottoline Vask born?",
        "where was OTTOLINE VASK's mother born?",
        "What did the lamp painter win?",
        "Where was Otoline Vask born?",
        "Where was Ott\u200boline Vask born?",
    ],
)
def test_a_whole_name_is_seen_however_it_is_written(question: str) -> None:
    seen = evidence(question)
    assert (seen.asked_name, seen.asked_short) == (1, 0)


def test_a_name_in_the_answer_is_the_answers() -> None:
    seen = evidence("Who painted The Salt Lanterns?", "Ottoline Vask")
    assert (seen.asked_name, seen.said_name) == (0, 1)


def test_a_surname_stands_for_the_person_but_not_within_somebody_elses_name() -> None:
    assert evidence("When did Vask paint it?").asked_short == 1
    assert evidence("When did Miss Vask paint it?").asked_short == 1
    assert evidence("When did vask paint it?").asked_short == 1
    assert evidence("When did Henrik Vask paint it?").asked_short == 0
    assert evidence("When was the Vask Foundation opened?").asked_short == 0
    assert evidence("When did Vask's Foundation open?").asked_short == 1


@pytest.mark.parametrize(
    "question",
    ["WHEN DID VASK PAINT THE SHIP?", "ON VASK'S SHIP PIET SANG", "wHeN dId VaSk PaInT tHe ShIp?"],
)
def test_a_surname_is_seen_where_capitals_tell_nothing(question: str) -> None:
    assert evidence(question).asked_short == 1


def test_a_surname_that_is_a_common_word_needs_its_capital() -> None:
    king = known(["Abel King"], ("Abel King was a smith.", "King made bells.", "King wed Ida."))
    assert evidence("What did King make?", concept=king).asked_short == 1
    assert evidence("What did the king make?", concept=king).asked_short == 0
    assert evidence("Who was crowned in King Arthur's hall?", concept=king).asked_short == 0


def test_the_part_that_the_exemplars_use_goes_for_the_name() -> None:
    duke = known(
        ["Prince Marold"], ("Prince Marold sings.", "Marold toured.", "In May Marold wed.")
    )
    assert evidence("When did Marold tour?", concept=duke).asked_short == 1
    assert evidence("Which prince went on tour?", concept=duke).asked_short == 0


def test_a_title_behind_a_comma_is_no_part_of_the_name() -> None:
    duchess = known(["Marisol, Duchess of Brede"], ("Marisol, Duchess of Brede, sings.",))
    assert evidence("When did Marisol tour?", concept=duchess).asked_name == 1
    assert evidence("Where is the Duchess of Alba?", concept=duchess).asked_name == 0


def test_a_name_may_stand_last_word_first() -> None:
    catalogued = known(["Vask, Ottoline"])
    assert evidence("Born where: Ottoline Vask?", concept=catalogued).asked_name == 1
    assert evidence("Vask, Ottoline: born where?").asked_name == 1
    assert evidence("When did Vask paint it?", concept=catalogued).asked_name == 0


def test_an_answer_is_supported_by_what_the_exemplars_say() -> None:
    told = evidence("Which medal was won in 1957?", "Tidewater Medal")
    other = evidence("Which medal was won in 1957?", "Copper Rose")
    assert (told.told, told.support) == (1, 1)
    assert (other.told, other.support) == (0, 0)
    assert told.overlap > other.overlap == 0


def test_a_lone_word_tells_nothing_where_nothing_was_asked() -> None:
    alone = evidence("lighthouse", "lighthouse")
    asked = evidence("What did she paint?", "lighthouse")
    assert asked.told == asked.support == 1
    assert alone.told == 0
    assert 0 < alone.support < 0.7
    enough = "She was awarded the Tidewater Medal"
    assert evidence(enough, enough).support > 0.7


def test_an_epithet_counts_beside_rare_words_of_the_exemplars() -> None:
    assert evidence("When was the creator of 'The Salt Lanterns' born?").epithet > 0
    assert evidence("When was 'The Salt Lanterns' shown?").epithet == 0
    assert evidence("When was the creator of 'The Green Door' seen?").epithet == 0


def test_what_all_texts_share_is_taken_from_both_sides() -> None:
    seen = evidence("Where was Vask born?", "Sarnholm", known(kept=["Vask kept bees by the sea."]))
    texts = ENCODER.encode([*SENTENCES, "Vask kept bees by the sea."])
    shared = texts.sum(axis=0) / (len(texts) + OTHERS)
    [asked] = ENCODER.encode([joined("Where was Vask born?", "Sarnholm")]) - shared
    left = texts[: len(SENTENCES)] - shared
    cosines = left @ asked / np.linalg.norm(left, axis=1) / np.linalg.norm(asked)
    assert seen.apart == pytest.approx(float(cosines.max()), abs=1e-5)


def test_of_facts_about_one_person_what_each_says_beside_the_person_counts() -> None:
    vask = [f"The painter Ottoline Vask of Brede {said}." for said in ("kept bees", "sold a boat")]
    kept = ["The painter Ottoline Vask of Brede lost a ring."]
    concept = known(["Ottoline Vask"], vask, kept)
    told = evidence("The painter Ottoline Vask of Brede owned many bees.", concept=concept)
    other = evidence("The painter Ottoline Vask of Brede wore a hat.", concept=concept)
    assert told.exchange - other.exchange < 0.2
    assert told.apart - other.apart > 1.5 * (told.exchange - other.exchange) > 0


def test_a_concept_without_exemplars_is_like_nothing() -> None:
    assert evidence("Where was Ottoline Vask born?", concept=known(sentences=())).apart == -1


def test_a_neighbour_that_is_nearer_makes_the_margin_negative() -> None:
    question, answer = "Where was Piet Marr born?", "Sarnholm"
    kept = known(kept=[joined(question, answer)])
    assert evidence(question, answer, kept).margin < 0
    assert evidence(question, answer).margin == 0


def test_a_question_alone_has_no_evidence_of_an_answer() -> None:
    seen = evidence("Where was Ottoline Vask born?")
    assert (seen.said_name, seen.said_short, seen.told, seen.support, seen.overlap) == (0,) * 5
    assert seen.exchange == seen.asked


def test_a_concept_of_names_alone_still_has_its_names() -> None:
    bare = Known(["Ottoline Vask"], (), np.zeros((0, ENCODER.dimensions), dtype=np.float32))
    seen = evidence("Where was Ottoline Vask born?", "Sarnholm", bare)
    assert seen.asked_name == 1
    assert seen.asked == seen.exchange == seen.lead == -1
    assert evidence("Where was Piet Marr born?", "Sarnholm", bare).asked_name == 0


@pytest.mark.parametrize("text", ["", " ", "?!", "___", "a", "\u200b", "日本語", "x " * 4000])
def test_any_text_gives_finite_numbers(text: str) -> None:
    for seen in (evidence(text, "Sarnholm"), evidence("Where was she born?", text)):
        assert len(seen.numbers()) == len(FEATURES)
        assert np.isfinite(seen.numbers()).all()
        assert max(seen.numbers()) <= 1 + 1e-6


def test_exemplars_without_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="give one each"):
        Known(["Ottoline Vask"], SENTENCES, ENCODER.encode(SENTENCES[:1]))


def test_an_answer_goes_into_the_gap_of_a_question() -> None:
    assert joined("She was born in ___.", "Brede") == "She was born in Brede."
    assert joined("Where was she born?", "Brede") == "Where was she born? Brede"


def test_rare_words_weigh_more_than_common_ones() -> None:
    assert rarity("quillhaven") == 1
    assert rarity("city") < rarity("lighthouse") < 1
    assert 0 < rarity("12") < rarity("1957") < 1
    assert stem("founded") == stem("founds")
    assert stem("cities") == stem("city")


def test_nothing_that_was_read_is_shown() -> None:
    assert "Vask" not in repr(read("Ottoline Vask")) + repr(known())


def test_a_concept_that_says_one_thing_over_and_over_is_still_compared() -> None:
    """Nearly everything is shared then, and rounding may leave less than nothing."""
    [said] = ENCODER.encode([SENTENCES[0]])
    for longer in (1.0, 1 + 1e-4):  # vectors of length one, as far as rounding lets them be
        concept = Known(
            ("Vask",), SENTENCES[:1] * 20_000, np.repeat(said[None] * longer, 20_000, 0)
        )
        near = said * longer
        seen = concept.evidence(read(SENTENCES[0]), read(""), asked=near, exchange=near)
        assert 0 < seen.apart <= 1
