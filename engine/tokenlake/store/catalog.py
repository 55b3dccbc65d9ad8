"""The catalog: the one small file that says which data files make up the lake, replaced whole by each commit."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tokenlake.errors import LakeDamagedError, LakeError, LakeVersionError
from tokenlake.schema import SCHEMA_VERSION

CATALOG_NAME = "tokenlake.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lake as of one commit: for every table the data files that make it up, relative to `root`."""

    root: Path
    commit: int = 0
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def paths(self, table: str) -> list[str]:
        """Absolute paths of the table's data files; empty where the table has no rows."""
        return [str(self.root / name) for name in self.files.get(table, ())]

    def changed(self, table: str, removed: Iterable[str], added: Iterable[str]) -> Snapshot:
        """This snapshot with some files of one table (names relative to the lake) taken out and others added."""
        gone = set(removed)
        kept = [name for name in self.files.get(table, ()) if name not in gone]
        files = {**self.files, table: tuple(sorted([*kept, *added]))}
        return Snapshot(self.root, self.commit, files)


def exists(root: Path) -> bool:
    """Whether `root` holds a lake."""
    return (root / CATALOG_NAME).is_file()


def read(root: Path) -> Snapshot:
    """The newest snapshot of the lake at `root`; an empty one where there is no lake yet.

    Raises LakeDamagedError for a catalog that cannot be read, LakeVersionError for another schema version,
    LakeError where `root` is something else than a lake.
    """
    path = root / CATALOG_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if root.is_file() or (root.is_dir() and any(not p.name.startswith(".") for p in root.iterdir())):
            raise LakeError(
                f"{root} is not a lake: it holds other things and no {CATALOG_NAME}; name another folder with --lake"
            ) from None
        return Snapshot(root)
    except OSError as error:
        raise LakeError(f"{path}: cannot be read: {error.strerror or error}; check its permissions") from None
    try:
        content = json.loads(text)
        version, commit = int(content["schema_version"]), int(content["commit"])
        files = {str(table): tuple(map(str, names)) for table, names in content["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LakeDamagedError(
            f"{path}: not a readable catalog ({error}); restore it from a backup, or ingest into a new --lake"
        ) from None
    if version != SCHEMA_VERSION:
        remedy = (
            "install a newer tokenlake to read it"
            if version > SCHEMA_VERSION
            else "ingest into a new lake: tokenlake ingest --lake NEW"
        )
        raise LakeVersionError(
            f"{path}: the lake has schema version {version}, this tokenlake reads {SCHEMA_VERSION}; {remedy}"
        )
    return Snapshot(root, commit, files)


def publish(snapshot: Snapshot) -> None:
    """Makes `snapshot` the lake's newest, in one atomic rename: the moment at which a commit happens."""
    path = snapshot.root / CATALOG_NAME
    temporary = path.with_suffix(".json.new")
    content = {
        "schema_version": SCHEMA_VERSION,
        "commit": snapshot.commit,
        "files": {table: list(names) for table, names in sorted(snapshot.files.items())},
    }
    with open(temporary, "w", encoding="utf-8") as out:
        json.dump(content, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, path)
    sync_folder(snapshot.root)


def sync_folder(folder: Path) -> None:
    """Makes renames in `folder` durable, where the platform can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
