"""The progress bar of long work, mostly an ingest: bytes, rate and remaining time, on a terminal's stderr only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Advance = Callable[[int, int], None]


@contextmanager
def bar(delay_seconds: float = 0.0, what: str = "ingest", unit: str = "bytes") -> Iterator[Advance | None]:
    """A function to be told bytes (or other units) done and in all, or None where nobody watches.

    The bar appears with the first call after the delay: a refresh that reads nothing shows, and imports,
    nothing.
    """
    if not sys.stderr.isatty():
        yield None
        return
    shown: list[tuple[Progress, TaskID]] = []
    begin = time.monotonic()

    def advance(done: int, total: int) -> None:
        if not shown:
            if done >= total or time.monotonic() - begin < delay_seconds:
                return
            shown.append(_start(total, what, unit))
        progress, task = shown[0]
        progress.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        for progress, _ in shown:
            progress.stop()


def _start(total: int, what: str, unit: str) -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *([DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn(), TextColumn(unit)]),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    progress.start()
    return progress, progress.add_task(what, total=total)
