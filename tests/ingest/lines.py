"""Transcripts of any bytes, the lines that a reader finds in them, and those that Python's own split finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenlake.ingest.read import Reader
from tokenlake.ingest.transcript import Task

OBJECTS = (b'{"a":1}', b'{"text":"' + b"x" * 70 + b'"}')
"""The only JSON objects in these transcripts."""

Line = tuple[int, int, int, bytes]
"""File, line number, offset, bytes without the newline."""


def lines_of(reader: Reader) -> list[Line]:
    found: list[Line] = []
    for batch in reader.batches():
        numbers = zip(batch.file_ids.tolist(), batch.line_numbers.tolist(), batch.offsets.tolist(), strict=True)
        found += [(*where, batch.line(row)) for row, where in enumerate(numbers)]
        batch.release()
    return found


def write(folder: str | Path, contents: Sequence[bytes], suffix: str = ".jsonl") -> list[Task]:
    tasks = []
    for n, data in enumerate(contents):
        path = Path(folder) / f"{n}{suffix}"
        path.write_bytes(data)
        tasks.append(Task(n, str(path), len(data)))
    return tasks


def expected(file_id: int, data: bytes) -> tuple[list[Line], int]:
    """The lines of a transcript by Python's own split, and how many bytes at its end are no line yet."""
    *whole, tail = data.split(b"\n")
    found, offset = [], 0
    for number, line in enumerate(whole, 1):
        found.append((file_id, number, offset, line))
        offset += len(line) + 1
    text = tail.rstrip(b" \t\r\0")
    if text.lstrip(b" \t\r\0").removeprefix(b"\xef\xbb\xbf") in OBJECTS:
        return [*found, (file_id, len(whole) + 1, offset, text)], len(tail) - len(text)
    return found, len(tail)
