"""What an ingest learned of each file: its rows of `files`, the ledger, and of `rejects`; and the summary.

The queries share these relations of the ingest's database: `earlier` (the ledger before), `paths` (file_id, path of
every file known), `grown` (file_ids read on from where they were left), `file_stats` (what each segment found),
`stats_beside` (what was found in the files beside transcripts),
`resume` (file_id, ts, prompt_id: what a record without takes from the one before it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tokenlake.ingest.plan import Plan
from tokenlake.ingest.read import Progress
from tokenlake.ingest.salvage import Reject
from tokenlake.ingest.summary import IngestSummary
from tokenlake.ingest.transcript import is_archive
from tokenlake.schema import FILES, REJECTS, arrow_schema
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import IS_BESIDE

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from tokenlake.ingest.merge import Merger
    from tokenlake.ingest.told import Told

_FILE_STATS = """
insert into file_stats
select file_id, count(*), coalesce(sum(odd), 0)::bigint, min(ts), max(ts), arg_max(ts, "offset"),
  arg_max(prompt_id, "offset"), 0, sum(bytes)::bigint, 0
from record_log group by file_id
union all
select file_id, 0, 0, null, null, null, null, count(*), 0, 0 from (
  select file_id from assistants where type = 'assistant' and has_usage
  union all
  select file_id from embedded where type = 'assistant' and has_usage
) group by file_id
union all
select file_id, 0, 0, null, null, null, null, 0, 0, bytes from blanks
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
    min(first_ts) as first_ts, max(last_ts) as last_ts, sum(usage_rows)::bigint as usage_rows,
    sum(record_bytes)::bigint as record_bytes, sum(blank_bytes)::bigint as blank_bytes
  from (from file_stats union all by name from stats_beside) group by file_id
),
lost as (select file_id, count(*) as rejects, sum(bytes)::bigint as bytes from new_rejects group by file_id)
select seen.* exclude (grown, newline_bytes),
  case when grown then earlier.records else 0 end + coalesce(stats.records, 0) as records,
  case when grown then earlier.usage_rows else 0 end + coalesce(stats.usage_rows, 0) as usage_rows,
  case when grown then earlier.rejects else 0 end + coalesce(lost.rejects, 0) as rejects,
  case when grown then earlier.odd_fields else 0 end + coalesce(stats.odd_fields, 0) as odd_fields,
  case when grown then least(earlier.first_ts, stats.first_ts) else stats.first_ts end as first_ts,
  case when grown then greatest(earlier.last_ts, stats.last_ts) else stats.last_ts end as last_ts,
  resume.ts as resume_ts, resume.prompt_id as resume_prompt_id,
  -- Unknown of what an earlier version read, and so of the whole.
  case when grown then earlier.record_bytes else 0 end + coalesce(stats.record_bytes, 0) as record_bytes,
  case when grown then earlier.rejected_bytes else 0 end + coalesce(lost.bytes, 0) as rejected_bytes,
  case when grown then earlier.newline_bytes else 0 end + seen.newline_bytes as newline_bytes,
  case when grown then earlier.blank_bytes else 0 end + coalesce(stats.blank_bytes, 0) as blank_bytes
from seen
left join earlier using (file_id)
left join stats using (file_id)
left join lost using (file_id)
left join resume using (file_id)
"""


def prepare(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, todo: Plan) -> None:
    """Makes the relations that say what is known of every transcript before anything is read."""
    import pyarrow as pa

    earlier = partitions.relation(FILES, snapshot.paths(FILES.name))
    con.execute(f"create or replace temp view earlier as select * from {earlier}")
    found = pa.table(
        {
            "file_id": pa.array(list(todo.found), pa.int64()),
            "path": pa.array([file.shown_path for file in todo.found.values()], pa.string()),
        }
    )
    con.register("found", found)
    con.execute(
        "create or replace table paths as select file_id, path from found union select file_id, path from earlier"
    )
    con.unregister("found")
    _hold(con, "grown", ids(todo.grown))
    con.execute(
        "create or replace temp table file_stats (file_id bigint, records bigint, odd_fields bigint,"
        " first_ts timestamptz, last_ts timestamptz, resume_ts timestamptz, resume_prompt_id varchar,"
        " usage_rows bigint, record_bytes bigint, blank_bytes bigint)"
    )
    con.execute(
        "create or replace table resume as select file_id, resume_ts as ts, resume_prompt_id as prompt_id"
        " from earlier semi join grown using (file_id)"
    )


def count(con: duckdb.DuckDBPyConnection) -> None:
    """Adds what the segment at hand found to `file_stats` and `resume`."""
    con.execute(_FILE_STATS)
    con.execute(_RESUME)


def write(
    merger: Merger, seen: pa.Table, lost: pa.Table, departed: Iterable[int], now: datetime, told: Sequence[Told] = ()
) -> None:
    """Writes the tables `rejects` and `files` to staging.

    `seen` and `lost` are as made by the functions of these names; `departed` are transcripts found missing, `now`.
    `told` is what was read of the files beside transcripts.
    """
    import pyarrow as pa

    con, snapshot = merger.con, merger.snapshot
    seen = pa.concat_tables([seen, *(each.seen for each in told)])
    lost = pa.concat_tables([lost, *(each.lost for each in told)])
    departed = {*departed, *(number for each in told for number in each.departed)}
    con.execute("create or replace temp table stats_beside as select * from file_stats limit 0")
    for each in told:
        con.register("told_stats", each.stats)
        con.execute("insert into stats_beside by name select * from told_stats")
        con.unregister("told_stats")
    _hold(con, "new_rejects", lost)
    _hold(con, "seen", seen)
    live_rejects = partitions.relation(REJECTS, snapshot.paths(REJECTS.name))
    merger.replace_whole(
        REJECTS,
        f"select * from {live_rejects} anti join (select file_id from seen where not grown) using (file_id)"
        " union all by name select * from new_rejects",
    )
    con.execute("create or replace temp table new_files as " + _NEW_FILES)
    con.execute(
        "update new_files set kind = 'not-jsonl'"
        " where records = 0 and rejects > 0 and coalesce(rejected_bytes, 1) > 0"  # a damaged archive may be one
        f" and kind <> 'stream-json' and not {IS_BESIDE}"
    )
    con.execute("set variable now = ?", [now])
    _hold(con, "departed", ids(departed))
    merger.replace_whole(
        FILES,
        "select * replace ("
        "case when file_id in (select file_id from departed) then getvariable('now')::timestamptz"
        " else departed_at end as departed_at)"
        " from earlier anti join new_files using (file_id)"
        " union all by name select * from new_files",
    )


def summarise(
    con: duckdb.DuckDBPyConnection, todo: Plan, progress: Mapping[int, Progress], bytes_read: int, rejects: int
) -> IngestSummary:
    """What the ingest did, without the totals of the lake; to be called after `write`."""
    [(records, odd)] = con.execute(
        "select coalesce(sum(records), 0)::bigint, coalesce(sum(odd_fields), 0)::bigint from file_stats"
    ).fetchall()
    first_lines = {task.file_id: task.first_line for task in todo.tasks}
    return IngestSummary(
        files_found=len(todo.found),
        files_read=len(progress),
        bytes_read=bytes_read,
        lines=sum(p.lines - first_lines[i] + 1 for i, p in progress.items()),
        records=records,
        rejects=rejects,
        odd_fields=odd,
        pending_bytes=sum(p.pending_bytes for p in progress.values()),
        warnings=tuple(_warnings(con, todo, progress)),
    )


def _warnings(con: duckdb.DuckDBPyConnection, todo: Plan, progress: Mapping[int, Progress]) -> list[str]:
    strangers = con.execute("select path, rejects from new_files where kind = 'not-jsonl' order by path").fetchall()
    warnings = [f"{path}: not a transcript: none of its {rejects:,} lines is a record" for path, rejects in strangers]
    paths = {file_id: todo.found[file_id].path for file_id in progress}
    warnings += [f"{paths[i]}: {p.error}; read up to byte {p.ingested_bytes}" for i, p in progress.items() if p.error]
    warnings += [
        f"{paths[i]}: empty, nothing to read"
        for i, p in progress.items()
        if not (p.ingested_bytes or p.pending_bytes or p.error)
    ]
    return warnings


def lost(rejects: Iterable[Reject], todo: Plan, host: str) -> pa.Table:
    """What could not be read, as rows of `rejects`."""
    import pyarrow as pa

    rows = [
        {
            "file": todo.found[reject.file_id].shown_path,
            "line": reject.line,
            "offset": reject.offset,
            "bytes": reject.length,
            "reason": reject.reason,
            "head": reject.head.decode("utf-8", "replace"),
            "host": host,
            "file_id": reject.file_id,
        }
        for reject in rejects
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(REJECTS))


LOOKED_AT = (
    *("file_id", "path", "kind", "size", "mtime_ns", "prefix_hash", "ingested_bytes", "pending_bytes", "lines"),
    *("host", "departed_at", "newline_bytes"),
)
"""The columns of `files` that tell of a transcript on disk and of its reading, not of what was read."""


def seen(todo: Plan, host: str, progress: Mapping[int, Progress]) -> pa.Table:
    """The transcripts that were read or refused: LOOKED_AT, and whether each was `grown`."""
    import pyarrow as pa

    rows = []
    for file_id, read in progress.items():
        file, grown = todo.found[file_id], file_id in todo.grown
        if read.error and not read.is_damaged and not grown and not read.ingested_bytes:
            continue  # nothing is known of it: it will be tried again
        # A file that failed looks changed to the next ingest, unless it would fail there again.
        size, mtime_ns = (file.size, file.mtime_ns)
        if read.error and not read.is_damaged:
            size, mtime_ns = (read.ingested_bytes, 0)
        taken = ("" if is_archive(file.path) else read.prefix_hash, read.ingested_bytes, read.pending_bytes, read.lines)
        rows.append((file_id, file.shown_path, file.kind, size, mtime_ns, *taken, host, None, read.newlines, grown))
    for file_id in todo.refused:
        file = todo.found[file_id]
        unread = ("", 0, 0, 0, host, None, 0)
        rows.append((file_id, file.shown_path, "stream-json", file.size, file.mtime_ns, *unread, False))
    known = arrow_schema(FILES)
    schema = pa.schema([*(known.field(name) for name in LOOKED_AT), ("grown", pa.bool_())])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def _hold(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Makes a table of the ingest's database from Arrow rows."""
    con.register("rows_to_hold", rows)
    con.execute(f"create or replace temp table {name} as select * from rows_to_hold")
    con.unregister("rows_to_hold")


def ids(file_ids: Iterable[int]) -> pa.Table:
    """Transcripts as a table (file_id)."""
    import pyarrow as pa

    return pa.table({"file_id": pa.array(sorted(file_ids), pa.int64())})
