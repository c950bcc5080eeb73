"""Weights and what is said of them: written together, or not at all, and checked when read."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unlearning import lineage
from unlearning.lineage import FILE, Cost, Lineage, LineageError


def weights(directory: Path, value: float = 1.0) -> Lineage:
    save_file({"w": torch.full((3,), value)}, directory / "model.safetensors")
    return Lineage(
        method="npo",
        settings={"beta": 0.1},
        base="b",
        weights=lineage.weights_digest(directory),
        seed=3,
        packages=lineage.packages(),
        cost=Cost(wall_s=1.5, steps=4, tokens=99),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    said = weights(tmp_path)
    said.write(tmp_path)
    assert lineage.read(tmp_path) == said
    assert lineage.verify(tmp_path) == said
    assert {"python", "torch", "transformers"} <= set(said.packages)


def test_changed_weights_are_noticed(tmp_path: Path) -> None:
    weights(tmp_path).write(tmp_path)
    weights(tmp_path, 2.0)
    with pytest.raises(LineageError, match="not those"):
        lineage.verify(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a lineage"),
        ('{"version": 2}', "not a lineage of version 1"),
        ('{"version": 1, "metod": "npo"}', "metod: unknown key"),
        ('{"version": 1, "method": "npo"}', "missing"),
    ],
)
def test_a_damaged_file_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / FILE).write_text(text, "utf-8")
    with pytest.raises(LineageError, match=said):
        lineage.read(tmp_path)


def test_no_file_and_no_weights_are_said(tmp_path: Path) -> None:
    with pytest.raises(LineageError, match=FILE):
        lineage.read(tmp_path)
    with pytest.raises(LineageError, match="safetensors"):
        lineage.weights_digest(tmp_path)


def test_the_digest_of_rows_follows_content_and_order() -> None:
    one: list[dict[str, object]] = [{"a": 1, "b": 2}, {"a": 3}]
    assert lineage.rows_digest(one) == lineage.rows_digest([{"b": 2, "a": 1}, {"a": 3}])
    assert lineage.rows_digest(one) != lineage.rows_digest(one[::-1])


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(IsADirectoryError), lineage.placed(target) as filling:
        filling.write_text("half", "utf-8")
    assert list(tmp_path.iterdir()) == []
    with lineage.placed(target) as filling:
        (filling / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]
    with pytest.raises(FileExistsError, match="already there"), lineage.placed(target):
        pass
    assert json.dumps([path.name for path in target.iterdir()]) == '["whole"]'


def test_costs_add_up_and_the_highest_memory_stays() -> None:
    total = Cost(1, 2, 0, 3, 4, 500).plus(Cost(1, 1, 1, 1, 1, 100))
    assert total == Cost(2, 3, 1, 4, 5, 500)
