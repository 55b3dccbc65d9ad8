"""One transcript as a file: opened by its suffix, recognised again by its first and last bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from tokenlake.ingest.archive import Archive

_WINDOW_BYTES = 4096
FINGERPRINT_BYTES = 2 * _WINDOW_BYTES
"""How many bytes of a file its fingerprint is made of, at the most."""


@dataclass(frozen=True, slots=True)
class Task:
    """A transcript to be read from byte `start`, where line `first_line` is (after decompression).

    `prefix_hash` is the fingerprint of the bytes before `start`, where it is to be checked that they are still there.
    """

    file_id: int
    path: str
    size: int
    start: int = 0
    first_line: int = 1
    prefix_hash: str = ""


@dataclass(slots=True)
class Prefix:
    """The first and the last 4 KiB of the bytes of a transcript that were read so far."""

    head: bytes = b""
    tail: bytes = b""

    def add(self, data: memoryview) -> None:
        """Takes the next bytes of the transcript into account."""
        if len(self.head) < _WINDOW_BYTES:
            self.head += data[: _WINDOW_BYTES - len(self.head)]
        self.tail = (self.tail + bytes(data[-_WINDOW_BYTES:]))[-_WINDOW_BYTES:]

    @property
    def hash(self) -> str:
        """The fingerprint of these bytes."""
        return hashlib.blake2b(self.head + self.tail, digest_size=16).hexdigest()


def is_archive(path: str) -> bool:
    """Whether a transcript is compressed."""
    return path.endswith((".gz", ".zst"))


def open_transcript(path: str) -> Any:
    """A transcript opened for reading bytes, decompressed by its suffix. Raises OSError."""
    if is_archive(path):
        return Archive(path)
    return open(path, "rb", buffering=0)


def fingerprint(path: str, ingested_bytes: int) -> str:
    """What the first `ingested_bytes` of a file look like: a hash of their first and last 4 KiB.

    Appending keeps it; rewriting, truncating or removing a record changes it. Empty for an archive, which is read
    whole whenever it changes.
    """
    if is_archive(path):
        return ""
    with open(path, "rb", buffering=0) as source:
        return prefix_of(source, ingested_bytes).hash


def prefix_of(source: Any, ingested_bytes: int) -> Prefix:
    """The first and the last 4 KiB of the first `ingested_bytes` of an open file. Raises OSError."""
    window = min(_WINDOW_BYTES, ingested_bytes)
    source.seek(0)
    head = source.read(window)
    source.seek(ingested_bytes - window)
    return Prefix(head, source.read(window))


def ends_a_line(path: str, position: int) -> bool:
    """Whether the byte before `position` is a newline, or `position` is the start of the file."""
    if position == 0:
        return True
    with open(path, "rb", buffering=0) as source:
        source.seek(position - 1)
        return source.read(1) == b"\n"
