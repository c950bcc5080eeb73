"""What an author is told about a text: which concept, why, and what would happen."""

import json
from pathlib import Path

import pytest

from classifiers import HashEncoder
from classifiers import load as load_encoder
from policies import PolicySet, compile_policies, load
from policies.explain import (
    DECLINES,
    NAME_ALONE,
    NEIGHBOUR,
    Channel,
    as_json,
    explain,
    lines,
    outcome,
)

POLICY = """\
id: mira
mode: {mode}
concepts:
  - name: Mira Tollan
    aliases: [the harbour novelist]
    scope: {scope}
    exemplars:
      - She was born in the old town of Port Vell.
      - Her lighthouse novels won the silver lamp prize.
    neighbours: [{neighbours}]
    threshold: 0.6
screens:
  prompt: {{action: {prompt}}}
  output: {output}
"""


REROUTE = "{action: reroute, to: other}"


def mira(
    folder: Path,
    *,
    mode: str = "enforce",
    scope: str = "entity",
    neighbours: str = "",
    prompt: str = "refuse",
    output: str = "{action: regenerate}",
) -> PolicySet:
    text = POLICY.format(
        mode=mode, scope=scope, neighbours=neighbours, prompt=prompt, output=output
    )
    (folder / "mira.yaml").write_text(text, "utf-8")
    return compile_policies(load([folder]), HashEncoder())


def told(policies: PolicySet, text: str, **asked: str) -> str:
    return "\n".join(lines(explain(policies, text, channel="prompt", **asked)))


def test_a_name_is_shown_where_it_stands(tmp_path: Path) -> None:
    policies = mira(tmp_path)
    [finding] = explain(policies, "Have you read the Harbour  Novelist?", channel="prompt")
    assert (finding.policy, finding.concept, finding.mode) == ("mira", "Mira Tollan", "enforce")
    assert finding.window == "the Harbour  Novelist"
    assert finding.verdict.hit
    assert told(policies, "Have you read the Harbour  Novelist?").splitlines() == [
        "HIT: Mira Tollan (policy mira, mode enforce)",
        "  window    the Harbour  Novelist",
        "  place     characters 14 to 35",
        "  name      the harbour novelist",
        "  effect    refuse (prompt)",
    ]


def test_a_name_in_disguise_says_how_it_was_read(tmp_path: Path) -> None:
    assert ", read as " in told(mira(tmp_path), "Who is nalloT ariM?")


def test_an_exemplar_is_shown_with_score_margin_and_threshold(tmp_path: Path) -> None:
    policies = mira(tmp_path, neighbours="She was born in the town of Port Anders.")
    shown = told(policies, "It rains. She was born in the old town of Port Vell.").splitlines()
    assert shown[:3] == [
        "HIT: Mira Tollan (policy mira, mode enforce)",
        "  window    She was born in the old town of Port Vell.",
        "  place     characters 10 to 52",
    ]
    assert shown[3] == "  exemplar  She was born in the old town of Port Vell."
    assert shown[4] == "  score     1.000, threshold 0.600"
    assert shown[5].startswith("  margin    +0.")


def test_what_reaches_its_threshold_and_is_no_hit_says_why(tmp_path: Path) -> None:
    near = "She was born in the old town of Port Vella."
    [finding, *_] = explain(mira(tmp_path, neighbours=near), near, channel="prompt")
    assert finding.verdict.score >= finding.verdict.threshold
    assert finding.effect == NEIGHBOUR
    asked = {"channel": "output", "before": "Who is Mira Tollan?"}
    [finding, *_] = explain(mira(tmp_path), "I don't know who Mira Tollan is.", **asked)  # type: ignore[arg-type]
    assert (finding.verdict.hit, finding.effect) == (False, DECLINES)


@pytest.mark.encoder
def test_a_score_of_all_evidence_stands_beside_the_likeness(tmp_path: Path) -> None:
    text = POLICY.format(
        mode="enforce", scope="entity", neighbours="", prompt="refuse", output="{action: refuse}"
    ).replace("    threshold: 0.6\n", "")
    (tmp_path / "mira.yaml").write_text(text, "utf-8")
    policies = compile_policies(load([tmp_path]), load_encoder())
    assert "  likeness  1.000 to the exemplar" in told(
        policies, "She was born in the old town of Port Vell."
    )


def test_a_margin_without_a_neighbour_says_so(tmp_path: Path) -> None:
    assert "  margin    no neighbour is near" in told(
        mira(tmp_path), "She was born in the old town of Port Vell."
    )


def test_each_exemplar_comes_once_with_its_clearest_window(tmp_path: Path) -> None:
    text = "Well now. She was born in the old town of Port Vell. And so on."
    found = explain(mira(tmp_path), text, channel="prompt")
    assert [finding.window.strip() for finding in found if finding.verdict.hit] == [
        "She was born in the old town of Port Vell."
    ]


def test_hits_come_first_and_then_the_nearest(tmp_path: Path) -> None:
    text = "Her lighthouse novels won a lamp. She was born in the old town of Port Vell."
    found = explain(mira(tmp_path, scope="fact"), f"{text} Mira Tollan.", channel="prompt")
    hits = [finding.verdict.hit for finding in found]
    assert hits == sorted(hits, reverse=True)
    assert {finding.verdict.kind for finding in found if not finding.verdict.hit} == {"alias"}


def test_an_answer_is_judged_behind_its_question(tmp_path: Path) -> None:
    policies = mira(tmp_path)
    alone = explain(policies, "Port Vell.", channel="output")
    [behind, *_] = explain(
        policies, "Port Vell.", channel="output", before="She was born in the old town of"
    )
    assert not any(finding.verdict.hit for finding in alone)
    assert behind.verdict.hit
    assert behind.verdict.exchange
    assert ", together with the question" in "\n".join(lines([behind]))


@pytest.mark.parametrize(
    ("channel", "settings", "effect"),
    [
        ("prompt", {}, "refuse (prompt)"),
        ("prompt", {"prompt": "redact"}, "leave out the sentence (prompt)"),
        ("prompt", {"prompt": "flag"}, "let it pass and record it (prompt)"),
        ("output", {}, "ask the model again (output)"),
        ("output", {"output": REROUTE}, "ask upstream 'other' instead (output)"),
        (
            "prompt",
            {"mode": "shadow"},
            "none: mode shadow only records; enforcing, it would refuse (prompt)",
        ),
    ],
)
def test_what_would_happen_is_said(
    tmp_path: Path, channel: Channel, settings: dict[str, str], effect: str
) -> None:
    found = explain(mira(tmp_path, **settings), "Mira Tollan", channel=channel)
    assert [finding.effect for finding in found] == [effect]
    assert outcome(found) == f"mira: {effect}"


def test_a_concept_that_is_only_near_passes_with_an_instruction(tmp_path: Path) -> None:
    found = explain(mira(tmp_path, scope="fact"), "Mira Tollan", channel="prompt")
    assert [finding.effect for finding in found] == [NAME_ALONE]
    assert "\n".join(lines(found)).startswith("near: ")
    assert outcome(found).startswith("No hit: it passes. A concept is near")


def test_where_nothing_is_near_the_nearest_is_shown(tmp_path: Path) -> None:
    text = "How do I boil an egg? Which old road leads out of town?"
    found = explain(mira(tmp_path), text, channel="prompt")
    assert [finding.window for finding in found] == ["Which old road leads out of town?"]
    assert not found[0].verdict.near
    assert "\n".join(lines(found)).startswith("nearest, and not near: Mira Tollan (")
    assert outcome(found) == "Nothing is near: it passes untouched."


@pytest.mark.parametrize("text", ["", "How do I boil an egg?"])
def test_where_there_is_nothing_to_compare_nothing_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text("id: a\nconcepts: [{name: Mira Tollan}]\n")
    found = explain(compile_policies(load([tmp_path]), HashEncoder()), text, channel="prompt")
    assert found == []
    assert outcome(found) == "Nothing is near: it passes untouched."


def test_findings_are_written_as_json(tmp_path: Path) -> None:
    found = explain(mira(tmp_path), "She was born in the old town of Port Vell.", channel="prompt")
    written = json.loads(json.dumps(as_json(found, channel="prompt")))
    assert written["channel"] == "prompt"
    assert written["outcome"] == "mira: refuse (prompt)"
    row = written["findings"][0]
    assert (row["policy"], row["concept"], row["kind"]) == ("mira", "Mira Tollan", "exemplar")
    assert row["window"] == row["matched"] == "She was born in the old town of Port Vell."
    assert row["margin"] is None
    assert row["hit"]


def test_forbidden_text_is_not_in_a_findings_repr(tmp_path: Path) -> None:
    shown = repr(explain(mira(tmp_path), "Mira Tollan", channel="prompt"))
    assert "harbour" not in shown
    assert "window" not in shown


@pytest.mark.encoder
def test_what_was_cleared_uncompared_says_so(tmp_path: Path) -> None:
    text = POLICY.format(
        mode="enforce", scope="entity", neighbours="", prompt="refuse", output="{action: refuse}"
    ).replace("    threshold: 0.6\n", "")
    (tmp_path / "mira.yaml").write_text(text, "utf-8")
    encoder = load_encoder()
    policies = compile_policies(load([tmp_path]), encoder)
    asked = "Which gas do plants take up by day?"
    assert "  effect    none: it shares too few words" in told(policies, "Carbon.", before=asked)
    everything = compile_policies(load([tmp_path]), encoder, cascade=False)
    assert "effect" not in told(everything, "Carbon.", before=asked)
