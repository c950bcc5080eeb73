"""What stands beside a concept in documents, and what names give it away."""

from policies.draft.aliases import called
from policies.draft.near import beside, marks

TEXTS = [
    "Ottoline Vask and Ida Marr painted The Lamp of Brede.",
    "In 1950 Ida Marr left for Sarnholm.",
    "Ottoline Maria Vask met Ida Marr and Piet Lorr.",
    "The Lamp of Brede hangs in the hall.",
    "Tom Vask is a brother of Ottoline Vask; Tom Vask is a cook.",
    "A letter from Tom Vask came in June.",
]
CALLED = called("Ottoline Vask", [[text] for text in TEXTS])


def test_who_is_named_often_is_a_candidate_and_the_concept_is_none() -> None:
    found = {one.name: one.sentences for one in beside(TEXTS, CALLED)}
    assert found == {"Ida Marr": 3, "The Lamp of Brede": 2, "Tom Vask": 2}


def test_a_fingerprint_term_is_rare_and_stands_in_nothing_that_stays() -> None:
    found = marks(TEXTS, ["Ida Marr is a painter of Sarnholm."], CALLED)
    assert "Piet Lorr" in found
    assert "Ida Marr" not in found
    assert not any("Ottoline" in name for name in found)
