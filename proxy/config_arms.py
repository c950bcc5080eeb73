"""What an operator says about arms: comparisons, the mirror, and what contradicts itself.

Knows no request and no network. What contradicts itself across keys is told with the key's path.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from pydantic import Field

from proxy.comparison import Arm, Comparing
from proxy.config_upstreams import Glob, Name, Part, UpstreamConfig
from proxy.mirror import Mirroring

KeyPath = tuple[str | int, ...]

ANYBODY = "default"  # the tenant of every request where no tenant is configured


class ArmConfig(Part):
    """One arm of comparisons: an upstream, and what is done on the way there and back."""

    name: Name = Field(description="its name in requests and answers")
    upstream: Name = Field(description="the upstream that answers")
    screen: bool = Field(default=True, description="do what policies say on a hit, both ways")
    pretend: bool = Field(default=True, description="put the policies' instructions in")


class CompareConfig(Part):
    """`POST /lethe/v1/compare`: one request to several arms at once."""

    arms: list[ArmConfig] = Field(min_length=1, max_length=32, description="what can be compared")
    tenants: list[Glob] = Field(min_length=1, description="who may compare, as globs")
    unscreened: bool = Field(
        default=False,
        description="show what arms with `screen: false` said as it is; else hits are left out",
    )
    concurrency: int = Field(default=4, ge=1, le=256, description="arms asked at the same time")

    def comparing(self) -> Comparing:
        """What the front door lets be compared."""
        arms = [Arm(a.name, a.upstream, a.screen, a.pretend) for a in self.arms]
        return Comparing(tuple(arms), tuple(self.tenants), self.unscreened, self.concurrency)


class MirrorConfig(Part):
    """A share of live traffic, asked of a second upstream in the background."""

    to: Name = Field(description="the upstream that is asked too")
    share: float = Field(gt=0, le=1, description="share of the answered requests")
    concurrency: int = Field(default=1, ge=1, le=64, description="requests under way at most")
    per_minute: int = Field(default=30, ge=1, le=6000, description="requests a minute at most")

    def mirroring(self) -> Mirroring:
        """What the mirror does."""
        return Mirroring(self.to, self.share, self.concurrency, self.per_minute)


def contradictions(
    upstreams: Sequence[UpstreamConfig],
    *,
    compare: CompareConfig | None,
    mirror: MirrorConfig | None,
    tenants: Sequence[str],
) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong between keys that each are right: where, and what to do."""
    known = {upstream.name: upstream for upstream in upstreams}
    yield from _published(upstreams)
    for number, upstream in enumerate(upstreams):
        yield from _nobody(upstream.tenants, ("upstreams", number, "tenants"), tenants)
    if compare is not None:
        yield from _compared(compare, known, tenants)
    if mirror is not None and (problem := destination_problem(mirror.to, known)):
        yield ("mirror", "to"), problem


def destination_problem(name: str, known: Mapping[str, UpstreamConfig]) -> str | None:
    """Why nothing can be sent to an upstream by name, if so."""
    upstream = known.get(name)
    if upstream is None:
        return f"there is no upstream '{name}'; there are: {', '.join(sorted(known))}"
    if upstream.model is None and len(upstream.models) > 1:
        return f"upstream '{name}' publishes several models; say which answers with its model:"
    return None


def reroute_problem(name: str, known: Mapping[str, UpstreamConfig]) -> str | None:
    """Why no hit can be rerouted to an upstream, if so: an original knows what must not be said."""
    if problem := destination_problem(name, known):
        return problem
    if known[name].role == "original":
        return (
            f"upstream '{name}' has the role original, so it knows what is to be forgotten; "
            "give it its role:, or reroute to another"
        )
    return None


def _published(upstreams: Sequence[UpstreamConfig]) -> Iterator[tuple[KeyPath, str]]:
    names: set[str] = set()
    models: dict[str, str] = {}
    for number, upstream in enumerate(upstreams):
        if upstream.name in names:
            yield ("upstreams", number, "name"), "is the name of another too; give each its own"
        names.add(upstream.name)
        for model in upstream.models:
            other = models.setdefault(model, upstream.name)
            if other != upstream.name:
                message = f"'{other}' publishes that model too; publish it once"
                yield ("upstreams", number, "models", model), message


def _compared(
    compare: CompareConfig, known: Mapping[str, UpstreamConfig], tenants: Sequence[str]
) -> Iterator[tuple[KeyPath, str]]:
    names: set[str] = set()
    for number, arm in enumerate(compare.arms):
        at: KeyPath = ("compare", "arms", number)
        if arm.name in names:
            yield (*at, "name"), "is the name of another arm too; give each its own"
        names.add(arm.name)
        if problem := destination_problem(arm.upstream, known):
            yield (*at, "upstream"), problem
    yield from _nobody(compare.tenants, ("compare", "tenants"), tenants)
    if compare.unscreened and not tenants:
        message = "would show unscreened text to whoever asks; configure tenants with keys first"
        yield ("compare", "unscreened"), message


def _nobody(
    globs: Sequence[str], at: KeyPath, tenants: Sequence[str]
) -> Iterator[tuple[KeyPath, str]]:
    there = list(tenants) or [ANYBODY]
    for number, glob in enumerate(globs):
        if not any(fnmatchcase(tenant, glob) for tenant in there):
            yield (*at, number), f"is no tenant; there are: {', '.join(there)}"
