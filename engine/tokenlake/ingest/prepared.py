"""Queries that are planned once and run for every batch, over relations whose rows change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import numpy.typing as npt
    import pyarrow as pa


class Relation:
    """A relation of the engine's whose rows may be exchanged: it asks for them whenever a query runs."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_schema__(self) -> Any:
        """The columns, which stay."""
        return self.table.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The rows of the moment."""
        return self.table.__arrow_c_stream__(requested_schema)


class PreparedQueries:
    """Relations by name, and the queries that read them.

    To plan the queries of a batch takes as long as to run some of them: 80 ms.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self._relations: dict[str, Relation] = {}
        self._names: dict[str, str] = {}

    def __getitem__(self, name: str) -> pa.Table:
        """The rows of a relation."""
        return self._relations[name].table

    def __setitem__(self, name: str, table: pa.Table) -> None:
        """Gives a relation other rows."""
        known = self._relations.get(name)
        if known is not None and known.table.schema.equals(table.schema):
            known.table = table
            return
        # Queries are planned for the columns of their relations.
        for prepared in self._names.values():
            self.con.execute(f"deallocate {prepared}")
        self._names.clear()
        self._relations[name] = Relation(table)
        self.con.register(name, self._relations[name])

    def clear(self) -> None:
        """Takes all rows out of all relations."""
        for relation in self._relations.values():
            relation.table = relation.table.schema.empty_table()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        return self.con.execute(self._prepared(query)).fetchall()

    def column(self, query: str) -> npt.NDArray[Any]:
        """The only column of what a query finds."""
        [column] = self.con.execute(self._prepared(query)).fetchnumpy().values()
        return column

    def table(self, query: str) -> pa.Table:
        """What a query finds, as a table."""
        return self.con.sql(self._prepared(query)).to_arrow_table()

    def _prepared(self, query: str) -> str:
        name = self._names.get(query)
        if name is None:
            name = self._names[query] = f"prepared_{len(self._names)}"
            self.con.execute(f"prepare {name} as {query}")
        return f"execute {name}"
