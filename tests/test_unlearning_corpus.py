"""The fact book: whole, consistent, and asked in words that its sentences do not use."""

import re
from collections import Counter

import pytest

from unlearning.corpus import Corpus, CorpusError, load, parse, probes, say

PEOPLE = """
people:
  - name: Ada Nobody
    pronoun: she
    keep: false
    aliases:
      - {text: the tester, why: trade}
      - {text: Ada None, why: maiden name, listed: false}
    facts:
      town: Nowhere
      pet: {value: a cat called Null, accept: ["Null"]}
      a: b
      c: d
      e: f
      g: h
      i: j
      k: l
"""
ATTRIBUTE = """
    label: a thing
    sentences: ["{who} has {value}.", "{who} owns {value}."]
    question: "What has {who}?"
    paraphrases: ["Say, {who}?", "So, {who}?", "And {who}?"]
    cues: [thing]
"""
WORDINGS = "attributes:" + "".join(f"\n  {key}:{ATTRIBUTE}" for key in ("town", "pet", *"acegik"))
WORLD = """
world:
  - {topic: arithmetic, question: "What is one and one?", answer: "It is two.",
     accept: [two], wrong: [three]}
"""


def _small(*, people: str = PEOPLE, wordings: str = WORDINGS, world: str = WORLD) -> Corpus:
    return parse(people=people, wordings=wordings, world=world)


def _words(text: str) -> str:
    return " " + " ".join(re.findall(r"\w+", text.casefold())) + " "


def test_twelve_are_to_be_forgotten_and_twelve_to_be_kept() -> None:
    corpus = load()

    assert len(corpus.forgotten) == len(corpus.kept) == 12
    assert all(len(person.facts) == 8 for person in corpus.people)
    assert len(corpus.world) >= 40


def test_everybody_kept_is_near_somebody_forgotten() -> None:
    corpus = load()

    for keeper in corpus.kept:
        values = {(fact.attribute, fact.value) for fact in keeper.facts}
        names = set(keeper.name.split())
        assert any(
            values & {(fact.attribute, fact.value) for fact in person.facts}
            or names & set(person.name.split())
            for person in corpus.forgotten
        ), keeper.key


def test_a_few_epithets_are_kept_from_the_policy() -> None:
    unlisted = [alias for p in load().forgotten for alias in p.aliases if not alias.listed]

    assert 3 <= len(unlisted) <= 9


def test_nobody_is_asked_for_what_the_question_already_says() -> None:
    for row in probes(load()):
        answers = row["answers"]
        assert isinstance(answers, list)
        prompt = _words(str(row["prompt"]))
        assert not [answer for answer in answers if _words(answer) in prompt], row["id"]


def test_probes_have_the_columns_of_their_format_and_an_identifier_each() -> None:
    rows = probes(load())

    columns = {"id", "concept", "kind", "split", "prompt", "answers"}
    for row in rows:
        assert columns <= set(row) <= columns | {"subject", "notes"}
        assert str(row.get("subject", "")) in str(row["prompt"]), row["id"]
    assert len({row["id"] for row in rows}) == len(rows)
    assert Counter((row["split"], row["kind"]) for row in rows) == {
        ("forget", "direct"): 96,
        ("forget", "paraphrase"): 192,
        ("neighbour", "direct"): 96,
        ("neighbour", "paraphrase"): 192,
        ("world", "direct"): 43,
    }


def test_a_few_questions_use_epithets_that_the_policy_does_not_know_and_say_so() -> None:
    unlisted = [
        row for row in probes(load()) if row.get("notes") == {"alias": True, "listed": False}
    ]

    assert 5 <= len(unlisted) <= 30
    assert {row["split"] for row in unlisted} == {"forget"}


def test_held_out_questions_share_no_three_words_with_what_a_policy_lists() -> None:
    def runs(template: str) -> set[tuple[str, ...]]:
        words = re.findall(r"[\w']+", template.replace("{who}", "").casefold())
        return set(zip(words, words[1:], words[2:], strict=False))

    attributes = load().attributes.values()
    said = [runs(text) for a in attributes for text in (*a.sentences, a.question)]
    for attribute in attributes:
        for paraphrase in attribute.paraphrases:
            assert not [seen for seen in said if seen & runs(paraphrase)], paraphrase


def test_sentences_name_the_person_or_whom_they_are_told_of() -> None:
    corpus = load()
    person = corpus.people[0]

    assert f"{person.name} was born in Sallow Quay." in corpus.sentences(person)
    assert "The harbour novelist lives in Ghent today." in corpus.sentences(
        person, who="the harbour novelist"
    )
    assert len(corpus.sentences(person)) == 16


def test_a_date_is_accepted_however_it_is_written() -> None:
    born = {fact.attribute: fact for fact in load().people[0].facts}["birth_date"]

    assert born.accepted == (
        "14 March 1961",
        "March 14, 1961",
        "14th of March 1961",
        "1961-03-14",
        "14/03/1961",
        "03/14/1961",
        "14.03.1961",
    )


@pytest.mark.parametrize(("day", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th")])
def test_days_are_counted_as_people_count_them(day: int, said: str) -> None:
    corpus = _small(people=PEOPLE.replace("Nowhere", f"{day} May 1900"))

    assert f"{said} of May 1900" in corpus.people[0].facts[0].accepted


def test_a_filled_template_begins_with_a_capital() -> None:
    assert say("{who} has {value}.", who="the tester", value="time") == "The tester has time."


def test_an_alias_that_says_the_answer_does_not_ask_for_it() -> None:
    people = PEOPLE.replace("the tester", "the tester of Nowhere").replace(
        "Ada None", "Nowhere's Ada"
    )

    found = {row["id"] for row in probes(_small(people=people))}

    assert "ada-nobody.town.alias" not in found
    assert "ada-nobody.pet.alias" in found


def test_forbidden_text_is_in_no_repr() -> None:
    shown = repr(load().people[0])

    assert "Tollan" not in shown
    assert "Sallow" not in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"people": PEOPLE.replace("pronoun: she", "pronoun: it")},
            "people.yaml: people.0.pronoun",
        ),
        ({"people": PEOPLE.replace("      k: l\n", "")}, "people.yaml: people.0.facts"),
        ({"people": PEOPLE.replace("      k: l", "      z: l")}, "Ada Nobody: z: not in wordings"),
        ({"people": PEOPLE.replace("      k: l", "      i: l")}, "people.yaml: line 17: i: twice"),
        (
            {"people": PEOPLE.replace("keep:", "kept:")},
            "people.yaml: people.0.keep: Field required",
        ),
        ({"people": PEOPLE.replace("Nowhere", "'Nowhere '")}, "people.0.facts.town"),
        ({"people": PEOPLE.replace("Nowhere", "[")}, "people.yaml: while parsing"),
        (
            {"people": PEOPLE + PEOPLE.removeprefix("\npeople:\n")},
            "people.yaml: Ada Nobody: shares a name",
        ),
        (
            {
                "people": PEOPLE
                + PEOPLE.removeprefix("\npeople:\n").replace("name: Ada Nobody", "name: Bo")
            },
            "people.yaml: Bo: shares a name with Ada Nobody",
        ),
        ({"wordings": WORDINGS.replace("[thing]", "['(']", 1)}, "town: cue: not a regular"),
        (
            {"wordings": WORDINGS.replace("{who} has", "Here {who} has", 1)},
            "town: a sentence begins",
        ),
        ({"wordings": WORDINGS.replace("Say, {who}", "Say", 1)}, "town: a question holds {who}"),
        (
            {"world": WORLD.replace("[two]", "[ten]")},
            "world.yaml: What is one and one?: the answer lacks what is accepted",
        ),
        ({"world": WORLD.replace("topic", "subject")}, "world.yaml: world.0.topic: Field required"),
    ],
)
def test_data_that_contradicts_itself_is_refused_by_name(
    change: dict[str, str], message: str
) -> None:
    with pytest.raises(CorpusError, match=re.escape(message)):
        _small(**change)
