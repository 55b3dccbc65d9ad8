"""The one place that knows the order: discover, plan, read, parse, merge, commit."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import LakeError
from tokenlake.ingest.commit import STAGING_NAME, clean, commit
from tokenlake.ingest.discover import discover
from tokenlake.ingest.plan import Plan, plan
from tokenlake.ingest.summary import IngestSummary
from tokenlake.store import catalog, ledger, lock
from tokenlake.store.catalog import Settings, Snapshot

if TYPE_CHECKING:
    import duckdb

SEGMENT_BYTES = 256 << 20
"""Bytes of transcripts whose rows are held before they are merged into the lake."""

_MEMORY_LIMIT = "2GB"  # of the engine: a safety net; segments keep far below it


def ingest(
    root: Path,
    roots: Sequence[str | os.PathLike[str]] | None = None,
    *,
    host: str | None = None,
    keep_text: bool | None = None,
    keep_raw: bool | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    waiting: Callable[[str], None] | None = None,
    now: datetime | None = None,
    totals: bool = True,
) -> IngestSummary:
    """Brings the lake at `root` up to date with the transcripts below `roots`.

    `host` names the machine that the transcripts are from (default: this one). `keep_text=False` leaves texts of
    users and models out, `keep_raw` also keeps every line as logged. What is None, and `roots`, is as an earlier
    ingest of this lake was told, else the default. `jobs` is the number of threads. `progress`
    is told bytes done and bytes to do; `waiting`, who holds the lock. `totals=False` saves the sums over the lake.
    Raises SourceError (nothing to read), LakeError and its kin (the lake cannot be read, locked or written).
    """
    import duckdb

    started = time.perf_counter()
    host = host or socket.gethostname()
    snapshot = catalog.read(root)
    discovery = discover(roots if roots is not None else _remembered(snapshot.settings, host), host)
    jobs = jobs or os.cpu_count() or 1
    con = duckdb.connect(config={"threads": jobs})
    todo = plan(discovery, ledger.load(con, snapshot), host)
    summary = IngestSummary(files_found=len(discovery.files))
    if not todo.changes_nothing or not catalog.exists(root):
        _make_folder(root)
        with lock.writer(root, waiting=waiting):
            latest = catalog.read(root)
            if latest.commit != snapshot.commit:  # another process was faster
                snapshot = latest
                todo = plan(discovery, ledger.load(con, snapshot), host)
            named = discovery.roots if roots is not None else ()
            settings = _told(snapshot.settings, host, named, keep_text, keep_raw)
            snapshot = replace(snapshot, settings=settings)
            summary, snapshot = _write(con, snapshot, todo, host, jobs, progress, now or datetime.now(UTC))
    summary = replace(
        summary,
        files_unchanged=todo.unchanged,
        files_departed=len(todo.departed),
        files_refused=len(todo.refused),
        warnings=(*discovery.warnings, *todo.warnings, *summary.warnings),
    )
    if totals:
        summary = _with_totals(con, snapshot, summary)
    con.close()
    return replace(summary, seconds=time.perf_counter() - started)


def _remembered(settings: Settings, host: str) -> list[str] | None:
    """The folders that were named for this host and still exist; None where none were."""
    named = settings.roots.get(host)
    return [folder for folder in named if os.path.exists(folder)] or None if named else None


def _told(
    settings: Settings, host: str, roots: Sequence[str], keep_text: bool | None, keep_raw: bool | None
) -> Settings:
    """The lake's settings with what this ingest was told."""
    known = {*settings.roots.get(host, ()), *roots}
    return Settings(
        settings.keep_text if keep_text is None else keep_text,
        settings.keep_raw if keep_raw is None else keep_raw,
        {**settings.roots, host: tuple(sorted(known))} if known else settings.roots,
    )


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"{root}: cannot be created: {error.strerror or error}; name another --lake") from None


def _write(
    con: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    todo: Plan,
    host: str,
    jobs: int,
    progress: Callable[[int, int], None] | None,
    now: datetime,
) -> tuple[IngestSummary, Snapshot]:
    import duckdb

    from tokenlake.ingest.segment import Ingestion

    staging = snapshot.root / STAGING_NAME
    try:
        clean(snapshot)
        staging.mkdir(mode=0o700)
        con.execute(f"set memory_limit = '{_MEMORY_LIMIT}'")
        con.execute("set temp_directory = ?", [str(staging / "spill")])
        con.execute("set preserve_insertion_order = false")
        con.execute("set TimeZone = 'UTC'")
        next_snapshot = replace(snapshot, commit=snapshot.commit + 1)
        ingestion = Ingestion(con, next_snapshot, todo, host, jobs, staging, SEGMENT_BYTES)
        ingestion.read_all(progress)
        summary = ingestion.write_ledger(now)
        published = commit(ingestion.snapshot, staging)
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        with suppress(OSError):
            clean(snapshot)  # nothing was published: publishing is the last that can fail
        raise LakeError(
            f"{snapshot.root}: cannot be written: {_first_line(error)}; the lake is as it was before"
        ) from error
    return summary, published


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0]


def _with_totals(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, summary: IngestSummary) -> IngestSummary:
    from tokenlake.schema import REQUESTS
    from tokenlake.store import partitions

    names = (
        "input_tokens",
        "output_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "cache_read_tokens",
    )
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in names)
    relation = partitions.relation(REQUESTS, snapshot.paths(REQUESTS.name))
    [(requests, *tokens)] = con.execute(f"select count(*), {sums} from {relation}").fetchall()
    return replace(summary, requests=requests, **dict(zip(names, tokens, strict=True)))
