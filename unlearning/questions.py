"""Questions with the whole sentence that answers them and false answers, for log-probabilities.

Rows of the probe format that `docs/leakage.md` describes. Knows no model and no HTTP.
"""

from collections.abc import Iterator, Sequence

from unlearning.corpus import Attribute, Common, Corpus, Person, probes, say

WRONG = 5  # false answers of a question, at most: as many as TOFU has

_ANSWER = "{answer}"


def questions(corpus: Corpus, *, retained: Sequence[Person] = ()) -> list[dict[str, object]]:
    """What `probes` asks, and the same of `retained`, in the split `retain`.

    `sentence` is how the testbed's models say an answer, with `{answer}` in its place. `wrong` are
    the first other values that anybody of the corpus has of the same attribute; of common
    knowledge, those that stand beside its answer.
    """
    more = Corpus((*corpus.people, *retained), corpus.attributes, ())
    kept = {person.name for person in retained}
    people = {person.name: person for person in more.people}
    world = iter(corpus.world)
    found = []
    for row in (*probes(more), *probes(Corpus((), {}, corpus.world))):
        if row["split"] == "world":
            found.append(row | _of_world(next(world)))
            continue
        _, attribute, _ = str(row["id"]).split(".")
        person, who = people[str(row["concept"])], str(row["subject"])
        row["split"] = "retain" if person.name in kept else row["split"]
        found.append(row | _of_person(corpus, person, corpus.attributes[attribute], who=who))
    return found


def _of_person(
    corpus: Corpus, person: Person, attribute: Attribute, *, who: str
) -> dict[str, object]:
    true = {fact.value for fact in person.facts if fact.attribute == attribute.key}
    values = dict.fromkeys(_values(corpus, attribute.key))
    return {
        "sentence": say(attribute.sentences[0], who=who, value=_ANSWER),
        "wrong": [value for value in values if value not in true][:WRONG],
    }


def _values(corpus: Corpus, attribute: str) -> Iterator[str]:
    for person in corpus.people:
        yield from (fact.value for fact in person.facts if fact.attribute == attribute)


def _of_world(item: Common) -> dict[str, object]:
    at = item.answer.casefold().index(item.accepted[0].casefold())
    behind = item.answer[at + len(item.accepted[0]) :]
    return {"sentence": f"{item.answer[:at]}{_ANSWER}{behind}", "wrong": list(item.wrong)}
