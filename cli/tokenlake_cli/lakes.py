"""Opening the lake that a command is about, with fresh transcripts in it where that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.errors import LakeError, LakeLockedError, SourceError
from tokenlake.store import catalog
from tokenlake_cli import messages, progress

if TYPE_CHECKING:
    from tokenlake.ingest.summary import IngestSummary
    from tokenlake.store.catalog import Snapshot


def for_report(path: Path | None, roots: Sequence[Path], refresh: bool) -> Snapshot:
    """The lake's newest snapshot, refreshed first unless told not to.

    A report over a lake that exists needs no transcripts of its own: without the default folders, or while
    another process writes, it answers from the lake as it is. Raises LakeError where there is no lake to
    read.
    """
    from tokenlake.lake import Lake

    lake = Lake(path)
    if refresh:
        try:
            with progress.bar(delay_seconds=0.5) as advance:
                summary = lake.refresh(roots or None, progress=advance, waiting=messages.say, totals=False)
        except SourceError:
            if roots or not catalog.exists(lake.path):
                raise
        except LakeLockedError as error:
            if not catalog.exists(lake.path):
                raise
            messages.warn(f"{error}; this report is of the last commit")
        else:
            show_warnings(summary)
    elif not catalog.exists(lake.path):
        raise LakeError(f"there is no lake at {lake.path}: make one with `tokenlake ingest`, or name one with --lake")
    return lake.snapshot()


def ingest(path: Path | None, roots: Sequence[Path], **options: Any) -> tuple[Path, IngestSummary]:
    """Ingests into the lake, with a progress bar on a terminal; its path and what was done."""
    from tokenlake.lake import Lake

    lake = Lake(path)
    with progress.bar() as advance:
        summary = lake.refresh(roots or None, progress=advance, waiting=messages.say, **options)
    show_warnings(summary)
    return lake.path, summary


def show_warnings(summary: IngestSummary) -> None:
    """What an ingest could not do, on stderr."""
    for warning in summary.warnings:
        messages.warn(warning)
