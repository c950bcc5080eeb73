"""RWKU's articles in fact scope: some sentences of a person forgotten, others kept. Knows no file.

A probe asks for the sentence that has its answer and, of those, most of its question's rare words.
Every other of these sentences is forgotten, of the rest every other is a neighbour, and the probes
of what is left must pass; then the halves change places. Real people in an encyclopedia's words,
beside TOFU's made-up ones, whose facts the weights of this scope are fitted on.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from benchmarks.detection_parts.facts import Halves
from benchmarks.detection_parts.measured import Pair
from benchmarks.detection_parts.texts import Person, Probe
from benchmarks.detection_parts.weighing import folds
from classifiers import Concept
from classifiers.fingerprint_terms import Words, read

KINDS = ("L1", "L2")  # the others ask for the same in disguise
LEAST = 3  # sentences to forget


def halves(people: Sequence[Person], probes: Sequence[Probe]) -> Halves:
    """Every person's sentences by halves; people who have too few are left out."""
    concepts, pairs, forbidden, owner = [], [], [], []
    for person in people:
        asked = _asked(person, [p for p in probes if p.subject == person.key and p.kind in KINDS])
        for half in (0, 1):
            told, rest = sorted(asked)[half::2], sorted(asked)[1 - half :: 2]
            kept, left = rest[::2], rest[1::2]
            if len(told) < LEAST or not left:
                continue
            key = f"{person.key}/{half}"
            concepts.append(
                Concept(
                    key=key,
                    aliases=(person.name,),
                    exemplars=tuple(person.sentences[at] for at in told),
                    neighbours=tuple(person.sentences[at] for at in kept),
                    names_suffice=False,
                )
            )
            for places in (told, left):
                found = [probe for at in places for probe in asked[at]]
                pairs += [Pair(key, probe.question, probe.answer) for probe in found]
                forbidden += [places is told] * len(found)
                owner += [person.key] * len(found)
    return Halves(concepts, pairs, np.array(forbidden), folds(owner))


def _asked(person: Person, probes: Sequence[Probe]) -> dict[int, list[Probe]]:
    """Sentence → the probes that ask for it; probes that none answers are left out."""
    texts = [read(sentence) for sentence in person.sentences]
    found = defaultdict(list)
    for probe in probes:
        question, answer = read(probe.question), read(probe.answer)
        telling = [at for at, text in enumerate(texts) if answer.folded in text.folded]
        if telling and answer.words:
            best = max(telling, key=lambda at: (_shared(question, texts[at]), -at))
            found[best].append(probe)
    return dict(found)


def _shared(question: Words, sentence: Words) -> float:
    return sum(rare for term, rare in question.terms.items() if term in sentence.terms)
