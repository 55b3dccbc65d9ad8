"""Parses batches of lines: the engine does, salvage repairs what it refuses or doubts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from tokenlake.ingest.prepared import PreparedQueries
from tokenlake.ingest.salvage import GIANT_BYTES, HEAD_BYTES, Reject, salvage
from tokenlake.sources import ccusage
from tokenlake.sources.claude import doubts, parsing
from tokenlake.sources.claude.second_look import LOOKED_AT, LOOKS_TAKEN, second_look, suspect_looks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import duckdb
    import numpy.typing as npt
    import pyarrow as pa

    from tokenlake.ingest.batch import Batch, Integers

PARSED = ("assistants", "others", "second_look", "blanks")
"""The relations that parsing fills; sources/claude/ says what their columns are.

`blanks` (file_id, bytes) has the blank bytes of transcripts, newlines aside.
"""

_FEW = 100  # rows: each that is taken out of a table makes a piece more of it

_Line = tuple[int, int, int, int, int, int, str, bool, str]  # as in _lines_table


class Parser:
    """Parses batches into Arrow tables, which hold no more memory than their values need.

    Several parsers may work at once, each in a thread and with a cursor of its own on one database.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self.queries = PreparedQueries(con)
        self.rejects: list[Reject] = []
        self._has_refused = False
        self.parsed: dict[str, list[pa.Table]] = {name: [] for name in PARSED}

    def clear(self) -> None:
        """Forgets the batches parsed so far."""
        for tables in self.parsed.values():
            tables.clear()

    def add(self, batch: Batch) -> int:
        """Parses a batch; returns the bytes that are held of it. Its buffer is free to use afterwards."""
        queries = self.queries
        queries["heads"] = batch.heads(parsing.HEAD_BYTES)
        as_assistant = queries.column(parsing.LOOKS_LIKE_ASSISTANT)
        blank, lengths = batch.blank_edges(), batch.lengths()
        giant = lengths > GIANT_BYTES
        # Giants the engine could only parse in a multiple of their bytes: they are made smaller first.
        plain = (blank < lengths) & ~giant
        for name, side in (("assistant_lines", as_assistant), ("other_lines", ~as_assistant)):
            queries[name] = batch.to_arrow(side & plain, lengths - blank)
        self._repaired = []
        self._blank = np.where(giant, 0, blank)
        queries["repaired"] = _lines_table([])
        queries["assistants"] = self._parsed(parsing.assistants, "assistant_lines")
        queries["others"] = self._parsed(parsing.others, "other_lines")
        self._parse_misjudged(batch)
        suspects = self._found(doubts.SUSPECT_ASSISTANTS, doubts.SUSPECT_OTHERS)
        suspects |= self._unspoken(batch)
        suspects |= dict.fromkeys(np.flatnonzero(giant).tolist(), True)
        self._repair(batch, suspects)
        looks = self._look_again(batch)
        if looks and self._repair(batch, self._found(suspect_looks(looks))):
            self._look_again(batch)
        queries["blanks"] = _blanks_table(batch, self._blank)
        held_bytes = 0
        for name in PARSED:
            self.parsed[name].append(queries[name])
            held_bytes += queries[name].nbytes
        queries.clear()
        return held_bytes

    # Of the batch at hand: what was made of lines that were doubted, and the blank bytes of each line.
    _repaired: list[_Line]
    _blank: Integers

    def _parsed(self, parse: Callable[..., str], relation: str) -> pa.Table:
        """Lines as records. Where the engine refuses one, all are parsed anew, and so are later batches at once."""
        import duckdb

        if not self._has_refused:
            try:
                return self.queries.table(parse(relation, may_refuse=False))
            except (duckdb.InvalidInputException, UnicodeDecodeError):  # the latter where the message quotes bytes
                self._has_refused = True
        return self.queries.table(parse(relation))

    def _look_again(self, batch: Batch) -> set[str]:
        """Looks at some lines a second time, for what only they may hold; returns which looks that took."""
        self.queries["looks"] = self.queries.table(LOOKS_TAKEN)
        rows = self.queries["looks"]["row"].to_numpy()
        self.queries["lines"] = batch.to_arrow(_at(rows[rows < len(batch.ends)], batch))
        self.queries["looked_at"] = self.queries.table(LOOKED_AT)
        looks = set(self.queries["looked_at"]["look"].unique().to_pylist())
        self.queries["second_look"] = self.queries.table(second_look(looks))
        return looks

    def _parse_misjudged(self, batch: Batch) -> None:
        """Parses the lines again that are something else than their first bytes promised."""
        wrong = {
            "assistants": "not refused and type is distinct from 'assistant'",
            "others": "type = 'assistant'",
        }
        rows = {
            name: [row for (row,) in self.queries.rows(f'select "row" from {name} where {condition}')]
            for name, condition in wrong.items()
        }
        for name, right, parse in (
            ("assistants", "others", parsing.others),
            ("others", "assistants", parsing.assistants),
        ):
            if rows[name]:
                self.queries["misjudged"] = batch.to_arrow(_at(rows[name], batch))
                self._append(right, parse("misjudged"))
                self._remove(name, rows[name])

    def _append(self, name: str, query: str) -> None:
        import pyarrow as pa

        table, more = self.queries[name], self.queries.table(query)
        self.queries[name] = pa.concat_tables([table, more.cast(table.schema)])

    def _remove(self, name: str, rows: Sequence[int]) -> None:
        import pyarrow as pa

        table = self.queries[name]
        gone = np.flatnonzero(np.isin(table["row"].to_numpy(), rows))
        if gone.size > _FEW:
            self.queries[name] = table.filter(pa.array(~_marked(gone, table.num_rows)))
        elif gone.size:  # giants were never parsed
            # Nearly all rows stay: the pieces between those that go are not copied.
            bounds = [-1, *gone.tolist(), table.num_rows]
            pieces = [table.slice(a + 1, b - a - 1) for a, b in itertools.pairwise(bounds) if b - a > 1]
            self.queries[name] = pa.concat_tables(pieces or [table.slice(0, 0)])

    def _found(self, *suspicions: str) -> dict[int, bool]:
        """The rows that are doubted, and whether the engine refused them."""
        return dict(self.queries.rows(" union ".join(f"({query})" for query in suspicions)))

    def _unspoken(self, batch: Batch) -> dict[int, bool]:
        """The rows of assistant records whose first text is no string."""
        rows = self.queries.column(doubts.SPOKEN_JSON)
        if not rows.size:
            return {}
        self.queries["spoken"] = batch.to_arrow(_at(rows, batch))
        return dict.fromkeys((row for (row,) in self.queries.rows(doubts.SUSPECT_SPOKEN)), False)

    def _repair(self, batch: Batch, suspects: dict[int, bool]) -> bool:
        """Replaces suspect rows by what salvage makes of their lines; whether there were any."""
        if not suspects:
            return False
        queries = self.queries
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
        queries["repaired"] = _lines_table(repaired)
        for name, parse, side in (
            ("assistants", parsing.assistants, "as_assistant"),
            ("others", parsing.others, "not as_assistant"),
        ):
            self._remove(name, rows)
            if any(line[-2] is (side == "as_assistant") for line in repaired):
                self._append(name, parse(f"repaired where {side}"))
        self._repaired += repaired
        queries["repaired"] = _lines_table(self._repaired)
        self._reject_unreadable()
        return True

    def _reject_unreadable(self) -> None:
        """Gives up what the engine refuses even after repair."""
        import pyarrow.compute as pc

        for name in ("assistants", "others"):
            lost = self.queries.rows(
                'select file_id, line, "offset", bytes, raw from repaired'
                f' semi join (select file_id, "offset" from {name} where refused) using (file_id, "offset")'
            )
            if lost:
                table = self.queries[name]
                self.queries[name] = table.filter(pc.invert(table["refused"]))
            self.rejects += [
                Reject(file_id, line, offset, length, "unreadable", raw.encode()[:HEAD_BYTES])
                for file_id, line, offset, length, raw in lost
            ]


def _at(rows: Sequence[int] | Integers, batch: Batch) -> npt.NDArray[np.bool_]:
    """For each line of the batch, whether it is one of `rows`."""
    return _marked(rows, len(batch.ends))


def _marked(places: Sequence[int] | Integers, length: int) -> npt.NDArray[np.bool_]:
    marked = np.zeros(length, dtype=np.bool_)
    marked[places] = True
    return marked


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
