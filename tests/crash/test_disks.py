"""The disk of a lake that is full or cannot be written: the lake is as before, and is read all the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.crash_child import Order
from benchmarks.crash_lakes import leftovers
from benchmarks.crash_places import OPERATIONS, Places
from benchmarks.crash_steps import Scene, make_scene
from benchmarks.crash_trees import made_up_sources
from benchmarks.crash_worker import Worker


@pytest.fixture(scope="module", params=OPERATIONS)
def scene(worker: Worker, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Scene:
    where = Places(tmp_path_factory.mktemp("disks"))
    return make_scene(worker, where, made_up_sources(300_000, 6), 6, request.param)


@pytest.mark.parametrize("most_file_bytes", [5_000])
def test_files_that_cannot_grow_leave_the_lake_as_it_was(
    worker: Worker, scene: Scene, tmp_path: Path, most_file_bytes: int
) -> None:
    """The kernel refuses the bytes in the middle of a write, whoever writes: Python, Arrow or the engine."""
    scene.copy(tmp_path / "lake")
    outcome = worker.run(scene.order(tmp_path / "lake", most_file_bytes=most_file_bytes))
    assert outcome.status == 4
    assert outcome.said.strip().count("\n") == 0
    assert "File too large; the lake is as it was before" in outcome.said
    assert scene.reading(tmp_path / "lake") == "before"
    assert leftovers(tmp_path / "lake") == set()


@contextmanager
def disk_of_its_own(folder: Path) -> Iterator[Path]:
    """A disk of 8 MB; skips where none may be mounted."""
    folder.mkdir()
    if shutil.which("mount") is None or mount("-t", "tmpfs", "-o", "size=8m", "none", str(folder)):
        pytest.skip("no disk may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode


def test_a_full_disk_leaves_the_lake_as_it_was(worker: Worker, scene: Scene, tmp_path: Path) -> None:
    with disk_of_its_own(tmp_path / "disk") as disk:
        scene.copy(disk / "lake")
        free = os.statvfs(disk)
        (disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize - 40_000))
        outcome = worker.run(scene.order(disk / "lake"))
        assert (outcome.status, "No space left on device; the lake is as it was" in outcome.said) == (4, True)
        assert scene.reading(disk / "lake") == "before"
        assert outcome.said.strip().count("\n") == 0
        (disk / "ballast").unlink()
        assert worker.run(scene.order(disk / "lake")).status == 0
        assert scene.reading(disk / "lake") == "after"


@contextmanager
def unwritable(folder: Path, scene: Scene) -> Iterator[Path]:
    """The lake of a scene where nothing can be written; root may write anywhere but on a disk that is read-only."""
    if os.getuid() == 0:
        with disk_of_its_own(folder) as disk:
            scene.copy(disk / "lake")
            assert mount("-o", "remount,ro", str(disk)) == 0
            yield disk / "lake"
        return
    scene.copy(folder / "lake")
    paths = [folder / "lake", *(folder / "lake").rglob("*")]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    yield folder / "lake"
    for path in paths:
        path.chmod(0o700)


def test_a_lake_that_cannot_be_written_is_read_all_the_same(worker: Worker, scene: Scene, tmp_path: Path) -> None:
    with unwritable(tmp_path / "disk", scene) as lake:
        outcome = worker.run(scene.order(lake))
        assert (outcome.status, outcome.said.strip().count("\n")) == (4, 0)
        assert f"{lake}: cannot be written: " in outcome.said
        report = ("cost", "daily", "--no-refresh", "--lake", str(lake), "--format", "json")
        answer = worker.run(Order(report, str(lake)))
        assert answer.status == 0, answer.said
        assert (len(json.loads(answer.printed)) > 1) == (scene.operation != "rebuild")
        assert scene.reading(lake) == "before"
