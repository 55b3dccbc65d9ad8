"""The catalog: the one small file that says which data files make up the lake, replaced whole by each commit."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tokenlake.errors import LakeDamagedError, LakeError, LakeVersionError
from tokenlake.schema import BY_NAME, SCHEMA_VERSION
from tokenlake.store import private

CATALOG_NAME = "tokenlake.json"

SAMPLES_NAME = "quota-samples.jsonl"
"""The file in the lake's folder to which the status line appends samples, also before there is a lake."""

OLDEST_VERSION = 1
"""The oldest schema version that can be migrated."""

COPIES_PREFIX = "copies_"
"""What the tables are called that keep further copies of the records of another."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a lake is filled: what an ingest was told once holds for the later ones.

    `roots` are the folders to look into for each host, if any was named; else it is where agents keep their logs.
    """

    keep_text: bool = True
    keep_raw: bool = False
    roots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The lake as of one commit: for every table the data files that make it up, relative to `root`.

    `version` is that of the schema that the data files were written with (see `read`). `checksums` are those of data
    files (`store.checksums`), by name; a file that was not written by `commit` has none.
    """

    root: Path
    commit: int = 0
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    version: int = SCHEMA_VERSION
    checksums: Mapping[str, str] = field(default_factory=dict, compare=False)

    def paths(self, table: str) -> list[str]:
        """Absolute paths of the table's data files; empty where the table has no rows."""
        return [str(self.root / name) for name in self.files.get(table, ())]

    def changed(self, table: str, removed: Iterable[str], added: Iterable[str]) -> Snapshot:
        """This snapshot with some files of one table (names relative to the lake) taken out and others added."""
        gone = set(removed)
        kept = [name for name in self.files.get(table, ()) if name not in gone]
        files = {**self.files, table: tuple(sorted([*kept, *added]))}
        return replace(self, files=files)


def exists(root: Path) -> bool:
    """Whether `root` holds a lake; also where it may not be looked into, which `read` then says."""
    try:
        return (root / CATALOG_NAME).is_file()
    except PermissionError:
        return True


def read(root: Path, *, older: bool = False) -> Snapshot:
    """The newest snapshot of the lake at `root`; an empty one where there is no lake yet.

    With `older`, for a writer that will migrate it, also one of an older schema version. Raises LakeDamagedError for
    a catalog that cannot be read, LakeVersionError for another schema version, LakeError where `root` is something
    else than a lake.
    """
    path = root / CATALOG_NAME
    try:
        str(root).encode()
    except UnicodeEncodeError:  # the engine takes paths as text
        raise LakeError(f"{root}: the lake's path is not UTF-8; name another folder with --lake") from None
    try:
        content = json.loads(path.read_bytes())
        version = int(content["schema_version"])
    except (FileNotFoundError, NotADirectoryError):
        if _holds_other_things(root):
            raise LakeError(
                f"{root} is not a lake: it holds other things and no {CATALOG_NAME}; name another folder with --lake"
            ) from None
        return Snapshot(root)
    except OSError as error:
        raise LakeError(f"{path}: cannot be read: {error.strerror or error}; check its permissions") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from None
    if version != SCHEMA_VERSION and not (older and OLDEST_VERSION <= version < SCHEMA_VERSION):
        raise LakeVersionError(
            f"{path}: the lake has schema version {version}, this tokenlake reads {SCHEMA_VERSION};"
            f" {_remedy(root, version)}"
        )
    try:
        commit = int(content["commit"])
        files = {str(table): tuple(map(str, names)) for table, names in content["files"].items()}
        settings = _settings(content.get("settings", {}))
        checksums = {str(name): str(text) for name, text in content.get("checksums", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from None
    return Snapshot(root, commit, files, settings, version, checksums)


def _remedy(root: Path, version: int) -> str:
    if version > SCHEMA_VERSION:
        return "install a newer tokenlake to read it"
    if version < OLDEST_VERSION:
        return "ingest into a new lake: tokenlake ingest --lake NEW"
    return f"bring it up to date, nothing is lost: tokenlake ingest --lake {root}"


def _settings(content: Mapping[str, Any]) -> Settings:
    roots = content.get("roots", {})
    return Settings(
        bool(content.get("keep_text", True)),
        bool(content.get("keep_raw", False)),
        {str(host): tuple(map(str, folders)) for host, folders in roots.items()},
    )


def _damaged(path: Path, error: Exception) -> LakeDamagedError:
    return LakeDamagedError(
        f"{path}: not a readable catalog ({error}); restore it from a backup, or ingest into a new --lake"
    )


def _holds_other_things(root: Path) -> bool:
    """Whether `root` is something else than a new lake, or one whose first ingest did not end."""
    if root.is_dir():
        known = (".", CATALOG_NAME, SAMPLES_NAME)
        return any(not path.name.startswith(known) and not is_table(path.name) for path in root.iterdir())
    return root.exists() or any(parent.is_file() for parent in root.parents)


def is_table(name: str) -> bool:
    """Whether a folder of a lake is one of its tables."""
    return name.removeprefix(COPIES_PREFIX) in BY_NAME


def publish(snapshot: Snapshot) -> None:
    """Makes `snapshot` the lake's newest, in one atomic rename: the moment at which a commit happens."""
    path = snapshot.root / CATALOG_NAME
    temporary = path.with_suffix(".json.new")
    content = {
        "schema_version": snapshot.version,
        "commit": snapshot.commit,
        "settings": asdict(snapshot.settings),
        "files": {table: list(names) for table, names in sorted(snapshot.files.items())},
        "checksums": dict(sorted(snapshot.checksums.items())),
    }
    with open(temporary, "w", encoding="utf-8", opener=private.opener) as out:
        json.dump(content, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, path)
    with suppress(OSError):  # it is done; only how soon it is durable is at stake
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
