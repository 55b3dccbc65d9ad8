"""Brings the data files of an older lake to the present schema, version by version; nothing is lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import LakeDamagedError
from tokenlake.schema import BY_NAME, REQUESTS, SCHEMA_VERSION, Table
from tokenlake.store import partitions, sums
from tokenlake.store.catalog import COPIES_PREFIX, Snapshot

if TYPE_CHECKING:
    import duckdb

# What each version changed:
#   2  tables quota_samples and known_prompts; columns at the end of `files`.
#   3  table request_sums, made of the requests that there are.
# Another table that is new has no files in an older lake. A column that is new is null in the rows that were written
# without it: what it counts is not known of them.


def migrate(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, staging: Path) -> Snapshot:
    """The snapshot of an older lake in the present schema; data files that had to be written anew lie in `staging`.

    The caller commits it: until then the lake is as it was. Raises LakeDamagedError where a data file cannot be read.
    """
    migrated = replace(snapshot, commit=snapshot.commit + 1, version=SCHEMA_VERSION)
    for name in snapshot.files:
        table = BY_NAME.get(name.removeprefix(COPIES_PREFIX))
        if table is not None:  # else of a table that this version does not know: left as it is
            with _worded(snapshot.root, name):
                migrated = _with_every_column(con, migrated, replace(table, name=name), staging)
    with _worded(snapshot.root, REQUESTS.name):
        return sums.complete(con, migrated, staging)


@contextmanager
def _worded(root: Path, table: str) -> Iterator[None]:
    """Words what the engine says of the data files of a table."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise LakeDamagedError(
            f"{root}: table {table} cannot be read ({str(error).splitlines()[0]});"
            " restore it from a backup, or ingest into a new --lake"
        ) from error


def _with_every_column(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: Table, staging: Path) -> Snapshot:
    """Writes those data files of a table anew that lack columns, each by itself."""
    for number, name in enumerate(snapshot.files[table.name]):
        path = str(snapshot.root / name)
        there = {row[0] for row in con.execute(f"describe from {partitions.relation(table, [path])}").fetchall()}
        lacking = [column for column in table.columns if column.name not in there]
        if not lacking:
            continue
        nulls = ", ".join(f'null::{column.type} as "{column.name}"' for column in lacking)
        query = f"select *, {nulls} from {partitions.relation(table, [path])}"
        written = partitions.write(con, table, query, staging, f"{snapshot.commit:06d}-v{SCHEMA_VERSION}-{number}")
        snapshot = snapshot.changed(table.name, [name], [str(path.relative_to(snapshot.root)) for path in written])
    return snapshot
