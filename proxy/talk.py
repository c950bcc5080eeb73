"""One request while it is being answered: what every stage needs to know of it. Does nothing."""

from dataclasses import dataclass

from proxy.applied import Applied
from proxy.exchange import Format, Request
from proxy.trace import Trace


@dataclass(frozen=True, slots=True)
class Talk:
    """A request, the format it came in, the policies that apply to it, and its trace."""

    wire: Format
    request: Request
    applied: Applied
    trace: Trace
