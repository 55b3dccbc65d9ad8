"""One ingest at work: reads the planned transcripts, merges them segment by segment, and writes the ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tokenlake.ingest import entries, writing
from tokenlake.ingest.batch import Batch
from tokenlake.ingest.merge import Merger
from tokenlake.ingest.parse import PARSED, Parser
from tokenlake.ingest.plan import Plan
from tokenlake.ingest.read import BATCH_BYTES, Progress, Reader
from tokenlake.ingest.salvage import Reject
from tokenlake.ingest.summary import IngestSummary
from tokenlake.schema import RECORDS
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

    from tokenlake.ingest.told import Told


_REMEMBERED_BYTES = 3 << 10
"""What is held of a transcript once it was read is as much memory as the merging of so many parsed bytes takes."""

_LINES_TO_PARSED = 4
"""How many bytes of lines one parsed byte is expected of, while other parsers may begin another batch."""


class Lines(Protocol):
    """Where batches of lines come from: transcripts on disk (read.Reader), or lines that the lake kept."""

    progress: dict[int, Progress]
    rejects: list[Reject]
    bytes_read: int

    def batches(self) -> Iterator[Batch]:
        """Every batch, the lines of a transcript in their order; progress and rejects are complete after the last."""

    def rest(self) -> None:
        """Gives back memory: no batch is asked for in a while."""


class Ingestion:
    """The state of one ingest: `snapshot` grows with every merged segment and is published by the caller.

    Lines are read by the tasks of `todo`, unless `lines` are given.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        snapshot: Snapshot,
        todo: Plan,
        host: str,
        jobs: int,
        staging: Path,
        segment_bytes: int,
        lines: Lines | None = None,
    ) -> None:
        self.con = con
        self.todo = todo
        self.host = host
        self.keep_raw = snapshot.settings.keep_raw
        self.staging = staging
        self.segment_bytes = segment_bytes
        self.tag = f"{snapshot.commit:06d}"
        # Little to read needs little memory, and no second parser.
        batch_bytes = max(1 << 20, min(BATCH_BYTES, todo.bytes + 1))
        parsers = min(jobs, 1 + todo.bytes // BATCH_BYTES)
        self.reader: Lines = lines or Reader(todo.tasks, parsers, batch_bytes)
        self.parsers = [Parser(con.cursor()) for _ in range(parsers)]
        self.raw_files: list[Path] = []
        entries.prepare(con, snapshot, todo)
        self.unread = todo.replaced - todo.refused
        self.merger = Merger(con, snapshot, staging, self.tag, host, todo.replaced & todo.refused)

    @property
    def snapshot(self) -> Snapshot:
        """The lake as merged so far; its new files lie in staging."""
        return self.merger.snapshot

    def read_all(self, progress: Callable[[int, int], None] | None) -> None:
        """Reads every task; merges whenever a segment is full, and at the end."""

        def tell() -> None:
            if progress is not None:
                progress(min(self.reader.bytes_read, self.todo.bytes), self.todo.bytes)

        tell()
        batches = self.reader.batches()
        complete = False
        while not complete:
            complete = self._parse_segment(batches, tell)
            self._merge_segment(complete)
        self.merger.finish(self.raw_files)

    @property
    def rejects(self) -> list[Reject]:
        """What could not be read, once everything was."""
        damaged = [
            # How much is lost behind the place, nobody can tell.
            Reject(file_id, read.lines + 1, read.ingested_bytes, 0, f"damaged archive: {read.error}", b"")
            for file_id, read in self.reader.progress.items()
            if read.is_damaged
        ]
        return [*self.reader.rejects, *(reject for parser in self.parsers for reject in parser.rejects), *damaged]

    def write_ledger(self, now: datetime, told: Sequence[Told] = ()) -> IngestSummary:
        """Writes the tables `rejects` and `files`; returns what this ingest did, without the totals of the lake.

        `told` is what was read of the files beside transcripts.
        """
        reader, rejects = self.reader, self.rejects
        seen = entries.seen(self.todo, self.host, reader.progress)
        entries.write(self.merger, seen, entries.lost(rejects, self.todo, self.host), self.todo.departed, now, told)
        return entries.summarise(self.con, self.todo, reader.progress, reader.bytes_read, len(rejects))

    # --- steps -----------------------------------------------------------------------------------------------

    def _parse_segment(self, batches: Iterator[Batch], tell: Callable[[], None]) -> bool:
        """Parses batches, one parser a thread, until the segment is full; whether there are no more."""
        lock = threading.Lock()
        held_bytes, complete = 0, False
        # What is remembered takes the place of rows: so the peak does not grow with the corpus.
        remembered_bytes = _REMEMBERED_BYTES * len(self.reader.progress)
        segment_bytes = max(1, self.segment_bytes // 4, self.segment_bytes - remembered_bytes)

        def work(parser: Parser) -> None:
            nonlocal held_bytes, complete
            while True:
                with lock:
                    batch = None if held_bytes >= segment_bytes else next(batches, None)
                    if batch is None:
                        complete = complete or held_bytes < segment_bytes
                        break
                    expected_bytes = int(batch.ends[-1]) // _LINES_TO_PARSED
                    held_bytes += expected_bytes
                parsed_bytes = parser.add(batch)
                if self.keep_raw:
                    self._write_records(parser, batch)
                batch.release()
                with lock:
                    held_bytes += parsed_bytes - expected_bytes
                    tell()

        with ThreadPoolExecutor(len(self.parsers), "tokenlake-parser") as pool:
            for done in [pool.submit(work, parser) for parser in self.parsers]:
                done.result()
        return complete

    def _merge_segment(self, complete: bool) -> None:
        import pyarrow as pa

        con = self.con
        self.reader.rest()
        # A file that cannot be read after all keeps its earlier rows: they are forgotten once there are others.
        anew = {i for i in self.unread if self._is_read(i, complete)}
        self.unread -= anew
        self.merger.forget(anew)
        if not self.parsers[0].parsed[PARSED[0]]:
            self.parsers[0].add(Batch.empty())
        for name in PARSED:
            tables = [table for parser in self.parsers for table in parser.parsed[name]]
            for connection in (con, *self.merger.cursors):  # what is registered is known to one connection only
                connection.register(name, pa.concat_tables(tables))
        self.merger.gather()
        entries.count(con)
        for connection in (con, *self.merger.cursors):
            for name in PARSED:
                connection.unregister(name)
        for parser in self.parsers:
            parser.clear()
        del tables
        writing.give_back_memory(con)
        self.merger.merge()

    def _is_read(self, file_id: int, complete: bool) -> bool:
        progress = self.reader.progress.get(file_id)
        return progress is not None and (progress.ingested_bytes > 0 or (complete and not progress.error))

    def _write_records(self, parser: Parser, batch: Batch) -> None:
        """Keeps the lines of a batch as they are."""
        parser.con.register("raw_lines", batch.to_arrow())
        query = (
            f'select file_id, {partitions.quoted(self.host)} as host, line, "offset", encode(raw) as raw from raw_lines'
        )
        tag = f"{self.tag}-b{batch.number}"
        written = partitions.write(parser.con, RECORDS, query, self.staging, tag)
        parser.con.unregister("raw_lines")
        self.raw_files += written
