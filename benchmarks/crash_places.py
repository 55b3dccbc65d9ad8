"""Where an experiment with crashes takes place: a tree, the lake that is disturbed, and one that is not."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.crash_child import Order
from benchmarks.crash_worker import Outcome, Worker

HOST: Final = "h"
SEGMENT_BYTES: Final = 1 << 20
"""Small, so that one ingest merges more than once."""


class LostError(Exception):
    """A lake that reads as neither before nor after; the text says where."""


@dataclass(frozen=True, slots=True)
class Places:
    """A tree, the lake whose ingests are disturbed, and the lake whose ingests are not; all below one folder."""

    folder: Path

    @property
    def logs(self) -> Path:
        """The root of the transcripts."""
        return self.folder / "logs"

    @property
    def lake(self) -> Path:
        """The lake that is disturbed."""
        return self.folder / "lake"

    @property
    def undisturbed(self) -> Path:
        """The lake that is not."""
        return self.folder / "undisturbed"

    def order(self, lake: Path | None = None, **what: Any) -> Order:
        """An ingest of the tree into the disturbed lake, or another one."""
        lake = lake or self.lake
        told = ("--root", str(self.logs), "--lake", str(lake), "--host", HOST, "--keep-raw", "--format", "json")
        return Order(("ingest", *told), str(lake), segment_bytes=SEGMENT_BYTES, **what)


@contextmanager
def places() -> Iterator[Places]:
    """A folder for one experiment, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tokenlake-crashes-") as folder:
        yield Places(Path(folder))


def ingest(worker: Worker, where: Places, lake: Path) -> Outcome:
    """An ingest that nothing happens to."""
    outcome = worker.run(where.order(lake))
    if outcome.status:
        raise LostError(f"an undisturbed ingest ended with status {outcome.status}: {outcome.said.strip()}")
    return outcome
