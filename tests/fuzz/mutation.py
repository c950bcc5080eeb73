"""Bytes into decisions, and decisions into JSON that is a little off. Knows no wire format."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

SECRET = "Hogwarts"
WORDS = (
    *("Hog", "warts", "Hogwarts", "H", "o", "s", " ", ". ", "\n", "It rains. ", "x" * 90, ""),
    *('"', "\\", "{", "}", "[", '{"a": "Hogwarts"}', "\u200b", "é", "\U0001f3f0", "Hog\nwarts"),
    *("stop", "length", "assistant", "text", "tool_use", "function", "message", "refusal"),
    *("data: x\n\n", "event: y", "\r\n", "[DONE]", "</s>", "null", "base64", "\u2028"),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 7, 10**9, 1 << 63, 0.5, 1e300, "", "0", SECRET),
    *([], {}, [[]], [None], [SECRET], {"a": SECRET}, {"type": "text", "text": SECRET}),
)


class Taker:
    """A fuzzer's bytes, spent one by one; where none are left, every decision is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        if self._at >= len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, most: int) -> int:
        """A number below `most`, which is at most 65,536."""
        number = self.byte()
        if most > 256:
            number = number << 8 | self.byte()
        return number % max(most, 1)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def rest(self) -> bytes:
        at, self._at = self._at, len(self._data)
        return self._data[at:]

    def pieces(self) -> list[str]:
        return [self.pick(WORDS) for _ in range(self.below(12))]

    def cut(self, raw: bytes) -> list[bytes]:
        """The same bytes in chunks; without decisions left, in one."""
        chunks: list[bytes] = []
        while raw:
            size = self.byte() or len(raw)
            chunks.append(raw[:size])
            raw = raw[size:]
        return chunks


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a JSON value with every key in it."""
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from places(node[key])


def mutated(value: Any, taker: Taker, *, most: int = 6) -> Any:
    """A copy with up to `most` changes, each at any place: another value, none, or one more."""
    root = [copy.deepcopy(value)]
    for _ in range(taker.below(most + 1)):
        found = list(places(root))
        node, key = found[taker.below(min(len(found), 65_536))] if found else (root, 0)
        match taker.below(6):
            case 0 | 1:
                node[key] = taker.pick(WORDS)
            case 2:
                node[key] = copy.deepcopy(taker.pick(ODD))
            case 3 if node is not root:
                del node[key]
            case 4 if isinstance(node, list) and node is not root:
                node.insert(taker.below(len(node) + 1), copy.deepcopy(node[key]))
            case 5 if isinstance(node, dict):
                node[taker.pick(WORDS)] = copy.deepcopy(taker.pick(ODD))
            case _:
                other, at = found[taker.below(min(len(found), 65_536))]
                if other is not root:
                    node[key] = copy.deepcopy(other[at])
    return root[0] if root else None
