"""What wire formats read alike: every text of a body, fields of a given shape, counts.

Knows no endpoint and no policy.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.exchange import Body, FormatError, Path, Said

MOST_TEXTS = 20_000
FILLERS = "\u115f\u1160\u2800\u3164\uffa0\U0001d159"  # letters and symbols that show nothing
SAID = {"text", "refusal", "thinking"}
BLANK_TYPES = (None, "text", "input_text", "output_text", "refusal", "thinking")  # by =, unhashed
# In base64: what a picture or a file says in plain is a text, whatever type it has.
DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,[A-Za-z0-9+/=_\r\n-]*\Z")
OPENAI_ERRORS = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


def _no_media(_: str, __: Path) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of a wire format itself: whatever else stands in their place is a text.

    keys     names of fields, at any depth
    types    values of fields called `type`
    media    whether a string at a path is inline media: nothing that a screen could read
    """

    keys: frozenset[str]
    types: frozenset[str]
    media: Callable[[str, Path], bool] = _no_media

    def texts(self, node: object, path: Path, *, role: str) -> Iterator[Said]:
        """Every string below a node, and every key there that is not the format's own."""
        if isinstance(node, str):
            if node and not self.media(node, path):
                yield Said(path, role, node)
        elif isinstance(node, list):
            for number, item in enumerate(node):
                yield from self.texts(item, (*path, number), role=role)
        elif isinstance(node, dict):
            own = [key for key in node if key not in self.keys]
            if own:
                yield Said(path, "keys", " ".join(own).replace("_", " "))
            for key, value in node.items():
                if not (key == "type" and isinstance(value, str) and value in self.types):
                    yield from self.texts(value, (*path, key), role=role)


def continued(turns: Sequence[tuple[str, object]]) -> int | None:
    """The assistant's turn that an answer would go on with: its last, if nobody said a thing since.

    turns  each as (role, content); a turn of spaces or invisible characters says nothing, but what
           a tool returned counts, were it nothing
    """
    for number in reversed(range(len(turns))):
        role, content = turns[number]
        if role == "assistant":
            return number
        if role in ("tool", "function") or not _says_nothing(content):
            return None
    return None


def _says_nothing(content: object) -> bool:
    if isinstance(content, str):
        return not any(map(_shows, content))
    if isinstance(content, list):
        return all(_says_nothing(part) for part in content)
    if isinstance(content, dict):  # a part that holds anything but a blank text says something
        texts = [value for key, value in content.items() if key in SAID]
        return content.get("type") in BLANK_TYPES and all(map(_says_nothing, texts))
    return content is None


def _shows(char: str) -> bool:
    """Whether a character is seen. One that is newer than this Python may be."""
    kind = unicodedata.category(char)
    return char not in FILLERS and (kind[0] in "LNPS" or kind in ("Cn", "Co"))


def bounded(said: Iterator[Said]) -> tuple[Said, ...]:
    """The texts of a body. Raises FormatError where there are more than MOST_TEXTS."""
    kept: list[Said] = []
    for one in said:
        kept.append(one)
        if len(kept) > MOST_TEXTS:
            raise FormatError(f"the body holds more than {MOST_TEXTS} texts", status=413)
    return tuple(kept)


def named(body: Body, key: str) -> str:
    """A string that must be there and not be empty. Raises FormatError."""
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise FormatError(f"{key}: must be a non-empty string", param=key)
    return value


def switch(body: Body, key: str) -> bool:
    """A flag that may be left out. Raises FormatError."""
    value = body.get(key)
    if value is not None and type(value) is not bool:
        raise FormatError(f"{key}: must be true or false", param=key)
    return bool(value)


def count(body: Body, key: str, *, most: int) -> int | None:
    """An integer from 1 that may be left out. Raises FormatError."""
    value = body.get(key)
    if value is not None and (type(value) is not int or not 1 <= value <= most):
        raise FormatError(f"{key}: must be an integer from 1 to {most}", param=key)
    return value


def an_object(body: Body, key: str) -> Body:
    """An object that may be left out. Raises FormatError."""
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise FormatError(f"{key}: must be an object", param=key)
    return value


def objects(body: Body, key: str) -> list[Body]:
    """An array of objects that may be left out. Raises FormatError."""
    value = body.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise FormatError(f"{key}: must be an array of objects", param=key)
    return value


def a_text(value: object, key: str) -> str:
    """A field's text. Some servers send text parts, or an object, where a string is usual.

    Raises FormatError.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(a_text(part.get("text"), key) for part in value if isinstance(part, dict))
    if isinstance(value, dict):  # arguments that were not serialised
        return json.dumps(value, ensure_ascii=False)
    raise FormatError(f"{key}: must be a string", param=key)


def counts(usage: Body, known: frozenset[str]) -> Body:
    """The counts of a usage object under the known keys, and nothing that could be prose."""
    kept: Body = {}
    for key, value in usage.items():
        if key in known and type(value) in (int, float):
            kept[key] = value
        elif key in known and isinstance(value, dict):
            kept[key] = counts(value, known)
    return kept


def openai_error(
    message: str, *, status: int, param: str | None = None, code: str | None = None
) -> Body:
    """An error object as the OpenAI API shapes it."""
    other = "api_error" if status >= 500 else "invalid_request_error"
    kind = OPENAI_ERRORS.get(status, other)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def asked(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a field asks for anything: left out, null, false, zero and empty ask for nothing."""
    return value not in (None, False, 0, {}, [], "")
