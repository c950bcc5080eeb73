"""Records as a Parquet file, a column a field, for other tools to count. Knows no arm."""

from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from leakage.records import VERSION, Record, RecordError, from_row, to_row

_KIND = b"lethe-leakage-records"
_MISSING = "records as Parquet need pyarrow: pip install 'lethe-proxy[hub]'"


def write(path: Path, records: Iterable[Record]) -> None:
    """Write all records, replacing what is there. Raises RecordError without pyarrow, OSError."""
    arrow, parquet = _pyarrow()
    rows = [to_row(record) for record in records]
    schema = _schema(arrow).with_metadata({_KIND: str(VERSION).encode()})
    path.touch(mode=0o600)
    path.chmod(0o600)  # answers, where they were kept, are in it
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def read(path: Path) -> list[Record]:
    """The records of a file that `write` wrote. Raises RecordError, OSError."""
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
    except arrow.ArrowInvalid:
        raise RecordError(f"{path}: is no Parquet file") from None
    version = (table.schema.metadata or {}).get(_KIND)
    if version != str(VERSION).encode():
        raise RecordError(f"{path}: holds no leakage records of version {VERSION}")
    return [
        from_row(_plain(row), f"{path}: row {number}")
        for number, row in enumerate(table.to_pylist(maps_as_pydicts="strict"), start=1)
    ]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Without what may be absent and is: a column holds a null there."""
    return {name: value for name, value in row.items() if value is not None or name in _ALWAYS}


def _schema(arrow: Any) -> Any:  # noqa: ANN401 (pyarrow ships no types)
    text, number, whole = arrow.string(), arrow.float64(), arrow.int64()
    token = [("role", text), ("logprobs", arrow.list_(number)), ("ranks", arrow.list_(whole))]
    nested = {
        "likelihoods": arrow.list_(arrow.struct(token)),
        "measured": arrow.map_(text, number),
    }
    types = {str: text, int: whole, float: number, bool: arrow.bool_()}
    return arrow.schema(
        [(f.name, nested[f.name] if f.name in nested else types[_kind(f)]) for f in fields(Record)]
    )


def _kind(field: "Field[Any]") -> type:
    """What stands in a column, beside nulls; a Literal is one of some texts."""
    if get_origin(field.type) is Literal:
        return str
    (kind,) = [each for each in get_args(field.type) or (field.type,) if each is not NoneType]
    found: type = kind
    return found


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # noqa: PLC0415 (as large as torch, and optional)
        from pyarrow import parquet  # noqa: PLC0415 (the same)
    except ImportError:
        raise RecordError(_MISSING) from None
    return pyarrow, parquet


_ALWAYS = frozenset(f.name for f in fields(Record) if f.default is MISSING)
