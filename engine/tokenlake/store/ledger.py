"""The ledger: what the lake knows of each transcript, and how far each was read (table `files`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenlake.schema import FILES
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

REFUSED_KINDS = frozenset({"stream-json"})
"""Kinds of files that are named in the ledger but never read (accounting rule 6)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One transcript as the ledger has it: what decides whether and from where it is read again."""

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
    """Every transcript of the lake, by file_id."""
    if not snapshot.files.get(FILES.name):
        return {}
    rows = con.execute(
        "select file_id, path, host, kind, size, mtime_ns, prefix_hash, ingested_bytes, lines,"
        f" departed_at is not null from {partitions.relation(FILES, snapshot.paths(FILES.name))}"
    ).fetchall()
    return {row[0]: Entry(*row) for row in rows}
