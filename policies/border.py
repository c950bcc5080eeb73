"""A file through a pydantic model: a value, or problems with line and column.

Knows no policy: whatever is read from YAML (a configuration, too) comes in through here.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from policies.document import Document, KeyPath, parse
from policies.problem import Problem

M = TypeVar("M", bound=BaseModel)

LONGEST_SHOWN = 40  # characters of a value that may stand in a message: a word, not a text


def read(path: Path, model: type[M]) -> tuple[M | None, list[Problem]]:
    """Read a YAML file as a model. Either the model is None or there are no problems."""
    return validate(parse(path), model)


def validate(document: Document, model: type[M]) -> tuple[M | None, list[Problem]]:
    """Give a document's value to a model, and bring its errors back to their places."""
    problems = list(document.problems)
    value: M | None = None
    if document.readable:
        try:
            value = model.model_validate(document.value)
        except ValidationError as failed:
            schema = model.model_json_schema()
            problems += _problems(document, schema, failed.errors(include_url=False))
    return (None if problems else value), sorted(set(problems))


def _problems(
    document: Document, schema: dict[str, Any], errors: Sequence[ErrorDetails]
) -> Iterator[Problem]:
    for error in errors:
        # pydantic counts the items that were right; what is wrong with the others is told anyway.
        if error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]:
            continue
        at, known = _place(error["loc"], document.value, schema)
        # What was refused already is no surprise to the model.
        if any(at[:length] in document.refused for length in range(len(at) + 1)):
            continue
        on = "key" if error["type"] == "extra_forbidden" else "value"
        yield document.problem(at, _message(error, at, known), on=on)


def _place(
    loc: tuple[int | str, ...], value: object, schema: dict[str, Any]
) -> tuple[KeyPath, list[str]]:
    """The path that an error means, and the keys that are known beside it.

    pydantic puts the names of union members into its paths; they are no keys of the file.
    """
    definitions = schema.get("$defs", {})
    at: KeyPath = ()
    known: list[str] = []
    nodes = [schema]
    for number, part in enumerate(loc):
        nodes = [leaf for node in nodes for leaf in _leaves(node, definitions)]
        names = [name for node in nodes for name in node.get("properties", ())]
        last = number == len(loc) - 1
        if isinstance(part, str) and not (part in names or _holds(value, part)):
            continue
        at = (*at, part)
        if last:
            known = names
        nodes = [child for node in nodes for child in _children(node, part)]
        value = _child(value, part)
    return at, known


def _leaves(node: dict[str, Any], definitions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema's alternatives, references followed."""
    if "$ref" in node:
        yield from _leaves(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    alternatives = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    for alternative in alternatives:
        yield from _leaves(alternative, definitions)
    yield node


def _children(node: dict[str, Any], part: int | str) -> Iterator[dict[str, Any]]:
    child = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
    if isinstance(child, dict):
        yield child


def _holds(value: object, part: str) -> bool:
    return isinstance(value, dict) and part in value


def _child(value: object, part: int | str) -> object:
    if isinstance(value, dict):
        return value.get(part)
    return value[part] if isinstance(value, list) and isinstance(part, int) else None


def _message(error: ErrorDetails, at: KeyPath, known: Sequence[str]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(str(at[-1]), known)
    if kind == "missing":
        return "is missing; add it"
    if error["input"] is None and kind != "value_error":
        return "has no value; give it one, or remove the key"
    if kind == "literal_error":
        return _no_choice(error["input"], context["expected"])
    if kind in MESSAGES:
        return MESSAGES[kind](context) + _quotes(error)
    said = error["msg"]
    return said[:1].lower() + said[1:]


def _unknown(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known) or 'none'}"
    return f"unknown key; {hint}"


def _no_choice(given: object, expected: str) -> str:
    choices = expected.replace(" or ", ", ").replace("'", "").split(", ")
    text = str(given)
    close = difflib.get_close_matches(text, choices, n=1)
    if close and len(text) <= LONGEST_SHOWN:
        return f"'{text}' is none of {', '.join(choices)}; did you mean '{close[0]}'?"
    return f"must be one of {', '.join(choices)}"


def _quotes(error: ErrorDetails) -> str:
    """Only a number and a truth value become text by quotes."""
    quotable = error["type"] == "string_type" and isinstance(error["input"], int | float)
    return "; put it into quotes" if quotable else ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


Context = Mapping[str, Any]

# pydantic's error types in the words of a person who edits a file.
MESSAGES: Mapping[str, Callable[[Context], str]] = {
    "value_error": lambda c: str(c["error"]),
    "string_type": lambda _: "must be text",
    "path_type": lambda _: "must be a path",
    "model_type": lambda _: "must be a mapping, `key: value` lines",
    "model_attributes_type": lambda _: "must be a mapping, `key: value` lines",
    "dict_type": lambda _: "must be a mapping, `key: value` lines",
    "list_type": lambda _: "must be a list, such as [a, b] or lines that begin with `- `",
    "tuple_type": lambda _: "must be a list, such as [a, b] or lines that begin with `- `",
    "bool_type": lambda _: "must be true or false",
    "bool_parsing": lambda _: "must be true or false",
    "int_type": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "float_parsing": lambda _: "must be a number",
    "greater_than": lambda c: f"must be greater than {_plain(c['gt'])}",
    "greater_than_equal": lambda c: f"must be at least {_plain(c['ge'])}",
    "less_than": lambda c: f"must be less than {_plain(c['lt'])}",
    "less_than_equal": lambda c: f"must be at most {_plain(c['le'])}",
    "string_too_short": lambda c: f"must have at least {_counted(c['min_length'], 'character')}",
    "string_too_long": lambda c: f"must have at most {_counted(c['max_length'], 'character')}",
    "too_short": lambda c: f"must have at least {_counted(c['min_length'], 'item')}",
    "too_long": lambda c: f"must have at most {_counted(c['max_length'], 'item')}",
    "string_pattern_mismatch": lambda c: f"must have the form {c['pattern']}",
}
