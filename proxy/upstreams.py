"""The upstreams of one deployment: which model name goes where. Knows no policy."""

from collections.abc import Mapping, Sequence

from proxy.exchange import Body, FormatError
from proxy.trace import NAME
from proxy.upstream import Upstream


class Upstreams:
    """Named upstreams. A model that one of them lists goes there, any other to the first open one.

    Raises ValueError where a name is given twice or none is left to serve.
    """

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self._named: Mapping[str, Upstream] = {upstream.name: upstream for upstream in upstreams}
        if not upstreams or len(self._named) < len(upstreams):
            raise ValueError("upstreams: at least one is needed, each with a name of its own")
        self.first = upstreams[0]
        self._any = next((upstream for upstream in upstreams if not upstream.models), None)

    def of(self, model: str) -> Upstream:
        """The upstream for a public model name. Raises FormatError (404) where there is none."""
        for upstream in self._named.values():
            if model in upstream.models:
                return upstream
        if self._any is None:
            raise FormatError(
                "model: this deployment serves no model of that name; see /v1/models",
                param="model",
                status=404,
                code="model_not_found",
            )
        return self._any

    def named(self, name: str) -> Upstream:
        """The upstream of a name in configuration. Raises KeyError."""
        return self._named[name]

    def names(self) -> set[str]:
        """All names."""
        return set(self._named)

    async def listed(self) -> list[Body]:
        """Every public model, as `/v1/models` lists it. Raises UpstreamError."""
        found: dict[str, Body] = {}
        for upstream in self._named.values():
            if upstream.models:
                items = [{"id": model} for model in upstream.models]
            else:
                items = await upstream.listed()
            for item in items:
                if isinstance(item.get("id"), str) and NAME.fullmatch(item["id"]):
                    found.setdefault(item["id"], _entry(item))
        return list(found.values())


def _entry(item: Body) -> Body:
    created = item.get("created")
    return {
        "id": item["id"],
        "object": "model",
        "created": created if type(created) is int else 0,
        "owned_by": "upstream",
    }
