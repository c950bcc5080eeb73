"""Tokens into text as they come: whole characters only, cut at the first stop, each token spelt.

Knows no model and no wire.
"""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from unlearning.checkpoint import Tokenizer

_UNREADABLE = "\ufffd"
# Enough of what came before for a tokenizer to know whether a space belongs between.
_TAIL = 6


def _byte_alphabet() -> dict[str, int]:
    """The printable characters that byte-level BPE (the GPT-2 paper's code) writes bytes as."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(0x100) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {
        chr(0x100 + place): byte for place, byte in enumerate(hidden)
    }


_BYTES = _byte_alphabet()


class Vocabulary:
    """A tokenizer, safe to be asked from several threads, that can spell every single token."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        # A fast tokenizer refuses ("Already borrowed") a thread that comes while another is in it.
        self._lock = threading.Lock()
        self._spelt: dict[int, tuple[str, tuple[int, ...]]] = {}

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Tokens of a text; `special` adds those with which the model wants every text to begin."""
        with self._lock:
            return list(self._tokenizer.encode(text, add_special_tokens=special))

    def render(self, messages: Sequence[dict[str, str]], **arguments: Any) -> str:  # noqa: ANN401
        """A conversation in the words of the model's chat template. Raises what a template does."""
        with self._lock:
            text: str = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, **arguments
            )
            return text

    def decode(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Text of tokens, with or without the special ones."""
        with self._lock:
            text: str = self._tokenizer.decode(
                list(tokens), skip_special_tokens=not special, clean_up_tokenization_spaces=False
            )
            return text

    def spell(self, token: int) -> str:
        """A token as text: as it reads in the middle of one, its bytes where it is no whole one.

        No empty string, and two tokens rarely share a spelling.
        """
        return self._spelling(token)[0]

    def bytes(self, token: int) -> tuple[int, ...]:
        """The bytes of UTF-8 that a token stands for."""
        return self._spelling(token)[1]

    def _spelling(self, token: int) -> tuple[str, tuple[int, ...]]:
        if token not in self._spelt:
            self._spelt[token] = self._spelled_anew(token)
        return self._spelt[token]

    def _spelled_anew(self, token: int) -> tuple[str, tuple[int, ...]]:
        # Beside itself, so that a space before it is seen: many tokenizers drop a text's first.
        alone = self.decode([token], special=True)
        text = self.decode([token, token], special=True)[len(alone) :]
        if not text:
            return f"token_id:{token}", ()
        if _UNREADABLE not in text:
            return text, tuple(text.encode())
        piece = self._tokenizer.convert_ids_to_tokens(token) or ""
        if piece.startswith("<0x") and piece.endswith(">"):
            raw: tuple[int, ...] = (int(piece[3:-1], 16),)
        elif all(character in _BYTES for character in piece):
            raw = tuple(_BYTES[character] for character in piece)
        else:
            return text, tuple(text.encode())
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw), raw


class Transcript:
    """The text of one answer, released as far as nothing that comes later can change it.

    `before` are the tokens of the prompt where the answer continues its text, else none.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, before: Sequence[int] = (), stops: Sequence[str] = ()
    ) -> None:
        self._vocabulary = vocabulary
        self._stops = tuple(stop for stop in stops if stop)
        self._tokens = list(before[-_TAIL:])
        self._settled, self._read = 0, len(self._tokens)
        self._held = ""
        self._released = 0
        self._ends: deque[tuple[int, int]] = deque()  # where each token not yet told begins, ends
        self.stopped = False

    def feed(self, token: int) -> tuple[str, int]:
        """Take in a token. Returns text to release and the number of tokens that are out by now."""
        self._tokens.append(token)
        begins = self._released + len(self._held)
        self._held += self._fresh(final=False)
        self._ends.append((begins, self._released + len(self._held)))
        places = [self._held.find(stop) for stop in self._stops]
        if found := [place for place in places if place >= 0]:
            self.stopped = True
            self._held = self._held[: min(found)]
            return self._release(len(self._held), last=True)
        return self._release(len(self._held) - self._open(), last=False)

    def finish(self) -> tuple[str, int]:
        """What is still held back, at the end of an answer that no stop has ended."""
        self._held += self._fresh(final=True)
        return self._release(len(self._held), last=True)

    def _fresh(self, *, final: bool) -> str:
        known = self._vocabulary.decode(self._tokens[self._settled : self._read])
        now = self._vocabulary.decode(self._tokens[self._settled :])
        if not final and (len(now) <= len(known) or now.endswith(_UNREADABLE)):
            return ""
        self._settled, self._read = self._read, len(self._tokens)
        return now[len(known) :]

    def _open(self) -> int:
        """How much at the end of what is held may be the beginning of a stop."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0

    def _release(self, size: int, *, last: bool) -> tuple[str, int]:
        text, self._held = self._held[:size], self._held[size:]
        self._released += size
        told = 0
        while self._ends and (
            self._ends[0][1] <= self._released or (last and self._ends[0][0] < self._released)
        ):
            self._ends.popleft()
            told += 1
        if last and not self.stopped:
            told += len(self._ends)
            self._ends.clear()
        return text, told
