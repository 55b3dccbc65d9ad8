"""Parses batches of lines: the engine does, salvage repairs what it refuses or doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokenlake.ingest.salvage import GIANT_BYTES, HEAD_BYTES, Reject, salvage
from tokenlake.sources import ccusage, claude

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tokenlake.ingest.read import Batch, Integers

PARSED = ("assistants", "others", "second_look", "blanks")
"""The relations that parsing fills; sources/claude.py says what their columns are.

`blanks` (file_id, bytes) has the blank bytes of transcripts, newlines aside.
"""


_LINES_AS_LOGGED = "select * from assistant_lines union all select * from other_lines"
_LINES_REPAIRED = (
    f'select * from ({_LINES_AS_LOGGED}) anti join suspects using ("row")'
    " union all by name select * exclude (as_assistant) from repaired"
)
_Line = tuple[int, int, int, int, int, int, str, bool, str]  # as in _lines_table


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

    def add(self, batch: Batch) -> int:
        """Parses a batch; returns the bytes that are held of it. Its buffer is free to use afterwards."""
        con = self.con
        con.register("heads", batch.heads(claude.HEAD_BYTES))
        as_assistant = con.execute(claude.LOOKS_LIKE_ASSISTANT).fetchnumpy()["as_assistant"]
        blank, lengths = batch.blank_edges(), batch.lengths()
        giant = lengths > GIANT_BYTES
        # Giants the engine could only parse in a multiple of their bytes: they are made smaller first.
        plain = (blank < lengths) & ~giant
        for name, side in (("assistant_lines", as_assistant), ("other_lines", ~as_assistant)):
            con.register(name, batch.to_arrow(side & plain, lengths - blank))
        self._suspects, self._repaired = [], []
        self._blank = np.where(giant, 0, blank)
        con.execute(f"create or replace temp view lines as {_LINES_AS_LOGGED}")
        self._set("assistants", self._query(claude.assistants("assistant_lines")))
        self._set("others", self._query(claude.others("other_lines")))
        self._parse_misjudged()
        suspects = self._found(claude.SUSPECT_ASSISTANTS, claude.SUSPECT_OTHERS)
        suspects |= self._unspoken(batch)
        suspects |= dict.fromkeys(np.flatnonzero(giant).tolist(), True)
        self._repair(batch, suspects)
        looks = self._look_again()
        if looks and self._repair(batch, self._found(claude.suspect_looks(looks))):
            self._look_again()
        con.execute("drop table looked_at")
        self._set("blanks", _blanks_table(batch, self._blank))
        for name in PARSED:
            self.parsed[name].append(self._tables[name])
            con.unregister(name)
        for name in ("heads", "assistant_lines", "other_lines"):
            con.unregister(name)
        return sum(int(table.nbytes) for table in self._tables.values())

    # Of the batch at hand: the parsed tables, the rows that were doubted, and what was made of their lines.
    _suspects: list[int]
    _repaired: list[_Line]
    _blank: Integers
    _tables: dict[str, pa.Table]

    def _look_again(self) -> set[str]:
        """Looks at some lines a second time, for what only they may hold; returns which looks that took."""
        self.con.execute(f"create or replace temp table looked_at as {claude.LOOKED_AT}")
        looks = {look for (look,) in self.con.execute("select distinct look from looked_at").fetchall()}
        self._set("second_look", self._query(claude.second_look(looks)))
        return looks

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

    def _found(self, *suspicions: str) -> dict[int, bool]:
        """The rows that are doubted, and whether the engine refused them."""
        return dict(self.con.execute(" union ".join(f"({query})" for query in suspicions)).fetchall())

    def _unspoken(self, batch: Batch) -> dict[int, bool]:
        """The rows of assistant records whose first text is no string."""
        rows = self.con.execute(claude.SPOKEN_JSON).fetchnumpy()["row"]
        if not rows.size:
            return {}
        chosen = np.zeros(len(batch.ends), dtype=np.bool_)
        chosen[rows] = True
        self.con.register("spoken", batch.to_arrow(chosen))
        found = dict.fromkeys((row for (row,) in self.con.execute(claude.SUSPECT_SPOKEN).fetchall()), False)
        self.con.unregister("spoken")
        return found

    def _repair(self, batch: Batch, suspects: dict[int, bool]) -> bool:
        """Replaces suspect rows by what salvage makes of their lines; whether there were any."""
        if not suspects:
            return False
        con = self.con
        rows = list(suspects)
        number = len(batch.ends) + len(self._repaired)
        repaired: list[_Line] = []
        for row, refused in suspects.items():
            raw, file_id, line = batch.line(row), int(batch.file_ids[row]), int(batch.line_numbers[row])
            salvaged = salvage(raw, file_id, line, int(batch.offsets[row]), refused)
            self.rejects += salvaged.rejects
            self._blank[row] = salvaged.blank_bytes
            flaw = ccusage.why_skipped(raw) or "checked"
            for found in salvaged.records:
                where = (number + len(repaired), file_id, line, found.offset, found.length)
                repaired.append((*where, found.odd, flaw, found.kind == "assistant", found.raw))
        con.register("repaired", _lines_table(repaired))
        for name, parse, side in (
            ("assistants", claude.assistants, "as_assistant"),
            ("others", claude.others, "not as_assistant"),
        ):
            self._remove(name, rows)
            if any(line[-2] is (side == "as_assistant") for line in repaired):
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
                'select file_id, line, "offset", bytes, raw from repaired'
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


def _blanks_table(batch: Batch, blank: Integers) -> pa.Table:
    """The blank bytes of each transcript of a batch."""
    import pyarrow as pa

    file_ids, places = np.unique(batch.file_ids, return_inverse=True)
    totals = np.zeros(len(file_ids), dtype=np.int64)
    np.add.at(totals, places, blank)
    return pa.table({"file_id": pa.array(file_ids), "bytes": pa.array(totals)})


def _lines_table(repaired: list[_Line]) -> pa.Table:
    import pyarrow as pa

    rows, file_ids, lines, offsets, lengths, odd, flaws, sides, raw = (
        zip(*repaired, strict=True) if repaired else ([],) * 9
    )
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "file_id": pa.array(file_ids, pa.int64()),
            "line": pa.array(lines, pa.int64()),
            "offset": pa.array(offsets, pa.int64()),
            "bytes": pa.array(lengths, pa.int64()),
            "odd": pa.array(odd, pa.int32()),
            "salvaged": pa.array(flaws, pa.string()),
            "as_assistant": pa.array(sides, pa.bool_()),
            "raw": pa.array(raw, pa.string()),
        }
    )
