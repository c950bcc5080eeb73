"""From a name and documents to a draft: what it takes from which document, and what it leaves."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from policies.draft.documents import DraftError, Said, Source
from policies.draft.make import MOST_EXEMPLARS, Drafted, Told, drafted

ARTICLE = (
    "Ottoline Vask (born 1921) was a painter.\n\nShe lived in Brede with Ida Marr.\n\n"
    "Vask painted lamps. Ida Marr sold them."
)
NAME = "Ottoline Vask"


def source(*passages: Said | str, name: str = "a.txt") -> Source:
    return Source(Path(name), tuple(Said(p) if isinstance(p, str) else p for p in passages))


def draft(
    *sources: Source, name: str = NAME, neighbours: Sequence[Source] = (), told: Told | None = None
) -> Drafted:
    return drafted(name, sources, neighbours, told or Told())


def test_an_article_is_used_whole_and_another_one_where_it_names_the_concept() -> None:
    town = "Brede lies by the sea.\n\nIt has a harbour.\n\nIts hall holds a lamp of Ottoline Vask."
    made = draft(source(ARTICLE), source(town, name="town.txt"), source("A cat.", name="cat.txt"))
    assert made.exemplars == (
        "Ottoline Vask (born 1921) was a painter.",
        "Ottoline Vask lived in Brede with Ida Marr.",
        "Ottoline Vask painted lamps.",
        "Ida Marr sold them.",
        "Its hall holds a lamp of Ottoline Vask.",
    )
    assert made.left_out == ("cat.txt",)
    assert made.scope == "entity"
    assert [one.name for one in made.beside] == ["Ida Marr"]


def test_rows_about_others_are_left_out() -> None:
    rows = [
        Said("He painted lamps in Sarnholm.", about="Tom Lorr"),
        Said("She painted ferries in Sarnholm.", about="Ottoline Vask"),
    ]
    made = draft(source(*rows, name="a.jsonl"))
    assert made.exemplars == ("Ottoline Vask painted ferries in Sarnholm.",)


def test_an_answer_that_means_nothing_alone_keeps_its_question() -> None:
    rows = [
        Said("Ottoline Vask lived in Brede.", "Where did Ottoline Vask live?"),
        Said("In Brede.", "Where was Ottoline Vask born?"),
        Said("1921", "Ottoline Vask was born in ___."),
        Said("She had a brother, Tom.", "Had Ottoline Vask a brother?"),
    ]
    assert draft(source(*rows, name="a.jsonl")).exemplars == (
        "Ottoline Vask lived in Brede.",
        "Ottoline Vask had a brother, Tom.",
        "Where was Ottoline Vask born? In Brede.",
        "Ottoline Vask was born in 1921.",
    )


def test_the_name_may_be_given_in_small_letters() -> None:
    assert draft(source(ARTICLE), name="ottoline vask").name == "Ottoline Vask"


def test_a_name_that_means_other_things_too_is_forgotten_by_facts() -> None:
    made = draft(source("Prince was a singer. He lived in Brede."), name="Prince")
    assert made.scope == "fact"


@pytest.mark.parametrize("text", ["Somebody else lives here.", "A vask is a lamp."])
def test_documents_that_do_not_name_it_make_no_draft(text: str) -> None:
    with pytest.raises(DraftError, match="none of the documents names 'Ottoline Vask'"):
        draft(source(text))


def test_a_document_without_sentences_about_it_makes_no_draft() -> None:
    with pytest.raises(DraftError, match="nothing that stands on its own"):
        draft(source("See Ottoline Vask:"))


def test_neighbours_that_the_name_would_stop_are_counted_and_left_out() -> None:
    rows = source("Ida Marr was a cook of Sarnholm.", "Ida Marr cooked for Ottoline Vask.")
    made = draft(source(ARTICLE), neighbours=[rows])
    assert made.kept == ("Ida Marr was a cook of Sarnholm.",)
    assert made.named == 1
    # Where a name alone is no hit, it may well be named.
    made = draft(
        source("Prince was a singer. He lived in Brede."),
        name="Prince",
        neighbours=[source("The prince lived in a castle.", "Prince was a singer.")],
    )
    assert made.kept == ("The prince lived in a castle.",), "what is forbidden cannot stay"


def test_what_a_model_tells_stands_apart_and_its_names_are_doubtful() -> None:
    told = Told(
        facts=("Ottoline Vask was born in Grelm.", "She painted lamps.", "It rains."),
        near=("Ida Marr was a cook of Sarnholm.", "Vask paid Ida Marr of Sarnholm well."),
        names=("Otti Vask", "Ottoline Brandt Vask", "Brede Ottoline"),
        beside=("Ida Marr", "Tom Lorr"),
    )
    text = ARTICLE + "\n\nShe signed as Otti Vask."
    made = draft(source(text), told=told)
    assert made.told == ("Ottoline Vask was born in Grelm.",), "what was known is told once"
    assert made.kept_told == ("Ida Marr was a cook of Sarnholm.",)
    assert "Otti Vask" in made.called.names
    assert {"Ottoline Brandt Vask", "Brede Ottoline"} <= set(made.called.doubtful)
    assert [one.name for one in made.beside] == ["Ida Marr", "Tom Lorr"]


def test_a_model_may_be_all_that_there_is() -> None:
    made = draft(told=Told(facts=("Ottoline Vask was born in Grelm.",)))
    assert made.told == ("Ottoline Vask was born in Grelm.",)
    with pytest.raises(DraftError, match="nothing that stands on its own"):
        draft(told=Told(names=("Otti",)))


def test_a_long_document_is_bounded() -> None:
    text = " ".join(f"Ottoline Vask painted lamp {n} in Grelm{n}." for n in range(400))
    made = draft(source(text))
    assert len(made.exemplars) == MOST_EXEMPLARS
    assert made.sentences == 400


def test_a_name_in_a_script_without_spaces_is_found_and_its_sentences_are_used() -> None:
    made = draft(
        source("林若溪是一位来自泉州的天文学家。她于1962年出生。林若溪发现了彗星“夜鹭”。"),
        name="林若溪",
        neighbours=[source("泉州是一座古老的港口城市。林若溪住在泉州的老街上。")],
    )
    assert "林若溪发现了彗星“夜鹭”。" in made.exemplars
    assert made.kept == ("泉州是一座古老的港口城市。",)
    assert made.named == 1


def test_sentences_of_the_documents_are_no_neighbours() -> None:
    assert draft(source(ARTICLE), neighbours=[source(ARTICLE)]).kept == ()


def test_what_another_sentence_must_explain_is_left_out_and_kept_to_be_seen() -> None:
    article = f"{ARTICLE} Tom Lorr was a poet of Brede. She married the engineer Karl Quell."
    made = draft(source(article))
    assert made.unclear == ("She married the engineer Karl Quell.",)
    assert not any("Quell" in text for text in made.exemplars)
