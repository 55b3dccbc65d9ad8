"""The checksum of a data file, as the catalog keeps it: by it, a file that has changed since is found."""

from __future__ import annotations

import zlib
from typing import BinaryIO

_BLOCK_BYTES = 1 << 20


def checksum(file: BinaryIO) -> str:
    """Size in bytes and CRC-32 of an open file, read from its beginning: `8123-9af3c2d1`."""
    file.seek(0)
    size, crc = 0, 0
    while block := file.read(_BLOCK_BYTES):
        size += len(block)
        crc = zlib.crc32(block, crc)
    return f"{size}-{crc:08x}"


def size_of(text: str) -> int:
    """The size in bytes that a checksum tells."""
    return int(text.partition("-")[0])
