"""Brings another lake's rows into this one: whole transcripts, as if they had been ingested here.

Rows as logged are fed to the same merging steps as parsed ones; file_ids are of host and path, so they are the same in
every lake. The relations `ours`, `theirs`, `compared` and `taking` are those of ingest/compare.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.ingest import compare, writing
from tokenlake.ingest.commit import commit
from tokenlake.ingest.logged import Logged
from tokenlake.ingest.merge import COPIES, Merger
from tokenlake.ingest.pipeline import SEGMENT_BYTES, with_totals
from tokenlake.ingest.summary import IngestSummary, MergeSummary
from tokenlake.schema import (
    EVENTS,
    FILES,
    PROMPTS,
    RECORDS,
    REJECTS,
    REQUESTS,
    SESSION_FILES,
    TEXTS,
    TOOL_ROWS,
    USAGE_ROWS,
    Table,
)
from tokenlake.store import catalog, partitions
from tokenlake.store.catalog import Settings, Snapshot

if TYPE_CHECKING:
    import duckdb

# A lake that keeps no text takes none over (what an event says is in its detail; see sources/claude/rows.py).
_KEPT_TEXT = "replace (case when getvariable('keep_text') then text end as text)"
_KEPT_DETAIL = """replace (
  case when getvariable('keep_text') or detail is null then detail
    when type = 'assistant' then json_merge_patch(detail, '{"content":null,"lastPrompt":null}')::varchar
    else nullif(json_merge_patch(detail, '{"content":null,"lastPrompt":null}')::varchar, '{}') end as detail)"""

_AS_LOGGED: tuple[Table, ...] = (SESSION_FILES, USAGE_ROWS, TOOL_ROWS, TEXTS, PROMPTS, EVENTS)

ROWS_OF_THE_OTHER = Logged(
    session_files="select * from other_session_files",
    usage_rows="select * from other_usage_rows",
    tool_rows="select * from other_tool_rows",
    texts=f"select * {_KEPT_TEXT} from other_texts",
    prompts=f"select * {_KEPT_TEXT} from other_prompts",
    events=f"select * {_KEPT_DETAIL} from other_events",
)

# Of transcripts: the rows that are kept of ordinary ones take up a twelfth.
_ROWS_SEGMENT_BYTES = 12 * SEGMENT_BYTES

_SEGMENTS = """
-- In the order of time, so that what is merged together falls into few months, and so into few data files.
create or replace temp table segments as
select file_id, ingested_bytes,
  (sum(ingested_bytes) over (order by last_ts, file_id rows unbounded preceding) - ingested_bytes) // {size} as segment
from theirs semi join taking using (file_id)
"""


def absorb(
    root: Path,
    other: Path,
    *,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    waiting: Callable[[str], None] | None = None,
) -> MergeSummary:
    """Merges the lake at `other` into the one at `root`, which is made where there is none.

    The other lake is only read. Raises LakeError and its kin: no lake, the same lake, another schema version, damaged
    data files, a lake that cannot be locked or written.
    """

    started = time.perf_counter()
    theirs = compare.other_lake(root, other)
    con = writing.engine(jobs or os.cpu_count() or 1)
    try:
        with writing.held(con, root, waiting) as ours:
            if not catalog.exists(root):  # a new lake is filled as the other was
                ours = replace(ours, settings=replace(theirs.settings, roots={}))
            summary, merged = _merge(con, ours, theirs, progress)
        summary = replace(summary, lake=with_totals(con, merged, summary.lake))
    finally:
        con.close()
    return replace(summary, seconds=time.perf_counter() - started)


def bring(
    con: duckdb.DuckDBPyConnection,
    merger: Merger,
    theirs: Snapshot,
    raw_files: list[Path],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Merges the rows of the transcripts in `taking`, segment by segment; `raw_files` hold lines kept of them.

    `merger` is one of ROWS_OF_THE_OTHER.
    """
    con.execute(_SEGMENTS.format(size=_ROWS_SEGMENT_BYTES))
    sizes = con.execute("select segment, sum(ingested_bytes)::bigint from segments group by 1 order by 1").fetchall()
    done, total = 0, sum(size for _, size in sizes)
    # Also where nothing is taken: there may be rows to forget.
    for segment, size in sizes or [(0, 0)]:
        if progress is not None:
            progress(done, total)
        for table in _AS_LOGGED:
            copies = COPIES.get(table.name)
            rows = " union all by name ".join(
                f"select * from {partitions.relation(part, theirs.paths(part.name))}"
                for part in (table, copies)
                if part is not None
            )
            with compare.reading(theirs):
                con.execute(
                    f"create table other_{table.name} as select * from ({rows})"
                    f" semi join (select file_id from segments where segment = {segment}) using (file_id)"
                )
        merger.gather()
        for table in _AS_LOGGED:
            con.execute(f"drop table other_{table.name}")
        merger.merge()
        done += size
    merger.finish(raw_files)
    if progress is not None:
        progress(total, total)


# --- steps -----------------------------------------------------------------------------------------------------------


def _merge(
    con: duckdb.DuckDBPyConnection,
    ours: Snapshot,
    theirs: Snapshot,
    progress: Callable[[int, int], None] | None,
) -> tuple[MergeSummary, Snapshot]:
    outcomes = compare.transcripts(con, ours, theirs)
    [(departures,)] = con.execute(
        "select count(*) from compared join ours using (file_id)"
        " where outcome in ('same', 'older', 'poorer') and departed_now is distinct from departed_at"
    ).fetchall()
    lacking = compare.lines(con, ours, theirs)
    told = compare.told(con, ours, theirs)
    summary = MergeSummary(
        files_other=sum(count for outcome, count in outcomes.items() if outcome not in ("ours", "bare")),
        files_new=outcomes.get("new", 0),
        files_replaced=outcomes.get("newer", 0) + outcomes.get("richer", 0),
        files_same=outcomes.get("same", 0),
        files_older=outcomes.get("older", 0) + outcomes.get("poorer", 0),
        requests_before=_rows(con, ours, REQUESTS),
        requests_other=_rows(con, theirs, REQUESTS),
        lake=IngestSummary(),
        warnings=_left_behind(ours.settings, theirs, outcomes.get("poorer", 0), outcomes["bare"]),
    )
    taken = bool(con.execute("select 1 from taking limit 1").fetchall())
    changed = taken or departures or lacking or told
    if not changed and catalog.exists(ours.root):
        return summary, ours
    with writing.staged(con, ours) as staging:
        snapshot = replace(ours, commit=ours.commit + 1)
        known = "select file_id from compared where outcome in ('newer', 'richer') and not is_beside"
        replaced = [i for (i,) in con.execute(known).fetchall()]
        tag = f"{snapshot.commit:06d}"
        merger = Merger(con, snapshot, staging, tag, None, replaced, ROWS_OF_THE_OTHER)
        if summary.files_new or summary.files_replaced or lacking:
            raw_files = _keep_lines(con, ours, theirs, staging, tag, lacking) if ours.settings.keep_raw else []
            bring(con, merger, theirs, raw_files, progress)
        if taken:
            rejects = partitions.relation(REJECTS, merger.snapshot.paths(REJECTS.name))
            with compare.reading(theirs):
                con.execute(
                    "create or replace temp table their_rejects as select * from"
                    f" {partitions.relation(REJECTS, theirs.paths(REJECTS.name))} semi join taking using (file_id)"
                )
            merger.replace_whole(
                REJECTS,
                f"select * from {rejects} anti join taking using (file_id)"
                " union all by name select * from their_rejects",
            )
        merger.replace_whole(FILES, compare.LEDGER)
        for table, query in told:
            merger.replace_whole(table, query)
        return summary, commit(merger.snapshot, staging)


def _keep_lines(
    con: duckdb.DuckDBPyConnection, ours: Snapshot, theirs: Snapshot, staging: Path, tag: str, lacking: bool
) -> list[Path]:
    """Writes the other lake's lines as logged, a data file at a time; returns what was written."""
    if lacking:
        known = partitions.relation(RECORDS, ours.paths(RECORDS.name))
        con.execute(
            'create or replace temp table known_lines as select file_id, "offset"'
            f" from {known} semi join lacking using (file_id)"
        )
    written = []
    for number, path in enumerate(theirs.paths(RECORDS.name)):
        lines = partitions.relation(RECORDS, [path])
        query = f"select * from {lines} semi join taking using (file_id)"
        if lacking:
            query += (
                f" union all select * from {lines} semi join lacking using (file_id)"
                ' anti join known_lines using (file_id, "offset")'
            )
        with compare.reading(theirs):
            if con.execute(f"select 1 from ({query}) limit 1").fetchall():
                written += partitions.write(con, RECORDS, query, staging, f"{tag}-o{number}")
    return written


def _left_behind(ours: Settings, theirs: Snapshot, poorer: int, bare: int) -> tuple[str, ...]:
    warnings = []
    if bare:
        warnings.append(
            f"{theirs.root} has the texts of {bare} transcripts that are here without them, and lacks lines as logged"
            " that are here: they stay as they are; tokenlake rebuild makes texts from the lines, where all are kept"
        )
    if poorer:
        warnings.append(
            f"{theirs.root} read {poorer} transcripts further, and lacks their texts or lines that this lake keeps:"
            " they stay as they are here; ingest the transcripts themselves"
        )
    if theirs.files.get(RECORDS.name) and not ours.keep_raw:
        warnings.append(
            f"{theirs.root} keeps lines as logged, this lake does not: they were not taken over;"
            " tokenlake ingest --keep-raw turns that on, then merge again"
        )
    if theirs.settings.keep_text and not ours.keep_text:
        warnings.append(f"{theirs.root} keeps texts, this lake does not: they were not taken over")
    return tuple(warnings)


def _rows(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, table: Table) -> int:
    with compare.reading(snapshot):
        relation = partitions.relation(table, snapshot.paths(table.name))
        [(count,)] = con.execute(f"select count(*) from {relation}").fetchall()
    return int(count)
