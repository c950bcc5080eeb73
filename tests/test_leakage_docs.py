"""docs/leakage.md says what the formats are: its examples are read, its tables are complete."""

import re
from dataclasses import fields
from pathlib import Path

from leakage import probes
from leakage.attacks import ATTACKS, apply
from leakage.probes import Probe

PAGE = (Path(__file__).parents[1] / "docs" / "leakage.md").read_text(encoding="utf-8")


def test_the_probes_on_the_page_are_probes(tmp_path: Path) -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    path = tmp_path / "probes.jsonl"
    path.write_text(example[1], encoding="utf-8")
    assert [probe.split for probe in probes.read(path)] == ["forget", "world"]


def test_every_key_of_a_probe_is_on_the_page() -> None:
    assert [f.name for f in fields(Probe) if f"| `{f.name}` |" not in PAGE] == []


def test_every_sentence_that_asks_for_a_format_is_on_the_page() -> None:
    probe = Probe("1", "c", "direct", "forget", "Why?", ("x",))
    suffixes = [apply(probe, name).prompt.removeprefix("Why? ") for name in ATTACKS]
    asked = [text for text in suffixes if re.fullmatch(r"[A-Z][\w ]+\.", text)]
    assert len(asked) == 8
    flowing = " ".join(PAGE.split())
    assert [text for text in asked if f'"{text}"' not in flowing] == []
