"""A command to which something happens: it tells its stage and its steps, and fails where it was told to."""

import builtins
import errno
import io
import itertools
import os
import runpy
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAGES = ("before reading", "parsing", "merging", "committing", "after")
"""Where an ingest, merge or rebuild is; the last begins at the moment that makes the new lake the lake."""

DIE = "die"
"""The failure that ends the process at once, as a kill does; any other is the name of an errno."""

DIED = 137
"""The exit status of a process that died by `DIE`."""

_ALLOCATING = frozenset({"mkdir", "open", "write", "half of write", "fsync"})


@dataclass(frozen=True, slots=True)
class Order:
    """A command line of tokenlake over one lake, and what is to happen to it.

    It is killed `kill_after_s` seconds into `kill_stage`. Its step number `fail_step` (from 1) fails by `failure`;
    with ENOSPC, everything that needs room does from there on. With `photographs`, a folder, the lake is copied
    there as it is before each step. No file may grow beyond `most_file_bytes`. Reading the file whose path ends in
    `struck` goes wrong at byte `struck_at`: by EIO, or because the file is cut back to `cut_to` bytes. Segments
    have `segment_bytes`. 0 and "" stand for nothing of the kind.
    """

    arguments: tuple[str, ...]
    lake: str
    kill_stage: str = ""
    kill_after_s: float = 0.0
    fail_step: int = 0
    failure: str = ""
    counted: bool = False
    photographs: str = ""
    most_file_bytes: int = 0
    struck: str = ""
    struck_at: int = 0
    cut_to: int = -1
    segment_bytes: int = 0


Tell = Callable[[str], None]


def carry_out(order: Order, tell: Tell) -> int:
    """Run the command line in this process, which is to end afterwards; gives its exit status.

    `tell` gets a line for each stage and, where steps are counted, for each step.
    """
    tell(f"stage {STAGES[0]}")
    _mark_stages(tell)
    if order.fail_step or order.counted or order.photographs:
        _Steps(order, tell).install()
    if order.struck:
        _strike(order)
    if order.segment_bytes:
        _cut_segments(order.segment_bytes)
    if order.most_file_bytes:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (order.most_file_bytes, order.most_file_bytes))
    sys.argv = ["tokenlake", *order.arguments]
    try:
        runpy.run_module("tokenlake_cli.main", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _mark_stages(tell: Tell) -> None:
    from tokenlake.ingest import absorb, merge, pipeline, rebuild, segment
    from tokenlake.store import catalog

    def before(owner: Any, name: str, stage: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            tell(f"stage {stage}")
            return real(*args, **kwargs)

        _set(owner, name, call)

    publish = catalog.publish

    def published(*args: Any, **kwargs: Any) -> None:
        publish(*args, **kwargs)
        tell("stage after")

    before(segment.Ingestion, "_parse_segment", "parsing")
    before(segment.Ingestion, "_merge_segment", "merging")
    for step in ("gather", "merge", "finish", "replace_whole"):
        before(merge.Merger, step, "merging")
    for module in (pipeline, absorb, rebuild):
        before(module, "commit", "committing")
    _set(catalog, "publish", published)


def _cut_segments(segment_bytes: int) -> None:
    from tokenlake.ingest import absorb, kept, pipeline, rebuild, segment

    for module in (pipeline, rebuild):
        _set(module, "SEGMENT_BYTES", segment_bytes // 8)  # of what is parsed, not of lines
    _set(absorb, "_ROWS_SEGMENT_BYTES", segment_bytes)
    for module in (segment, kept):
        _set(module, "BATCH_BYTES", segment_bytes)


def _set(module: Any, name: str, value: Any) -> None:
    """Replace what a module calls by a name, in this process."""
    assert hasattr(module, name)
    setattr(module, name, value)


class _Steps:
    """Counts the calls by which files of the lake come, change and go; lets one of them fail."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self.order = order
        self.tell = tell
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.full = False

    def install(self) -> None:
        """Put a counter around each of these calls, in this process only."""
        import pyarrow.parquet as pq

        for name in ("replace", "rename", "fsync", "unlink", "remove", "rmdir", "mkdir", "chmod"):
            setattr(os, name, self._counted(name, getattr(os, name)))
        os.open = self._opening(os.open, lambda flags: bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)))
        opened = self._opening(builtins.open, lambda mode: bool(set(mode) & set("wax+")))
        builtins.open = io.open = opened
        _set(pq, "ParquetWriter", self._writing(pq.ParquetWriter))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any, *args: Any, **kwargs: Any) -> Any:
            if self._is_of_lake(target, kwargs):
                # Removing a whole folder names what is in it from there.
                self._step(name, os.path.join(self.order.lake, "...", target) if "dir_fd" in kwargs else target)
            return real(target, *args, **kwargs)

        return call

    def _opening(self, real: Callable[..., Any], writes: Callable[[Any], bool]) -> Any:
        def call(target: Any, how: Any = "r", *args: Any, **kwargs: Any) -> Any:
            if writes(how) and self._is_of_lake(target, kwargs):
                self._step("open", target)
            return real(target, how, *args, **kwargs)

        return call

    def _writing(self, real: Any) -> Any:
        step = self._step

        class Writer(real):  # type: ignore[misc]
            def __init__(self, where: Any, *args: Any, **kwargs: Any) -> None:
                step("write", where)
                super().__init__(where, *args, **kwargs)
                self.path = where

            def close(self) -> None:
                was_open = self.is_open
                super().close()
                if was_open:
                    step("half of write", self.path, self.halve)

            def halve(self) -> None:
                os.truncate(self.path, os.path.getsize(self.path) // 2)

        return Writer

    def _is_of_lake(self, target: Any, kwargs: dict[str, Any]) -> bool:
        if isinstance(target, int) or kwargs.get("dir_fd") is not None:
            return True
        return os.path.abspath(os.fsdecode(target)).startswith(self.order.lake + os.sep)

    def _step(self, name: str, target: Any, on_failure: Callable[[], None] | None = None) -> None:
        with self.lock:
            number = next(self.numbers)
            shown = "" if isinstance(target, int) else os.path.relpath(os.fsdecode(target), self.order.lake)
            self.tell(f"step {name} {shown}".rstrip())
            if self.order.photographs:
                _photograph(Path(self.order.lake), Path(self.order.photographs) / f"{number:04d}")
            fails = number == self.order.fail_step or (self.full and name in _ALLOCATING)
            if not fails:
                return
            if on_failure is not None:
                on_failure()
            if self.order.failure == DIE:
                os._exit(DIED)
            code = getattr(errno, self.order.failure)
            self.full = code == errno.ENOSPC
            raise OSError(code, os.strerror(code))


def _photograph(lake: Path, target: Path) -> None:
    """What a process that is killed now leaves; data files are linked, for they never change once written."""

    def copy(source: str, destination: str) -> None:
        link = source.endswith(".parquet")
        try:
            (_LINK if link else shutil.copyfile)(source, destination)
        except FileNotFoundError:  # removed by another thread
            return

    if lake.is_dir():
        shutil.copytree(lake, target, copy_function=copy, dirs_exist_ok=True)


_LINK = os.link


def _strike(order: Order) -> None:
    """Let the reading of one file go wrong in the middle."""
    from tokenlake.ingest import read

    real: Callable[..., Any] = vars(read)["open_transcript"]

    class Struck(io.RawIOBase):
        """A file that is read to a certain byte as it is, in small pieces."""

        def __init__(self, source: Any) -> None:
            self.source, self.position = source, 0

        def readable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0) -> int:
            self.position = int(self.source.seek(offset, whence))
            return self.position

        def readinto(self, buffer: Any) -> int:
            if self.position >= order.struck_at:
                if order.cut_to < 0:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                if os.path.getsize(self.source.name) > order.cut_to:
                    os.truncate(self.source.name, order.cut_to)
            room = max(1, min(len(buffer), order.struck_at - self.position, 1 << 16))
            got = int(self.source.readinto(memoryview(buffer)[:room]) or 0)
            self.position += got
            return got

        def close(self) -> None:
            self.source.close()
            super().close()

    def opened(path: str, *args: Any) -> Any:
        source = real(path, *args)
        return Struck(source) if path.endswith(order.struck) else source

    _set(read, "open_transcript", opened)
