"""Reading while another process commits: what an older snapshot names may be gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenlake.errors import LakeDamagedError
from tokenlake.store import catalog
from tokenlake.store.catalog import Snapshot
from tokenlake.store.newest import on_newest


def reading(snapshot: Snapshot) -> int:
    if snapshot.commit < 4:
        catalog.publish(Snapshot(snapshot.root, snapshot.commit + 1))  # by another process
        raise LakeDamagedError("a data file is missing")
    return snapshot.commit


def test_a_snapshot_whose_files_a_commit_removed_gives_way_to_the_newest(tmp_path: Path) -> None:
    catalog.publish(Snapshot(tmp_path, 1))
    assert on_newest(Snapshot(tmp_path, 1), reading, LakeDamagedError) == 4


def test_without_a_newer_commit_the_error_stands(tmp_path: Path) -> None:
    catalog.publish(Snapshot(tmp_path, 1))

    def failing(snapshot: Snapshot) -> int:
        raise LakeDamagedError(f"commit {snapshot.commit}")

    with pytest.raises(LakeDamagedError, match="commit 1"):
        on_newest(Snapshot(tmp_path, 1), failing, LakeDamagedError)


def test_a_reader_that_never_catches_up_gives_up(tmp_path: Path) -> None:
    catalog.publish(Snapshot(tmp_path, 1))

    def overtaken(snapshot: Snapshot) -> int:
        catalog.publish(Snapshot(snapshot.root, snapshot.commit + 1))
        raise LakeDamagedError("a data file is missing")

    with pytest.raises(LakeDamagedError):
        on_newest(Snapshot(tmp_path, 1), overtaken, LakeDamagedError)
