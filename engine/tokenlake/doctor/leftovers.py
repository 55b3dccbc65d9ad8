"""What killed processes have left: a staging folder, a catalog that was being written, spilled rows of queries."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tokenlake.doctor.findings import Finding, counted, ok, warning
from tokenlake.ingest.commit import STAGING_NAME
from tokenlake.query import spill
from tokenlake.store import catalog, lock
from tokenlake.store.catalog import Snapshot

_SPILLED_BY = re.compile(r"duckdb_temp_(\d+)_")


def check(snapshot: Snapshot) -> list[Finding]:
    """Findings about the writer's lock and staging, and about spilled rows."""
    return [_staging(snapshot.root), _spilled()]


def _staging(root: Path) -> Finding:
    if _is_held(root / lock.LOCK_NAME):
        return ok("staging", "another process is writing the lake now: what is found may be of the commit before")
    places = [root / STAGING_NAME, (root / catalog.CATALOG_NAME).with_suffix(".json.new")]
    if left := [path for path in places if path.exists()]:
        size = sum(_size(path) for path in left)
        return warning(
            "staging",
            f"{', '.join(path.name for path in left)} of an ingest that did not end, {size / 1e6:,.1f} MB",
            "no report reads it; the next ingest that writes removes it",
        )
    return ok("staging", "nothing left over")


def _is_held(path: Path) -> bool:
    """Whether a process holds the writer's lock; a lock that cannot be tried is taken for free."""
    from filelock import FileLock, Timeout

    if not path.is_file():
        return False
    tried = FileLock(str(path), mode=0o600)
    try:
        tried.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    tried.release()
    return False


def _spilled() -> Finding:
    folder = spill.usual_folder()
    left = [path for path in folder.glob("duckdb_temp_*") if _is_orphan(path)] if folder.is_dir() else []
    if size := sum(_size(path) for path in left):
        return warning(
            "spilled rows",
            f"{size / 1e6:,.1f} MB of killed processes in {folder} ({counted(len(left), 'file')})",
            f"the next query that spills removes them, or do: rm {folder}/duckdb_temp_*",
        )
    return ok("spilled rows", "none left over")


def _is_orphan(path: Path) -> bool:
    """Whether the process that spilled a file is gone."""
    match = _SPILLED_BY.match(path.name)
    if match is None or os.name != "posix":
        return False
    try:
        os.kill(int(match[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(_size(inner) for inner in path.iterdir())
    try:
        return path.stat().st_size
    except OSError:  # removed meanwhile
        return 0
