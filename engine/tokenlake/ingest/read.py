"""Reads transcripts in large batches of whole lines, each line with its file, byte offset and line number."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np

from tokenlake.ingest.batch import BLANK, Batch, newlines
from tokenlake.ingest.salvage import Reject, is_whole_record
from tokenlake.ingest.transcript import Prefix, Task, is_archive, open_transcript, prefix_of

BATCH_BYTES = 48 << 20
"""Bytes of one batch: what memory depends on. Its queries take some 20 ms, whatever its size."""

MAX_LINE_BYTES = 256 << 20
"""A longer line is not read but rejected whole."""


@dataclass(slots=True)
class Progress:
    """How far one file was read: bytes and lines ingested, bytes of a last line that is not complete yet.

    `newlines` are those among the bytes read now, not in an earlier ingest. `error` says what ended the reading early,
    `is_damaged` that it will end there whenever it is tried. `prefix_hash` is the fingerprint of the ingested bytes as
    they were read, once reading has ended: the file may be another by now.
    """

    ingested_bytes: int
    lines: int
    pending_bytes: int = 0
    newlines: int = 0
    error: str | None = None
    is_damaged: bool = False
    prefix_hash: str = ""


@dataclass(slots=True)
class _Filling:
    """A batch while it is being filled: whole lines up to `fill`, in segments of one file each."""

    buffer: bytearray
    fill: int = 0
    starts: list[int] = field(default_factory=list)
    file_ids: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def add_segment(self, file_id: int, offset: int, start: int) -> None:
        self.starts.append(start)
        self.file_ids.append(file_id)
        self.offsets.append(offset)


class Reader:
    """Reads tasks one after the other into batches; `progress` says afterwards how far each file was read.

    A file that vanishes or fails while it is read keeps what was read of it: `progress[id].error` says why. One that
    was to be read on and has been rewritten since is left alone, and has no progress: the next ingest reads it whole.
    `rejects` holds lines too long to be read at all.
    """

    def __init__(self, tasks: Sequence[Task], parsers: int = 1, batch_bytes: int = BATCH_BYTES) -> None:
        self.tasks = tasks
        self.batch_bytes = batch_bytes
        self.progress: dict[int, Progress] = {}
        self.rejects: list[Reject] = []
        self.bytes_read = 0
        self._finished = 0
        self._prefix = Prefix()  # of the transcript that is being read
        # In turn: one buffer for each parser, one that is being filled.
        self._free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        for _ in range(parsers + 1):
            self._free.put(None)  # made when it is needed

    def batches(self) -> Iterator[Batch]:
        """Every batch in order; reading goes on in a thread of its own, one batch ahead."""
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=1)
        stop = threading.Event()

        def work() -> None:
            try:
                for batch in self._fill():
                    ready.put(batch)
                    if stop.is_set():
                        return
                ready.put(None)
            except BaseException as error:  # handed to the thread that waits for it
                ready.put(error)

        thread = threading.Thread(target=work, name="tokenlake-reader", daemon=True)
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            self._free.put(None)
            with suppress(queue.Empty):
                ready.get_nowait()
            thread.join(timeout=5)

    def rest(self) -> None:
        """Gives back the buffers that are not in use: no batch is asked for in a while."""
        with suppress(queue.Empty):  # the reading thread may have been faster
            for _ in range(self._free.qsize()):
                self._free.get_nowait()
                self._free.put(None)  # at once: it may be waiting for one

    def _buffer(self) -> bytearray:
        return self._free.get() or bytearray(self.batch_bytes + 1)

    def _fill(self) -> Iterator[Batch]:
        batch = _Filling(self._buffer())
        for task in self.tasks:
            progress = self.progress[task.file_id] = Progress(task.start, task.first_line - 1)
            self._prefix = Prefix()
            try:
                with open_transcript(task.path) as source:
                    limit = None if is_archive(task.path) else task.size
                    if task.start and not self._resume(source, task):
                        del self.progress[task.file_id]
                        continue
                    for full in self._fill_from(source, task, limit, batch):
                        yield self._finish(full)
                        batch = full
            except OSError as error:
                progress.error = error.strerror or str(error)
                progress.is_damaged = error.errno is None
            progress.prefix_hash = self._prefix.hash
        if batch.fill:
            yield self._finish(batch)

    def _resume(self, source: BinaryIO, task: Task) -> bool:
        """Goes to where reading goes on; False where what was read before is no longer there."""
        prefix = prefix_of(source, task.start)
        if task.prefix_hash and prefix.hash != task.prefix_hash:
            return False
        self._prefix = prefix
        source.seek(task.start)
        return True

    def _fill_from(self, source: BinaryIO, task: Task, limit: int | None, batch: _Filling) -> Iterator[_Filling]:
        """Reads one file to its end; yields the batch whenever it is full, and goes on in it once it was taken."""
        progress = self.progress[task.file_id]
        position = task.start
        held = 0  # bytes behind batch.fill of a line whose end is not read yet
        searched = 0  # of these, how many hold no newline for sure
        while True:
            room = len(batch.buffer) - 1 - batch.fill - held
            if room == 0:
                if batch.fill:
                    rest = bytes(memoryview(batch.buffer)[batch.fill : batch.fill + held])
                    yield batch
                    fresh = _Filling(self._buffer())
                    if held >= len(fresh.buffer):  # a giant line is still being read
                        fresh.buffer = bytearray(held + 1)
                    batch.buffer, batch.fill = fresh.buffer, 0
                    batch.starts, batch.file_ids, batch.offsets = [], [], []
                    batch.buffer[:held] = rest
                elif held >= MAX_LINE_BYTES:
                    position, held = self._skip_line(source, task, position, held, batch)
                    searched = 0
                else:
                    larger = bytearray(min(2 * len(batch.buffer), MAX_LINE_BYTES + 1))
                    larger[:held] = memoryview(batch.buffer)[:held]
                    batch.buffer = larger
                continue
            if limit is not None:
                room = min(room, limit - position)
            got = _read_into(source, batch.buffer, batch.fill + held, room) if room > 0 else 0
            if not got and searched >= held:
                break
            self.bytes_read += got
            position += got
            newline = batch.buffer.rfind(b"\n", batch.fill + searched, batch.fill + held + got)
            held += got
            if newline < 0:
                searched = held
                continue
            self._take(batch, task, progress, newline + 1)
            held = held - (newline + 1 - batch.fill)
            batch.fill = newline + 1
            searched = held
        if held:
            self._take_last(batch, task, progress, held)

    def _take(self, batch: _Filling, task: Task, progress: Progress, end: int, added: int = 0) -> None:
        """Takes the lines from batch.fill up to `end` into the batch; the last `added` bytes are not the file's."""
        batch.add_segment(task.file_id, progress.ingested_bytes, batch.fill)
        progress.ingested_bytes += end - batch.fill
        self._prefix.add(memoryview(batch.buffer)[batch.fill : end - added])

    def _take_last(self, batch: _Filling, task: Task, progress: Progress, held: int) -> None:
        """Takes a last line without newline if it is a whole record, else leaves it pending (accounting rule 3)."""
        tail = bytes(memoryview(batch.buffer)[batch.fill : batch.fill + held])
        text = tail.rstrip(BLANK)
        if not is_whole_record(text):
            progress.pending_bytes = held
            return
        batch.buffer[batch.fill + len(text)] = 0x0A
        end = batch.fill + len(text) + 1
        self._take(batch, task, progress, end, added=1)
        progress.ingested_bytes -= 1
        progress.newlines -= 1
        progress.pending_bytes = held - len(text)
        batch.fill = end

    def _skip_line(self, source: BinaryIO, task: Task, position: int, held: int, batch: _Filling) -> tuple[int, int]:
        """Reads past a line that is too long; returns the position and how many bytes behind it are held."""
        progress = self.progress[task.file_id]
        head = bytes(memoryview(batch.buffer)[:200])
        length = held
        prefix = replace(self._prefix)
        prefix.add(memoryview(batch.buffer)[:held])
        while True:
            got = _read_into(source, batch.buffer, 0, len(batch.buffer) - 1)
            if not got:
                progress.pending_bytes = length
                return position, 0
            self.bytes_read += got
            position += got
            newline = batch.buffer.find(b"\n", 0, got)
            prefix.add(memoryview(batch.buffer)[: got if newline < 0 else newline + 1])
            if newline < 0:
                length += got
                continue
            length += newline
            self._prefix = prefix
            progress.lines += 1
            progress.newlines += 1
            self.rejects.append(
                Reject(
                    task.file_id,
                    progress.lines,
                    progress.ingested_bytes,
                    length,
                    f"line longer than {MAX_LINE_BYTES >> 20} MiB",
                    head,
                )
            )
            progress.ingested_bytes += length + 1
            batch.buffer[: got - newline - 1] = batch.buffer[newline + 1 : got]
            return position, got - newline - 1

    def _finish(self, batch: _Filling) -> Batch:
        ends = newlines(np.frombuffer(batch.buffer, dtype=np.uint8, count=batch.fill)) + 1
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1]
        segment_starts = np.array(batch.starts, dtype=np.int64)
        segment = np.searchsorted(segment_starts, starts, side="right") - 1
        first_rows = np.searchsorted(starts, segment_starts)
        first_lines = np.zeros_like(first_rows)
        for number, lines in enumerate(np.diff(first_rows, append=len(ends))):
            progress = self.progress[batch.file_ids[number]]
            first_lines[number] = progress.lines + 1
            progress.lines += int(lines)
            progress.newlines += int(lines)
        buffer = batch.buffer

        def release() -> None:
            # A buffer that grew for a giant line is let go.
            keep = len(buffer) == self.batch_bytes + 1
            self._free.put(buffer if keep else None)

        self._finished += 1
        return Batch(
            number=self._finished - 1,
            buffer=buffer,
            ends=ends,
            file_ids=np.array(batch.file_ids, dtype=np.int64)[segment],
            offsets=np.array(batch.offsets, dtype=np.int64)[segment] + starts - segment_starts[segment],
            line_numbers=(first_lines - first_rows)[segment] + np.arange(len(ends)),
            release=release,
        )


def _read_into(source: Any, buffer: bytearray, start: int, room: int) -> int:
    with memoryview(buffer)[start : start + room] as target:
        if hasattr(source, "readinto"):
            return int(source.readinto(target) or 0)
        data = source.read(room)
        target[: len(data)] = data
        return len(data)
