"""One transcript as a file: opened by its suffix, recognised again by its first and last bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

_WINDOW_BYTES = 4096
FINGERPRINT_BYTES = 2 * _WINDOW_BYTES
"""How many bytes of a file its fingerprint is made of, at the most."""


@dataclass(frozen=True, slots=True)
class Task:
    """A transcript to be read from byte `start`, where line `first_line` is (after decompression)."""

    file_id: int
    path: str
    size: int
    start: int = 0
    first_line: int = 1


def is_archive(path: str) -> bool:
    """Whether a transcript is compressed."""
    return path.endswith((".gz", ".zst"))


def open_transcript(path: str) -> Any:
    """A transcript opened for reading bytes, decompressed by its suffix. Raises OSError."""
    if is_archive(path):
        import pyarrow as pa

        compression = "gzip" if path.endswith(".gz") else "zstd"
        return pa.CompressedInputStream(pa.OSFile(path), compression)
    return open(path, "rb", buffering=0)


def fingerprint(path: str, ingested_bytes: int) -> str:
    """What the first `ingested_bytes` of a file look like: a hash of their first and last 4 KiB.

    Appending keeps it; rewriting, truncating or removing a record changes it. Empty for an archive, which is read
    whole whenever it changes.
    """
    if is_archive(path):
        return ""
    window = min(_WINDOW_BYTES, ingested_bytes)
    with open(path, "rb", buffering=0) as source:
        head = source.read(window)
        source.seek(ingested_bytes - window)
        tail = source.read(window)
    return hashlib.blake2b(head + tail, digest_size=16).hexdigest()


def ends_a_line(path: str, position: int) -> bool:
    """Whether the byte before `position` is a newline, or `position` is the start of the file."""
    if position == 0:
        return True
    with open(path, "rb", buffering=0) as source:
        source.seek(position - 1)
        return source.read(1) == b"\n"
