"""Commits that are killed or fail at any step: the lake reads as before or after, and the next ingest cleans up."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tokenlake.ingest.commit import STAGING_NAME, clean, commit
from tokenlake.store import catalog
from tokenlake.store.catalog import Snapshot


class Killed(BaseException):
    """Stands for a process that ends here: nothing that it would do afterwards happens."""


def full() -> OSError:
    """What the operating system says when the disk is full."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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


OLD = {
    "requests": ("requests/month=2026-05/1.parquet", "requests/month=2026-05/2.parquet"),
    "files": ("files/1.parquet",),
}
NEW = {
    "requests": (
        "requests/month=2026-05/2.parquet",
        "requests/month=2026-05/3.parquet",
        "requests/month=2026-06/3.parquet",
    ),
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


@pytest.mark.parametrize("failure", [Killed, full])
def test_at_every_step_the_lake_reads_as_before_or_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Callable[[], BaseException]
) -> None:
    root, seen = tmp_path / "lake", []
    for step in range(1, 80):
        snapshot = prepared(root)
        with failing(monkeypatch, step, failure()) as made, suppress(Killed, OSError):
            commit(snapshot, root / STAGING_NAME)
        assert is_whole(root), (step, made)
        published = catalog.read(root)
        seen.append(published.commit)
        # The next writer removes what is left over, of whichever snapshot it finds.
        clean(published)
        assert is_whole(root)
        assert data_files(root) == {name for names in published.files.values() for name in names}, (step, made)
        assert not (root / STAGING_NAME).exists()
        assert not list(root.glob("*.new"))
        if len(made) < step:  # nothing failed in this round: there is no such step
            break
    assert (set(seen), seen[-1]) == ({1, 2}, 2)
    if failure is Killed:  # first the old snapshot, then, from one step on, the new one
        assert seen == sorted(seen)
    assert 20 < len(seen) < 79
