"""One screen for a set of policies, and which of them a request meets."""

from pathlib import Path

import pytest

from classifiers import HashEncoder, Passage, segment, windows
from policies import PolicySet, compile_policies, load

ANY = {"model": "m", "route": "/v1/chat/completions", "tenant": "t"}


def compiled(folder: Path, **policies: str) -> PolicySet:
    for name, rest in policies.items():
        concepts = "" if "concepts:" in rest else "concepts: [{name: Mira Tollan}]\n"
        (folder / f"{name}.yaml").write_text(f"id: {name}\n{concepts}{rest}\n", "utf-8")
    return compile_policies(load([folder]), HashEncoder())


def applicable(policies: PolicySet, **asked: str) -> list[str]:
    return [loaded.policy.id for loaded in policies.applicable(**{**ANY, **asked})]


def test_a_concepts_key_leads_to_its_policy_and_itself(tmp_path: Path) -> None:
    policies = compiled(tmp_path, a="mode: shadow", b="mode: enforce")
    assert policies.policy_of("a/Mira Tollan").policy.mode == "shadow"
    assert policies.policy_of("b/Mira Tollan").policy.mode == "enforce"
    assert policies.concept("b/Mira Tollan").name == "Mira Tollan"
    with pytest.raises(KeyError):
        policies.concept("c/Mira Tollan")


def test_verdicts_carry_the_keys_of_every_policy_that_names_the_concept(tmp_path: Path) -> None:
    policies = compiled(tmp_path, a="", b="", c="mode: off")
    found = policies.screen.find("Have you met Mira Tollan?")
    assert {verdict.concept for verdict in found} == {"a/Mira Tollan", "b/Mira Tollan"}


def test_a_policy_that_is_off_never_applies_and_is_still_listed(tmp_path: Path) -> None:
    policies = compiled(tmp_path, a="mode: off", b="mode: shadow", c="mode: enforce")
    assert applicable(policies) == ["b", "c"]
    assert [loaded.policy.id for loaded in policies.policies] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("applies_to", "asked", "expected"),
    [
        ("{}", {}, True),
        ("{models: ['gpt-4*']}", {"model": "gpt-4o"}, True),
        ("{models: ['gpt-4*']}", {"model": "GPT-4o"}, True),
        ("{models: ['gpt-4*', 'm?']}", {"model": "m1"}, True),
        ("{routes: [/v1/chat/completions]}", {}, True),
        ("{routes: [/v1/completions]}", {}, False),
        ("{routes: ['/v1/*']}", {"route": "/v1/messages"}, True),
        ("{tenants: [legal, press]}", {"tenant": "press"}, True),
        ("{tenants: [legal, press]}", {"tenant": "pres"}, False),
        ("{models: [m], tenants: [other]}", {}, False),
    ],
)
def test_a_policy_applies_where_model_route_and_tenant_all_match(
    tmp_path: Path, applies_to: str, asked: dict[str, str], expected: bool
) -> None:
    policies = compiled(tmp_path, a=f"applies_to: {applies_to}")
    assert applicable(policies, **asked) == (["a"] if expected else [])


def test_a_name_is_a_hit_for_an_entity_and_merely_near_for_a_fact(tmp_path: Path) -> None:
    concepts = "concepts: [{name: Mira Tollan, scope: %s, exemplars: [She writes novels.]}]"
    policies = compiled(tmp_path, a=concepts % "entity", b=concepts % "fact")
    verdicts = {v.concept: v for v in policies.screen.find("Mira Tollan")}
    assert verdicts["a/Mira Tollan"].hit
    assert not verdicts["b/Mira Tollan"].hit
    assert verdicts["b/Mira Tollan"].near


def test_aliases_exemplars_neighbours_and_thresholds_reach_the_screen(tmp_path: Path) -> None:
    policies = compiled(
        tmp_path,
        a="""
concepts:
  - name: Mira Tollan
    aliases: [Mira T., Mira Tollan]
    exemplars: [She was born in Port Vell.]
    neighbours: [She was born in Port Anders.]
    threshold: 0.9
""",
    )
    assert policies.screen.thresholds == {"a/Mira Tollan": 0.9}
    assert [v.matched for v in policies.screen.find("Mira T. and Mira Tollan")] == [
        "Mira T.",
        "Mira Tollan",
    ]
    text = "She was born in Port Vell."
    [[verdict]] = policies.screen.judge([Passage(text, windows(segment(text)))])
    assert verdict.hit
    assert verdict.matched == text
    assert 0 < (verdict.neighbour or 0) < verdict.score


def test_a_set_without_an_active_policy_finds_nothing(tmp_path: Path) -> None:
    policies = compiled(tmp_path, a="mode: off")
    assert applicable(policies) == []
    assert policies.screen.find("Mira Tollan") == ()


def test_a_digest_does_not_depend_on_the_order_of_loading(tmp_path: Path) -> None:
    compiled(tmp_path, a="", b="mode: shadow")
    loaded = load([tmp_path])
    there, back = (compile_policies(order, HashEncoder()) for order in (loaded, loaded[::-1]))
    assert there.digest == back.digest
    assert there.policies == back.policies
    assert there.digest != compile_policies(loaded[:1], HashEncoder()).digest


def test_forbidden_text_is_not_in_a_sets_repr(tmp_path: Path) -> None:
    assert "Tollan" not in repr(compiled(tmp_path, a=""))
