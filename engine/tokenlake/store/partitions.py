"""The Parquet files of a table: read as SQL, written sorted and partitioned by month, found by what they hold."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.schema import Table, arrow_schema
from tokenlake.store import private

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

UNKNOWN_MONTH = "unknown"
"""The partition of rows that have no time at all."""

ROW_GROUP_ROWS = 122_880
"""Rows of a row group."""

_NEVER_ALIKE = frozenset(
    [
        *("key", "id", "message_id", "request_id", "uuid", "tool_use_id", "text", "detail", "target", "raw", "head"),
        "result_ts",
    ]
)
# Written as differences: a third smaller than with a dictionary, and read two to three times as fast.
_PACKED = frozenset(
    [
        *("ts", "first_ts", "last_ts", "offset", "line", "output_tokens"),
        *("context_tokens", "min_context_tokens", "max_context_tokens"),
        *("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens"),
    ]
)
_SOUGHT = frozenset(["key", "id", "tool_use_id"])
_FALSE_POSITIVES = 0.01
_SMALL_FILE_BYTES = 1 << 20
_MANY_SMALL_FILES = 8
_GROUP_BYTES = 4 << 20


def relation(table: Table, paths: Sequence[str], *, filename: bool = False) -> str:
    """SQL that reads the table from its data files; an empty relation of the right columns where there are none."""
    if not paths:
        columns = ", ".join(f'null::{column.type} as "{column.name}"' for column in table.columns)
        extra = ", null::varchar as filename" if filename else ""
        return f"(select {columns}{extra} limit 0)"
    names = ", ".join(quoted(path) for path in paths)
    options = ", filename = true" if filename else ""
    return f"read_parquet([{names}], hive_partitioning = false{options})"


def quoted(text: str) -> str:
    """A string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def month(table: Table) -> str:
    """The month a row belongs to, as an SQL expression (accounting rule 26)."""
    # Of the plain timestamp, which takes half as long as of one with a time zone.
    return f"coalesce(strftime(make_timestamp(epoch_us(\"{table.order[0]}\")), '%Y-%m'), '{UNKNOWN_MONTH}')"


def write(con: duckdb.DuckDBPyConnection, table: Table, query: str, folder: Path, tag: str) -> list[Path]:
    """Writes the rows of `query` below `folder`, sorted, one file a month; returns the files.

    A monthly table lies in `<table>/month=YYYY-MM/<tag>.parquet`, any other in `<table>/<tag>.parquet`. The meaning
    and unit of each column go into the file with its schema.
    """
    names = ", ".join(f'"{name}"' for name in table.names)
    order = ", ".join(f'"{name}"' for name in table.order)
    months = month(table) if table.monthly else "''"
    # The order begins with what the month is of, so the rows of a month lie together. They are not held all at once.
    rows = con.sql(f"select {names}, {months} as month from ({query}) order by {order}").to_arrow_reader(ROW_GROUP_ROWS)
    paths = []
    for name, groups in itertools.groupby(_row_groups(rows), itemgetter(0)):
        paths.append(folder / table.name / (f"month={name}" if table.monthly else "") / f"{tag}.parquet")
        _write_file(paths[-1], table, (group for _, group in groups))
    if not paths and not table.monthly:
        paths.append(folder / table.name / f"{tag}.parquet")
        _write_file(paths[0], table, iter([arrow_schema(table).empty_table()]))
    return paths


def _row_groups(rows: pa.RecordBatchReader) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each month in pieces of ROW_GROUP_ROWS, the last one smaller, of rows sorted by their month."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name, held = "", pa.Table.from_batches([], rows.schema)
    for batch in rows:
        start = 0
        for counted in pc.value_counts(batch["month"]).to_pylist():
            if counted["values"] != name and held.num_rows:
                yield name, held
                held = held.slice(0, 0)
            name = counted["values"]
            held = pa.concat_tables([held, pa.Table.from_batches([batch.slice(start, counted["counts"])])])
            start += counted["counts"]
            if held.num_rows >= ROW_GROUP_ROWS:
                yield name, held.slice(0, ROW_GROUP_ROWS)
                held = held.slice(ROW_GROUP_ROWS)
    if held.num_rows:
        yield name, held


def _write_file(path: Path, table: Table, groups: Iterator[pa.Table]) -> None:
    """Writes one data file, each of `groups` a row group; all but the last have ROW_GROUP_ROWS."""
    import pyarrow.parquet as pq

    schema = arrow_schema(table)
    first = next(groups)
    private.make_folder(path.parent)
    with pq.ParquetWriter(path, schema, **parquet_options(table, first.num_rows)) as writer:
        for group in itertools.chain([first], groups):
            writer.write_table(group.select(table.names).cast(schema), row_group_size=ROW_GROUP_ROWS)


def parquet_options(table: Table, rows: int) -> dict[str, Any]:
    """How pyarrow writes a data file of so many rows: compression, dictionaries, and a Bloom filter on every id.

    Whether a lake holds an id is asked of each of its row groups by every ingest; the filters answer for nearly all.
    """
    ndv = max(1, min(rows, ROW_GROUP_ROWS))
    return {
        "compression": "zstd",
        # Ids differ from row to row: looking for a dictionary of them would be in vain.
        "use_dictionary": [name for name in table.names if name not in _NEVER_ALIKE | _PACKED],
        "column_encoding": dict.fromkeys(_PACKED.intersection(table.names), "DELTA_BINARY_PACKED"),
        "bloom_filter_options": {
            name: {"ndv": ndv, "fpp": _FALSE_POSITIVES} for name in table.names if name in _SOUGHT
        },
    }


def groups(paths: Iterable[str]) -> list[list[str]]:
    """Data files in groups that are small enough to be rewritten at once; a large file is a group of its own."""
    result: list[list[str]] = []
    room = 0
    for path in sorted(paths):
        size = os.path.getsize(path)
        if size > room:
            result.append([])
            room = _GROUP_BYTES
        result[-1].append(path)
        room -= size
    return result


def small_files(paths: Iterable[str]) -> list[list[str]]:
    """Groups of small files, each of one month that holds many of them: worth being made one file."""
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        if os.path.getsize(path) < _SMALL_FILE_BYTES:
            by_folder.setdefault(os.path.basename(os.path.dirname(path)), []).append(path)
    return [group for group in by_folder.values() if len(group) >= _MANY_SMALL_FILES]
