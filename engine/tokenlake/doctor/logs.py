"""The logs: what was not read, what changed since, what was odd, other formats, what was never seen before."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from tokenlake.doctor import known, novelties
from tokenlake.doctor.findings import Finding, counted, listed, not_checked, ok, warning
from tokenlake.doctor.lookout import Logs
from tokenlake.doctor.novelties import Novelties, version_of
from tokenlake.errors import LakeDamagedError
from tokenlake.ingest.plan import Plan
from tokenlake.schema import FILES, REJECTS, USAGE_ROWS
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import IS_BESIDE, REFUSED_KINDS

if TYPE_CHECKING:
    import duckdb

_KEPT_LINES = 20_000
"""How many of the lines that the lake keeps are looked at where there are no transcripts on disk."""

_REFUSED = f"kind in ({', '.join(map(partitions.quoted, sorted({*REFUSED_KINDS, 'not-jsonl'})))})"

_UPDATE = "a newer tokenlake may know it: pip install -U tokenlake; if not, please report the names"


def check(snapshot: Snapshot, logs: Logs, seconds: float, lost: AbstractSet[str]) -> list[Finding]:
    """The findings; those about what the lake read are of its `snapshot`, but for tables that are `lost` in part."""
    import duckdb

    from tokenlake.query.connect import connect

    findings = [_folders(logs)]
    if logs.todo is not None:
        findings.append(_ledger(logs, logs.todo))
    try:
        with connect(snapshot, only_for="files rejects usage_rows events records") as con:
            if snapshot.commit:
                findings += _of_lake(con, lost)
            refused = {number for (number,) in con.execute(f"select file_id from files where {_REFUSED}").fetchall()}
            transcripts = [file for file in logs.files if file.file_id not in refused | logs.refused]
            found = novelties.in_transcripts(transcripts, seconds)
            if not found.records:
                found = novelties.in_lines(_kept(con), seconds)
            findings += [_usage(found), _others(con, found)]
    except (duckdb.Error, LakeDamagedError):  # said before: the checks of the data files have found it
        pass
    return findings


def _folders(logs: Logs) -> Finding:
    if logs.warnings or logs.gone:
        gone = [f"{folder}: no longer there" for folder in logs.gone]
        remedy = "check --root, and the permissions of the folders; what was read from them stays in the lake"
        return warning("log folders", listed([*gone, *logs.warnings]), remedy)
    size = sum(file.size for file in logs.files)
    return ok("log folders", f"{counted(len(logs.files), 'transcript')}, {size / 1e6:,.1f} MB")


def _ledger(logs: Logs, todo: Plan) -> Finding:
    """What has happened to the transcripts since they were read, as the next ingest will see it."""
    paths = {file.file_id: file.shown_path for file in logs.files}
    differing = {task.file_id for task in todo.tasks} | todo.refused
    entries = logs.entries or {}
    new = differing - entries.keys()
    kinds = {
        "new": [paths[number] for number in new],
        "grown": [paths[number] for number in todo.grown],
        "rewritten": [paths[number] for number in differing - new - todo.grown],
        "gone and not marked so": [entries[number].path for number in todo.departed],
    }
    parts = [f"{len(names):,} {kind}: {listed(sorted(names), 2)}" for kind, names in kinds.items() if names]
    if parts:
        return warning("ledger", "; ".join(parts), "bring the lake up to date: tokenlake ingest")
    return ok("ledger", f"{counted(todo.unchanged, 'transcript')} as last read")


def _of_lake(con: duckdb.DuckDBPyConnection, lost: AbstractSet[str]) -> Iterator[Finding]:
    """What the ledger and its sums say of the logs."""
    is_empty = (
        FILES.name not in lost and not con.execute(f"select 1 from files where not {IS_BESIDE} limit 1").fetchall()
    )
    for check, table, of_rows in (
        ("rejects", REJECTS, _rejects),
        ("odd fields", FILES, _odd_fields),
        ("formats", FILES, _formats),
        ("agent versions", USAGE_ROWS, _versions),
    ):
        if table.name in lost:
            yield not_checked(check, {table.name})
        else:
            yield ok(check, "the lake has read no transcripts") if is_empty else of_rows(con)


def _rejects(con: duckdb.DuckDBPyConnection) -> Finding:
    reasons = con.execute(
        "select reason, count(*), sum(bytes), count(distinct file_id) from rejects group by reason order by 2 desc, 1"
    ).fetchall()
    if reasons:
        parts = [f"{counted(n, 'part')} ({size:,} bytes) of {counted(files, 'file')}: {reason}"
                 for reason, n, size, files in reasons]  # fmt: skip
        return warning("rejects", listed(parts), "each is listed with its place: tokenlake lake rejects")
    return ok("rejects", "every byte of the transcripts was read")


def _odd_fields(con: duckdb.DuckDBPyConnection) -> Finding:
    [(fields, files)] = con.execute(
        "select coalesce(sum(odd_fields), 0)::bigint, count(*) filter (odd_fields > 0) from files"
    ).fetchall()
    if fields:
        worst = con.execute("select path from files where odd_fields > 0 order by odd_fields desc, path").fetchall()
        found = f"{counted(fields, 'field')} of an unexpected type in {counted(files, 'file')}: "
        remedy = "they count as null, the rest of their records counts; a gateway may write them"
        return warning("odd fields", found + listed([path for (path,) in worst]), remedy)
    return ok("odd fields", "every field has the type that is known")


def _formats(con: duckdb.DuckDBPyConnection) -> Finding:
    kinds = con.execute(f"select path, kind from files where {_REFUSED} order by path").fetchall()
    if kinds:
        named = listed([f"{path} ({kind})" for path, kind in kinds])
        found = f"{counted(len(kinds), 'file')} of another format: {named}"
        return warning("formats", found, "move them out of the logs")
    return ok("formats", "every file is a transcript")


def _versions(con: duckdb.DuckDBPyConnection) -> Finding:
    rows = con.execute("select version, count(*) from usage_rows group by version").fetchall()
    numbers = {number: n for version, n in rows if (number := version_of(version))}
    limit = ".".join(map(str, known.VERSION))
    if newer := sorted(number for number in numbers if number > known.VERSION):
        n = sum(numbers[number] for number in newer)
        found = f"{counted(n, 'usage row')} of versions up to {'.'.join(map(str, newer[-1]))}; known up to {limit}"
        return warning("agent versions", found, "it may log in new ways: pip install -U tokenlake")
    newest = ".".join(map(str, max(numbers))) if numbers else "none"
    return ok("agent versions", f"newest in the lake {newest}; known up to {limit}")


def _kept(con: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, bytes]]:
    """The newest lines that the lake has kept, with the paths of their transcripts."""
    rows = con.execute(
        'select path, raw from records join files using (file_id) order by last_ts desc, file_id, "offset" desc '
        f"limit {_KEPT_LINES}"
    )
    while batch := rows.fetchmany(1000):
        yield from ((path, bytes(raw)) for path, raw in batch)


def _usage(found: Novelties) -> Finding:
    if found.usage:
        named = [f"{name} ({path})" for name, path in sorted(found.usage.items())]
        remedy = f"it may be billed, and is not counted: {_UPDATE}"
        return warning("usage fields", f"never seen before: {listed(named, 8)}", remedy)
    return ok("usage fields", _all_known(found))


def _others(con: duckdb.DuckDBPyConnection, found: Novelties) -> Finding:
    types = con.execute("select type, count(*) from events group by type order by type").fetchall()
    strange = {f"record type {kind}": f"{counted(n, 'event')}" for kind, n in types if kind not in known.EVENT_TYPES}
    named = [f"{name} ({place})" for name, place in sorted({**strange, **found.others}.items())]
    if named:
        remedy = f"the lake keeps such records as events, and leaves such fields out: {_UPDATE}"
        return warning("record fields", f"never seen before: {listed(named, 8)}", remedy)
    return ok("record fields", _all_known(found))


def _all_known(found: Novelties) -> str:
    if not found.records:
        return "there are no transcripts to look at"
    return f"all known, in {counted(found.records, 'record')} of {counted(found.files, 'file')}, the newest"
