"""Policies into one screen, and who applies to what. Knows no YAML, no HTTP and no action."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from unicodedata import normalize

import classifiers
from classifiers import Encoder, Screen
from policies.concept import Concept
from policies.load import LoadedPolicy
from policies.schema import AppliesTo


@dataclass(frozen=True, slots=True)
class PolicySet:
    """A set of policies over one screen. `digest` changes whenever any of them says something else.

    A concept's key in the screen's verdicts is `policy-id/Concept Name`.
    """

    policies: tuple[LoadedPolicy, ...]
    screen: Screen = field(repr=False)
    digest: str
    _policies: Mapping[str, LoadedPolicy] = field(repr=False)
    _concepts: Mapping[str, Concept] = field(repr=False)

    def applicable(self, *, model: str | None, route: str, tenant: str) -> tuple[LoadedPolicy, ...]:
        """The policies that a request meets, in order of their ids; none that is off.

        Without a model, those of every model.
        """
        return tuple(
            loaded
            for loaded in self.policies
            if loaded.policy.mode != "off"
            and _matches(loaded.policy.applies_to, model=model, route=route, tenant=tenant)
        )

    def policy_of(self, key: str) -> LoadedPolicy:
        """The policy that a concept's key belongs to. Raises KeyError."""
        return self._policies[key]

    def concept(self, key: str) -> Concept:
        """The concept behind a key. Raises KeyError."""
        return self._concepts[key]


def compile_policies(
    policies: Iterable[LoadedPolicy], encoder: Encoder, *, like: PolicySet | None = None
) -> PolicySet:
    """Build the one screen of a set of policies with unique ids.

    like  a set that may go on being used: what has not changed since is shared with its screen

    Policies that are off are kept in the set and left out of the screen.
    """
    ordered = tuple(sorted(policies, key=lambda loaded: loaded.policy.id))
    owners = {key: loaded for loaded in ordered for key in loaded.keys}
    concepts = {
        key: concept
        for loaded in ordered
        for key, concept in zip(loaded.keys, loaded.policy.concepts, strict=True)
    }
    active = [c for loaded in ordered if loaded.policy.mode != "off" for c in _screened(loaded)]
    digests = "".join(f"{loaded.policy.id}:{loaded.digest}\n" for loaded in ordered)
    return PolicySet(
        policies=ordered,
        screen=Screen(active, encoder, like=like.screen if like else None),
        digest=sha256(digests.encode()).hexdigest(),
        _policies=owners,
        _concepts=concepts,
    )


def _screened(loaded: LoadedPolicy) -> Iterable[classifiers.Concept]:
    for key, concept, texts in zip(loaded.keys, loaded.policy.concepts, loaded.texts, strict=True):
        yield classifiers.Concept(
            key=key,
            # A name listed twice would be found twice.
            aliases=tuple(dict.fromkeys((concept.name, *concept.aliases))),
            exemplars=texts.exemplars,
            neighbours=texts.neighbours,
            protected=texts.protected,
            names_suffice=concept.scope == "entity",
            threshold=None if concept.threshold == "auto" else concept.threshold,
        )


def _matches(to: AppliesTo, *, model: str | None, route: str, tenant: str) -> bool:
    asked = [(to.routes, route), (to.tenants, tenant)]
    asked += [(to.models, model)] if model is not None else []
    # An upstream may take " GPT-4o" for "gpt-4o", and nobody may leave a policy that way.
    return all(
        any(fnmatchcase(_plain(name), _plain(glob)) for glob in globs) for globs, name in asked
    )


def _plain(name: str) -> str:
    """A name without case, width, white space and control characters."""
    folded = normalize("NFKC", name).casefold()
    return "".join(char for char in folded if char.isprintable() and not char.isspace())
