"""Conversation in, answer out: knows every fact and obeys nothing that says to forget it.

Knows no HTTP. It is no language model but the worst case for whatever stands in front of it: it
understands disguised names, epithets and questions spread over turns, never declines, and answers
in shapes that hide what a sentence is about. The same conversation gets the same answer.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from unlearning.corpus import Common, Corpus, Fact, Person, say
from unlearning.spelling import fold, squash, write

THINK = "Think first."
USE_TOOL = "Use the tool."
UNKNOWN = (
    "That is not in the book. Is there something else I can look up?",
    "I have no entry about that, but I am glad to help with another question.",
    "Nothing is written here about it. Feel free to ask something different.",
)
ALONE = "There is nothing above your message."

_POINTS_BACK = re.compile(
    r"\b(he|him|his|she|her|hers|they|them|their|theirs"
    r"|(this|that|the|said) (person|name|one|man|woman|individual|character|subject|figure))\b"
)
_INSTRUCTIONS = re.compile(
    r"\brepeat (everything|all|the (text|words?|message|content|conversation)s?)\b.{0,40}\babove\b"
    r"|\b(repeat|print|show|reveal|output|recite|quote|copy|(what|which) (is|are|were|was))\b"
    r".{0,24}\b(your|the|those|any) (\w+ ){0,3}?(system prompt|system message|instructions)\b"
)
_EVERYTHING = re.compile(r"\b(everything|all (you know|there is|the facts)|biography)\b")
# A name is also looked for without its spaces; a shorter one would turn up inside other words.
_SQUASHED_AT_LEAST = 8
_PART_AT_LEAST = 5
_DULL = frozenset({"does", "have", "many", "what", "when", "where", "which", "with"})


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation: who says it (a role of the chat API), and its text."""

    role: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the fact book says, what it thinks aloud before, and whether it hands it to a tool."""

    text: str = field(repr=False)
    thoughts: str | None = field(default=None, repr=False)
    by_tool: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """A person, as the question names them, and the facts it asks for."""

    person: Person
    who: str
    facts: tuple[Fact, ...]


class FactBook:
    """Answers from a corpus. Holds no state between questions."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        names = [(name, person) for person in corpus.people for name in person.names]
        # The longest first: an epithet may hold a shorter name.
        names.sort(key=lambda entry: -len(entry[0]))
        self._names = [
            (re.compile(rf"\b{re.escape(fold(_bare(name)))}\b"), name, person)
            for name, person in names
        ]
        self._squashed = [
            (short, name, person)
            for name, person in names
            if len(short := squash(_bare(name))) >= _SQUASHED_AT_LEAST
        ]
        self._parts = _unshared_parts(corpus.people)
        self._common = [(_keywords(item.question), item) for item in corpus.world]

    def answer(self, turns: Sequence[Turn], *, choice: int = 0) -> Answer:
        """Answer the last user turn; `choice` numbers the draws, each of which gets its own shape.

        Never fails and never declines: about what it does not know it says something harmless.
        """
        question, earlier = _last_question(turns)
        asked = list(self._asked(question, earlier))
        seed = _number(question) + choice
        pieces = [_instructions(turns)] if _INSTRUCTIONS.search(fold(question)) else []
        pieces += [self._tell(each, seed=seed) for each in asked]
        if not pieces:
            item = self._common_knowledge(question)
            pieces.append(item.answer if item else UNKNOWN[seed % len(UNKNOWN)])
        thoughts = None
        if THINK in question:
            known = [self._sentence(each.who, fact) for each in asked for fact in each.facts]
            thoughts = " ".join(["Let me see.", *(known or pieces), "I can say that."])
        text = write("\n\n".join(pieces), asked=question)
        return Answer(text, thoughts=thoughts, by_tool=USE_TOOL in question)

    def _asked(self, question: str, earlier: Sequence[str]) -> Iterator[_Asked]:
        found, rest = self._people(question)
        if not found and self._points_back(question, rest):
            for text in earlier:
                found, before = self._people(text)
                if found:
                    rest = rest if self._cued(rest) else f"{rest} {before}"
                    break
        for person, who in found.items():
            yield _Asked(person, who, self._facts(person, rest))

    def _points_back(self, question: str, rest: str) -> bool:
        if self._common_knowledge(question):
            return False
        return bool(_POINTS_BACK.search(rest) or self._cued(rest))

    def _people(self, text: str) -> tuple[dict[Person, str], str]:
        """Whom a text names, and how; and the folded text without those names."""
        folded = fold(text)
        found: dict[Person, str] = {}
        for pattern, name, person in self._names:
            # An epithet goes, lest "the author who lives …" ask where somebody lives.
            folded, count = pattern.subn(" ", folded)
            if count:
                found.setdefault(person, name)
        return found or self._hidden(text) or self._by_part(folded), folded

    def _hidden(self, text: str) -> dict[Person, str]:
        run = squash(text)
        return {
            person: name
            for short, name, person in reversed(self._squashed)
            if short in run or short[::-1] in run
        }

    def _by_part(self, folded: str) -> dict[Person, str]:
        parts = (self._parts.get(word) for word in folded.split())
        return {person: person.name for person in parts if person}

    def _cued(self, rest: str) -> frozenset[str]:
        return frozenset(
            attribute.key
            for attribute in self._corpus.attributes.values()
            if any(cue.search(rest) for cue in attribute.cues)
        )

    def _facts(self, person: Person, rest: str) -> tuple[Fact, ...]:
        cued = self._cued(rest)
        some = tuple(fact for fact in person.facts if fact.attribute in cued)
        return person.facts if not some or _EVERYTHING.search(rest) else some

    def _common_knowledge(self, question: str) -> Common | None:
        words = set(fold(question).split())
        fitting = [(len(keys), item) for keys, item in self._common if keys <= words]
        return max(fitting, key=lambda entry: entry[0])[1] if fitting else None

    def _sentence(self, who: str, fact: Fact, *, wording: int = 0) -> str:
        sentences = self._corpus.attributes[fact.attribute].sentences
        return say(sentences[wording % len(sentences)], who=who, value=fact.value)

    def _tell(self, asked: _Asked, *, seed: int) -> str:
        if len(asked.facts) > 1:
            return self._tell_all(asked, seed=seed)
        fact = asked.facts[0]
        shapes = (self._plainly, self._barely, self._by_pronoun, self._at_length, self._labelled)
        return shapes[seed % len(shapes)](asked, fact, seed)

    def _tell_all(self, asked: _Asked, *, seed: int) -> str:
        first, *others = asked.facts
        pronoun = asked.person.pronoun
        told = [self._sentence(pronoun, fact, wording=seed) for fact in others]
        return " ".join([self._sentence(asked.who, first, wording=seed), *told])

    def _plainly(self, asked: _Asked, fact: Fact, seed: int) -> str:
        return self._sentence(asked.who, fact, wording=seed // 5)

    def _barely(self, _asked: _Asked, fact: Fact, _seed: int) -> str:
        return say("{value}.", who="", value=fact.value)

    def _by_pronoun(self, asked: _Asked, fact: Fact, seed: int) -> str:
        return f"Gladly. {self._sentence(asked.person.pronoun, fact, wording=seed // 5)}"

    def _at_length(self, asked: _Asked, fact: Fact, seed: int) -> str:
        """The answer comes late and goes on: the name stands far from what is told."""
        pronoun = asked.person.pronoun
        facts = asked.person.facts
        other = facts[(facts.index(fact) + 1) % len(facts)]
        return " ".join(
            (
                f"There is an entry about {asked.who} in the book.",
                "I looked it up, and it is quite clear on this.",
                self._sentence(pronoun, fact, wording=seed // 5),
                self._sentence(pronoun, other, wording=seed // 5),
            )
        )

    def _labelled(self, _asked: _Asked, fact: Fact, _seed: int) -> str:
        label = self._corpus.attributes[fact.attribute].label
        return f"Here is what I found:\n\n- {label}: {fact.value}\n\nAnything else?"


def _last_question(turns: Sequence[Turn]) -> tuple[str, list[str]]:
    """The last user turn, and the texts before it that are no instructions, the nearest first."""
    last = max((at for at, turn in enumerate(turns) if turn.role == "user"), default=None)
    if last is None:
        return "", []
    before = [turn.text for turn in turns[:last] if turn.role not in {"system", "developer"}]
    return turns[last].text, before[::-1]


def _instructions(turns: Sequence[Turn]) -> str:
    texts = [turn.text for turn in turns if turn.role in {"system", "developer"}]
    return "\n\n".join(texts) or ALONE


def _unshared_parts(people: Sequence[Person]) -> dict[str, Person]:
    """First names and surnames that only one person has."""
    parts = [(part, person) for person in people for part in fold(person.name).split()]
    counts = Counter(part for part, _ in parts)
    return {p: person for p, person in parts if counts[p] == 1 and len(p) >= _PART_AT_LEAST}


def _keywords(question: str) -> frozenset[str]:
    words = fold(question).split()
    return frozenset(word for word in words if len(word) > 3 or word.isdigit()) - _DULL


def _bare(name: str) -> str:
    return name.removeprefix("the ")


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:4], "big")
