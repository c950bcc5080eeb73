"""Policies into one screen, and who applies to what. Knows no YAML, no HTTP and no action."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from unicodedata import normalize

import classifiers
from classifiers import Encoder, Screen
from policies.concept import Concept
from policies.load import LoadedPolicy
from policies.lock import called, other_encoder
from policies.problem import PolicyErrors, Problem
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
    policies: Iterable[LoadedPolicy],
    encoder: Encoder,
    *,
    cascade: bool = True,
    like: PolicySet | None = None,
) -> PolicySet:
    """Build the one screen of a set of policies with unique ids.

    like  a set that may go on being used: what has not changed since is shared with its screen

    Policies that are off are kept in the set and left out of the screen. Raises PolicyErrors where
    a policy was calibrated with another encoder.
    """
    ordered = tuple(sorted(policies, key=lambda loaded: loaded.policy.id))
    owners = {key: loaded for loaded in ordered for key in loaded.keys}
    concepts = {
        key: concept
        for loaded in ordered
        for key, concept in zip(loaded.keys, loaded.policy.concepts, strict=True)
    }
    active = [loaded for loaded in ordered if loaded.policy.mode != "off"]
    found = [_encoder_problem(loaded, encoder) for loaded in active]
    if problems := [problem for problem in found if problem is not None]:
        raise PolicyErrors(problems)
    digests = "".join(f"{loaded.policy.id}:{loaded.digest}\n" for loaded in ordered)
    return PolicySet(
        policies=ordered,
        screen=Screen(
            [concept for loaded in active for concept in _screened(loaded)],
            encoder,
            limits=dict(limit for loaded in active for limit in _limits(loaded)),
            cascade=cascade,
            like=like.screen if like else None,
        ),
        digest=sha256(digests.encode()).hexdigest(),
        _policies=owners,
        _concepts=concepts,
    )


def _encoder_problem(loaded: LoadedPolicy, encoder: Encoder) -> Problem | None:
    lock = loaded.lock
    return other_encoder(lock, encoder.fingerprint, path=loaded.path) if lock else None


def _screened(loaded: LoadedPolicy) -> Iterator[classifiers.Concept]:
    """A policy's concepts; a similarity that was calibrated stands for one to be derived."""
    held = loaded.lock.thresholds("similarity") if loaded.lock else {}
    for concept in loaded.concepts:
        yield replace(concept, threshold=held.get(called(concept), concept.threshold))


def _limits(loaded: LoadedPolicy) -> Iterator[tuple[str, float]]:
    """The scores that concepts are held to, by their keys, where that was calibrated."""
    held = loaded.lock.thresholds("score") if loaded.lock else {}
    for concept in loaded.concepts if held else ():
        if called(concept) in held:
            yield concept.key, held[called(concept)]


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
