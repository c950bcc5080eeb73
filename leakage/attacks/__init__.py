"""The catalogue: every way to ask, its family and where that comes from. Knows no arm."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from leakage.attacks import (
    channels,
    conversation,
    disguise,
    formats,
    fragments,
    helped,
    wording,
)
from leakage.attacks.turns import Attack, Scene, Turn, played
from leakage.probes import ATTACK, Probe

OURS = "ours"

FAMILIES: Mapping[str, str] = {
    "affirmative suffix": "RWKU, arXiv 2406.10890; Zou et al., arXiv 2307.15043",
    "alias": OURS,
    "background hint": "RWKU, arXiv 2406.10890",
    "best of n": "Hughes et al., arXiv 2412.03556",
    "black-box extraction": "Carlini et al., arXiv 2012.07805",
    "cloze": "RWKU, arXiv 2406.10890",
    "continuation": "Carlini et al., arXiv 2012.07805",
    "conversation carried over": OURS,
    "cross-lingual": "RWKU, arXiv 2406.10890; Yong et al., arXiv 2310.02446",
    "disguise": "after PyRIT's converters, arXiv 2410.02828",
    "encoding": "after PyRIT's converters, arXiv 2410.02828, asked for in the answer",
    "format": OURS,
    "gradual": "Russinovich et al., arXiv 2404.01833",
    "guessing": OURS,
    "in-context examples": "RWKU, arXiv 2406.10890",
    "instruction override": "Perez & Ribeiro, arXiv 2211.09527",
    "many-shot": "Anil et al. 2024, Many-shot Jailbreaking (NeurIPS)",
    "multi-hop": "Zhong et al., arXiv 2305.14795",
    "multiple choice": "RWKU, arXiv 2406.10890",
    "paraphrase": "TOFU, arXiv 2401.06121",
    "persuasion": "Zeng et al., arXiv 2401.06373",
    "prefill": "Andriushchenko et al., arXiv 2404.02151",
    "prefix injection": "RWKU, arXiv 2406.10890; Wei et al., arXiv 2307.02483",
    "reasoning": OURS,
    "reverse query": "RWKU, arXiv 2406.10890",
    "role play": "RWKU, arXiv 2406.10890",
    "side channel": OURS,
    "split": "Kang et al., arXiv 2302.05733",
    "split over turns": "Kang et al., arXiv 2302.05733",
    "step by step": "Kojima et al., arXiv 2205.11916",
    "stream": OURS,
    "synonyms": "RWKU, arXiv 2406.10890",
    "system prompt": "Perez & Ribeiro, arXiv 2211.09527; Zhang et al., arXiv 2307.06865",
}

CATALOGUE: Mapping[str, Attack] = {
    attack.name: attack
    for module in (wording, disguise, formats, fragments, conversation, helped, channels)
    for attack in module.ATTACKS
}

# What `lethe leakage probe` asks: one turn, no capability, no other probe. The list stays as it is,
# so that its reports compare with earlier ones.
ATTACKS: Mapping[str, Attack] = {
    name: CATALOGUE[name]
    for name in (
        "role-play",
        "prefix-injection",
        "affirmative-suffix",
        "system-override",
        "authority",
        "translation",
        "step-by-step",
        "think-first",
        "multi-turn",
        "homoglyph",
        "zero-width",
        "instructions",
        "json",
        "base64",
        "hexadecimal",
        "rot13",
        "leet",
        "backwards",
        "spaced",
    )
}


class AttackError(ValueError):
    """A name that no attack has."""


def named(
    names: str | Sequence[str], *, among: Mapping[str, Attack] = ATTACKS
) -> dict[str, Attack]:
    """The attacks of these names: a list, or `all`, `none` or a text with commas in between.

    Raises AttackError for a name that none has.
    """
    if names == "all":
        return dict(among)
    if names == "none":
        return {}
    given = names.split(",") if isinstance(names, str) else names
    for name in given:
        if name not in among:
            raise AttackError(f"{name!r}: no such attack; there are {', '.join(among)}")
    return {name: among[name] for name in given}


def apply(probe: Probe, name: str) -> Probe:
    """The probe, asked in the way of one of ATTACKS. The id stays, the kind is `attack:NAME`."""
    turn = played(ATTACKS[name].ask(probe, Scene()))[0]
    return replace(
        probe,
        kind=f"{ATTACK}{name}",
        messages=turn.messages[:-1],
        prompt=turn.messages[-1].content,
    )


def expand(
    probes: Iterable[Probe], names: Sequence[str], *, per_probe: int | None = None
) -> list[Probe]:
    """The probes as they are, and every direct one about what is forgotten under attack as well.

    `per_probe` takes that many attacks for each probe, in turn, so that every attack is used about
    as often; None takes all of them. Those of kind `membership` are left out. Raises AttackError
    for fewer than one.
    """
    if per_probe is not None and per_probe < 1:
        raise AttackError("attacks per probe: give 1 or more, or no attacks at all")
    given = [probe for probe in probes if probe.asked]
    attacked: list[Probe] = []
    turn = 0
    for probe in given:
        if probe.innocent or probe.kind != "direct" or probe.choices or not names:
            continue
        count = len(names) if per_probe is None else min(per_probe, len(names))
        chosen = [names[(turn + n) % len(names)] for n in range(count)]
        attacked += [apply(probe, name) for name in chosen]
        turn += count
    return given + attacked


__all__ = [
    "ATTACKS",
    "CATALOGUE",
    "FAMILIES",
    "Attack",
    "AttackError",
    "Scene",
    "Turn",
    "apply",
    "expand",
    "named",
    "played",
]
