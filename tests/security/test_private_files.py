"""What the program keeps is the user's alone: folders 0700 and files 0600, whatever the umask."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import assistant, jsonl, usage, user

from tokenlake.ingest import commit, writing
from tokenlake.lake import Lake
from tokenlake.store import lock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")

UMASKS = [0o000, 0o022, 0o077, 0o777]


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """The mode of the folder and of all below it, by name; those that are not the user's alone, that is."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode != (0o700 if path.is_dir() else 0o600):
            found[str(path)] = oct(mode)
    return found


@pytest.mark.parametrize("mask", UMASKS, ids=oct)
def test_every_file_and_folder_of_a_lake_is_the_users_alone(tmp_path: Path, ingest: Any, mask: int) -> None:
    logs = {f"p/{month}.jsonl": jsonl(user(), assistant("m1", usage(1), f"2026-{month:02}-01T09:00:00Z")) + b"x\n"
            for month in (1, 2)}  # fmt: skip
    with umask(mask):
        lake = ingest(logs, keep_raw=True)
        assert modes(lake.path) == {}
        ingest({"p/9.jsonl": jsonl(assistant("m9", usage(1), "2026-09-01T09:00:00Z"))})
    assert modes(lake.path) == {}
    assert len(list(lake.path.rglob("*.parquet"))) > 8


@pytest.mark.parametrize("mask", UMASKS[:2], ids=oct)
def test_what_a_killed_ingest_leaves_is_the_users_alone(
    tmp_path: Path, ingest: Any, monkeypatch: pytest.MonkeyPatch, mask: int
) -> None:
    """With all of it still staged and the lock held; files in the staging folder are covered by its mode."""
    seen: list[tuple[int, dict[str, str]]] = []

    def look(snapshot: Any, staging: Path) -> Any:
        root = snapshot.root
        private = {path: mode for path, mode in modes(root).items() if not path.startswith(f"{staging}{os.sep}")}
        private |= {path: mode for path, mode in modes(staging).items() if Path(path).is_dir()}
        seen.append((len(list(root.rglob("*"))), private))
        return commit.commit(snapshot, staging)

    monkeypatch.setattr("tokenlake.ingest.pipeline.commit", look)
    with umask(mask):
        ingest({"p/s.jsonl": jsonl(user(), assistant())})
    ((count, private),) = seen
    assert count > 5
    assert private == {}
    assert lock.LOCK_NAME.startswith(".")
    assert writing.STAGING_NAME.startswith(".")


def test_an_empty_folder_that_becomes_a_lake_is_closed_to_others(tmp_path: Path, ingest: Any) -> None:
    (tmp_path / "lake").mkdir(mode=0o755)
    (tmp_path / "lake").chmod(0o755)
    assert modes(ingest({"p/s.jsonl": jsonl(assistant())}).path) == {}


@pytest.mark.parametrize("mask", UMASKS[:2], ids=oct)
def test_the_cache_of_prices_and_the_folder_for_spilling_are_the_users_alone(
    tmp_path: Path, ingest: Any, monkeypatch: pytest.MonkeyPatch, mask: int
) -> None:
    monkeypatch.setenv("TOKENLAKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with umask(mask):
        lake = ingest({"p/s.jsonl": jsonl(assistant())})
        assert len(lake.run("cost/daily")) == 1
    assert modes(tmp_path / "cache") == {}
    assert len(list((tmp_path / "cache" / "prices").iterdir())) == 1
    (spill,) = (tmp_path / "temporary").iterdir()
    assert modes(spill) == {}


def test_the_users_output_has_the_users_umask(run: Any, tmp_path: Path, ingest: Any) -> None:
    lake = ingest({"p/s.jsonl": jsonl(assistant())})
    with umask(0o027):
        for name in ("out.csv", "out.parquet"):
            on = ("--no-refresh", "--lake", str(lake.path), "--output", str(tmp_path / name))
            assert run("cost", "daily", *on).code == 0
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640


def test_a_lake_whose_path_is_no_utf_8_is_refused_in_one_line(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("names are not bytes here")
    folder = os.fsencode(tmp_path) + b"/la\xffke"
    arguments = [sys.executable, "-m", "tokenlake_cli.main", "ingest", "--root", str(tmp_path), "--lake", folder]
    ran = subprocess.run(arguments, capture_output=True, cwd=tmp_path, check=False)
    assert (ran.returncode, ran.stdout) == (4, b"")
    assert ran.stderr.count(b"\n") == 1
    assert b"la\\udcffke: the lake's path is not UTF-8" in ran.stderr
    assert not os.path.exists(folder)
    assert isinstance(Lake(os.fsdecode(folder)).path, Path)
