"""The ledger: what the lake knows of each transcript, and how far each was read (table `files`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenlake.errors import LakeDamagedError
from tokenlake.schema import FILES
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

REFUSED_KINDS = frozenset({"stream-json"})
"""Kinds of files that are named in the ledger but never read (accounting rule 6)."""

BESIDE_KINDS = frozenset({"history", "quota-samples"})
"""Kinds of files that are no transcripts: they lie beside these, and tell of prompts and quotas."""

IS_BESIDE = f"kind in {tuple(sorted(BESIDE_KINDS))}"
"""Whether a row of `files` is of such a kind, as SQL."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file as the ledger has it: what decides whether and from where it is read again."""

    file_id: int
    path: str
    host: str
    kind: str
    size: int
    mtime_ns: int
    prefix_hash: str
    ingested_bytes: int
    lines: int
    departed: bool


def load(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> dict[int, Entry]:
    """Every file that the lake knows, by file_id. Raises LakeDamagedError where the ledger cannot be read."""
    if not snapshot.files.get(FILES.name):
        return {}
    import duckdb

    try:
        rows = con.execute(
            "select file_id, path, host, kind, size, mtime_ns, prefix_hash, ingested_bytes, lines,"
            f" departed_at is not null from {partitions.relation(FILES, snapshot.paths(FILES.name))}"
        ).fetchall()
    except duckdb.Error as error:
        raise LakeDamagedError(
            f"{snapshot.root}: its ledger cannot be read ({str(error).splitlines()[0]});"
            " restore it from a backup, or ingest into a new --lake"
        ) from error
    return {row[0]: Entry(*row) for row in rows}
