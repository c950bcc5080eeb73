"""The upstreams of one deployment: which model name goes where, and for whom. Knows no policy."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from proxy.exchange import Body, FormatError
from proxy.trace import NAME
from proxy.upstream import Upstream, UpstreamError

log = logging.getLogger("lethe")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes: an upstream, and its own name for the model."""

    upstream: Upstream
    model: str

    def addressed(self, body: Body) -> Body:
        """A body under the name that the upstream gives the model; the one given stays."""
        return body if body["model"] == self.model else {**body, "model": self.model}


class Upstreams:
    """Named upstreams. A model that one of them lists goes there, any other to the first open one.

    A model that is listed is never anybody else's: whoever may not ask for it gets nothing. Raises
    ValueError where a name or a model is given twice, or no upstream at all.
    """

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self._named: Mapping[str, Upstream] = {upstream.name: upstream for upstream in upstreams}
        if not upstreams or len(self._named) < len(upstreams):
            raise ValueError("upstreams: at least one is needed, each with a name of its own")
        self._listing = {model: upstream for upstream in upstreams for model in upstream.models}
        if len(self._listing) < sum(len(upstream.models) for upstream in upstreams):
            raise ValueError("upstreams: a model is listed by two of them")
        self.first = upstreams[0]

    def of(self, model: str, *, tenant: str) -> Destination:
        """Where a public model name leads. Raises FormatError (404) where it leads nowhere."""
        found = self._listing.get(model) or next(
            (u for u in self._named.values() if not u.models and open_to(tenant, u)), None
        )
        if found is None or not open_to(tenant, found):
            raise FormatError(
                "model: this deployment serves no model of that name; see /v1/models",
                param="model",
                status=404,
                code="model_not_found",
            )
        return Destination(found, found.models.get(model, model))

    def named(self, name: str, *, model: str) -> Destination:
        """The upstream of a name in configuration, for a request about a public model.

        Its own name for that model; else the one that is set for such requests, else its only one.
        Raises KeyError.
        """
        upstream = self._named[name]
        only = next(iter(upstream.models.values())) if len(upstream.models) == 1 else model
        return Destination(upstream, upstream.models.get(model) or upstream.model or only)

    def names(self) -> set[str]:
        """All names."""
        return set(self._named)

    async def listed(self, *, tenant: str) -> list[Body]:
        """Every public model of a tenant, as `/v1/models` lists it.

        An upstream that does not answer takes nobody else's models away; where none of them
        answers, raises UpstreamError.
        """
        asked = [upstream for upstream in self._named.values() if open_to(tenant, upstream)]
        answers = await asyncio.gather(*map(_models, asked), return_exceptions=True)
        found: dict[str, Body] = {}
        for upstream, items in zip(asked, answers, strict=True):
            if isinstance(items, UpstreamError):
                log.warning("models of an upstream are not known: %s", items)
                continue
            if isinstance(items, BaseException):
                raise items
            for item in items:
                name = item.get("id")
                if not isinstance(name, str) or not NAME.fullmatch(name):
                    continue
                # What an upstream calls like another's listed model is not reached by that.
                if self._listing.get(name, upstream) is upstream:
                    found.setdefault(name, _entry(item))
        failures = [items for items in answers if isinstance(items, UpstreamError)]
        if failures and len(failures) == len(answers):
            raise failures[0]
        return list(found.values())


async def _models(upstream: Upstream) -> list[Body]:
    if upstream.models:
        return [{"id": model} for model in upstream.models]
    return await upstream.listed()


def open_to(tenant: str, upstream: Upstream) -> bool:
    """Whether a tenant may ask for an upstream's models by name."""
    return any(fnmatchcase(tenant, glob) for glob in upstream.tenants)


def _entry(item: Body) -> Body:
    created = item.get("created")
    return {
        "id": item["id"],
        "object": "model",
        "created": created if type(created) is int else 0,
        "owned_by": "upstream",
    }
