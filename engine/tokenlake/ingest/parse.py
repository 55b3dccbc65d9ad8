"""Turns batches of lines into rows for each table: the engine parses, salvage repairs what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenlake.ingest.salvage import Reject, salvage
from tokenlake.schema import EVENTS, PROMPTS, SESSION_FILES, TEXTS, TOOL_ROWS, USAGE_ROWS, Table
from tokenlake.sources import claude

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tokenlake.ingest.read import Batch

STAGED: tuple[tuple[Table, str], ...] = (
    (USAGE_ROWS, claude.USAGE_ROWS),
    (TOOL_ROWS, claude.TOOL_ROWS),
    (PROMPTS, claude.PROMPTS),
    (TEXTS, claude.TEXTS),
    (EVENTS, claude.EVENTS),
    (SESSION_FILES, claude.SESSION_FILES),
)
"""The tables that parsing fills, each with the query that says which rows some lines add."""

_GROUP_BYTES = 128 << 20  # parsed lines are turned into rows in groups of batches: planning a query costs, too


class Parser:
    """Fills the staging tables `new_<table>` and `record_log` of its own schema from batches of lines.

    Several parsers may work at once, each in a thread and with a cursor of its own on one database.
    `finish_group` must be called after the last batch.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str, host: str, keep_text: bool) -> None:
        self.con = con
        self.schema = schema
        self.rejects: list[Reject] = []
        self._batches = 0  # in the group at hand
        self._group_bytes = 0
        con.execute(f"create schema {schema}")
        con.execute(f"use memory.{schema}")
        con.execute(claude.MACROS)
        con.execute("set variable host = ?", [host])
        con.execute("set variable keep_text = ?", [keep_text])
        self.clear()

    def clear(self) -> None:
        """Empties the staging tables."""
        for table, _ in STAGED:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            self.con.execute(f"create or replace table new_{table.name} ({columns})")
        self.con.execute(
            'create or replace table record_log'
            ' (file_id bigint, "offset" bigint, ts timestamptz, odd integer, prompt_id varchar)'
        )

    def add(self, batch: Batch) -> None:
        """Parses a batch. Its buffer is free to use afterwards."""
        con, number = self.con, self._batches
        con.register("lines_as_logged", batch.to_arrow())
        self._create(f"parsed_{number}", claude.parsed("lines_as_logged"))
        con.execute(f"create or replace view parsed as select * from parsed_{number}")
        self._repair(batch, f"parsed_{number}")
        self._create(f"second_look_{number}", claude.SECOND_LOOK)
        self._create(f"ccusage_skips_{number}", claude.CCUSAGE_SKIPS)
        con.unregister("lines_as_logged")
        self._batches += 1
        self._group_bytes += int(batch.ends[-1])
        if self._group_bytes >= _GROUP_BYTES:
            self.finish_group()

    def finish_group(self) -> None:
        """Turns the lines parsed since the last call into rows of the staging tables."""
        if not self._batches:
            return
        con = self.con
        for name in ("parsed", "second_look", "ccusage_skips"):
            parts = " union all ".join(f"select * from {name}_{number}" for number in range(self._batches))
            con.execute(f"create or replace view {name} as {parts}")
        self._create("embedded", claude.EMBEDDED)
        self._create("blocks", claude.BLOCKS)
        for table, query in STAGED:
            con.execute(f"insert into new_{table.name} by name {query}")
        con.execute(f"insert into record_log by name {claude.RECORD_LOG}")
        self._batches = self._group_bytes = 0

    def _create(self, table: str, query: str) -> None:
        self.con.execute(f"create or replace table {table} as {query}")

    def _repair(self, batch: Batch, parsed: str) -> None:
        """Replaces suspect rows of `parsed` by what salvage makes of their lines; `lines` is what was parsed."""
        con = self.con
        con.execute("create or replace temp view lines as select * from lines_as_logged")
        suspects: list[tuple[int, bool]] = con.execute(claude.SUSPECTS).fetchall()
        if not suspects:
            return
        repaired: list[tuple[int, int, int, int, str, str]] = []
        for row, refused in suspects:
            file_id, line = int(batch.file_ids[row]), int(batch.line_numbers[row])
            recovered, lost = salvage(batch.line(row), file_id, line, int(batch.offsets[row]), refused)
            self.rejects += lost
            repaired += [
                (file_id, line, record.offset, record.odd, record.flaw, record.raw) for record in recovered
            ]
        con.register("suspects", _rows_table([row for row, _ in suspects]))
        con.execute(f'delete from {parsed} where "row" in (select "row" from suspects)')
        con.unregister("suspects")
        con.register("repaired_lines", _lines_table(repaired))
        self._create("repaired", "select * from repaired_lines")
        con.unregister("repaired_lines")
        con.execute(f"insert into {parsed} by name " + claude.parsed("repaired"))
        con.execute(
            "create or replace temp view lines as"
            " select * from lines_as_logged union all by name select * from repaired"
        )
        unreadable = con.execute(
            'select file_id, line, "offset", strlen(raw), raw from repaired semi join '
            f'(select file_id, "offset" from {parsed} where refused) using (file_id, "offset")'
        ).fetchall()
        con.execute(f"delete from {parsed} where refused")
        self.rejects += [
            Reject(file_id, line, offset, length, "unreadable", raw.encode()[:200])
            for file_id, line, offset, length, raw in unreadable
        ]


def _rows_table(rows: list[int]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"row": pa.array(rows, pa.int32())})


def _lines_table(repaired: list[tuple[int, int, int, int, str, str]]) -> pa.Table:
    import pyarrow as pa

    file_ids, lines, offsets, odd, flaws, raw = zip(*repaired, strict=True) if repaired else ([],) * 6
    return pa.table(
        {
            "row": pa.array([-1] * len(repaired), pa.int32()),
            "file_id": pa.array(file_ids, pa.int64()),
            "line": pa.array(lines, pa.int64()),
            "offset": pa.array(offsets, pa.int64()),
            "odd": pa.array(odd, pa.int32()),
            "salvaged": pa.array(flaws, pa.string()),
            "raw": pa.array(raw, pa.string()),
        }
    )
