"""Who is asked: a name, a base URL, a model and how to sign in. Knows no probe."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_NAME = re.compile(r"[\w.+-]+")


class ArmError(ValueError):
    """An arm that cannot be asked. The message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Arm:
    """An OpenAI-compatible chat API to put probes to.

    base_url    as the OpenAI SDK takes it, ending in /v1; the paths of the API follow
    model       None asks the API which it serves and takes the first
    headers     sent with every request; their values never show
    key_env     the environment variable that holds the key, read when the arm is asked
    role        what it is in the comparison: `base`, `retrained`, or any word of yours
    system      a system text put before every conversation; it may hold what must be forgotten
    """

    name: str
    base_url: str
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    key_env: str | None = None
    role: str = ""
    system: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ArmError(f"arm {self.name!r}: name it with letters, digits and . _ + -")
        try:
            url = urlsplit(self.base_url)
            usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ArmError(f"arm {self.name!r}: its base URL must read http(s)://HOST[:PORT]/v1")
        if url.username or url.password or url.query or url.fragment:
            # Reports show where an arm is, so nothing secret may stand there.
            raise ArmError(
                f"arm {self.name!r}: its base URL holds a user, a query or a fragment; "
                "put keys into an environment variable"
            )
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))

    def sign_in(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The headers to send, the key among them. Raises ArmError where it is not set."""
        if self.key_env is None:
            return dict(self.headers)
        key = environment.get(self.key_env)
        if not key:
            raise ArmError(f"arm {self.name!r}: ${self.key_env} is not set; export the key there")
        return {**self.headers, "authorization": f"Bearer {key}"}


def parse(text: str, *, key_env: str | None = None) -> Arm:
    """Read `NAME=BASE_URL[,MODEL]`. Raises ArmError."""
    name, equals, rest = text.partition("=")
    if not equals:
        raise ArmError("an arm reads NAME=BASE_URL[,MODEL], as in base=http://127.0.0.1:8080/v1")
    base_url, comma, model = rest.partition(",")
    if comma and not model:
        raise ArmError(f"arm {name!r}: no model behind the comma; name one or leave out the comma")
    return Arm(name=name, base_url=base_url, model=model or None, key_env=key_env)
