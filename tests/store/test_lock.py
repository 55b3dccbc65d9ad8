"""One writer at a time: a second one waits, is told for whom, and gives up in the end."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from accounting.transcripts import assistant, jsonl

from tokenlake.errors import LakeError, LakeLockedError
from tokenlake.lake import Lake
from tokenlake.store import lock

HOLD = """
import sys
from pathlib import Path
from tokenlake.store import lock
with lock.writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


@contextmanager
def holding(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.stdin.close()
            child.wait(timeout=30)


def test_a_second_writer_is_told_who_holds_the_lock_and_gives_up(root: Path) -> None:
    told: list[str] = []
    with holding(root) as child:
        with (
            pytest.raises(LakeLockedError, match=f"by process {child.pid} after 0 s; try again later") as raised,
            lock.writer(root, wait_s=0.2, waiting=told.append),
        ):
            pytest.fail("two writers at a time")
        assert str(root) in str(raised.value)
        assert told == [f"the lake {root} is being written by process {child.pid}; waiting"]
    with lock.writer(root, wait_s=0, waiting=told.append):
        pass
    assert len(told) == 1


def test_a_second_writer_goes_on_when_the_first_is_done(root: Path) -> None:
    with holding(root) as child:
        assert child.stdin is not None
        # What is waited for ends as soon as the wait begins.
        with lock.writer(root, wait_s=30, waiting=lambda _: child.stdin.close()):  # type: ignore[union-attr]
            assert child.wait(timeout=30) == 0


def test_the_lock_of_a_killed_process_is_free(root: Path) -> None:
    with holding(root) as child:
        child.kill()
        child.wait(timeout=30)
        with lock.writer(root, wait_s=5):
            pass


def test_an_error_lets_go_of_the_lock(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock.writer(root):
        raise ZeroDivisionError
    with lock.writer(root, wait_s=0):
        pass
    assert [path.name for path in root.iterdir()] in ([], [lock.LOCK_NAME])


def test_a_folder_that_cannot_be_written_is_an_error_of_the_lake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LakeError, match="name another --lake"), lock.writer(tmp_path / "file"):
        pytest.fail("locked nothing")


def test_a_full_disk_is_no_unforeseen_error_and_lets_go_of_the_lock(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either the lock is held without a note of who holds it, or the lake is said to be unwritable."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with suppress(LakeError), lock.writer(root):
            pass
    with lock.writer(root, wait_s=0):
        pass


def test_an_ingest_waits_for_the_other_and_one_without_work_does_not(root: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(assistant()))
    lake, told = Lake(root), []
    with holding(root) as child:

        def waiting(text: str) -> None:
            told.append(text)
            assert child.stdin is not None
            child.stdin.close()

        assert lake.refresh([tmp_path / "a.jsonl"], host="h", waiting=waiting).requests == 1
    assert told == [f"the lake {root} is being written by process {child.pid}; waiting"]
    with holding(root):
        again = lake.refresh([tmp_path / "a.jsonl"], host="h", waiting=told.append)
        assert (again.files_unchanged, again.files_read) == (1, 0)
        assert lake.sql("select count(*) as n from requests").to_pylist() == [{"n": 1}]
    assert len(told) == 1
