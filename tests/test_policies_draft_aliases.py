"""What documents call a concept, and where a sentence names it."""

import pytest

from policies.draft.aliases import called
from policies.draft.names import Called, distinctive


def names(name: str, *blocks: list[str]) -> tuple[set[str], set[str]]:
    """Names that are used, the given one left out, and names that are only suggested."""
    found = called(name, list(blocks))
    assert found.names[0] == name
    return set(found.names[1:]), set(found.doubtful)


def test_the_sentence_that_says_who_is_meant_gives_full_and_former_names() -> None:
    sure, _ = names(
        "Ottoline Vask",
        ["Ottoline Maria Vask (née Tollan; born 3 May 1921) was a painter."],
        ["Vask was born Ottilie Brandt Tollan in Brede."],
    )
    assert sure == {"Ottoline Maria Vask", "Ottoline Maria Tollan", "Ottilie Brandt Tollan"}


def test_a_stage_name_leads_to_the_name_behind_it_and_back() -> None:
    sure, _ = names(
        "Miro Drell",
        ['Anton Selk (born 1960), known professionally as Miro Drell, is a singer from "Brede".'],
        ['Drell used several pseudonyms: "Lars Homm" and "Kit Varn".', "He sang in Brede."],
    )
    assert sure == {"Anton Selk", "Lars Homm", "Kit Varn"}


def test_a_nickname_stands_in_quotes_and_a_part_in_a_play_is_none() -> None:
    sure, doubtful = names(
        "Henrik Vask",
        ['Johann "Henrik" Vask (born 1921) is an actor.'],
        ['He has been dubbed the "Lion of Sarnholm".'],
        ["He is widely known as Grumpf on the series Harbour Lights."],
        ["As leader, Vask founded a party which became known as New Brede."],
        ["His brother is better known as Piet Marr."],
    )
    assert {"Johann Vask", "Lion of Sarnholm"} <= sure
    every = sure | doubtful
    assert not {"Grumpf", "New Brede", "Piet Marr", "Harbour Lights"} & every


def test_a_last_name_and_initials_are_suggested_and_never_used() -> None:
    sure, doubtful = names(
        "Ottoline Vask",
        ["Ottoline Maria Vask (born 1921) was a painter."],
        ["Vask painted.", "Then Vask slept."],
    )
    assert sure == {"Ottoline Maria Vask"}
    assert doubtful == {"Vask", "O. Vask", "Ottoline M. Vask", "O. M. Vask"}


def test_initials_that_the_documents_use_are_names() -> None:
    sure, _ = names("Ottoline Vask", ["Ottoline M. Vask was a painter.", "She lived in Brede."])
    assert sure == {"Ottoline M. Vask"}


def test_a_name_in_another_script_is_one_and_that_of_somebody_else_is_not() -> None:
    sure, doubtful = names(
        "Lin Mei",
        ["Lin Mei (林美; born 1960) is a painter."],
        ["Her sister Lin Hua (林花) is a cook.", "She is known in Russian as Линь Мэй."],
        ["She studied at the school of Brede (德信學校)."],
    )
    assert {"林美", "Линь Мэй"} <= sure
    assert not {"林花", "德信學校"} & (sure | doubtful)


def test_a_title_behind_a_comma_is_a_name_and_a_first_name_alone_is_not() -> None:
    sure, doubtful = names(
        "Ada, Duchess of Brede",
        ["Ada, Duchess of Brede (born Rosa Ada Vask; 1981) is a duchess."],
        ["Ada lives in Brede.", "Ada Vask met the duke.", "Ada Vask married him."],
    )
    assert sure == {"Rosa Ada Vask", "Duchess of Brede", "Ada Vask"}
    assert "Ada" in doubtful


@pytest.mark.parametrize(
    ("sentence", "place"),
    [
        ("Vask painted.", 0),
        ("In 1950 Vask painted.", 8),
        ("Then Ottoline Vask painted.", 5),
        ("Piet Vask painted.", None),
        ("Vask Street is long.", None),
        ("The Lamp of Vask & Sons burns.", None),
        ("Vask of Sarnholm is somebody else.", None),
    ],
)
def test_a_part_of_the_name_means_it_unless_it_is_part_of_another(
    sentence: str, place: int | None
) -> None:
    found = called("Ottoline Vask", [["Vask painted."]]).first(sentence)
    assert (found.start() if found else None) == place


def test_an_everyday_word_is_no_name_by_itself() -> None:
    assert distinctive("Ottoline Vask")
    assert distinctive("Sarnholm")
    assert distinctive("成龍")
    assert not distinctive("Prince")
    assert not distinctive("The Rock")


def test_a_word_of_the_documents_own_script_is_prose_and_no_name() -> None:
    sure, doubtful = names(
        "Зинаида Воропаева",
        ["Зинаида Воропаева (родилась 4 мая 1951 года) — русская поэтесса."],
        ["Воропаева написала книгу."],
    )
    assert (sure, doubtful) == (set(), {"З. Воропаева", "Воропаева"})
    sure, doubtful = names("Miro Drell", ["Miro Drell (родился в 1950 году) — певец."])
    assert not sure | doubtful - {"M. Drell", "Drell"}


def test_a_name_that_others_give_in_a_sentence_of_their_own_is_one() -> None:
    sure, _ = names(
        "Ottoline Vask",
        ["Ottoline Vask (born 1921) was a painter."],
        [
            'The press of Brede nicknamed her "the Lamp Whisperer".',
            "Friends dubbed her Tilly Vask.",
        ],
    )
    assert sure == {"the Lamp Whisperer", "Tilly Vask"}


def test_a_part_of_the_name_goes_before_one_of_a_further_name_whatever_the_order() -> None:
    shared = Called(("Ada Smith", "Ada Marr"), (), frozenset({"Smith", "Marr", "Tollan", "Vask"}))
    found = shared.first("Marr and Tollan met Smith and Vask.")
    assert found is not None
    assert found[0] == "Smith"
