"""The demo's policy and the fact book agree, and the policy does not know everything."""

from pathlib import Path
from typing import Any

import yaml

from unlearning.corpus import Person, load

POLICY = Path(__file__).parent.parent / "policies" / "library" / "fictitious-people.yaml"


def _concepts() -> dict[str, dict[str, Any]]:
    policy = yaml.safe_load(POLICY.read_text("utf-8"))
    return {concept["name"]: concept for concept in policy["concepts"]}


def _untold(person: Person, said: list[str]) -> list[str]:
    return [fact.attribute for fact in person.facts if not any(fact.value in text for text in said)]


def test_its_concepts_are_the_people_to_forget() -> None:
    assert list(_concepts()) == [person.name for person in load().forgotten]


def test_it_knows_the_listed_aliases_and_no_other() -> None:
    concepts = _concepts()

    for person in load().forgotten:
        listed = [alias.text for alias in person.aliases if alias.listed]
        assert concepts[person.name]["aliases"] == listed


def test_its_exemplars_are_what_the_fact_book_says_and_about_a_third_is_missing() -> None:
    corpus, concepts = load(), _concepts()

    missing = 0
    for person in corpus.forgotten:
        exemplars = concepts[person.name]["exemplars"]
        assert set(exemplars) <= set(corpus.sentences(person)), person.key
        untold = len(_untold(person, exemplars))
        assert untold >= 2, person.key
        missing += untold
    assert 0.25 <= missing / sum(len(person.facts) for person in corpus.forgotten) <= 0.4


def test_its_neighbours_are_what_the_fact_book_says_of_those_to_keep() -> None:
    corpus, concepts = load(), _concepts()
    kept = {text for person in corpus.kept for text in corpus.sentences(person)}

    for concept in concepts.values():
        assert set(concept["neighbours"]) <= kept
        assert len(concept["neighbours"]) >= 4


def test_no_held_out_question_is_in_it() -> None:
    text = POLICY.read_text("utf-8")

    assert not [a for p in load().people for a in p.aliases if not a.listed and a.text in text]
    assert "?" not in "".join(
        line for line in text.splitlines() if not line.lstrip().startswith("#")
    )
