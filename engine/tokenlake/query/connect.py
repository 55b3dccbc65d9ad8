"""A DuckDB connection that sees one snapshot of a lake: its tables, the views on them, and the filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenlake import schema
from tokenlake.errors import QueryError
from tokenlake.query import spill, sums, views
from tokenlake.query.filters import Filters
from tokenlake.query.prices.columns import PRICE_TABLES
from tokenlake.query.saved import explained, shipped_folder
from tokenlake.query.views import View
from tokenlake.store import damage
from tokenlake.store.catalog import Snapshot
from tokenlake.store.sums import present

if TYPE_CHECKING:
    import duckdb

NO_FILTERS = Filters()

_MEMORY_LIMIT = "4GB"
"""What the engine may hold before it spills to disk; the process needs some more. Issue 3 asks for less than 6 GB."""


def connect(
    snapshot: Snapshot,
    *,
    dedup: str = "max",
    cost_mode: str = "calculate",
    filters: Filters = NO_FILTERS,
    only_for: str | None = None,
    also_for: str = "",
    allow_external: bool = False,
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection with a view per table of the schema over exactly the snapshot's files.

    A table without files is an empty view of the same columns. Beside these stand the price tables, the views
    of queries/views, and those that stand for settings (see `views.generated`), each made after those that it
    reads. With `only_for`, some SQL, just what it needs is made. What the SQL of `only_for` or `also_for` reads
    and is worked out once (`views.KEPT`) becomes a table. The session's TimeZone is UTC.

    Unless `allow_external`, the connection then is shut in: it opens no file outside the lake's folder and its own
    for spilling, loads no extension, reaches no network, and its settings are locked. The engine knows no folder that
    may only be read: SQL of others belongs in `run.sql`, which refuses what would write.

    Raises UsageError for an unknown mode or broken prices of the user's, LakeDamagedError where a data file cannot be
    opened, QueryError for a view that DuckDB refuses.
    """
    import duckdb

    snapshot = present(snapshot)
    known = _views(snapshot, dedup, cost_mode, filters)
    read = views.closure(known, views.words(also_for if only_for is None else only_for))
    needed = known.keys() if only_for is None else read
    connection = duckdb.connect(
        config={
            # Nothing is fetched, and nothing is loaded that the user has installed for other ends.
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # A table name that is misspelt must not find a variable of the calling Python code.
            "python_enable_replacements": "false",
            "memory_limit": _MEMORY_LIMIT,
            # An in-memory database would spill to `.tmp` in whatever folder the user happens to stand.
            "temp_directory": str(spill.folder()),
        }
    )
    try:
        connection.execute("set TimeZone = 'UTC'")
        # DuckDB shows one on stdout, among the data, where it takes Python for an interactive session.
        connection.execute("set enable_progress_bar = false")
        for name, value in filters.in_use.items():
            connection.execute(f"set variable {name} = $value", {"value": value})
        if needed & PRICE_TABLES.keys():
            from tokenlake.query.prices import table

            table.load(connection)
        summed = sums.VIEW in read and views.DEDUP[dedup] == "requests"
        if summed:
            known["logged_models"] = View(sums.models_of(snapshot))
            known[sums.VIEW] = View("", words=frozenset({"price_rates"} & needed))  # the prices prove the sums
        for name in views.in_order(known):
            if name == sums.VIEW and summed:
                logged = views.logged_cost(cost_mode)
                priced = "price_rates" in needed
                known[name] = View(sums.of_lake(connection, snapshot, filters, logged, with_prices=priced))
            if name in needed and name not in PRICE_TABLES:
                _create(connection, name, known[name], "table" if name in views.KEPT & read else "view")
        if not allow_external:
            connection.execute(
                f"set allowed_directories = [{_literal(str(snapshot.root))}]; "
                "set enable_external_access = false; set lock_configuration = true"
            )
    except duckdb.Error as error:
        connection.close()
        if said := damage.told(snapshot, error, explained(error)[0], only_lake=True):
            raise said from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _views(snapshot: Snapshot, dedup: str, cost_mode: str, filters: Filters) -> dict[str, View]:
    """Everything that SQL may read, by name; a filtered view whose source does not exist is left out."""
    known = {
        **{table.name: View(_table_view(table, snapshot.paths(table.name))) for table in schema.TABLES},
        schema.REQUEST_SUMS.name: View(sums.kept(snapshot)),
        **{name: View("") for name in PRICE_TABLES},
        **views.shipped(shipped_folder() / "views"),
        **views.of_settings(dedup, cost_mode, filters),
    }
    return {name: view for name, view in known.items() if views.FILTERED.get(name, (name,))[0] in known}


def _create(connection: duckdb.DuckDBPyConnection, name: str, view: View, kind: str) -> None:
    import duckdb

    try:
        connection.execute(f"create {kind} {name} as {view.text}")
    except duckdb.Error as error:
        if damage.is_of_files(error):
            raise
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
