"""Folders and files that only their owner can enter and read, whatever the umask."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it that are missing; one that is there already stays as it is."""
    try:
        path.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    except FileNotFoundError:
        if not path.parent.is_dir():
            make_folder(path.parent)
            make_folder(path)
            return
        # Another thread has just made that one; or no folder can be made here, as in /proc.
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if path.stat().st_mode & 0o777 != FOLDER_MODE:  # the umask took more than it should
        path.chmod(FOLDER_MODE)


def opener(path: str, flags: int) -> int:
    """The `opener` of `open` for files that are written: new ones, and those that were there, are private."""
    descriptor = os.open(path, flags, FILE_MODE)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, FILE_MODE)
    return descriptor
