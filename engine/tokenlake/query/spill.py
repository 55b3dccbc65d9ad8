"""Where queries that outgrow memory spill: a folder that only the user can enter."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

PREFIX = "tokenlake-spill"


def folder() -> Path:
    """The user's own folder for spilling, below the temporary one ($TMPDIR); made where it is not there yet.

    Its files are named by process, and DuckDB removes what killed processes have left there when it spills again. A
    folder of that name that others may enter or own is not used: then it is a new one. Where none can be made, the
    path of one that is not there: only a query that must spill fails.
    """
    path = usual_folder()
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not is_private(path):
            return Path(tempfile.mkdtemp(prefix=f"{PREFIX}-"))
    except OSError:
        pass
    return path


def usual_folder() -> Path:
    """The path of the user's folder for spilling, whether or not it is there."""
    return Path(tempfile.gettempdir()) / (f"{PREFIX}-{os.getuid()}" if hasattr(os, "getuid") else PREFIX)


def is_private(path: Path) -> bool:
    """Whether a path is a folder, no link, that belongs to this user and that nobody else may enter."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        return False
    return os.name != "posix" or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)
