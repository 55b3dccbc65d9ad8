"""Where an experiment with crashes takes place: trees, the lake that is disturbed, one that is not, and another one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.crash_child import Order
from benchmarks.crash_worker import Outcome, Worker

HOST: Final = "h"
OTHER_HOST: Final = "g"
OPERATIONS: Final = ("ingest", "merge", "rebuild")
"""The commands that write a lake."""

SEGMENT_BYTES: Final = 1 << 20
"""Small, so that one command merges more than once."""


class LostError(Exception):
    """A lake that reads as neither before nor after; the text says where."""


@dataclass(frozen=True, slots=True)
class Places:
    """A tree, the lake that is disturbed, the lake that is not, and another machine's; all below one folder."""

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

    @property
    def other_logs(self) -> Path:
        """The root of another machine's transcripts."""
        return self.folder / "other-logs"

    @property
    def other(self) -> Path:
        """The lake that is merged into these two; only `ingest_other` may change it."""
        return self.folder / "other"

    def order(self, lake: Path | None = None, operation: str = "ingest", **what: Any) -> Order:
        """An ingest of the tree into a lake, by default the disturbed one; or a merge of the other lake, a rebuild."""
        lake = lake or self.lake
        told: dict[str, tuple[str, ...]] = {
            "ingest": ("--root", str(self.logs), "--host", HOST, "--keep-raw"),
            "merge": (str(self.other),),
            "rebuild": (),
        }
        arguments = (operation, *told[operation], "--lake", str(lake), "--format", "json")
        return Order(arguments, str(lake), segment_bytes=SEGMENT_BYTES, **what)


@contextmanager
def places() -> Iterator[Places]:
    """A folder for one experiment, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="tokenlake-crashes-") as folder:
        yield Places(Path(folder))


def undisturbed(worker: Worker, order: Order) -> Outcome:
    """Carry out what nothing happens to."""
    outcome = worker.run(order)
    if outcome.status:
        raise LostError(f"an undisturbed {order.arguments[0]} ended with {outcome.status}: {outcome.said.strip()}")
    return outcome


def ingest(worker: Worker, where: Places, lake: Path) -> Outcome:
    """An ingest that nothing happens to."""
    return undisturbed(worker, where.order(lake))


def ingest_other(worker: Worker, where: Places, *, own: bool = True) -> None:
    """Ingest the other machine's transcripts into the other lake; or, as a second look at them, the first machine's."""
    logs, host = (where.other_logs, OTHER_HOST) if own else (where.logs, HOST)
    told = ("--root", str(logs), "--lake", str(where.other), "--host", host, "--keep-raw", "--format", "json")
    undisturbed(worker, Order(("ingest", *told), str(where.other)))
