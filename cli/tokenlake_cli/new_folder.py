"""A folder that a command fills: new or empty, on a disk with room, and left as it was when filling it fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenlake.errors import LakeError, SourceError, UsageError
from tokenlake.store import private


def check_space(out: Path, size: int) -> None:
    """Refuse what does not fit on the disk, before hours are spent on it."""
    free = shutil.disk_usage(out).free
    if size > free:
        raise UsageError(
            f"the disk of {out} has {free / 1e6:,.0f} MB free and {size / 1e6:,.0f} MB are needed: ask for less, "
            "or name a folder on another disk"
        )


@contextmanager
def filled(out: Path, error_class: type[SourceError] | type[LakeError]) -> Iterator[None]:
    """A new folder that is its owner's alone, or an empty one, that is left as it was when filling it fails."""
    was_there = out.is_dir()
    try:
        private.make_folder(out)
        is_empty = not any(out.iterdir())
    except OSError as error:
        raise UsageError(f"cannot make the folder {out}: {error.strerror}") from None
    if not is_empty:
        raise UsageError(f"{out} is not empty: name a new folder")
    try:
        yield
    except BaseException as error:
        for entry in out.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if not was_there:
            out.rmdir()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise error_class(f"cannot write to {out}: {reason}; what was written so far is removed") from None
        raise
