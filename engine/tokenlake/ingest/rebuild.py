"""Makes a lake anew from the lines that it kept: they go through the same steps as lines of transcripts do.

Needed are the ledger, the kept lines and the rejects that no line holds; every other table is made from these.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import LakeError
from tokenlake.ingest import absorb, entries, writing
from tokenlake.ingest.commit import commit
from tokenlake.ingest.discover import FoundFile
from tokenlake.ingest.kept import KeptLines, find_whole
from tokenlake.ingest.merge import Merger
from tokenlake.ingest.pipeline import SEGMENT_BYTES, with_totals
from tokenlake.ingest.plan import Plan
from tokenlake.ingest.read import Progress
from tokenlake.ingest.segment import Ingestion
from tokenlake.ingest.summary import RebuildSummary
from tokenlake.ingest.transcript import Task
from tokenlake.schema import FILES, KNOWN_PROMPTS, QUOTA_SAMPLES, RECORDS, REJECTS, Table
from tokenlake.store import catalog, partitions
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import IS_BESIDE

if TYPE_CHECKING:
    import duckdb

_NOT_FROM_TRANSCRIPTS: tuple[Table, ...] = (RECORDS, QUOTA_SAMPLES, KNOWN_PROMPTS)
"""What stays as it is."""

_NAMED = 3
"""How many of the transcripts that cannot be rebuilt are named."""


def rebuild(
    root: Path,
    *,
    keep_others: bool = False,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    waiting: Callable[[str], None] | None = None,
) -> RebuildSummary:
    """Makes every table anew that is made from transcripts, from the lines in `records`; the old ones stay until then.

    Transcripts of which not all bytes were kept cannot be rebuilt: with `keep_others` their rows are taken over as
    they are, without it nothing is done. Raises LakeError in that case, and where there is no lake, or where it
    cannot be locked or written; LakeDamagedError where the ledger or the kept lines cannot be read.
    """

    started = time.perf_counter()
    if not catalog.exists(root):
        raise LakeError(f"there is no lake at {root}: name one with --lake")
    con = writing.engine(jobs or os.cpu_count() or 1)
    try:
        with writing.held(con, root, waiting) as snapshot:
            others = find_whole(con, snapshot)
            if others and not keep_others:
                raise LakeError(_refusal(root, others))
            summary, rebuilt = _rebuild(con, snapshot, jobs or os.cpu_count() or 1, progress)
        summary = replace(summary, files_taken_over=len(others), lake=with_totals(con, rebuilt, summary.lake))
    finally:
        con.close()
    return replace(summary, seconds=time.perf_counter() - started)


# --- steps -----------------------------------------------------------------------------------------------------------


def _refusal(root: Path, others: list[str]) -> str:
    named = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else "")
    return (
        f"{root}: the bytes of {len(others):,} transcripts were not all kept, so they cannot be rebuilt: {named};"
        " the lake is as it was. --keep-others rebuilds the rest and takes the rows of these over as they are"
    )


def _rebuild(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, jobs: int, progress: Callable[[int, int], None] | None
) -> tuple[RebuildSummary, Snapshot]:
    kept = {table.name: snapshot.files[table.name] for table in _NOT_FROM_TRANSCRIPTS if table.name in snapshot.files}
    # The lines are there already: they are not kept once more.
    settings = replace(snapshot.settings, keep_raw=False)
    rebuilt = replace(snapshot, files=kept, settings=settings)
    summary = RebuildSummary()
    hosts = con.execute("select distinct host from ledger semi join whole using (file_id) order by host").fetchall()
    [(total,)] = con.execute(
        "select coalesce(sum(ingested_bytes), 0)::bigint from ledger semi join whole using (file_id)"
    ).fetchall()
    with writing.staged(con, snapshot) as staging:
        for (host,) in hosts:
            rebuilt = replace(rebuilt, commit=rebuilt.commit + 1)
            con.execute(
                "create or replace table rebuilding as select ledger.* replace (whole.newline_bytes as newline_bytes)"
                " from ledger join whole using (file_id) where host = ?",
                [host],
            )
            told = None if progress is None else partial(_tell, progress, summary.bytes_read, total)
            summary, rebuilt = _rebuild_host(con, rebuilt, host, jobs, staging, told, summary)
        rebuilt = _take_over(con, snapshot, replace(rebuilt, commit=rebuilt.commit + 1), staging)
        return summary, commit(replace(rebuilt, settings=snapshot.settings), staging)


def _tell(progress: Callable[[int, int], None], before: int, total: int, done: int, _: int) -> None:
    progress(min(before + done, total), total)


def _rebuild_host(
    con: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    host: str,
    jobs: int,
    staging: Path,
    progress: Callable[[int, int], None] | None,
    before: RebuildSummary,
) -> tuple[RebuildSummary, Snapshot]:
    """The snapshot with the transcripts of one machine in it, those of `rebuilding`."""
    todo, read = _plan(con)
    records = partitions.relation(RECORDS, snapshot.paths(RECORDS.name))
    lines = KeptLines(con.cursor(), records, read)
    ingestion = Ingestion(con, snapshot, todo, host, jobs, staging, SEGMENT_BYTES, lines)
    ingestion.read_all(progress)
    rejects = ingestion.rejects
    looked_at = ", ".join(entries.LOOKED_AT)
    seen = con.sql(f"select {looked_at}, false as grown from rebuilding").to_arrow_table()
    unheld = con.sql("select * from unheld semi join rebuilding using (file_id)").to_arrow_table()
    lost = entries.lost(rejects, todo, host)
    import pyarrow as pa

    entries.write(ingestion.merger, seen, pa.concat_tables([lost, unheld.cast(lost.schema)]), (), datetime.now(UTC))
    found = entries.summarise(con, todo, read, lines.bytes_read, len(rejects) + unheld.num_rows)
    summary = replace(
        before,
        files=before.files + found.files_read,
        lines=before.lines + found.lines,
        bytes_read=before.bytes_read + found.bytes_read,
        records=before.records + found.records,
        rejects=before.rejects + found.rejects,
        odd_fields=before.odd_fields + found.odd_fields,
    )
    return summary, ingestion.snapshot


def _plan(con: duckdb.DuckDBPyConnection) -> tuple[Plan, dict[int, Progress]]:
    """The transcripts in `rebuilding` as an ingest plans them, and as read to where the ledger says."""
    todo, read = Plan(), {}
    for file_id, path, kind, size, mtime_ns, ingested_bytes, lines, pending_bytes in con.execute(
        "select file_id, path, kind, size, mtime_ns, ingested_bytes, lines, pending_bytes from rebuilding"
    ).fetchall():
        todo.found[file_id] = FoundFile(file_id, path, kind, size, mtime_ns)
        todo.tasks.append(Task(file_id, path, ingested_bytes))
        read[file_id] = Progress(ingested_bytes, lines, pending_bytes)
    return todo, read


def _take_over(con: duckdb.DuckDBPyConnection, old: Snapshot, rebuilt: Snapshot, staging: Path) -> Snapshot:
    """The rebuilt snapshot with the rows of the transcripts that are not whole, as the old one has them.

    So it is with the ledger and rejects of the files beside transcripts.
    """
    con.execute("create or replace table taking as select file_id from ledger anti join whole using (file_id)")
    if not con.execute("select 1 from taking limit 1").fetchall():
        return rebuilt
    con.execute("create or replace table paths as select file_id, path from ledger")
    con.execute("create or replace temp table theirs as select * from ledger")
    merger = Merger(con, rebuilt, staging, f"{rebuilt.commit:06d}", None, (), absorb.ROWS_OF_THE_OTHER)
    if con.execute(f"select 1 from ledger semi join taking using (file_id) where not {IS_BESIDE} limit 1").fetchall():
        absorb.bring(con, merger, old, [])
    for table in (REJECTS, FILES):
        now, before = (partitions.relation(table, s.paths(table.name)) for s in (merger.snapshot, old))
        merger.replace_whole(
            table, f"select * from {now} union all by name select * from {before} semi join taking using (file_id)"
        )
    return merger.snapshot
