"""Transcripts read as ccusage reads them, line by line: those that the lake does not hold as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from tokenlake.reconcile.sight import Sighted
from tokenlake.sources import ccusage

if TYPE_CHECKING:
    import pyarrow as pa

_ROW = tuple(field.name for field in fields(ccusage.Row))
_TEXTS = ("session_id", "message_id", "request_id", "uuid", "model", "speed")


def read(files: Iterable[Sighted]) -> tuple[pa.Table, pa.Table]:
    """The rows that ccusage takes from the files, and the lines with usage that it leaves out.

    Of rows: file_id, path, line, offset, and the fields of `ccusage.Row`; of lines left out: file_id, line, reason.
    A file that has vanished has none.
    """
    import pyarrow as pa

    rows: list[tuple[Any, ...]] = []
    skipped: list[tuple[int, int, str]] = []
    for file in files:
        offset = 0
        for number, line in enumerate(_lines(file.place), 1):
            if ccusage.MARK in line:
                found = ccusage.read(line.removesuffix(b"\n"))
                if isinstance(found, str):
                    skipped.append((file.file_id, number, found))
                else:
                    rows += [
                        (file.file_id, file.path, number, offset, *(getattr(row, name) for name in _ROW))
                        for row in found
                    ]
            offset += len(line)
    places = [("file_id", pa.int64()), ("path", pa.string()), ("line", pa.int64()), ("offset", pa.int64())]
    row_schema = pa.schema([*places, *((name, _type(name)) for name in _ROW)])
    skipped_schema = pa.schema([("file_id", pa.int64()), ("line", pa.int64()), ("reason", pa.string())])
    return _table(rows, row_schema), _table(skipped, skipped_schema)


def _lines(place: str | None) -> Iterable[bytes]:
    if place is None:
        return
    try:
        with open(place, "rb") as file:
            yield from file
    except OSError:
        return


def _type(name: str) -> pa.DataType:
    import pyarrow as pa

    if name == "ts":
        return pa.timestamp("us", "UTC")
    if name.startswith("is_"):
        return pa.bool_()
    if name in _TEXTS:
        return pa.string()
    if name == "advisor_entry":
        return pa.int64()
    # Its counts may be one bit longer than the lake's.
    return pa.float64() if name == "cost_logged" else pa.decimal128(20, 0)


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
