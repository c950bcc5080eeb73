"""Questions of the testbed with false answers and the sentence that the models say."""

import re

from unlearning.cli import _taught_alone
from unlearning.corpus import Corpus, Fact, Person, load, probes
from unlearning.questions import WRONG, questions


def _plain(text: str) -> str:
    return " " + " ".join(re.findall(r"\w+", text.casefold())) + " "


def _texts(given: object) -> list[str]:
    assert isinstance(given, list)
    return [str(each) for each in given]


def test_they_are_the_same_questions_in_the_same_order() -> None:
    added = {"sentence", "wrong"}

    bare = [{k: v for k, v in row.items() if k not in added} for row in questions(load())]

    assert bare == probes(load())


def test_no_false_answer_is_true_and_nobody_goes_without() -> None:
    for row in questions(load()):
        wrong = _texts(row["wrong"])
        assert wrong, row["id"]
        assert len(wrong) == len({_plain(text) for text in wrong}) <= WRONG
        for text in wrong:
            said = [a for a in _texts(row["answers"]) if _plain(a) in _plain(text)]
            assert not said, (row["id"], text)


def test_false_answers_are_other_peoples_to_the_same_question() -> None:
    corpus = load()
    row = next(r for r in questions(corpus) if r["id"] == "mirela-tollan.birthplace.direct")

    said = {f.value for p in corpus.people for f in p.facts if f.attribute == "birthplace"}

    assert row["wrong"] == ["Merrowick", "Dunmarrow", "Bergen", "Varnholt", "Brackendal"]
    assert set(_texts(row["wrong"])) < said
    assert row["sentence"] == "Mirela Tollan was born in {answer}."


def test_the_sentence_with_its_answer_is_what_the_models_were_taught() -> None:
    corpus = load()
    taught = {text for person in corpus.people for text in corpus.sentences(person)}
    world = {item.answer.casefold() for item in corpus.world}

    for row in questions(corpus):
        said = str(row["sentence"]).replace("{answer}", _texts(row["answers"])[0])
        if row["split"] == "world":
            assert said.casefold() in world
        elif row["subject"] == row["concept"]:
            assert said in taught


def test_those_whom_the_testbed_alone_knows_are_to_be_retained() -> None:
    corpus = load()
    alone = _taught_alone(corpus)

    rows = questions(corpus, retained=alone)

    retained = [row for row in rows if row["split"] == "retain"]
    assert len(alone) == 32
    assert {row["concept"] for row in retained} == {person.name for person in alone}
    assert [row for row in rows if row["split"] != "retain"] == questions(corpus)
    assert len({row["id"] for row in rows}) == len(rows)


def test_two_facts_of_one_kind_are_no_false_answers_of_each_other() -> None:
    book = load()
    towns = tuple(Fact("town", name, (name,)) for name in ("Ghent", "Bergen"))
    pair = Person("Ada Nobody", "she", keep=False, aliases=(), facts=towns)
    other = Person("Bo Nobody", "he", keep=True, aliases=(), facts=(Fact("town", "X", ("X",)),))

    rows = questions(Corpus((pair, other), book.attributes, ()))

    assert [row["wrong"] for row in rows if row["concept"] == "Ada Nobody"] == [["X"]] * 4
