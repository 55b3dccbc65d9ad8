"""Commits that are killed or fail at any step: the lake reads as before or after, and the next ingest cleans up."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow.parquet as pq
import pytest
from accounting.transcripts import S2, assistant, jsonl, tool_use, usage, user

from tokenlake.errors import LakeError
from tokenlake.ingest.commit import STAGING_NAME, clean, commit
from tokenlake.lake import Lake
from tokenlake.store import catalog, lock, partitions
from tokenlake.store.catalog import Snapshot


class Killed(BaseException):
    """Stands for a process that ends here: nothing that it would do afterwards happens."""


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
CALLS = ("replace", "fsync", "chmod", "mkdir", "unlink", "rmdir", "open")


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException) -> Iterator[list[str]]:
    """Lets the call of that number to the operating system fail; a killed process makes no call after it."""
    made: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            if len(made) == step or (len(made) > step and isinstance(error, Killed)):
                raise error
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for name in CALLS:
            patched.setattr(os, name, counted(name, getattr(os, name)))
        yield made


# --- commit() alone, every step -----------------------------------------------------------------------------------

OLD = {"requests": ("requests/month=2026-05/1.parquet", "requests/month=2026-05/2.parquet"), "files": ("files/1.parquet",)}
NEW = {
    "requests": ("requests/month=2026-05/2.parquet", "requests/month=2026-05/3.parquet", "requests/month=2026-06/3.parquet"),
    "files": ("files/3.parquet",),
    "texts": ("texts/month=2026-06/3.parquet",),
}


def write(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(Path(name).name)


def prepared(root: Path) -> Snapshot:
    """A lake as of OLD, and NEW's new files in staging; the snapshot to be committed."""
    shutil.rmtree(root, ignore_errors=True)
    write(root, [name for names in OLD.values() for name in names])
    catalog.publish(Snapshot(root, 1, OLD))
    known = {name for names in OLD.values() for name in names}
    staged = {
        table: tuple(name if name in known else f"{STAGING_NAME}/{name}" for name in names)
        for table, names in NEW.items()
    }
    write(root, [name for names in staged.values() for name in names if name not in known])
    return Snapshot(root, 2, staged)


def data_files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*.parquet")}


def is_whole(root: Path) -> bool:
    """Whether the newest snapshot is OLD or NEW, with every data file in place and unchanged."""
    snapshot = catalog.read(root)
    assert (snapshot.commit, dict(snapshot.files)) in ((1, OLD), (2, NEW))
    return all((root / name).read_text() == Path(name).name for names in snapshot.files.values() for name in names)


def test_a_commit_moves_what_is_new_and_removes_what_is_old(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    assert commit(prepared(root), root / STAGING_NAME) == Snapshot(root, 2, NEW)
    assert is_whole(root)
    assert catalog.read(root).commit == 2
    assert data_files(root) == {name for names in NEW.values() for name in names}
    assert not (root / STAGING_NAME).exists()
    modes = {path.stat().st_mode & 0o777 for path in root.rglob("3.parquet")}
    assert modes == {0o600}


@pytest.mark.parametrize("error", [Killed(), FULL], ids=["killed", "disk full"])
def test_at_every_step_the_lake_reads_as_before_or_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    root, step, seen = tmp_path / "lake", 0, []
    while step == 0 or len(made) >= step:
        step += 1
        snapshot = prepared(root)
        with failing(monkeypatch, step, error) as made:
            try:
                commit(snapshot, root / STAGING_NAME)
            except (Killed, OSError) as raised:
                assert raised is error
        assert is_whole(root), (step, made)
        published = catalog.read(root)
        seen.append(published.commit)
        # The next writer removes what is left over, of whichever snapshot it finds.
        clean(published)
        assert is_whole(root)
        assert data_files(root) == {name for names in published.files.values() for name in names}, (step, made)
        assert not (root / STAGING_NAME).exists()
        assert not list(root.glob("*.new"))
    # First the old snapshot, then, from one step on, the new one.
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (1, 2)
    assert 20 < step < 80


# --- whole ingests ------------------------------------------------------------------------------------------------


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
    named = {name for names in lake.snapshot().files.values() for name in names}
    others = {path.name for path in lake.path.iterdir() if path.name not in lake.snapshot().files}
    return data_files(lake.path) == named and others <= {catalog.CATALOG_NAME, lock.LOCK_NAME}


IO_ERROR = duckdb.IOException("IO Error: Could not write file: No space left on device\nmore")


@pytest.mark.parametrize(
    ("write_number", "error"), [(1, FULL), (1, IO_ERROR), (4, IO_ERROR), (9, FULL)], ids=["1", "1 io", "4 io", "9"]
)
def test_a_full_disk_while_writing_tables_leaves_the_lake_as_it_was(
    before: Before, lake: Lake, monkeypatch: pytest.MonkeyPatch, write_number: int, error: Exception
) -> None:
    catalog_text = (lake.path / catalog.CATALOG_NAME).read_bytes()
    real, calls = partitions.write, iter(range(1, 100))

    def writing(*args: Any) -> list[Path]:
        if next(calls) == write_number:
            raise error
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(partitions, "write", writing)
        with pytest.raises(LakeError, match="cannot be written: .*No space left on device; .* as it was") as raised:
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
            raise FULL
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
        try:
            lake.refresh(before.roots, host="h")
        except LakeError as error:
            # What is said of the lake is true.
            assert ("as it was before" in str(error)) == (catalog.read(lake.path).commit == 1)
        else:
            assert place == "after the catalog"
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
    lake.refresh(before.roots, host="h")
    assert rows(lake.path) == before.rows_after
    if not published:
        assert tidy(lake)
    # One that finds nothing to do has no need to clean up; the next that writes does.
    (before.roots[1].parent / "more.jsonl").write_bytes(jsonl(user("More.", uuid="more")))
    lake.refresh([before.roots[1].parent / "more.jsonl"], host="h")
    assert tidy(lake)


@pytest.mark.parametrize("error", [Killed(), FULL], ids=["killed", "disk full"])
def test_a_first_ingest_that_did_not_end_can_be_repeated(
    before: Before, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Its data files are in place already, and no catalog says that they are of a lake."""
    lake = Lake(tmp_path / "lake")

    def fail(snapshot: Snapshot) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(catalog, "publish", fail)
        with pytest.raises((Killed, LakeError)):
            lake.refresh(before.roots[:1], host="h")
    lake.refresh(before.roots[:1], host="h")
    assert rows(lake.path) == before.rows
    assert tidy(lake)
