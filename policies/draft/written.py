"""A draft as a policy file that a person reads, decides about and mends. Knows no document.

Everything that stands for a decision is a comment beside it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

import yaml

from policies.draft.make import Drafted
from policies.draft.near import Beside

WIDTH = 100
HEAD = """\
# A DRAFT, made by `lethe policy draft`. A program guessed all of it: read it from top to bottom.
#
#   1. Names       Every alias stops each sentence that holds it: take out what others are called
#                  too. Uncertain names stand behind `#`: move up what means nobody else.
#   2. Exemplars   What must not be said. Take out what is wrong, and what may stay sayable.
#   3. Neighbours  What lies near and must stay sayable. The more there is, the less is stopped in
#                  vain.
#   4. Check, try  lethe policy lint THIS-FILE, then lethe policy test THIS-FILE, and
#                  lethe policy explain THIS-FILE --text "…"
#   5. Watch       `mode: shadow` judges and records real requests and changes nothing.
#
# It holds what must be forgotten: keep it as you keep the request, and delete it when that ends.
"""
UNSURE = (
    "Not used: others may be called so, or nobody was seen to use it. Move up, without the #, what "
    "means this concept alone."
)
NAMES = "Found in the documents."
SCOPE = {
    "entity": "entity: a name alone is a hit. fact: only what resembles an exemplar is.",
    "fact": "The name means other things too, so that a name alone is no hit. entity: it is one.",
}
BESIDE = (
    "Named often beside it. What must stay sayable about them? Write it under neighbours, in "
    "sentences that do not name the concept, or give files with --neighbours."
)
NO_NEIGHBOURS = [
    "neighbours:",
    "  - Write a sentence here that must stay sayable.",
]
MARKS = (
    "Rare names in the exemplars. The screen weighs them with everything else; what must be a hit "
    "by itself belongs under aliases:"
)
UNCLEAR = (
    "Not used: another sentence says whom these are about. Write the name in, and move up, without "
    "the #, what is about this concept."
)
MOST_UNCLEAR = 20


def written(draft: Drafted, *, sources: Sequence[str], model: str = "") -> str:
    """The policy file. `sources` are the names of the documents, `model` who told the rest."""
    lines = [
        HEAD.rstrip("\n"),
        f"id: {identifier(draft.name)}",
        f"description: {_scalar(_description(draft, sources, model))}",
        "",
        "mode: enforce                       # shadow: judged and recorded, and nothing changed",
        "",
        "concepts:",
        *_indented(_concept(draft, model), first="  - ", rest="    "),
        "",
        *_cases(draft),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def identifier(name: str) -> str:
    """A policy's id from a name: letters that have no plain form leave a digest behind."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-")
    return slug or f"draft-{sha256(name.encode()).hexdigest()[:8]}"


def _description(draft: Drafted, sources: Sequence[str], model: str) -> str:
    said = []
    if sources:
        shown = ", ".join(sources[:5]) + (" and others" if len(sources) > 5 else "")
        said.append(f"{draft.sentences} sentences of {shown}")
    if model:
        said.append(f"what {model} told")
    return f"Drafted from {' and '.join(said)}; say here what it is for."[:2000]


def _concept(draft: Drafted, model: str) -> Iterator[str]:
    yield f"name: {_scalar(draft.name)}"
    yield from _listed("aliases", draft.called.names[1:], [NAMES])
    if draft.called.doubtful:
        yield from _comment(UNSURE)
        yield from (f"#   - {_scalar(name)}" for name in draft.called.doubtful)
    yield from _comment(SCOPE[draft.scope])
    yield f"scope: {draft.scope}"
    yield "exemplars:"
    if draft.exemplars:
        yield "  # From the documents, a statement each; chosen so that each adds something."
        yield from (f"  - {_scalar(text)}" for text in draft.exemplars)
    if draft.told:
        yield f"  # What {_printable(model)} told when asked; the questions stand in the record."
        yield from (f"  - {_scalar(text)}" for text in draft.told)
    if draft.unclear:
        yield from _comment(UNCLEAR)
        yield from (f"#   - {_scalar(text)}" for text in draft.unclear[:MOST_UNCLEAR])
        if len(draft.unclear) > MOST_UNCLEAR:
            yield f"# and {len(draft.unclear) - MOST_UNCLEAR} more"
    if draft.marks:
        yield from _comment(f"{MARKS} {', '.join(map(_printable, draft.marks))}")
    if draft.beside:
        yield from _comment(BESIDE)
        yield from (f"#   {_printable(one.name)}{_times(one)}" for one in draft.beside)
    if not draft.kept and not draft.kept_told:
        yield from (f"# {line}" for line in NO_NEIGHBOURS)
        return
    yield "neighbours:"
    yield from (f"  - {_scalar(text)}" for text in draft.kept)
    if draft.kept_told:
        yield f"  # What {_printable(model)} told of what lies near: take out what is no neighbour."
        yield from (f"  - {_scalar(text)}" for text in draft.kept_told)


def _cases(draft: Drafted) -> Iterator[str]:
    """Cases that hold as the draft stands: they fail when somebody mends it the wrong way."""
    exemplars = [*draft.exemplars, *draft.told]
    yield from _comment("Tried by `lethe policy test`. Add what you tried yourself.")
    asked = [f"Who or what is {draft.name}?"] if draft.scope == "entity" else []
    yield from _listed("must_block", [*asked, *exemplars[:2]], [])
    yield from _listed("must_pass", [*draft.kept, *draft.kept_told][:3], [])


def _listed(key: str, texts: Sequence[str], comments: Iterable[str]) -> Iterator[str]:
    if texts:
        yield f"{key}:"
        yield from (f"  # {comment}" for comment in comments)
        yield from (f"  - {_scalar(text)}" for text in texts)


def _times(one: Beside) -> str:
    return f" ({one.sentences} sentences)" if one.sentences else " (the model names it)"


def _comment(text: str) -> Iterator[str]:
    """A comment in lines of bounded width."""
    line = "#"
    for word in text.split():
        if len(line) + len(word) + 1 > WIDTH - 4 and line != "#":
            yield line
            line = "#"
        line += f" {word}"
    yield line


def _indented(lines: Iterable[str], *, first: str, rest: str) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield (first if number == 0 else rest) + line


def _printable(text: str) -> str:
    """Text for a comment: no character that ends a line or that YAML refuses."""
    return "".join(char if char.isprintable() else " " for char in text)


def _scalar(text: str) -> str:
    """A text as YAML, quoted where it must be."""
    plain = " ".join(_printable(text).split())
    dumped: str = yaml.safe_dump(plain, allow_unicode=True, width=10**6)
    return dumped.removesuffix("...\n").strip()
