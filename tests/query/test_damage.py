"""Data files that are lost or damaged: what sums cost then, and whose matter the rest is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tokenlake.errors import LakeDamagedError, QueryError
from tokenlake.query.connect import connect
from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot
from tokenlake.store.checksums import checksum

REPORTS = ("cost/daily", "cache/overhead", "windows/rolling", "cache/rebuilds")


@pytest.fixture
def own_lake(tmp_path: Path, lakes: Any) -> Snapshot:
    """A lake that a test may break."""
    snapshot: Snapshot = lakes.publish(tmp_path / "lake", lakes.TABLES)
    return snapshot


def damage(snapshot: Snapshot, table: str, first: int = 40, last: int = 60) -> Path:
    """Overwrites some bytes of the table's only data file."""
    file = Path(snapshot.paths(table)[0])
    data = bytearray(file.read_bytes())
    data[first:last] = b"\xff" * (last - first)
    file.write_bytes(data)
    return file


# --- lost sums ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REPORTS)
def test_lost_sums_change_no_report(own_lake: Snapshot, name: str) -> None:
    before = run(own_lake, name)
    Path(own_lake.paths("request_sums")[0]).unlink()
    after = run(own_lake, name)
    assert after.to_pylist() == before.to_pylist()
    assert after.meta == before.meta


def test_the_table_of_sums_is_whole_without_its_files(own_lake: Snapshot) -> None:
    text = "select * from request_sums order by all"
    before = sql(own_lake, text)
    assert sum(row["requests"] for row in before.to_pylist()) == 7
    Path(own_lake.paths("request_sums")[0]).unlink()
    after = sql(own_lake, text)
    assert (after.columns, after.types) == (before.columns, before.types)
    assert after.to_pylist() == before.to_pylist()


# --- damaged files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_checksum", [False, True])
@pytest.mark.parametrize("name", REPORTS)
def test_damaged_sums_are_named_and_may_be_deleted(own_lake: Snapshot, name: str, with_checksum: bool) -> None:
    before = run(own_lake, name).to_pylist()
    (file,) = own_lake.paths("request_sums")
    if with_checksum:
        with open(file, "rb") as written:
            own_lake = Snapshot(
                own_lake.root, 1, own_lake.files, checksums={own_lake.files["request_sums"][0]: checksum(written)}
            )
    damage(own_lake, "request_sums", last=1000)
    with pytest.raises(LakeDamagedError) as caught:
        run(own_lake, name)
    assert str(caught.value).startswith(f"{file}: cannot be read (")
    assert "the file may be deleted: it is derived from its requests file" in str(caught.value)
    Path(file).unlink()
    assert run(own_lake, name).to_pylist() == before


def test_sums_cut_short_are_named(own_lake: Snapshot) -> None:
    (file,) = own_lake.paths("request_sums")
    Path(file).write_bytes(Path(file).read_bytes()[:-100])
    with pytest.raises(LakeDamagedError, match=r"may be deleted") as caught:
        run(own_lake, "cost/daily")
    assert str(caught.value).startswith(f"{file}: cannot be read (")


@pytest.mark.parametrize("allow_external", [False, True])
@pytest.mark.parametrize("name", ["windows/rolling", "cache/rebuilds", "cost/daily"])
def test_what_is_said_beside_the_rows_may_meet_damage_too(
    own_lake: Snapshot, name: str, allow_external: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query itself has read what it needs: the file is damaged just behind it."""
    from tokenlake.query import run as module

    done = module.execute

    def execute_then_lose(connection: Any, text: str, *given: Any, **named: Any) -> None:
        done(connection, "select 1", {})
        if not text.startswith("select * from selected"):
            damage(own_lake, "requests", last=1500)
            damage(own_lake, "request_sums", last=1000)

    monkeypatch.setattr(module, "execute", execute_then_lose)
    monkeypatch.setattr(module.pricing, "kept_sums", lambda read: None)
    with pytest.raises(LakeDamagedError, match=r"request_sums/a\.parquet: cannot be read"):
        run(own_lake, name, allow_external=allow_external)


@pytest.mark.parametrize("name", REPORTS)
def test_damaged_requests_are_the_lakes_matter(own_lake: Snapshot, name: str) -> None:
    Path(own_lake.paths("request_sums")[0]).unlink()
    damage(own_lake, "requests", last=1500)
    with pytest.raises(LakeDamagedError, match=r"tokenlake doctor names it|restore the file"):
        run(own_lake, name)


def test_a_connection_over_damaged_sums(own_lake: Snapshot) -> None:
    """Its views cannot be made: the end of the file, which says what is in it, is lost."""
    (file,) = own_lake.paths("request_sums")
    whole = Path(file).read_bytes()
    Path(file).write_bytes(whole[:-300] + b"\xff" * 292 + whole[-8:])
    with pytest.raises(LakeDamagedError) as caught:
        connect(own_lake)
    assert str(caught.value).startswith(f"{file}: cannot be read (")


def test_damage_of_other_files_than_the_lakes_is_the_querys_matter(own_lake: Snapshot, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    other.write_bytes(Path(own_lake.paths("requests")[0]).read_bytes())
    data = bytearray(other.read_bytes())
    data[4:1500] = b"\xff" * 1496
    other.write_bytes(data)
    with pytest.raises(QueryError):
        sql(own_lake, f"select * from read_parquet('{other}')", allow_external=True)
