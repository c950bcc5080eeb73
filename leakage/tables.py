"""Rows of a published table: from a JSONL file of a folder, or by `datasets`. Knows no probe."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class DataError(ValueError):
    """A data set that cannot be had or read. Says what to do, and quotes no row."""


@dataclass(frozen=True, slots=True)
class Table:
    """Where a table stands.

    file            in a folder of JSONL files
    repo            on the hub, or as a folder of this name in a copy of it
    config, split   of that repository
    """

    file: str
    repo: str
    config: str
    split: str

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.file} ({self.repo} {self.config} {self.split})"

    def stands_in(self, folder: Path) -> bool:
        """Whether a folder holds it, as a file or in a copy of its repository."""
        return (folder / self.file).is_file() or (folder / self.repo).is_dir()


def rows(table: Table, folder: Path | None) -> list[Row]:
    """All rows: of the folder's JSONL file, else of its copy of the hub; of the hub without folder.

    Raises DataError, OSError.
    """
    if folder is None:
        return _from_hub(table, table.repo)
    if (folder / table.file).is_file():
        return _from_file(folder / table.file)
    if (folder / table.repo).is_dir():
        return _from_hub(table, str(folder / table.repo))
    raise DataError(
        f"{folder}: holds neither {table.file} nor {table.repo}/; give another folder, or set "
        "`hub: true` in place of it to download"
    )


def _from_file(path: Path) -> list[Row]:
    found: list[Row] = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise DataError(f"{path}:{number}: is no JSON in UTF-8") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: is no JSON object")
        found.append(row)
    return found


def _from_hub(table: Table, place: str) -> list[Row]:
    try:
        import datasets  # noqa: PLC0415 (as large as torch, and optional)
    except ImportError:
        raise DataError(
            "data sets are downloaded by `datasets`: pip install 'lethe-proxy[hub]', or give a "
            "folder of JSONL files with --data"
        ) from None
    try:
        loaded = datasets.load_dataset(place, table.config, split=table.split)
    except Exception as error:  # noqa: BLE001 (it raises what a dozen libraries raise)
        raise DataError(
            f"{table.name}: could not be loaded ({type(error).__name__}); is the hub reachable? "
            "Else give a folder with --data"
        ) from None
    return [dict(row) for row in loaded]
