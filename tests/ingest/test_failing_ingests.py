"""Ingests that fail or are killed: the lake reads as before or after, and the next ingest ends as usual."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow.parquet as pq
import pytest
from accounting.transcripts import S2, assistant, jsonl, tool_use, usage, user

from tokenlake.errors import LakeDamagedError, LakeError
from tokenlake.lake import Lake
from tokenlake.store import catalog, lock, partitions
from tokenlake.store.catalog import Snapshot


class Killed(BaseException):
    """Stands for a process that ends here: nothing that it would do afterwards happens."""


def full() -> OSError:
    """What the operating system says when the disk is full."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Before(NamedTuple):
    """A lake of one root, and another root whose ingest touches nearly every table of it."""

    lake: Path
    roots: list[Path]
    rows: dict[str, list[str]]
    rows_after: dict[str, list[str]]


def rows(root: Path) -> dict[str, list[str]]:
    """Every row of the newest snapshot, as text and in no order, by table."""
    found = {}
    for table in catalog.read(root).files:
        paths = catalog.read(root).paths(table)
        found[table] = sorted(str(row) for path in paths for row in pq.read_table(path, partitioning=None).to_pylist())
    return {table: listed for table, listed in found.items() if listed}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    folder = tmp_path_factory.mktemp("commits")
    call = assistant("msg_2", usage(7), "09:02", content=[tool_use("toolu_1", command="ls")])
    trees = {
        "first": jsonl(user(), assistant("msg_1", usage(3))),
        "second": jsonl(assistant("msg_1", usage(9), session=S2), call) + b"rubbish\n",
    }
    for name, data in trees.items():
        (folder / name).mkdir()
        (folder / name / "a.jsonl").write_bytes(data)
    roots = [folder / name for name in trees]
    Lake(folder / "lake").refresh(roots[:1], host="h")
    shutil.copytree(folder / "lake", folder / "after")
    Lake(folder / "after").refresh(roots, host="h")
    return Before(folder / "lake", roots, rows(folder / "lake"), rows(folder / "after"))


@pytest.fixture
def lake(before: Before, tmp_path: Path) -> Lake:
    """A copy of the lake as before."""
    shutil.copytree(before.lake, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def tidy(lake: Lake) -> bool:
    """Whether nothing lies in the lake's folder but what the catalog names, and what is no data."""
    named = {name for names in lake.snapshot().files.values() for name in names}
    others = {str(path.relative_to(lake.path)) for path in lake.path.rglob("*") if path.is_file()} - named
    missing = [name for name in named if not (lake.path / name).is_file()]
    return not missing and others <= {catalog.CATALOG_NAME, lock.LOCK_NAME}


def io_error() -> duckdb.IOException:
    return duckdb.IOException("IO Error: Could not write file: No space left on device\nmore")


@pytest.mark.parametrize(("write_number", "failure"), [(1, full), (6, io_error)])
def test_a_full_disk_while_writing_tables_leaves_the_lake_as_it_was(
    before: Before, lake: Lake, monkeypatch: pytest.MonkeyPatch, write_number: int, failure: Callable[[], Exception]
) -> None:
    catalog_text = (lake.path / catalog.CATALOG_NAME).read_bytes()
    real, calls = partitions.write, iter(range(1, 100))

    def writing(*args: Any) -> list[Path]:
        if next(calls) == write_number:
            raise failure()
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(partitions, "write", writing)
        with pytest.raises(LakeError, match=r"cannot be written: .*No space left on device; .* as it was") as raised:
            lake.refresh(before.roots, host="h")
    assert "\n" not in str(raised.value)
    assert (lake.path / catalog.CATALOG_NAME).read_bytes() == catalog_text
    assert rows(lake.path) == before.rows
    assert tidy(lake)


@pytest.mark.parametrize("place", ["data files", "catalog", "after the catalog"])
def test_a_failing_commit_leaves_the_lake_as_before_or_after(
    before: Before, lake: Lake, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    replace, sync_folder = os.replace, catalog.sync_folder

    def replacing(source: Any, target: Any) -> None:
        if str(target).endswith(".parquet" if place == "data files" else catalog.CATALOG_NAME):
            raise full()
        replace(source, target)

    def syncing(folder: Path) -> None:
        if folder == lake.path and catalog.read(folder).commit == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync_folder(folder)

    with monkeypatch.context() as patched:
        if place == "after the catalog":
            patched.setattr(catalog, "sync_folder", syncing)
        else:
            patched.setattr(os, "replace", replacing)
        said = "nothing"
        try:
            lake.refresh(before.roots, host="h")
        except LakeError as error:
            said = str(error)
    # What is said of the lake is true.
    assert ("as it was before" in said) == (catalog.read(lake.path).commit == 1)
    assert ("nothing" in said) <= (place == "after the catalog")
    assert rows(lake.path) == (before.rows_after if place == "after the catalog" else before.rows)
    assert tidy(lake)


@pytest.mark.parametrize("published", [False, True])
def test_the_ingest_after_a_killed_one_ends_as_an_undisturbed_one(
    before: Before, lake: Lake, monkeypatch: pytest.MonkeyPatch, published: bool
) -> None:
    publish = catalog.publish

    def killed(snapshot: Snapshot) -> None:
        if published:
            publish(snapshot)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(catalog, "publish", killed)
        with pytest.raises(Killed):
            lake.refresh(before.roots, host="h")
    assert rows(lake.path) == (before.rows_after if published else before.rows)
    if published:  # an ingest that finds nothing to do has no need to clean up, one that writes does
        more = lake.path.with_name("more.jsonl")
        more.write_bytes(b"")
        lake.refresh([*before.roots, more], host="h")
        more_rows = rows(lake.path)
        assert len(more_rows.pop("files")) == len(before.rows_after["files"]) + 1
        assert more_rows == {table: listed for table, listed in before.rows_after.items() if table != "files"}
    else:
        lake.refresh(before.roots, host="h")
        assert rows(lake.path) == before.rows_after
    assert tidy(lake)


@pytest.mark.parametrize("table", ["usage_rows", "requests", "sessions"])
@pytest.mark.parametrize("damage", ["lost", "cut short", "overwritten"])
def test_a_damaged_data_file_is_the_lakes_matter(before: Before, lake: Lake, table: str, damage: str) -> None:
    path = Path(lake.snapshot().paths(table)[0])
    whole = path.read_bytes()
    if damage == "lost":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut short" else whole[:4] + b"Z" * 400 + whole[404:])
    with pytest.raises(LakeDamagedError, match=r"restore the file|tokenlake doctor names it") as raised:
        lake.refresh(before.roots, host="h")
    assert str(path if damage != "overwritten" else lake.path) in str(raised.value)
    path.write_bytes(whole)
    assert rows(lake.path) == before.rows
    assert tidy(lake)


@pytest.mark.parametrize("failure", [Killed, full])
def test_a_first_ingest_that_did_not_end_can_be_repeated(
    before: Before, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Callable[[], BaseException]
) -> None:
    """Its data files are in place already, and no catalog says that they are of a lake."""
    lake, publish = Lake(tmp_path / "lake"), catalog.publish

    def fail(snapshot: Snapshot) -> None:
        if snapshot.commit:
            raise failure()
        publish(snapshot)

    with monkeypatch.context() as patched:
        patched.setattr(catalog, "publish", fail)
        with pytest.raises((Killed, LakeError)):
            lake.refresh(before.roots[:1], host="h")
    lake.refresh(before.roots[:1], host="h")
    assert rows(lake.path) == before.rows
    assert tidy(lake)
