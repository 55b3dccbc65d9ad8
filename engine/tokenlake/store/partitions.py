"""The Parquet files of a table: read as SQL, written sorted and partitioned by month, found by what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.schema import Table

if TYPE_CHECKING:
    import duckdb

UNKNOWN_MONTH = "unknown"
"""The partition of rows that have no time at all."""

_ROW_GROUP_ROWS = 122_880
_SMALL_FILE_BYTES = 4 << 20
_MANY_SMALL_FILES = 8


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
    return f"coalesce(strftime(\"{table.order[0]}\" at time zone 'UTC', '%Y-%m'), '{UNKNOWN_MONTH}')"


def write(con: duckdb.DuckDBPyConnection, table: Table, query: str, folder: Path, tag: str) -> list[Path]:
    """Writes the rows of `query` below `folder`, sorted, one file a month; returns the files.

    A monthly table lies in `<table>/month=YYYY-MM/<tag>-N.parquet`, any other in `<table>/<tag>-N.parquet`.
    """
    names = ", ".join(f'"{name}"' for name in table.names)
    order = ", ".join(f'"{name}"' for name in table.order)
    target = folder / table.name
    target.mkdir(parents=True, exist_ok=True)
    options = f"format parquet, compression zstd, row_group_size {_ROW_GROUP_ROWS}"
    if table.monthly:
        con.execute(
            f"copy (select {names}, {month(table)} as month from ({query}) order by month, {order})"
            f" to {quoted(str(target))}"
            f" ({options}, partition_by (month), filename_pattern '{tag}-{{i}}', overwrite_or_ignore)"
        )
    else:
        con.execute(
            f"copy (select {names} from ({query}) order by {order})"
            f" to {quoted(str(target / f'{tag}-0.parquet'))} ({options})"
        )
    return sorted(path for path in target.rglob(f"{tag}-*.parquet"))


def small_files(paths: Iterable[str], months: Iterable[str]) -> list[str]:
    """The small files of partitions that hold many of them: worth writing together with new rows."""
    wanted = {f"month={month}" for month in months}
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        folder = os.path.dirname(path)
        if os.path.basename(folder) in wanted and os.path.getsize(path) < _SMALL_FILE_BYTES:
            by_folder.setdefault(folder, []).append(path)
    return [path for group in by_folder.values() if len(group) >= _MANY_SMALL_FILES for path in group]
