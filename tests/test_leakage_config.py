"""The configuration of a run: read strictly, mistakes told at their line, secrets from outside."""

import re
from pathlib import Path
from typing import Any

import pytest

from leakage import config as configuration
from leakage.attacks import CATALOGUE
from leakage.config import ConfigError, Ready, attacks_of, read

WHOLE = """\
probes: {file: probes.jsonl}
arms:
  - name: base
    url: http://127.0.0.1:8080/v1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arms: [", "run.yaml:1: "),
        ("- a", "run.yaml:1: write keys and values"),
        (WHOLE + "drawz: 2\n", "run.yaml:5: drawz: unknown key"),
        (WHOLE + "draws: 0\n", "run.yaml:5: draws: Input should be greater than"),
        (WHOLE + "draws: 1\ndraws: 2\n", "run.yaml:6: draws: stands here twice"),
        (WHOLE + "attacks: [jsn]\n", "run.yaml:5: attacks: 'jsn': .* did you mean 'json'"),
        (WHOLE + "helper: h\n", "run.yaml:5: helper: no arm is named 'h'"),
        (WHOLE + "  - {name: base, url: x}\n", "run.yaml:5: arms: 'base' is named twice"),
        (WHOLE + "  - {name: b, url: x, keyenv: K}\n", "run.yaml:5: arms.1.keyenv: unknown key"),
        ("probes: {file: x}\n", "run.yaml:1: arms: is missing"),
        ("probes: {}\narms: [{name: a, url: x}]\n", "run.yaml:1: probes: give one of `file`"),
        ("probes: {folder: d}\narms: [{name: a, url: x}]\n", "sets: name the sets to use"),
    ],
)
def test_a_mistake_is_told_at_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(written(tmp_path, text))


def test_text_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"probes: \xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read(path)


def ready(folder: Path, **arm: Any) -> Ready:
    given = {"name": "a", "url": "http://127.0.0.1:${port:x}/v1", **arm}
    config = configuration.Config.model_validate(
        {
            "probes": {"file": "p.jsonl"},
            "arms": [given],
            "programs": [{"name": "x", "run": ["serve", "${port:x}", "${out}/f"],
                          "ready": "http://127.0.0.1:${port:x}/"}],
        }
    )  # fmt: skip
    return Ready(config, folder=folder, out=folder / "out")


def test_secrets_come_from_the_environment_and_are_missed_by_name(tmp_path: Path) -> None:
    filled = ready(tmp_path, headers={"x-key": "Bearer ${SECRET_KEY}"})
    (arm,) = filled.arms({"SECRET_KEY": "s3cret"})
    assert arm.headers == {"x-key": "Bearer s3cret"}
    assert "s3cret" not in repr(arm)
    with pytest.raises(ConfigError, match=r"\$SECRET_KEY is not set"):
        filled.arms({})


def test_a_port_is_free_and_the_same_wherever_it_is_named(tmp_path: Path) -> None:
    filled = ready(tmp_path)
    (arm,) = filled.arms({})
    (program,) = filled.programs
    port = arm.base_url.rpartition(":")[2].partition("/")[0]
    assert program.command == ("serve", port, f"{tmp_path}/out/f")
    assert program.ready == f"http://127.0.0.1:{port}/"
    assert filled.where() == {"a": "http://127.0.0.1:${port:x}/v1"}


def test_files_of_an_arm_tell_one_make_of_it_from_another(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("a")
    first = ready(tmp_path, files=["policy.yaml"]).made_of()
    (tmp_path / "policy.yaml").write_text("b")
    assert ready(tmp_path, files=["policy.yaml"]).made_of() != first
    with pytest.raises(ConfigError, match=r"arm 'a': files: .*gone: No such file"):
        ready(tmp_path, files=["gone"]).made_of()


def test_attacks_are_all_some_or_none(tmp_path: Path) -> None:
    def of(more: str) -> list[str]:
        return list(attacks_of(read(written(tmp_path, WHOLE + more))))

    assert of("") == list(CATALOGUE)
    assert of("attacks: none\n") == []
    assert of("attacks: [leet, json]\n") == ["json", "leet"]
    assert "json" not in of("leave_out: [json]\n")


def test_every_key_is_on_the_page() -> None:
    page = (Path(__file__).parents[1] / "docs" / "leakage-run.md").read_text(encoding="utf-8")
    parts = (configuration.Config, configuration.ArmConfig, configuration.ProbesConfig,
             configuration.ProgramConfig)  # fmt: skip
    keys = [name for part in parts for name in part.model_fields]
    parents = {"probes", "arms", "programs"}
    missing = [k for k in keys if k not in parents and not re.search(rf"`(?:\S*\.)?{k}`", page)]
    assert missing == []


def test_the_configuration_on_the_page_and_that_of_the_testbed_are_read(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    page = (root / "docs" / "leakage-run.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    assert [arm.role for arm in read(written(tmp_path, example[1])).arms] == ["base", "both"]
    testbed = read(root / "benchmarks" / "testbed" / "run.yaml")
    assert len(attacks_of(testbed)) >= 60
    assert {arm.role for arm in testbed.arms} >= {
        "base",
        "retrained",
        "weights",
        "prompt",
        "screen",
    }


@pytest.mark.parametrize("name", ["run", "tofu"])
def test_the_testbeds_configurations_are_read(name: str) -> None:
    path = Path(__file__).parents[1] / "benchmarks" / "testbed" / f"{name}.yaml"
    assert {arm.role for arm in read(path).arms} >= {"base", "retrained", "weights"}
