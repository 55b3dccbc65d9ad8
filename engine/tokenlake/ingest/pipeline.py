"""The one place that knows the order: discover, plan, read, parse, merge, commit."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import LakeDamagedError, SourceError
from tokenlake.ingest import beside, history, quota, writing
from tokenlake.ingest.beside import Look
from tokenlake.ingest.commit import commit
from tokenlake.ingest.discover import Discovery, gone_roots, is_below, present_default_roots, remembered_roots, shown
from tokenlake.ingest.plan import Plan, look
from tokenlake.ingest.summary import IngestSummary
from tokenlake.schema import SCHEMA_VERSION
from tokenlake.store import catalog, ledger, sums
from tokenlake.store.catalog import Settings, Snapshot
from tokenlake.store.newest import on_newest

if TYPE_CHECKING:
    import duckdb

SEGMENT_BYTES = 100 << 20
"""Bytes of parsed rows at which these are merged into the lake: those of 400 to 500 MB of ordinary transcripts."""


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
    No lake is made where there is nothing to be put into it. Raises SourceError (nothing to read, or none of it can
    be read), LakeError and its kin (the lake cannot be read, locked or written).
    """
    import duckdb

    started = time.perf_counter()
    host = host or socket.gethostname()
    jobs = jobs or os.cpu_count() or 1
    con = writing.engine(jobs)
    found = catalog.read(root, older=True)
    if found.version < SCHEMA_VERSION:  # migrated also where there turns out to be nothing to read
        with writing.held(con, root, waiting) as migrated:
            found = migrated
    news = on_newest(found, lambda newest: _look(con, newest, roots, host), LakeDamagedError)
    snapshot = news.snapshot
    summary = IngestSummary(files_found=len(news.discovery.files))
    named = _named(con, news, roots, host)
    settings = _told(snapshot.settings, host, named if catalog.exists(root) else (), keep_text, keep_raw)
    if (roots is not None or not catalog.exists(root)) and (reason := news.could_not_be_read):
        raise SourceError(f"nothing could be read: {reason}; check the permissions")
    if news.any or settings != snapshot.settings:
        with writing.held(con, root, waiting) as latest:
            if latest.commit != snapshot.commit:  # another process was faster
                news = _look(con, latest, roots, host)
                snapshot = latest
            snapshot = replace(snapshot, settings=_told(snapshot.settings, host, named, keep_text, keep_raw))
            summary, snapshot = _write(con, snapshot, news, host, jobs, progress, now or datetime.now(UTC))
    else:
        writing.tidy(root)
    summary = replace(
        summary,
        files_unchanged=news.todo.unchanged,
        files_departed=len(news.todo.departed),
        files_refused=len(news.todo.refused),
        warnings=(*news.warnings, *_not_undone(found.settings, keep_text, found.commit), *summary.warnings),
    )
    if totals:
        of_this_ingest = summary
        try:
            summary = on_newest(snapshot, lambda newest: with_totals(con, newest, of_this_ingest), duckdb.Error)
        except duckdb.Error as error:
            raise _damaged(snapshot, error) from error
    con.close()
    return replace(summary, seconds=time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class _News:
    """What the roots hold, and what of it `snapshot` lacks; `gone` are remembered roots that are not there."""

    snapshot: Snapshot
    discovery: Discovery
    todo: Plan
    beside: tuple[Look, ...]
    gone: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether there is anything to write."""
        return not all(todo.changes_nothing for todo in (self.todo, *(look.todo for look in self.beside)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be looked at or read."""
        beside = (warning for look in self.beside for warning in look.todo.warnings)
        gone = (f"{folder}: no longer there; what was read of it before is kept" for folder in self.gone)
        return (*gone, *self.discovery.warnings, *self.todo.warnings, *beside)

    @property
    def could_not_be_read(self) -> str | None:
        """What was in the way, where nothing at all could be looked into."""
        if self.any or self.todo.unchanged or not (self.discovery.unlisted or self.todo.failed):
            return None
        more = len(self.warnings) - 1
        return self.warnings[0] + (f", and {more:,} more like it" if more else "")


def _look(
    con: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    roots: Sequence[str | os.PathLike[str]] | None,
    host: str,
) -> _News:
    """Compares the roots with the lake. Raises LakeDamagedError where the lake's files cannot be read."""
    import duckdb

    try:
        entries = ledger.load(con, snapshot)
        remembered = snapshot.settings.roots.get(host, ()) if roots is None else ()
        discovery, todo = look(roots if roots is not None else remembered_roots(remembered), host, entries)
        looks = (
            *beside.look(quota.KIND, quota.places(discovery.roots, snapshot.root, host), entries),
            *beside.look(history.KIND, history.places(discovery, host), entries),
        )
        return _News(snapshot, discovery, todo, looks, gone_roots(remembered))
    except duckdb.Error as error:
        raise _damaged(snapshot, error) from error


def _damaged(snapshot: Snapshot, error: Exception) -> LakeDamagedError:
    reason = str(error).splitlines()[0]
    return LakeDamagedError(f"{snapshot.root}: {reason}; restore the file, or ingest into a new --lake")


def _named(
    con: duckdb.DuckDBPyConnection, news: _News, roots: Sequence[str | os.PathLike[str]] | None, host: str
) -> tuple[str, ...]:
    """The folders that later ingests look into as well, for they were named now.

    They take the place of the agents' own: of these, those that were read before are named with them.
    """
    if roots is None or not news.discovery.files:
        return ()
    if host in news.snapshot.settings.roots:
        return news.discovery.roots
    known = [entry.path for entry in ledger.load(con, news.snapshot).values() if entry.host == host]
    own = map(os.path.realpath, present_default_roots())
    read = [root for root in own if any(is_below(path, shown(root)) for path in known)]
    return (*read, *news.discovery.roots)


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


def _not_undone(before: Settings, keep_text: bool | None, commit: int) -> tuple[str, ...]:
    """What to say where texts are kept from now on, or no longer, in a lake that has been filled already."""
    if not commit or keep_text is None or keep_text == before.keep_text:
        return ()
    if keep_text:
        return ("texts are kept from now on; of what was read before there are none: ingest into a new --lake for all",)
    return ("texts are left out from now on; those that were read before stay: ingest into a new --lake without any",)


def _write(
    con: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    news: _News,
    host: str,
    jobs: int,
    progress: Callable[[int, int], None] | None,
    now: datetime,
) -> tuple[IngestSummary, Snapshot]:
    from tokenlake.ingest.segment import Ingestion
    from tokenlake.ingest.told import read

    with writing.staged(con, snapshot) as staging:
        next_snapshot = replace(snapshot, commit=snapshot.commit + 1)
        ingestion = Ingestion(con, next_snapshot, news.todo, host, jobs, staging, SEGMENT_BYTES)
        ingestion.read_all(progress)
        told = [read(look) for look in news.beside if not look.todo.changes_nothing]
        summary = ingestion.write_ledger(now, told)
        merged = ingestion.snapshot
        for kind, added in ((quota.KIND, quota.added), (history.KIND, history.added)):
            rows = [row for each in told if each.kind is kind for row in each.rows]
            merged = added(con, merged, rows, staging)
        summary = replace(
            summary,
            rejects=summary.rejects + sum(each.lost.num_rows for each in told),
            odd_fields=summary.odd_fields + sum(each.odd_fields for each in told),
            warnings=(*summary.warnings, *(warning for each in told for warning in each.warnings)),
        )
        return summary, commit(sums.complete(con, merged, staging), staging)


def with_totals(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, summary: IngestSummary) -> IngestSummary:
    """The summary with the totals of the whole lake."""
    from tokenlake.schema import REQUESTS
    from tokenlake.store import partitions

    names = (
        "input_tokens",
        "output_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "cache_read_tokens",
    )
    totals = ", ".join(f"coalesce(sum({name}), 0)" for name in names)
    relation = partitions.relation(REQUESTS, snapshot.paths(REQUESTS.name))
    [(requests, *tokens)] = con.execute(f"select count(*), {totals} from {relation}").fetchall()
    return replace(summary, requests=requests, **dict(zip(names, tokens, strict=True)))
