"""Columns of a made-up table as Parquet files like those of the store, written without ever making plain strings."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tokenlake.schema import Table, arrow_schema
from tokenlake.store import private
from tokenlake.store.partitions import ROW_GROUP_ROWS, parquet_options
from tokenlake.synth.lakes_days import Flags, Generator, Ints

_LETTERS: Final = (b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" * 5)[:256]
_HEX: Final = b"0123456789abcdef" * 16


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of strings or numbers as places in its distinct values; -1 is null."""

    codes: Ints
    values: pa.Array


Column: TypeAlias = npt.NDArray[Any] | pa.Array | Coded
"""One value a row. Timestamps are int64 microseconds since the epoch."""


def words(values: list[str]) -> pa.Array:
    """Give distinct values for coded columns."""
    return pa.array(values, pa.string())


def random_ids(rng: Generator, count: int, prefix: bytes, length: int, *, hexadecimal: bool = False) -> pa.Array:
    """Draw ids of `length` letters and digits behind a prefix."""
    matrix = np.empty((count, len(prefix) + length), np.uint8)
    matrix[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    matrix[:, len(prefix) :] = _signs(rng, count, length, _HEX if hexadecimal else _LETTERS)
    return strings(matrix)


def random_uuids(rng: Generator, count: int) -> pa.Array:
    """Draw UUIDs."""
    matrix = _signs(rng, count, 36, _HEX).copy()
    for place, sign in ((8, b"-"), (13, b"-"), (14, b"4"), (18, b"-"), (23, b"-")):
        matrix[:, place] = sign[0]
    return strings(matrix)


def _signs(rng: Generator, count: int, length: int, alphabet: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(rng.bytes(count * length).translate(alphabet), np.uint8).reshape(count, length)


def strings(matrix: npt.NDArray[np.uint8]) -> pa.Array:
    """Make a string of every row of characters."""
    count, width = matrix.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    data = np.ascontiguousarray(matrix)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))


def in_order(ids: pa.Array, times: Ints) -> pa.Array:
    """Exchange drawn ids, one a row in order of time, so that rows of the same time are sorted by them too."""
    same = np.flatnonzero(np.diff(times) == 0)
    if not len(same):
        return ids
    rows = np.unique(np.concatenate([same, same + 1]))
    texts = ids.take(pa.array(rows)).to_numpy(zero_copy_only=False).astype(str)
    places = np.arange(len(ids))
    places[rows] = rows[np.lexsort((texts, times[rows]))]
    return ids.take(pa.array(places))


def write_table(table: Table, columns: Mapping[str, Column], folder: Path, tag: str) -> list[Path]:
    """Write rows that are sorted by the table's order, one file a UTC month, as the store lays them out.

    Columns that are not given are null. Returns the files: `<table>/month=YYYY-MM/<tag>.parquet`, or
    `<table>/<tag>.parquet` for a table that is not monthly; none where there are no rows.
    """
    count = count_rows(columns)
    if not count:
        return []
    paths = []
    for month, start, end in _months(columns[table.order[0]], count) if table.monthly else [("", 0, count)]:
        path = folder / table.name / month / f"{tag}.parquet"
        private.make_folder(path.parent)
        _write_file(table, columns, start, end, path)
        path.chmod(private.FILE_MODE)
        paths.append(path)
    return paths


def count_rows(columns: Mapping[str, Column]) -> int:
    """Give how many rows columns have."""
    first = next(iter(columns.values()))
    return len(first.codes) if isinstance(first, Coded) else len(first)


def _months(times: Column, count: int) -> list[tuple[str, int, int]]:
    """Give the months of sorted times, with the first row of each and the one behind its last."""
    assert isinstance(times, np.ndarray)
    first, last = (datetime.fromtimestamp(int(us) // 10**6, UTC) for us in (times[0], times[-1]))
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    starts = [int(datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC).timestamp()) * 10**6 for n in numbers]
    bounds = [int(place) for place in np.searchsorted(times, np.array(starts, np.int64))] + [count]
    names = [f"month={n // 12}-{n % 12 + 1:02}" for n in numbers]
    return [part for part in zip(names, bounds[:-1], bounds[1:], strict=True) if part[1] < part[2]]


def _write_file(table: Table, columns: Mapping[str, Column], start: int, end: int, path: Path) -> None:
    final = arrow_schema(table)
    coded = {name for name, column in columns.items() if isinstance(column, Coded)}
    schema = pa.schema(
        pa.field(field.name, pa.dictionary(pa.int32(), field.type) if field.name in coded else field.type)
        for field in final
    )
    with pq.ParquetWriter(path, schema, store_schema=False, **parquet_options(table, end - start)) as writer:
        # Of its strings a file of the store knows nothing but that they are strings.
        writer.add_key_value_metadata({"ARROW:schema": base64.b64encode(final.serialize()).decode()})
        for low in range(start, end, ROW_GROUP_ROWS):
            high = min(end, low + ROW_GROUP_ROWS)
            arrays = [_part(columns.get(field.name), field.type, low, high) for field in final]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=ROW_GROUP_ROWS)


def _part(column: Column | None, kind: pa.DataType, low: int, high: int) -> pa.Array:
    """Give the rows from `low` up to `high` of a column."""
    if column is None:
        return pa.nulls(high - low, kind)
    if isinstance(column, Coded):
        return _coded_part(column, low, high)
    part = column[low:high]
    if isinstance(part, np.ndarray):
        array = pa.array(part)
        return array.view(kind) if pa.types.is_timestamp(kind) else array.cast(kind)
    return part


def _coded_part(column: Coded, low: int, high: int) -> pa.Array:
    """Give a part of a coded column with no other values than its own."""
    codes, values = column.codes[low:high], column.values
    used: Flags = np.zeros(len(values) + 1, np.bool_)
    used[codes] = True  # null's -1 is the last place
    found = np.flatnonzero(used[:-1])
    if len(found) < len(values):
        places = np.empty(len(values) + 1, np.int64)
        places[found] = np.arange(len(found))
        places[-1] = -1
        codes, values = places[codes], values.take(pa.array(found))
    indices = codes.astype(np.int32)
    mask = indices < 0 if used[-1] else None
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=mask), values)
