"""A batch of whole lines, each with its file, byte offset and line number, and its lines as Arrow."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

# The JSON engine parses a chunk at a time, and takes several times a chunk's bytes to do so: chunks that fit the
# processor's cache are fastest, and bound its memory.
_CHUNK_BYTES = 1 << 19
_SCAN_BYTES = 1 << 18  # newlines are looked for in pieces that stay in the processor's cache
BLANK = b" \t\r\n\0"
"""White space and NUL: what may stand around the record of a line."""


Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


@dataclass(slots=True)
class Batch:
    """Whole lines of one or more files, end to end in `buffer`; batches are numbered from 0.

    `ends` are the positions behind each line's newline; `file_ids`, `offsets`, `line_numbers` have one entry a
    line. Call `release` once nothing refers to the buffer any more.
    """

    number: int
    buffer: bytearray
    ends: Integers
    file_ids: Integers
    offsets: Integers
    line_numbers: Integers
    release: Callable[[], None]

    @staticmethod
    def empty() -> Batch:
        """A batch without lines."""
        nothing = np.zeros(0, dtype=np.int64)
        return Batch(0, bytearray(1), nothing, nothing, nothing, nothing, lambda: None)

    def line(self, row: int) -> bytes:
        """The bytes of one line, without its newline."""
        start = int(self.ends[row - 1]) if row else 0
        return bytes(memoryview(self.buffer)[start : int(self.ends[row]) - 1])

    def lengths(self) -> Integers:
        """The bytes of each line, without its newline."""
        return self.ends - self._starts() - 1

    def blank_edges(self) -> Integers:
        """How many bytes of each line are blank, white space or NUL, before its first other byte or behind its last."""
        starts, ends = self._starts(), self.ends - 1
        content = np.frombuffer(self.buffer, dtype=np.uint8)
        before, behind = starts.copy(), ends.copy()
        _skip(content, before, ends, 1)
        _skip(content, behind, before, -1)
        return (before - starts) + (ends - behind)

    def heads(self, head_bytes: int) -> pa.Table:
        """The first bytes of each line, as a table (head)."""
        import pyarrow as pa

        starts = self._starts()
        return pa.table({"head": self._views(starts, np.minimum(self.ends - starts, head_bytes))})

    def to_arrow(self, rows: npt.NDArray[np.bool_] | None = None, bytes_: Integers | None = None) -> pa.Table:
        """Lines as a table (row, file_id, line, offset, bytes, odd, salvaged, raw); `raw` shares the batch's buffer.

        `bytes_` are those of the records on the lines, where they are known; else those of the lines.
        """
        import pyarrow as pa

        starts = self._starts()
        chosen = np.flatnonzero(rows) if rows is not None else np.arange(len(starts))
        bytes_ = self.lengths() if bytes_ is None else bytes_
        table = pa.table(
            {
                "row": pa.array(chosen.astype(np.int32)),
                "file_id": pa.array(self.file_ids[chosen]),
                "line": pa.array(self.line_numbers[chosen]),
                "offset": pa.array(self.offsets[chosen]),
                "bytes": pa.array(bytes_[chosen]),
                "odd": pa.array(np.zeros(len(chosen), dtype=np.int32)),
                "salvaged": pa.nulls(len(chosen), pa.string()),
                "raw": self._views(starts[chosen], (self.ends - starts - 1)[chosen]),
            }
        )
        lengths = (self.ends - starts)[chosen]
        return pa.Table.from_batches(_chunks(table.combine_chunks(), lengths), table.schema)

    def _starts(self) -> Integers:
        starts = np.zeros_like(self.ends)
        starts[1:] = self.ends[:-1]
        return starts

    def _views(self, starts: Integers, lengths: Integers) -> pa.Array:
        """Pieces of the buffer as an array of string views: none of their bytes is copied."""
        import pyarrow as pa

        content = np.frombuffer(self.buffer, dtype=np.uint8)
        views = np.zeros((len(starts), 4), dtype=np.int32)
        views[:, 0] = lengths
        views[:, 3] = starts
        inline = views.view(np.uint8)
        # A view has the first 4 bytes beside it, and up to 12 in place of the reference.
        for byte in range(4):
            inline[:, 4 + byte] = content[np.minimum(starts + byte, len(content) - 1)]
        for row in np.flatnonzero(lengths <= 12):
            start, length = int(starts[row]), int(lengths[row])
            inline[row, 4:16] = 0
            inline[row, 4 : 4 + length] = content[start : start + length]
        return pa.Array.from_buffers(
            pa.string_view(), len(starts), [None, pa.py_buffer(views), pa.py_buffer(self.buffer)]
        )


_SKIPS = 64
_IS_BLANK = np.zeros(256, dtype=np.bool_)
_IS_BLANK[list(BLANK)] = True


def _skip(content: Bytes, positions: Integers, limits: Integers, step: int) -> None:
    """Moves each position over blank bytes, forwards or backwards, as far as its limit at the most."""
    ahead = 0 if step > 0 else -1
    rows = np.arange(len(positions))
    for _ in range(_SKIPS):
        rows = rows[positions[rows] != limits[rows]]
        rows = rows[_IS_BLANK[content[positions[rows] + ahead]]]
        if not rows.size:
            return
        positions[rows] += step
    for row in rows.tolist():  # the few that have a long run of them
        position, limit = int(positions[row]), int(limits[row])
        if step > 0:
            positions[row] = limit - len(content[position:limit].tobytes().lstrip(BLANK))
        else:
            positions[row] = limit + len(content[limit:position].tobytes().rstrip(BLANK))


def _chunks(table: pa.Table, lengths: Integers) -> list[pa.RecordBatch]:
    """The rows of a table in pieces whose lines have about `_CHUNK_BYTES` together."""
    if not table.num_rows:
        return []
    [batch] = table.to_batches()
    chunk = np.cumsum(lengths) // _CHUNK_BYTES
    bounds = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(chunk)]
    return [batch.slice(start, end - start) for start, end in itertools.pairwise(bounds)]


def newlines(data: Bytes) -> Integers:
    """Positions of every newline byte (accounting rule 1: nothing else ends a line)."""
    found = [
        np.flatnonzero(data[start : start + _SCAN_BYTES] == 0x0A) + start for start in range(0, len(data), _SCAN_BYTES)
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
