"""What a policy may say, its JSON Schema, and its documentation."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

import policies
from policies import Policy, load
from policies.schema import SIDE_CHANNELS, SideChannel, json_schema

DOCS = Path(__file__).parent.parent / "docs" / "policies.md"
MINIMAL = {"id": "a", "concepts": [{"name": "Mira Tollan"}]}


def described() -> Iterator[tuple[str, str]]:
    """Every key of every part of a policy, with its description."""
    schema = Policy.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part["properties"].items():
            yield name, field["description"]


def test_the_committed_json_schema_is_that_of_the_models() -> None:
    committed = Path(policies.__file__).parent / "schema.json"
    assert committed.read_text("utf-8") == json_schema(), "run: lethe policy schema --write"


def test_the_json_schema_takes_what_the_models_take() -> None:
    schema = json.loads(json_schema())
    concept = schema["$defs"]["Concept"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["id", "concepts"]
    assert {"const": "auto"} in concept["properties"]["threshold"]["anyOf"]
    assert {"$ref": "#/$defs/TextFile"} in concept["properties"]["exemplars"]["items"]["oneOf"]
    assert {kind["type"] for kind in schema["properties"]["refusal"]["anyOf"]} == {
        "string",
        "array",
    }


@pytest.mark.parametrize(("name", "description"), list(described()))
def test_every_key_is_documented_with_its_description(name: str, description: str) -> None:
    first = description.split(". ", maxsplit=1)[0].removesuffix(".")
    rows = [row for row in DOCS.read_text("utf-8").splitlines() if row.startswith(f"| `{name}` |")]
    assert any(first in row for row in rows), f"docs/policies.md: {name}: {first}"


@pytest.mark.parametrize("channel", get_args(SideChannel))
def test_every_side_channel_is_documented(channel: SideChannel) -> None:
    assert f"- `{channel}`: {SIDE_CHANNELS[channel]}\n" in DOCS.read_text("utf-8")


def test_the_documented_example_is_a_policy(tmp_path: Path) -> None:
    _, example, *_ = DOCS.read_text("utf-8").split("```yaml\n")[0:2]
    (tmp_path / "example.yaml").write_text(example.split("```")[0], "utf-8")
    [loaded] = load([tmp_path])
    assert loaded.policy.id == "harbour-novels"
    assert loaded.policy.request["received"] == "2026-01-02"


def test_everything_but_an_id_and_a_name_may_be_left_out() -> None:
    policy = Policy.model_validate(MINIMAL)
    assert policy.mode == "enforce"
    assert policy.on_error == "refuse"
    assert policy.instruction.template == "never-knew"
    assert (policy.screens.prompt.action, policy.screens.output.action) == ("refuse", "refuse")
    assert policy.concepts[0].threshold == "auto"
    assert policy.refusal == ()
    assert policy.allow == ()
    assert policy.release.redaction == "[…]"


@pytest.mark.parametrize("given", [0.5, "0.50", "5e-1", ".5"])
def test_a_threshold_is_a_number_however_it_is_written(given: object) -> None:
    concept = {"name": "Mira Tollan", "threshold": given}
    policy = Policy.model_validate({**MINIMAL, "concepts": [concept]})
    assert policy.concepts[0].threshold == 0.5


@pytest.mark.parametrize("given", [0, 1.01, True, None, "high", "nan", "inf", [0.5], "-1"])
def test_a_threshold_outside_its_range_is_refused(given: object) -> None:
    concept = {"name": "Mira Tollan", "threshold": given}
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Policy.model_validate({**MINIMAL, "concepts": [concept]})


@pytest.mark.parametrize(
    "screens",
    [
        {"prompt": {"action": "reroute", "to": "forgetful"}},
        {"output": {"action": "reroute", "to": "forgetful"}},
        {"output": {"action": "regenerate", "attempts": 3}},
        {"prompt": {"action": "flag"}, "output": {"action": "redact"}},
    ],
)
def test_every_action_can_be_chosen_where_it_means_something(screens: dict[str, object]) -> None:
    policy = Policy.model_validate({**MINIMAL, "screens": screens})
    assert policy.screens.model_dump(exclude_unset=True) == screens


def test_an_action_that_means_nothing_hides_no_second_error() -> None:
    screens = {"output": {"action": "explode", "attempts": 3, "to": "forgetful"}}
    with pytest.raises(ValueError, match="1 validation error"):
        Policy.model_validate({**MINIMAL, "screens": screens})


def test_an_instruction_of_ones_own_needs_no_template() -> None:
    instruction = {"text": 'Forget {concepts}, and keep {"json": 1}.', "placement": "developer"}
    policy = Policy.model_validate({**MINIMAL, "instruction": instruction})
    assert policy.instruction.text == instruction["text"]
    unset = Policy.model_validate({**MINIMAL, "instruction": {"text": None}})
    assert unset.instruction.template == "never-knew"


def test_a_refusal_is_one_wording_or_several() -> None:
    assert Policy.model_validate({**MINIMAL, "refusal": " No. "}).refusal == ("No.",)
    assert Policy.model_validate({**MINIMAL, "refusal": ["No.", "Sorry."]}).refusal == (
        "No.",
        "Sorry.",
    )


def test_a_request_block_fits_into_an_audit_record() -> None:
    with pytest.raises(ValueError, match="must not exceed 4000 characters as JSON"):
        Policy.model_validate({**MINIMAL, "request": {"ticket": "x" * 4000}})


def test_an_empty_release_window_is_refused_on_its_own_account() -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        Policy.model_validate({**MINIMAL, "release": {"max_segment": "x", "max_held": 500}})


def test_forbidden_text_is_not_in_a_policys_repr() -> None:
    policy = Policy.model_validate(
        {
            "id": "a",
            "concepts": [
                {
                    "name": "Mira Tollan",
                    "aliases": ["Mira Tollan's alias"],
                    "exemplars": ["Mira Tollan writes.", {"file": "tollan.txt"}],
                    "neighbours": ["Near Mira Tollan."],
                }
            ],
            "instruction": {"text": "No Tollan: {concepts}"},
            "request": {"person": "Mira Tollan"},
        }
    )
    assert "tollan" not in repr(policy).lower()


def test_no_part_takes_unknown_keys() -> None:
    parts = Policy.model_json_schema()["$defs"].values()
    assert all(part["additionalProperties"] is False for part in parts)


@pytest.mark.parametrize("value", [float("nan"), date(2026, 1, 2)])
def test_a_request_block_that_no_record_could_hold_is_an_error(value: object) -> None:
    with pytest.raises(ValidationError, match="JSON values only"):
        Policy.model_validate({**MINIMAL, "request": {"received": value}})
