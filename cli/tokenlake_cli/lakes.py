"""Opening the lake that a command is about, with fresh transcripts in it where that is wanted."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.errors import LakeError, LakeLockedError, LakeUnwritableError, SourceError
from tokenlake.store import catalog
from tokenlake_cli import messages, progress

if TYPE_CHECKING:
    from tokenlake.ingest.summary import IngestSummary
    from tokenlake.store.catalog import Snapshot
    from tokenlake_cli.render import Sheet


def for_report(path: Path | None, roots: Sequence[Path], refresh: bool) -> Snapshot:
    """The lake's newest snapshot, refreshed first unless told not to.

    A report over a lake that exists needs no transcripts of its own: where their folders are gone or cannot be read,
    while another process writes, or where the lake cannot be written, it answers from the lake as it is, and says so.
    Raises LakeError where there is no lake to read.
    """
    from tokenlake.lake import Lake

    lake = Lake(path)
    if refresh:
        try:
            with progress.bar(delay_seconds=0.5) as advance:
                summary = lake.refresh(roots or None, progress=advance, waiting=messages.say, totals=False)
        except SourceError as error:
            if roots or not catalog.exists(lake.path):
                raise
            if _is_of_here(lake.path):
                messages.warn(f"{error}; this report is of the lake as it is")
        except (LakeLockedError, LakeUnwritableError) as error:
            if not catalog.exists(lake.path):
                raise
            messages.warn(f"{error}; this report is of the last commit")
        else:
            show_warnings(summary)
    elif not catalog.exists(lake.path):
        raise LakeError(f"there is no lake at {lake.path}: make one with `tokenlake ingest`, or name one with --lake")
    return catalog.read(lake.path)  # an empty one where there was nothing to make a lake of


def _is_of_here(path: Path) -> bool:
    """Whether the lake holds transcripts of this machine: one that was merged of others' misses none here."""
    import duckdb

    from tokenlake.store import ledger

    with duckdb.connect() as connection:
        known = ledger.load(connection, catalog.read(path)).values()
    return any(entry.host == socket.gethostname() for entry in known)


def ingest(path: Path | None, roots: Sequence[Path], **options: Any) -> tuple[Path, IngestSummary]:
    """Ingests into the lake, with a progress bar on a terminal; its path and what was done."""
    from tokenlake.lake import Lake

    lake = Lake(path)
    with progress.bar() as advance:
        summary = lake.refresh(roots or None, progress=advance, waiting=messages.say, **options)
    show_warnings(summary)
    return lake.path, summary


@contextmanager
def said_if_new(path: Path) -> Iterator[None]:
    """Says on stderr where a lake is made meanwhile: the path may be mistyped."""
    was_there = catalog.exists(path)
    yield
    if not was_there and catalog.exists(path):
        messages.say(f"tokenlake: a new lake was made at {path}")


def show_warnings(summary: IngestSummary) -> None:
    """What an ingest could not do, on stderr."""
    for warning in summary.warnings:
        messages.warn(warning)


Facts = list[tuple[str, int | float | str | None]]


def totals(summary: IngestSummary) -> Facts:
    """What the whole lake holds, by name."""
    return [
        ("requests", summary.requests),
        ("input_tokens", summary.input_tokens),
        ("output_tokens", summary.output_tokens),
        ("cache_write_5m_tokens", summary.cache_write_5m_tokens),
        ("cache_write_1h_tokens", summary.cache_write_1h_tokens),
        ("cache_read_tokens", summary.cache_read_tokens),
    ]


def facts(described: Facts, format_: str) -> Sheet:
    """A summary as rows: one a fact in a table for people, one in all for programs."""
    from tokenlake_cli.render import Sheet

    if format_ == "table":
        return Sheet(("what", "count"), [(name, _shown(value)) for name, value in described])
    return Sheet(tuple(name for name, _ in described), [[value for _, value in described]])


def _shown(value: float | str | None) -> str | None:
    return value if value is None or isinstance(value, str) else f"{value:,}"
