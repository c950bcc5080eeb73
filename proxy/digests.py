"""Keyed digests of what is said, a channel each: equal where texts are, and nothing to look up.

Knows no policy and keeps no text. The key is made anew by every process and never leaves it, so a
short answer cannot be guessed from its digest.
"""

import hmac
import secrets
from collections.abc import Mapping

from proxy.exchange import Channel


def new_key() -> bytes:
    """A key for the digests of one process."""
    return secrets.token_bytes(32)


class Digests:
    """HMAC-SHA-256 of every channel's text, taken as the text arrives."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._taken: dict[str, hmac.HMAC] = {}

    def add(self, channel: Channel, text: str) -> None:
        """Go on with a channel's text; how it is cut into pieces makes no difference."""
        taken = self._taken.setdefault(str(channel), hmac.new(self._key, digestmod="sha256"))
        taken.update(text.encode("utf-8", "surrogatepass"))

    @property
    def found(self) -> Mapping[str, str]:
        """The digest (hex) of each channel that said anything."""
        return {channel: taken.hexdigest() for channel, taken in self._taken.items()}
