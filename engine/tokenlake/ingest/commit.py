"""Makes a merged snapshot the newest: files synced and moved into place, catalog replaced, the old removed."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tokenlake.store import catalog, private
from tokenlake.store.catalog import Snapshot
from tokenlake.store.checksums import checksum

STAGING_NAME = ".staging"

_SYNCS = 8
"""How many files are synced at a time."""


def commit(snapshot: Snapshot, staging: Path) -> Snapshot:
    """Publishes `snapshot`, whose new data files still lie in `staging`; returns it with their final names.

    A process killed before the catalog is replaced leaves the lake as it was, one killed after it the new lake; what
    lies about afterwards is removed by the next writer (`clean`).
    """
    root = snapshot.root
    prefix = str(staging.relative_to(root)) + os.sep
    touched: set[Path] = {root}
    new = [name for names in snapshot.files.values() for name in names if name.startswith(prefix)]
    with ThreadPoolExecutor(_SYNCS, "tokenlake-commit") as pool:  # a sync waits for the disk, nothing else
        sums = dict(zip(new, pool.map(_sync, [root / name for name in new]), strict=True))
        for name in new:
            target = root / name.removeprefix(prefix)
            touched.update(_make_folders(root, target.parent))
            os.replace(root / name, target)
        list(pool.map(catalog.sync_folder, touched))
    files = {
        table: tuple(sorted(name.removeprefix(prefix) for name in names)) for table, names in snapshot.files.items()
    }
    kept = {name for names in files.values() for name in names}
    sums = {name.removeprefix(prefix): text for name, text in {**snapshot.checksums, **sums}.items()}
    checksums = {name: text for name, text in sums.items() if name in kept}
    published = replace(snapshot, files=files, checksums=checksums)
    catalog.publish(published)
    with suppress(OSError):  # it is done; what lies about does no harm
        clean(published)
    return published


def clean(snapshot: Snapshot) -> None:
    """Removes what no snapshot needs: data files that the catalog does not name, and the staging folder.

    That one last: as long as it is there, something may be left over.
    """
    root = snapshot.root
    (root / catalog.CATALOG_NAME).with_suffix(".json.new").unlink(missing_ok=True)
    wanted = {name for names in snapshot.files.values() for name in names}
    for folder in root.iterdir() if root.is_dir() else ():
        if catalog.is_table(folder.name):
            for path in folder.rglob("*.parquet"):
                if str(path.relative_to(root)) not in wanted:
                    path.unlink(missing_ok=True)
    shutil.rmtree(root / STAGING_NAME, ignore_errors=True)


def _make_folders(root: Path, folder: Path) -> list[Path]:
    made = [parent for parent in (folder, *folder.parents) if parent.is_relative_to(root)]
    private.make_folder(folder)
    return made


def _sync(path: Path) -> str:
    """Makes a data file durable, and the user's alone; returns its checksum."""
    os.chmod(path, private.FILE_MODE)
    with open(path, "rb+") as file:
        text = checksum(file)
        os.fsync(file.fileno())
    return text
