"""One ingest at work: reads the planned transcripts, merges them segment by segment, and writes the ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.ingest.merge import Merger
from tokenlake.ingest.parse import PARSED, Parser
from tokenlake.ingest.plan import Plan
from tokenlake.ingest.read import BATCH_BYTES, Batch, Reader
from tokenlake.ingest.salvage import Reject
from tokenlake.ingest.summary import IngestSummary
from tokenlake.ingest.transcript import fingerprint
from tokenlake.schema import FILES, RECORDS, REJECTS, arrow_schema
from tokenlake.sources import claude
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

_FILE_STATS = """
insert into file_stats
select file_id, count(*), coalesce(sum(odd), 0)::bigint, min(ts), max(ts), arg_max(ts, "offset"),
  arg_max(prompt_id, "offset"), 0
from record_log group by file_id
union all
select file_id, 0, 0, null, null, null, null, count(*) from (
  select file_id from assistants where type = 'assistant' and output_tokens is not null
  union all
  select file_id from embedded where type = 'assistant' and output_tokens is not null
) group by file_id
"""
_RESUME = """
create or replace table resume as
select coalesce(latest.file_id, resume.file_id) as file_id, coalesce(latest.ts, resume.ts) as ts,
  coalesce(latest.prompt_id, resume.prompt_id) as prompt_id
from resume full join (
  select file_id, arg_max(ts, "offset") as ts, arg_max(prompt_id, "offset") as prompt_id
  from record_log group by file_id
) latest on resume.file_id = latest.file_id
"""
_NEW_FILES = """
-- What the ledger says now of the files that were looked at.
with stats as (
  select file_id, sum(records)::bigint as records, sum(odd_fields)::bigint as odd_fields,
    min(first_ts) as first_ts, max(last_ts) as last_ts, sum(usage_rows)::bigint as usage_rows
  from file_stats group by file_id
),
lost as (select file_id, count(*) as rejects from new_rejects group by file_id)
select seen.* exclude (grown),
  case when grown then earlier.records else 0 end + coalesce(stats.records, 0) as records,
  case when grown then earlier.usage_rows else 0 end + coalesce(stats.usage_rows, 0) as usage_rows,
  case when grown then earlier.rejects else 0 end + coalesce(lost.rejects, 0) as rejects,
  case when grown then earlier.odd_fields else 0 end + coalesce(stats.odd_fields, 0) as odd_fields,
  case when grown then least(earlier.first_ts, stats.first_ts) else stats.first_ts end as first_ts,
  case when grown then greatest(earlier.last_ts, stats.last_ts) else stats.last_ts end as last_ts,
  resume.ts as resume_ts, resume.prompt_id as resume_prompt_id, null::timestamptz as departed_at
from seen
left join earlier using (file_id)
left join stats using (file_id)
left join lost using (file_id)
left join resume using (file_id)
"""


class Ingestion:
    """The state of one ingest: `snapshot` grows with every merged segment and is published by the caller."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        snapshot: Snapshot,
        todo: Plan,
        host: str,
        jobs: int,
        staging: Path,
        segment_bytes: int,
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
        self.reader = Reader(todo.tasks, parsers, batch_bytes)
        self.parsers = [Parser(con.cursor()) for _ in range(parsers)]
        self.raw_files: list[Path] = []
        con.execute(
            "create or replace temp view earlier as select * from "
            + partitions.relation(FILES, snapshot.paths(FILES.name))
        )
        self._register_paths()
        con.execute(
            "create or replace temp table file_stats (file_id bigint, records bigint, odd_fields bigint,"
            " first_ts timestamptz, last_ts timestamptz, resume_ts timestamptz, resume_prompt_id varchar,"
            " usage_rows bigint)"
        )
        con.execute(
            "create or replace table resume as"
            " select file_id, resume_ts as ts, resume_prompt_id as prompt_id from earlier"
            " semi join grown using (file_id)"
        )
        self.merger = Merger(con, snapshot, staging, self.tag, host, todo.replaced)

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
        while True:
            complete = self._parse_segment(batches, tell)
            self._merge_segment()
            if complete:
                break
        self.merger.finish(self.raw_files)

    def _parse_segment(self, batches: Iterator[Batch], tell: Callable[[], None]) -> bool:
        """Parses batches, one parser a thread, until the segment is full; whether there are no more."""
        lock = threading.Lock()
        parsed_bytes, complete = 0, False

        def work(parser: Parser) -> None:
            nonlocal parsed_bytes, complete
            while True:
                with lock:
                    batch = None if parsed_bytes >= self.segment_bytes else next(batches, None)
                    if batch is None:
                        complete = complete or parsed_bytes < self.segment_bytes
                        break
                    parsed_bytes += int(batch.ends[-1])
                parser.add(batch)
                if self.keep_raw:
                    self._write_records(parser, batch)
                batch.release()
                with lock:
                    tell()

        with ThreadPoolExecutor(len(self.parsers), "tokenlake-parser") as pool:
            for done in [pool.submit(work, parser) for parser in self.parsers]:
                done.result()
        return complete

    def write_ledger(self, now: datetime) -> None:
        """Writes the tables `rejects` and `files` to staging."""
        con = self.con
        con.register("new_rejects_arrow", self._rejects_table())
        con.execute("create or replace temp table new_rejects as select * from new_rejects_arrow")
        con.unregister("new_rejects_arrow")
        read_anew = "select file_id from seen where not grown"
        self.con.register("seen_arrow", self._seen_table())
        con.execute("create or replace temp table seen as select * from seen_arrow")
        con.unregister("seen_arrow")
        live_rejects = partitions.relation(REJECTS, self.snapshot.paths(REJECTS.name))
        self.merger.replace_whole(
            REJECTS,
            f"select * from {live_rejects} anti join ({read_anew}) using (file_id)"
            " union all by name select * from new_rejects",
        )
        con.execute("set variable now = ?", [now])
        con.execute("create or replace temp table new_files as " + _NEW_FILES)
        con.execute(
            "update new_files set kind = 'not-jsonl' where records = 0 and rejects > 0 and kind <> 'stream-json'"
        )
        con.register("departed", _ids(self.todo.departed))
        self.merger.replace_whole(
            FILES,
            "select * replace ("
            "case when file_id in (select file_id from departed) then getvariable('now')::timestamptz"
            " else departed_at end as departed_at)"
            " from earlier anti join new_files using (file_id)"
            " union all by name select * from new_files",
        )
        con.unregister("departed")

    def summary(self, files_found: int) -> IngestSummary:
        """What this ingest did, without the totals of the lake."""
        [(records, odd)] = self.con.execute(
            "select coalesce(sum(records), 0)::bigint, coalesce(sum(odd_fields), 0)::bigint from file_stats"
        ).fetchall()
        strangers = self.con.execute(
            "select path, rejects from new_files where kind = 'not-jsonl' order by path"
        ).fetchall()
        warnings = [
            f"{path}: not a transcript: none of its {rejects:,} lines is a record" for path, rejects in strangers
        ]
        found = self.todo.found
        warnings += [
            f"{found[file_id].path}: {progress.error}; read up to byte {progress.ingested_bytes}"
            for file_id, progress in self.reader.progress.items()
            if progress.error
        ]
        warnings += [
            f"{found[file_id].path}: empty, nothing to read"
            for file_id, progress in self.reader.progress.items()
            if not (progress.ingested_bytes or progress.pending_bytes or progress.error)
        ]
        progress = self.reader.progress.values()
        first_lines = {task.file_id: task.first_line for task in self.todo.tasks}
        return IngestSummary(
            files_found=files_found,
            files_read=len(self.reader.progress),
            bytes_read=self.reader.bytes_read,
            lines=sum(p.lines - first_lines[i] + 1 for i, p in self.reader.progress.items()),
            records=records,
            rejects=sum(1 for _ in self._rejects()),
            odd_fields=odd,
            pending_bytes=sum(p.pending_bytes for p in progress),
            warnings=tuple(warnings),
        )

    # --- steps -----------------------------------------------------------------------------------------------

    def _merge_segment(self) -> None:
        import pyarrow as pa

        con = self.con
        # A file that could not be read after all keeps its earlier rows.
        failed = {i for i, progress in self.reader.progress.items() if progress.error and not progress.ingested_bytes}
        con.register("failed", _ids(failed))
        con.execute("delete from replaced where file_id in (select file_id from failed)")
        con.unregister("failed")
        if not self.parsers[0].parsed[PARSED[0]]:
            self.parsers[0].add(Batch.empty())
        for name in PARSED:
            tables = [table for parser in self.parsers for table in parser.parsed[name]]
            for connection in (con, *self.merger.cursors):  # what is registered is known to one connection only
                connection.register(name, pa.concat_tables(tables))
        con.execute(f"create or replace view record_log as {claude.RECORD_LOG}")
        con.execute(f"create or replace table embedded as {claude.EMBEDDED}")
        con.execute(f"create or replace table times as {claude.TIMES}")
        con.execute(f"create or replace table turns as {claude.TURNS}")
        self.merger.merge()
        con.execute(_FILE_STATS)
        con.execute(_RESUME)
        for connection in (con, *self.merger.cursors):
            for name in PARSED:
                connection.unregister(name)
        for parser in self.parsers:
            parser.clear()

    def _rejects(self) -> Iterator[Reject]:
        yield from self.reader.rejects
        for parser in self.parsers:
            yield from parser.rejects

    def _register_paths(self) -> None:
        import pyarrow as pa

        found = self.todo.found
        self.con.register(
            "found_paths",
            pa.table(
                {
                    "file_id": pa.array(list(found), pa.int64()),
                    "path": pa.array([file.shown_path for file in found.values()], pa.string()),
                }
            ),
        )
        self.con.execute(
            "create or replace table paths as select file_id, path from found_paths"
            " union select file_id, path from earlier"
        )
        self.con.unregister("found_paths")
        self.con.register("grown_ids", _ids(self.todo.grown))
        self.con.execute("create or replace temp table grown as select file_id from grown_ids")
        self.con.unregister("grown_ids")

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

    def _rejects_table(self) -> Any:
        import pyarrow as pa

        found = self.todo.found
        rows = [
            {
                "file": found[reject.file_id].shown_path,
                "line": reject.line,
                "offset": reject.offset,
                "bytes": reject.length,
                "reason": reject.reason,
                "head": reject.head.decode("utf-8", "replace"),
                "host": self.host,
                "file_id": reject.file_id,
            }
            for reject in self._rejects()
        ]
        return pa.Table.from_pylist(rows, schema=arrow_schema(REJECTS))

    def _seen_table(self) -> Any:
        """The files that were read or refused, as far as Python knows them."""
        import pyarrow as pa

        rows = []
        for file_id, progress in self.reader.progress.items():
            file, grown = self.todo.found[file_id], file_id in self.todo.grown
            if progress.error and not grown and not progress.ingested_bytes:
                continue  # nothing is known of it: it will be tried again
            rows.append(
                {
                    "file_id": file_id,
                    "path": file.shown_path,
                    "kind": file.kind,
                    # A file that failed looks changed to the next ingest.
                    "size": progress.ingested_bytes if progress.error else file.size,
                    "mtime_ns": 0 if progress.error else file.mtime_ns,
                    "prefix_hash": _fingerprint(file.path, progress.ingested_bytes),
                    "ingested_bytes": progress.ingested_bytes,
                    "pending_bytes": progress.pending_bytes,
                    "lines": progress.lines,
                    "grown": grown,
                }
            )
        for file_id in self.todo.refused:
            file = self.todo.found[file_id]
            rows.append(
                {
                    "file_id": file_id,
                    "path": file.shown_path,
                    "kind": "stream-json",
                    "size": file.size,
                    "mtime_ns": file.mtime_ns,
                    "prefix_hash": "",
                    "ingested_bytes": 0,
                    "pending_bytes": 0,
                    "lines": 0,
                    "grown": False,
                }
            )
        schema = pa.schema(
            [
                *(
                    field
                    for field in arrow_schema(FILES)
                    if field.name
                    in {
                        "file_id",
                        "path",
                        "kind",
                        "size",
                        "mtime_ns",
                        "prefix_hash",
                        "ingested_bytes",
                        "pending_bytes",
                        "lines",
                    }
                ),
                pa.field("grown", pa.bool_()),
                pa.field("host", pa.string()),
            ]
        )
        return pa.Table.from_pylist([{**row, "host": self.host} for row in rows], schema=schema)


def _fingerprint(path: str, ingested_bytes: int) -> str:
    """The fingerprint of a transcript; empty where it vanished while it was read."""
    try:
        return fingerprint(path, ingested_bytes)
    except OSError:
        return ""


def _ids(file_ids: set[int]) -> Any:
    import pyarrow as pa

    return pa.table({"file_id": pa.array(sorted(file_ids), pa.int64())})
