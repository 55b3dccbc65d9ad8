"""A DuckDB connection that sees one snapshot of a lake: its tables, the views on them, and the filters."""

from __future__ import annotations

from dataclasses import dataclass
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
    snapshot: Snapshot, *, dedup: str = "max", filters: Filters = NO_FILTERS, only_for: str | None = None
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection with a view per table of the schema over exactly the snapshot's files.

    A table without files is an empty view of the same columns. On these stand the views of queries/views,
    then `selected`: the requests under the dedup mode (accounting rule 13) and the filters; then the
    filtered views of other tables. With `only_for`, some SQL, just the views that it needs are made. The
    session's TimeZone is UTC. Raises UsageError for an unknown dedup mode, LakeDamagedError where a data
    file cannot be opened, QueryError for a view that DuckDB refuses.
    """
    import tempfile

    import duckdb

    definitions = _definitions(snapshot, dedup, filters)
    needed = definitions.keys() if only_for is None else _needed(definitions, only_for)
    connection = duckdb.connect(
        config={
            # Nothing is fetched, and nothing is loaded that the user has installed for other ends.
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # A table name that is misspelt must not find a variable of the calling Python code.
            "python_enable_replacements": "false",
            # An in-memory database would spill to `.tmp` in whatever folder the user happens to stand.
            "temp_directory": f"{tempfile.gettempdir()}/tokenlake-spill",
        }
    )
    try:
        connection.execute("set TimeZone = 'UTC'")
        # DuckDB shows one on stdout, among the data, where it takes Python for an interactive session.
        connection.execute("set enable_progress_bar = false")
        for name, value in filters.in_use.items():
            connection.execute(f"set variable {name} = $value", {"value": value})
        for name, definition in definitions.items():
            if name in needed:
                _create_view(connection, name, definition)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:  # a file is missing, or is no Parquet
        connection.close()
        reason = explained(error)[0]
        raise LakeDamagedError(f"{snapshot.root}: {reason}; restore the file, or ingest anew") from error
    except BaseException:
        connection.close()
        raise
    return connection


@dataclass(frozen=True, slots=True)
class _View:
    """The SQL of a view, the file that it is from, and the words by which it may name other views."""

    text: str
    path: Path | None
    words: frozenset[str]


def _definitions(snapshot: Snapshot, dedup: str, filters: Filters) -> dict[str, _View]:
    """Every view by name, each after those that it reads."""
    found = {
        table.name: _View(_table_view(table, snapshot.paths(table.name)), None, frozenset()) for table in schema.TABLES
    }
    for path, text in views.ordered(shipped_folder() / "views"):
        found[path.stem] = _View(text, path, views.words(text))
    for name, text in {"selected": views.selected(dedup, filters), **views.filtered(filters)}.items():
        found[name] = _View(text, None, views.words(text))
    return found


def _needed(definitions: dict[str, _View], text: str) -> set[str]:
    """The views that SQL reads, and those that these read."""
    needed: set[str] = set()
    found = views.words(text) & definitions.keys()
    while found:
        needed |= found
        found = frozenset(word for name in found for word in definitions[name].words)
        found = (found & definitions.keys()) - needed
    return needed


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, view: _View) -> None:
    import duckdb

    try:
        connection.execute(f"create view {name} as {view.text}")
    except (duckdb.IOException, duckdb.InvalidInputException):
        raise
    except duckdb.Error as error:
        reason, line = explained(error)
        raise QueryError(f"{view.path}:{line or 1}: {reason}" if view.path else reason) from None


def _table_view(table: schema.Table, paths: list[str]) -> str:
    if not paths:
        columns = ", ".join(f'null::{column.type} as "{column.name}"' for column in table.columns)
        return f"select {columns} where false"
    columns = ", ".join(f'"{name}"' for name in table.names)
    files = ", ".join(_literal(path) for path in paths)
    return f"select {columns} from read_parquet([{files}], hive_partitioning = false)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
