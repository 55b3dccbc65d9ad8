"""A DuckDB connection that sees one snapshot of a lake: its tables, the views on them, and the filters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake import schema
from tokenlake.errors import LakeDamagedError, QueryError
from tokenlake.query import views
from tokenlake.query.filters import Filters
from tokenlake.query.saved import explained, shipped_folder
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

NO_FILTERS = Filters()


def connect(
    snapshot: Snapshot, *, dedup: str = "max", filters: Filters = NO_FILTERS
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection with a view per table of the schema over exactly the snapshot's files.

    A table without files is an empty view of the same columns. On these stand the views of queries/views,
    then `selected`: the requests under the dedup mode (accounting rule 13) and the filters; then the
    filtered views of other tables. The session's TimeZone is UTC. Raises UsageError for an unknown dedup
    mode, LakeDamagedError where a data file cannot be opened, QueryError for a view that DuckDB refuses.
    """
    import tempfile

    import duckdb

    chosen = views.selected(dedup, filters)
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            # A table name that is misspelt must not find a variable of the calling Python code.
            "python_enable_replacements": "false",
            # An in-memory database would spill to `.tmp` in whatever folder the user happens to stand.
            "temp_directory": f"{tempfile.gettempdir()}/tokenlake-spill",
        }
    )
    try:
        connection.execute("set TimeZone = 'UTC'")
        for name, value in filters.in_use.items():
            connection.execute(f"set variable {name} = $value", {"value": value})
        for table in schema.TABLES:
            connection.execute(_table_view(table, snapshot.paths(table.name)))
        for path, text in views.ordered(shipped_folder() / "views"):
            _create_view(connection, path, text)
        connection.execute(chosen)
        for statement in views.filtered(filters):
            connection.execute(statement)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:  # a file is missing, or is no Parquet
        connection.close()
        reason = explained(error)[0]
        raise LakeDamagedError(f"{snapshot.root}: {reason}; restore the file, or ingest anew") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _create_view(connection: duckdb.DuckDBPyConnection, path: Path, text: str) -> None:
    import duckdb

    try:
        connection.execute(f"create view {path.stem} as {text}")
    except (duckdb.IOException, duckdb.InvalidInputException):
        raise
    except duckdb.Error as error:
        reason, line = explained(error)
        raise QueryError(f"{path}:{line or 1}: {reason}") from None


def _table_view(table: schema.Table, paths: list[str]) -> str:
    if not paths:
        columns = ", ".join(f'null::{column.type} as "{column.name}"' for column in table.columns)
        return f"create view {table.name} as select {columns} where false"
    columns = ", ".join(f'"{name}"' for name in table.names)
    files = ", ".join(_literal(path) for path in paths)
    source = f"read_parquet([{files}], hive_partitioning = false)"
    return f"create view {table.name} as select {columns} from {source}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
