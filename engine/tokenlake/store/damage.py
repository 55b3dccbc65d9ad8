"""What the engine says about a data file of the lake, told as the lake's matter and not as the query's."""

from __future__ import annotations

from tokenlake.errors import LakeDamagedError
from tokenlake.schema import REQUEST_SUMS
from tokenlake.store import sums
from tokenlake.store.catalog import Snapshot


def is_of_files(error: Exception) -> bool:
    """Whether DuckDB says this of files where no other SQL runs than the program's own, which is sound by itself."""
    import duckdb

    return isinstance(error, duckdb.IOException | duckdb.InvalidInputException) or _is_of_parquet(error)


def told(snapshot: Snapshot, error: Exception, reason: str, *, only_lake: bool) -> LakeDamagedError | None:
    """The engine's error as one of a data file of the snapshot; None where it is not about one.

    `reason` is what the error says, without the SQL, which may name many files. `only_lake` says that no other files
    were read: then what the reader of Parquet says of bytes that make no sense, without a file's name, is about the
    lake as well.
    """
    named = {name for names in snapshot.files.values() for name in names if str(snapshot.root / name) in reason}
    if not named and not _is_of_parquet(error):
        return None
    if not named and not only_lake:
        return None
    named_sums = named.intersection(snapshot.files.get(REQUEST_SUMS.name, ()))
    lost = str(snapshot.root / named_sums.pop()) if named_sums else None if named else sums.damaged(snapshot)
    if lost:
        return LakeDamagedError(
            f"{lost}: cannot be read ({reason}); the file may be deleted: it is derived from its requests file, "
            "and the next ingest that writes makes it again"
        )
    if named:
        return LakeDamagedError(f"{snapshot.root}: {reason}; restore the file, or ingest into a new --lake")
    return LakeDamagedError(f"{snapshot.root}: a data file is damaged ({reason}): tokenlake doctor names it")


def _is_of_parquet(error: Exception) -> bool:
    """Whether it is what DuckDB's reader of Parquet says of bytes that make no sense, without a file's name."""
    import duckdb

    return type(error) is duckdb.Error or isinstance(error, duckdb.SerializationException | duckdb.InternalException)
