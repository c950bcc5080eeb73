"""The words that ask a model to pretend."""

import pytest

from proxy.inject import REFUSALS, STRONGER, TEMPLATES, Known, grouped, instruction, refusal


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_names_the_concepts_and_asks_not_to_be_repeated(template: str) -> None:
    text = instruction(template, [Known("Ann Lee", ("Ann Lee", "the baker")), Known("Bo")])
    assert "- Ann Lee (also: the baker)\n- Bo" in text
    assert "do not repeat" in text.lower()
    assert "{" not in text


def test_a_text_of_ones_own_is_data_and_not_a_format() -> None:
    text = instruction("Forget {concepts}. {0} {concepts.__class__}", [Known("Bo")])
    assert text == "Forget - Bo. {0} {concepts.__class__}"


@pytest.mark.parametrize(("names", "shown"), [("A", "A"), ("AB", "A and B"), ("ABC", "A, B and C")])
def test_names_alone_stand_in_a_sentence(names: str, shown: str) -> None:
    text = instruction("Forget {names}.", [Known(name, ("alias",)) for name in names])
    assert text == f"Forget {shown}."


def test_a_name_that_looks_like_a_placeholder_is_not_filled_in() -> None:
    assert instruction("Forget {names}.", [Known("{concepts}")]) == "Forget {concepts}."
    assert instruction("{concepts} {names}", [Known("{names}")]) == "- {names} {names}"


def test_only_a_few_aliases_are_shown() -> None:
    shown = instruction("{concepts}", [Known("A", tuple(f"alias {n}" for n in range(9)))])
    assert shown.count("alias") == 4


def test_the_same_question_gets_the_same_refusal() -> None:
    assert refusal(REFUSALS, "Who?") == refusal(REFUSALS, "Who?")
    assert len({refusal(REFUSALS, f"Who {n}?") for n in range(50)}) > 1
    assert refusal(REFUSALS, "\ud800") in REFUSALS


def test_concepts_come_in_the_order_of_the_policy() -> None:
    near = {"b": Known("B"), "a": Known("A")}
    assert grouped(near, ["a", "b", "c"]) == [Known("A"), Known("B")]


def test_no_wording_says_that_anything_is_hidden() -> None:
    for words in (*REFUSALS, STRONGER):
        assert not {"forbidden", "policy", "filter", "allowed"} & set(words.lower().split())
