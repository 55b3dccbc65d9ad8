"""The catalog: what a folder is taken for, what a snapshot names, and how a new one takes the place of the old."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest
from accounting.transcripts import assistant, jsonl

from tokenlake.errors import LakeDamagedError, LakeError, LakeVersionError
from tokenlake.lake import Lake
from tokenlake.schema import SCHEMA_VERSION
from tokenlake.store import catalog
from tokenlake.store.catalog import CATALOG_NAME, OLDEST_VERSION, Snapshot

MAY = "requests/month=2026-05/000001-1-0.parquet"
JUNE = "requests/month=2026-06/000002-1-0.parquet"
LEDGER = "files/000001-0.parquet"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


@pytest.fixture
def transcripts(tmp_path: Path) -> Path:
    folder = tmp_path / "transcripts"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(jsonl(assistant()))
    return folder


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# --- what a folder is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prepare", [lambda root: root.rmdir(), lambda root: None, lambda root: (root / ".lock").touch()]
)
def test_a_missing_or_empty_folder_is_a_lake_without_rows(root: Path, prepare) -> None:
    prepare(root)
    assert catalog.read(root) == Snapshot(root, 0, {})
    assert not catalog.exists(root)


def test_a_published_snapshot_is_read_again(root: Path) -> None:
    snapshot = Snapshot(root, 7, {"requests": (MAY, JUNE), "files": (LEDGER,), "records": ()})
    catalog.publish(snapshot)
    assert catalog.read(root) == snapshot
    assert catalog.exists(root)
    assert snapshot.paths("requests") == [f"{root}/{MAY}", f"{root}/{JUNE}"]
    assert (snapshot.paths("records"), snapshot.paths("texts")) == ([], [])
    assert os.listdir(root) == [CATALOG_NAME]


def test_changing_a_snapshot_takes_out_and_adds_files_of_one_table(root: Path) -> None:
    before = Snapshot(root, 7, {"requests": (MAY,), "files": (LEDGER,)})
    after = before.changed("requests", [MAY], [JUNE])
    assert after == Snapshot(root, 7, {"requests": (JUNE,), "files": (LEDGER,)})
    assert before.files["requests"] == (MAY,)
    assert after.changed("texts", [], ["texts/b", "texts/a"]).files["texts"] == ("texts/a", "texts/b")


def test_a_folder_of_other_things_is_no_lake_and_is_left_alone(root: Path, transcripts: Path) -> None:
    (root / "thesis.tex").write_text("mine")
    with pytest.raises(LakeError, match=f"{root} is not a lake: .* --lake") as raised:
        Lake(root).refresh([transcripts], host="h")
    assert type(raised.value) is LakeError
    assert contents(root) == {"thesis.tex": b"mine"}


def test_a_file_is_no_lake_and_is_left_alone(root: Path, transcripts: Path) -> None:
    file = root / "thesis.tex"
    file.write_text("mine")
    with pytest.raises(LakeError, match="is not a lake"):
        Lake(file).refresh([transcripts], host="h")
    assert file.read_text() == "mine"


DAMAGED = {
    "empty": b"",
    "cut": b'{"schema_version": 1, "comm',
    "list": b"[]",
    "null": b"null",
    "no files": b'{"schema_version": 1, "commit": 3}',
    "no commit": b'{"schema_version": 1, "files": {}}',
    "odd commit": b'{"schema_version": 1, "commit": "x", "files": {}}',
    "odd files": b'{"schema_version": 1, "commit": 3, "files": []}',
    "odd names": b'{"schema_version": 1, "commit": 3, "files": {"requests": null}}',
    "not text": b'{"schema_version": 1, "commit": 3, "files": {"\xff\xfe": []}}',
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_catalog_is_refused_and_left_alone(root: Path, transcripts: Path, damage: str) -> None:
    (root / CATALOG_NAME).write_bytes(DAMAGED[damage])
    with pytest.raises(LakeDamagedError, match=f"{CATALOG_NAME}: .*backup.* --lake") as raised:
        Lake(root).refresh([transcripts], host="h")
    assert "\n" not in str(raised.value)
    assert contents(root) == {CATALOG_NAME: DAMAGED[damage]}


@pytest.mark.parametrize(
    ("version", "remedy"), [(OLDEST_VERSION - 1, "tokenlake ingest --lake"), (SCHEMA_VERSION + 1, "newer tokenlake")]
)
def test_a_lake_of_another_schema_version_is_refused_with_the_remedy(
    root: Path, transcripts: Path, version: int, remedy: str
) -> None:
    text = json.dumps({"schema_version": version, "commit": 3, "files": {"requests": [MAY]}})
    (root / CATALOG_NAME).write_text(text)
    for use in (lambda lake: lake.refresh([transcripts], host="h"), Lake.snapshot, lambda lake: lake.sql("select 1")):
        with pytest.raises(LakeVersionError, match=remedy) as raised:
            use(Lake(root))
        assert f"schema version {version}" in str(raised.value)
    assert contents(root) == {CATALOG_NAME: text.encode()}


def test_a_newer_version_is_named_also_where_its_catalog_looks_otherwise(root: Path) -> None:
    (root / CATALOG_NAME).write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1, "tables": []}))
    with pytest.raises(LakeVersionError, match="newer tokenlake"):
        catalog.read(root)


@pytest.mark.parametrize("damage", [None, b"not parquet"])
def test_a_ledger_that_is_missing_or_damaged_is_named(root: Path, transcripts: Path, damage: bytes | None) -> None:
    if damage is not None:
        (root / "files").mkdir()
        (root / LEDGER).write_bytes(damage)
    catalog.publish(Snapshot(root, 1, {"files": (LEDGER,)}))
    before = contents(root)
    with pytest.raises(LakeDamagedError, match=r"000001-0\.parquet"):
        Lake(root).refresh([transcripts], host="h")
    with pytest.raises(LakeDamagedError, match=r"000001-0\.parquet"):
        Lake(root).sql("select * from files")
    assert contents(root) == before


# --- publishing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_catalog_that_cannot_be_written_leaves_the_old_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    old = Snapshot(root, 1, {"requests": (MAY,)})
    catalog.publish(old)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        catalog.publish(Snapshot(root, 2, {"requests": (JUNE,)}))
    assert catalog.read(root) == old


def test_readers_see_whole_snapshots_while_others_are_published(root: Path) -> None:
    """Snapshot n names 200 files that all carry its number."""
    failures: list[str] = []
    seen: set[int] = set()
    done = threading.Event()

    def publish_all() -> None:
        try:
            for commit in range(2, 60):
                catalog.publish(Snapshot(root, commit, {"requests": tuple(f"{commit}-{n}" for n in range(200))}))
        finally:
            done.set()

    catalog.publish(Snapshot(root, 1, {"requests": tuple(f"1-{n}" for n in range(200))}))
    writer = threading.Thread(target=publish_all)
    writer.start()
    while not done.is_set():
        snapshot = catalog.read(root)
        seen.add(snapshot.commit)
        if snapshot.files["requests"] != tuple(f"{snapshot.commit}-{n}" for n in range(200)):
            failures.append(str(snapshot))
    writer.join()
    assert failures == []
    assert catalog.read(root).commit == 59
    assert len(seen) > 1
