"""The lines that a lake kept: of which transcripts they are all there, and how they are read back in batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tokenlake.errors import LakeDamagedError
from tokenlake.ingest.batch import Batch
from tokenlake.ingest.read import BATCH_BYTES, Progress
from tokenlake.ingest.salvage import Reject
from tokenlake.schema import FILES, RECORDS, REJECTS
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import IS_BESIDE

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_UNHELD = """
-- Rejects of which no line was kept: lines too long to be read at all.
create or replace temp table unheld as
select * from {rejects} anti join (select file_id, line from {records}) using (file_id, line)
"""
_WHOLE = """
-- Transcripts whose ingested bytes were kept from the first to the last, but for newlines and what was rejected unread.
create or replace temp table whole as
with held as (
  select file_id, "offset", octet_length(raw) as bytes from {records}
  union all
  select file_id, "offset", bytes from unheld
),
gaps as (
  select file_id, bytes, "offset" + bytes as ending,
    "offset" - lag("offset" + bytes) over (partition by file_id order by "offset", bytes) as gap, "offset" as start
  from held
),
reaches as (
  select file_id, max(ending) as ending, sum(bytes)::bigint as held_bytes,
    min(start) = 0 and coalesce(bool_and(gap between 0 and 1) filter (gap is not null), true) as without_gap
  from gaps group by file_id
)
-- What of the ingested bytes is in no line is a newline.
select file_id, ingested_bytes - coalesce(held_bytes, 0) as newline_bytes
from ledger left join reaches using (file_id)
where not {is_beside} and (ingested_bytes = 0 or (without_gap and ending between ingested_bytes - 1 and ingested_bytes))
"""
_ROWS = 2048
_LINES = """
select file_id, line, "offset", raw || '\\x0A'::blob as raw
from {records} semi join rebuilding using (file_id)
order by file_id, "offset"
"""


def find_whole(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> list[str]:
    """Fills `ledger`, `unheld` and `whole`; the paths of the transcripts that are not whole."""
    import duckdb

    relations = {
        table.name: partitions.relation(table, snapshot.paths(table.name)) for table in (FILES, REJECTS, RECORDS)
    }
    try:
        con.execute(f"create or replace temp table ledger as select * from {relations[FILES.name]}")
        con.execute(_UNHELD.format(**relations))
        con.execute(_WHOLE.format(**relations, is_beside=IS_BESIDE))
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise LakeDamagedError(f"{snapshot.root}: cannot be read ({reason}); restore it from a backup") from error
    found = con.execute(
        f"select path from ledger anti join whole using (file_id) where not {IS_BESIDE} order by path"
    ).fetchall()
    return [path for (path,) in found]


@dataclass(slots=True)
class KeptLines:
    """The lines of the transcripts in `rebuilding`, in batches as the reader of transcripts makes them.

    `progress` says how far each had been read.
    """

    con: duckdb.DuckDBPyConnection
    records: str
    progress: dict[int, Progress]
    rejects: list[Reject] = field(default_factory=list)
    bytes_read: int = 0

    def batches(self) -> Iterator[Batch]:
        """Every batch, the lines of a transcript in their order."""
        held: list[pa.Table] = []
        number = held_bytes = 0
        for rows in self._pieces():
            size = rows["raw"].nbytes
            if held and held_bytes + size > BATCH_BYTES:
                yield self._batch(number, held)
                number, held, held_bytes = number + 1, [], 0
            held.append(rows)
            held_bytes += size
        if held:
            yield self._batch(number, held)

    def rest(self) -> None:
        """Nothing to give back: each batch has a buffer of its own."""

    def _pieces(self) -> Iterator[pa.Table]:
        """The lines, as many at a time as fit a batch."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for found in self.con.sql(_LINES.format(records=self.records)).to_arrow_reader(_ROWS):
            rows = pa.Table.from_batches([found])
            piece = np.cumsum(pc.binary_length(rows["raw"]).to_numpy().astype(np.int64)) // BATCH_BYTES
            edges = [0, *(np.flatnonzero(np.diff(piece)) + 1).tolist(), len(piece)]
            for start, end in itertools.pairwise(edges):
                yield rows.slice(start, end - start)

    def _batch(self, number: int, pieces: list[pa.Table]) -> Batch:
        import pyarrow as pa
        import pyarrow.compute as pc

        lines = pa.concat_tables(pieces)
        buffer = bytearray(b"".join(lines["raw"].to_pylist()))
        self.bytes_read += len(buffer)
        return Batch(
            number=number,
            buffer=buffer,
            ends=np.cumsum(pc.binary_length(lines["raw"]).to_numpy().astype(np.int64)),
            file_ids=lines["file_id"].to_numpy(),
            offsets=lines["offset"].to_numpy(),
            line_numbers=lines["line"].to_numpy(),
            release=lambda: None,
        )
