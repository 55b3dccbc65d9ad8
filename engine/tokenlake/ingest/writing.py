"""Changing a lake: the lock held, an older lake migrated, what is written staged, and the disk's errors worded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import LakeError, LakeUnwritableError
from tokenlake.ingest.commit import STAGING_NAME, clean, commit
from tokenlake.schema import SCHEMA_VERSION
from tokenlake.store import catalog, damage, lock, private
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

_MEMORY_LIMIT = "2GB"  # of the engine: a safety net; segments keep far below it


def engine(jobs: int) -> duckdb.DuckDBPyConnection:
    """A database in memory for who writes a lake with `jobs` threads."""
    import duckdb

    # Two threads of our own run queries at a time: with all its own beside them, the engine would be in its own way.
    return duckdb.connect(config={"threads": max(1, jobs - 1)})


@contextmanager
def held(
    con: duckdb.DuckDBPyConnection, root: Path, waiting: Callable[[str], None] | None = None
) -> Iterator[Snapshot]:
    """Holds the lake's only writer's lock; gives its newest snapshot, in the present schema.

    An older lake is migrated in a commit of its own, and what a killed process left is removed.
    Raises LakeError and its kin.
    """
    catalog.read(root, older=True)  # nothing is touched in a folder that is something else
    try:
        private.make_folder(root)
        if not catalog.exists(root):
            with suppress(PermissionError):  # another user's, who lets this one write there
                root.chmod(private.FOLDER_MODE)  # it was there, empty: it is the lake's from now on
    except OSError as error:
        raise LakeError(f"{root}: cannot be created: {error.strerror or error}; name another --lake") from None
    with lock.writer(root, waiting=waiting):
        snapshot = catalog.read(root, older=True)
        if snapshot.version < SCHEMA_VERSION:
            from tokenlake.store.migrate import migrate

            with staged(con, snapshot) as staging:
                snapshot = commit(migrate(con, snapshot, staging), staging)
        _remove_leftovers(snapshot)
        yield snapshot


def tidy(root: Path) -> None:
    """Removes what a killed ingest left in the lake, unless another process is writing or nothing can be removed."""
    if (root / STAGING_NAME).exists():
        with suppress(LakeError, OSError), lock.writer(root, wait_s=0):
            _remove_leftovers(catalog.read(root, older=True))


def _remove_leftovers(snapshot: Snapshot) -> None:
    """To be called by who holds the lock."""
    if (snapshot.root / STAGING_NAME).exists():
        with suppress(OSError):
            clean(snapshot)


@contextmanager
def staged(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Iterator[Path]:
    """An empty folder for new data files, beside those of `snapshot`; `con` is set up to write them.

    What fails inside leaves the lake as it was. Raises LakeError where the disk does not take what is written,
    LakeDamagedError where a data file of the lake cannot be read.
    """
    import duckdb

    staging = snapshot.root / STAGING_NAME
    try:
        clean(snapshot)
        private.make_folder(staging)
        con.execute(f"set memory_limit = '{_MEMORY_LIMIT}'")
        con.execute("set temp_directory = ?", [str(staging / "spill")])
        con.execute("set preserve_insertion_order = false")
        con.execute("set TimeZone = 'UTC'")
        yield staging
    except Exception as error:
        with suppress(OSError, LakeError):
            clean(catalog.read(snapshot.root, older=True))
        reason = _first_line(error)
        if isinstance(error, duckdb.Error) and (said := damage.told(snapshot, error, reason, only_lake=True)):
            raise said from error
        if not isinstance(error, OSError | duckdb.IOException | duckdb.OutOfMemoryException):
            raise
        # Nothing was published: publishing is the last that can fail.
        kind = LakeUnwritableError if isinstance(error, OSError) else LakeError
        raise kind(f"{snapshot.root}: cannot be written: {reason}; the lake is as it was before") from error


def give_back_memory(con: duckdb.DuckDBPyConnection) -> None:
    """Lets the engine and Arrow return to the system what they have freed, which else stays theirs and adds up."""
    import pyarrow as pa

    con.execute(f"set memory_limit = '{_MEMORY_LIMIT}'")  # setting it is what makes the engine's allocator do so
    pa.default_memory_pool().release_unused()


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0]
