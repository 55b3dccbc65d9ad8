"""One writer at a time: a lock file that also says who holds it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenlake.errors import LakeLockedError, LakeUnwritableError
from tokenlake.store import private

LOCK_NAME = ".lock"
_HOLDER_NAME = ".lock.holder"


@contextmanager
def writer(root: Path, wait_s: float = 60.0, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Holds the lake's only writer's lock; waits up to `wait_s` seconds for another process to let go of it.

    `waiting` is told once who holds the lock. Raises LakeLockedError when the wait is over,
    LakeUnwritableError where the lake's folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(str(root / LOCK_NAME), mode=0o600)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting is not None:
                waiting(f"the lake {root} is being written by {_holder(root)}; waiting")
            lock.acquire(timeout=wait_s)
    except Timeout:
        raise LakeLockedError(
            f"the lake {root} is still being written by {_holder(root)} after {wait_s:.0f} s; try again later"
        ) from None
    except OSError as error:
        raise LakeUnwritableError(
            f"{root}: cannot be written: {error.strerror or error}; name another --lake"
        ) from None
    try:
        # Who holds it is only told.
        with suppress(OSError), open(root / _HOLDER_NAME, "w", encoding="utf-8", opener=private.opener) as holder:
            json.dump({"pid": os.getpid()}, holder)
        yield
    finally:
        with suppress(OSError):
            (root / _HOLDER_NAME).unlink(missing_ok=True)
        lock.release()


def _holder(root: Path) -> str:
    try:
        holder = json.loads((root / _HOLDER_NAME).read_text(encoding="utf-8"))
        return f"process {int(holder['pid'])}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
