"""Migrations that end early, of damaged lakes, and what else is done with a migrated lake: nothing is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from accounting.lakes import total
from store.older import ANSWERS, lose_a_column, migrated, on_disk

from tokenlake.errors import LakeDamagedError, LakeError, LakeVersionError
from tokenlake.lake import Lake
from tokenlake.store import catalog, partitions


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("place", ["write", "publish"])
@pytest.mark.parametrize("end", [Killed(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))], ids=["kill", "full disk"])
def test_a_migration_that_ends_early_leaves_the_older_lake(
    lake: Lake, logs: Path, monkeypatch: pytest.MonkeyPatch, place: str, end: BaseException
) -> None:
    lose_a_column(lake)
    before = on_disk(lake.path)

    def fail(*_: object, **__: object) -> None:
        raise end

    with monkeypatch.context() as patched:
        # Before the first data file is written, and when all of them are in place.
        patched.setattr(partitions if place == "write" else catalog, place, fail)
        with pytest.raises((Killed, LakeError)):
            migrated(lake, logs)
    after = on_disk(lake.path)
    assert {name: after[name] for name in before} == before
    assert total(migrated(lake, logs))[0] == ANSWERS["totals"]["requests"] + 1


def test_an_older_lake_with_a_damaged_table_is_refused_and_left_alone(lake: Lake, logs: Path) -> None:
    (ledger,) = catalog.read(lake.path, older=True).paths("files")
    Path(ledger).write_bytes(b"PAR1, it was")
    before = on_disk(lake.path)
    with pytest.raises(LakeDamagedError, match=r"table files cannot be read .*restore it from a backup"):
        migrated(lake, logs)
    assert {name: data for name, data in on_disk(lake.path).items() if not name.startswith(".")} == before


def test_a_migrated_lake_can_be_rebuilt_from_the_lines_that_it_kept(lake: Lake, logs: Path) -> None:
    """The bytes of its transcripts are long gone from disk."""
    lake.refresh([logs], host="other", keep_raw=True)
    summary = lake.rebuild()
    assert (summary.files, summary.files_taken_over) == (8, 0)
    assert total(lake)[0] == ANSWERS["totals"]["requests"] + 1
    (coverage, _) = lake.run("lake/coverage", tz="UTC").to_pylist()
    names = ("files", "departed_files", "records", "rejects", "odd_fields", "pending_bytes")
    assert {name: coverage[name] for name in names} == {name: ANSWERS[name] for name in names}
    # What version 1 did not count is known now, of its transcripts too.
    for row in lake.sql("select * from files").to_pylist():
        parts = ("record_bytes", "rejected_bytes", "newline_bytes", "blank_bytes")
        assert sum(row[name] for name in parts) == row["ingested_bytes"], row["path"]


def test_merging_migrates_this_lake_and_refuses_an_older_other(lake: Lake, logs: Path, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other")
    other.refresh([logs], host="other")
    with pytest.raises(LakeVersionError, match=f"tokenlake ingest --lake {lake.path}"):
        other.merge(lake)
    lake.merge(other)
    assert total(lake)[0] == ANSWERS["totals"]["requests"] + 1
