"""The stored lakes of older schema versions, what they answer, and what tests do with a copy of one."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from tokenlake.lake import Lake
from tokenlake.schema import SCHEMA_VERSION
from tokenlake.store import catalog
from tokenlake.store.catalog import OLDEST_VERSION

STORED = {version: Path(__file__).parent / f"lake-v{version}" for version in range(OLDEST_VERSION, SCHEMA_VERSION)}
ANSWERS = json.loads((STORED[1] / "answers.json").read_text())


def on_disk(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def migrated(lake: Lake, logs: Path) -> Lake:
    lake.refresh([logs], host="other")
    return lake


def lose_a_column(lake: Lake) -> None:
    """Makes data files of texts, copies too, as if the last column had come with a later version."""
    snapshot = catalog.read(lake.path, older=True)
    for path in [*snapshot.paths("texts"), *snapshot.paths("copies_texts")]:
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns("line"), path)
