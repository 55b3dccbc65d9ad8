"""A compressed transcript, read to the last byte that can be had of it."""

from __future__ import annotations

import zlib
from types import TracebackType
from typing import Any

PIECE_BYTES = 1 << 16
"""Bytes that are decompressed at a time: what is read again, byte by byte, where an archive is damaged."""


class Archive:
    """A .gz or .zst opened for reading what it holds, from its start.

    One that is cut off or damaged gives every byte before that, then raises OSError without an errno.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._position = 0
        self._behind = 0
        self._piece_bytes = PIECE_BYTES
        self._failure: OSError | None = None
        self._source = self._opened()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, as many as there are; none at the end."""
        parts: list[bytes] = []
        while count:
            try:
                part = self._read_piece(min(count, self._piece_bytes))
            except OSError:
                if not parts:
                    raise
                break
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer from the archive; how many bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def damaged_at(self) -> int | None:
        """The byte of what it holds at which it ends too early, read through from here; None where it is whole."""
        with self:
            try:
                while self.read(PIECE_BYTES):
                    pass
            except OSError as error:
                if error.errno is not None:
                    raise
                return self._position
        return None

    def _opened(self) -> Any:
        if self.path.endswith(".gz"):
            import gzip

            return gzip.open(self.path, "rb")
        import pyarrow as pa

        return pa.CompressedInputStream(pa.OSFile(self.path), "zstd")

    def _read_piece(self, count: int) -> bytes:
        if self._failure:  # what a decompressor gives after an error is anything
            raise self._failure
        try:
            self._catch_up()
            data: bytes = self._source.read(count)
        except (OSError, EOFError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            if self._piece_bytes == 1:
                self._failure = OSError(str(error))
                raise self._failure from error
            # What was decompressed before the damage is lost with the failed call: up to there again, then slowly.
            self._source.close()
            self._source = self._opened()
            self._behind = self._position
            self._piece_bytes = 1
            return self._read_piece(1)
        self._position += len(data)
        return data

    def _catch_up(self) -> None:
        """Skips what was read before the archive was opened again."""
        while self._behind:
            skipped = len(self._source.read(min(self._behind, PIECE_BYTES)))
            if not skipped:
                raise OSError("it has become shorter while it was read")
            self._behind -= skipped
