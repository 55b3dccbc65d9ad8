"""Reading while another process commits: a commit removes data files that an older snapshot names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tokenlake.store import catalog
from tokenlake.store.catalog import Snapshot

_TRIES = 20

Answer = TypeVar("Answer")


def on_newest(snapshot: Snapshot, work: Callable[[Snapshot], Answer], missing: type[Exception]) -> Answer:
    """What `work` makes of `snapshot`, or of the newest one where a commit removed its data files meanwhile.

    `missing` is what `work` raises where a data file cannot be read; it is raised where no commit was to blame.
    """
    for _ in range(_TRIES):
        try:
            return work(snapshot)
        except missing:
            newest = catalog.read(snapshot.root, older=True)
            if newest.commit == snapshot.commit:
                raise
            snapshot = newest
    return work(snapshot)
