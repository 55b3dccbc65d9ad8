"""Brings the data files of an older lake to the present schema, version by version; nothing is lost by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import LakeDamagedError
from tokenlake.schema import BY_NAME, REQUEST_SUMS, REQUESTS, SCHEMA_VERSION, Table
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
    import duckdb

    migrated = replace(snapshot, commit=snapshot.commit + 1, version=SCHEMA_VERSION)
    try:
        for name in snapshot.files:
            table = BY_NAME.get(name.removeprefix(COPIES_PREFIX))
            if table is not None:  # else of a table that this version does not know: left as it is
                migrated = _with_every_column(con, migrated, replace(table, name=name), staging)
        name = REQUESTS.name
        return _with_sums(con, migrated, staging)
    except duckdb.Error as error:
        if isinstance(error, duckdb.OutOfMemoryException):
            raise
        raise LakeDamagedError(
            f"{snapshot.root}: table {name} cannot be read ({str(error).splitlines()[0]});"
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


def _with_sums(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, staging: Path) -> Snapshot:
    """Writes the sums of those requests files that have none."""
    there = set(snapshot.files.get(REQUEST_SUMS.name, ()))
    for requests in snapshot.files.get(REQUESTS.name, ()):
        if sums.path_of(requests) not in there:
            query = sums.query([str(snapshot.root / requests)])
            written = partitions.write(con, REQUEST_SUMS, query, staging, sums.tag_of(requests))
            names = [str(path.relative_to(snapshot.root)) for path in written]
            snapshot = snapshot.changed(REQUEST_SUMS.name, [], names)
    return snapshot
