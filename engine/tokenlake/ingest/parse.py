"""Parses batches of lines: the engine does, salvage repairs what it refuses or doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenlake.ingest.salvage import HEAD_BYTES, Reject, salvage
from tokenlake.sources import claude

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tokenlake.ingest.read import Batch

PARSED = ("assistants", "others", "second_look")
"""The relations that parsing fills; sources/claude.py says what their columns are."""


_LINES_AS_LOGGED = "select * from assistant_lines union all select * from other_lines"
_LINES_REPAIRED = (
    f'select * from ({_LINES_AS_LOGGED}) anti join suspects using ("row")'
    " union all by name select * exclude (as_assistant) from repaired"
)
_Line = tuple[int, int, int, int, str, bool, str]  # as in _lines_table


class Parser:
    """Parses batches into Arrow tables, which hold no more memory than their values need.

    Several parsers may work at once, each in a thread and with a cursor of its own on one database.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self.rejects: list[Reject] = []
        self.parsed: dict[str, list[pa.Table]] = {name: [] for name in PARSED}

    def clear(self) -> None:
        """Forgets the batches parsed so far."""
        for tables in self.parsed.values():
            tables.clear()

    def add(self, batch: Batch) -> None:
        """Parses a batch. Its buffer is free to use afterwards."""
        con = self.con
        con.register("heads", batch.heads(claude.HEAD_BYTES))
        as_assistant = con.execute(claude.LOOKS_LIKE_ASSISTANT).fetchnumpy()["as_assistant"]
        con.register("assistant_lines", batch.to_arrow(as_assistant))
        con.register("other_lines", batch.to_arrow(~as_assistant))
        self._suspects, self._repaired = [], []
        con.execute(f"create or replace temp view lines as {_LINES_AS_LOGGED}")
        self._set("assistants", self._query(claude.assistants("assistant_lines")))
        self._set("others", self._query(claude.others("other_lines")))
        self._parse_misjudged()
        self._repair(batch, claude.SUSPECT_ASSISTANTS, claude.SUSPECT_OTHERS)
        self._set("second_look", self._query(claude.SECOND_LOOK))
        if self._repair(batch, claude.SUSPECT_LOOKS):
            self._set("second_look", self._query(claude.SECOND_LOOK))
        for name in PARSED:
            self.parsed[name].append(self._tables[name])
            con.unregister(name)
        for name in ("heads", "assistant_lines", "other_lines"):
            con.unregister(name)

    # Of the batch at hand: the parsed tables, the rows that were doubted, and what was made of their lines.
    _suspects: list[int]
    _repaired: list[_Line]
    _tables: dict[str, pa.Table]

    def _query(self, query: str) -> pa.Table:
        return self.con.sql(query).to_arrow_table()

    def _set(self, name: str, table: pa.Table) -> None:
        """Makes `table` the relation `name` of the batch at hand."""
        self._tables = {**getattr(self, "_tables", {}), name: table}
        self.con.register(name, table)

    def _parse_misjudged(self) -> None:
        """Parses the lines again that are something else than their first bytes promised."""
        wrong = {
            "assistants": "not refused and type is distinct from 'assistant'",
            "others": "type = 'assistant'",
        }
        rows = {
            name: [row for (row,) in self.con.execute(f'select "row" from {name} where {condition}').fetchall()]
            for name, condition in wrong.items()
        }
        for name, right, parse in (
            ("assistants", "others", claude.others),
            ("others", "assistants", claude.assistants),
        ):
            if rows[name]:
                self.con.register("misjudged", _rows_table(rows[name]))
                self._append(right, parse('lines semi join misjudged using ("row")'))
                self._remove(name, rows[name])
                self.con.unregister("misjudged")

    def _append(self, name: str, query: str) -> None:
        import pyarrow as pa

        more = self._query(query)
        self._set(name, pa.concat_tables([self._tables[name], more.cast(self._tables[name].schema)]))

    def _remove(self, name: str, rows: list[int]) -> None:
        import pyarrow.compute as pc

        table = self._tables[name]
        gone = pc.is_in(table["row"], value_set=_rows_table(rows)["row"].combine_chunks())
        self._set(name, table.filter(pc.invert(gone)))

    def _repair(self, batch: Batch, *suspicions: str) -> bool:
        """Replaces suspect rows by what salvage makes of their lines; whether there were any."""
        con = self.con
        suspects: list[tuple[int, bool]] = con.execute(" union ".join(f"({query})" for query in suspicions)).fetchall()
        if not suspects:
            return False
        rows = [row for row, _ in suspects]
        repaired: list[_Line] = []
        for row, refused in suspects:
            file_id, line = int(batch.file_ids[row]), int(batch.line_numbers[row])
            recovered, lost = salvage(batch.line(row), file_id, line, int(batch.offsets[row]), refused)
            self.rejects += lost
            repaired += [
                (file_id, line, found.offset, found.odd, found.flaw, found.kind == "assistant", found.raw)
                for found in recovered
            ]
        con.register("repaired", _lines_table(repaired))
        for name, parse, side in (
            ("assistants", claude.assistants, "as_assistant"),
            ("others", claude.others, "not as_assistant"),
        ):
            self._remove(name, rows)
            self._append(name, parse(f"repaired where {side}"))
        self._suspects += rows
        self._repaired += repaired
        con.register("suspects", _rows_table(self._suspects))
        con.register("repaired", _lines_table(self._repaired))
        con.execute(f"create or replace temp view lines as {_LINES_REPAIRED}")
        self._reject_unreadable()
        return True

    def _reject_unreadable(self) -> None:
        """Gives up what the engine refuses even after repair."""
        import pyarrow.compute as pc

        for name in ("assistants", "others"):
            lost = self.con.execute(
                'select file_id, line, "offset", strlen(raw), raw from repaired'
                f' semi join (select file_id, "offset" from {name} where refused) using (file_id, "offset")'
            ).fetchall()
            if lost:
                self._set(name, self._tables[name].filter(pc.invert(self._tables[name]["refused"])))
            self.rejects += [
                Reject(file_id, line, offset, length, "unreadable", raw.encode()[:HEAD_BYTES])
                for file_id, line, offset, length, raw in lost
            ]


def _rows_table(rows: list[int]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"row": pa.array(rows, pa.int32())})


def _lines_table(repaired: list[_Line]) -> pa.Table:
    import pyarrow as pa

    file_ids, lines, offsets, odd, flaws, sides, raw = zip(*repaired, strict=True) if repaired else ([],) * 7
    return pa.table(
        {
            "row": pa.array([-1] * len(repaired), pa.int32()),
            "file_id": pa.array(file_ids, pa.int64()),
            "line": pa.array(lines, pa.int64()),
            "offset": pa.array(offsets, pa.int64()),
            "odd": pa.array(odd, pa.int32()),
            "salvaged": pa.array(flaws, pa.string()),
            "as_assistant": pa.array(sides, pa.bool_()),
            "raw": pa.array(raw, pa.string()),
        }
    )
