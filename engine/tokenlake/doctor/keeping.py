"""Whether the lake is its owner's alone: the modes of its files and folders."""

from __future__ import annotations

import os
from pathlib import Path

from tokenlake.doctor.findings import Finding, counted, listed, ok, warning
from tokenlake.store.catalog import Snapshot


def check(snapshot: Snapshot) -> list[Finding]:
    """A finding about who may read the lake; none where modes mean nothing."""
    if os.name != "posix":
        return []
    root = snapshot.root
    everything = [root, *(Path(place) / name for place, folders, files in os.walk(root) for name in folders + files)]
    open_ones, foreign = [], []
    for path in everything:
        try:
            found = path.lstat()
        except OSError:  # removed meanwhile
            continue
        name = path.relative_to(root).as_posix()
        if found.st_mode & 0o077 and not path.is_symlink():
            open_ones.append(f"{name} ({found.st_mode & 0o777:04o})")
        if found.st_uid != root.stat().st_uid:
            foreign.append(name)
    if open_ones:
        reason = f"others may read or enter {len(open_ones):,} files and folders: {listed(open_ones)}"
        return [warning("permissions", reason, f"unless that is meant: chmod -R go-rwx {root}")]
    if foreign:
        reason = f"{counted(len(foreign), 'file')} of another owner than the lake's folder: {listed(foreign)}"
        return [warning("permissions", reason, f"chown -R them to the owner of {root}")]
    return [ok("permissions", f"{len(everything):,} files and folders, the owner's alone")]
