"""Accounting rules 1 to 6, 25 and 26 in plain loops: a transcript as records, lost parts and a tail."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from accounting.reference_json import BrokenError, value_at
from accounting.reference_types import instant, tidy

RECORD_STARTS = ('{"parentUuid"', '{"type"')
SESSIONLESS = ("summary", "file-history-snapshot", "file-history-delta")
"""Record types that are written without a sessionId; a content block never has one of these."""

WHITE = " \t\r\n"
MARK = "\u00ef\u00bb\u00bf"
"""A byte order mark, each byte read as a character."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: where it starts, its bytes, what it says as far as that is of the right type, how many fields are
    not, and its time (its own, else the file's previous one)."""

    path: str
    line: int
    offset: int
    length: int
    body: dict[str, Any]
    odd: int
    ts: datetime | None


@dataclass(frozen=True, slots=True)
class Reject:
    """Bytes that no record was read from: start and length in the transcript, and the line they stand on."""

    path: str
    line: int
    offset: int
    length: int


@dataclass(slots=True)
class Transcript:
    """What one file holds; `kind` is "transcript" or "stream-json" (refused, rule 6).

    Its bytes are those of its records and rejects, newlines, other blank ones, and what is pending.
    """

    kind: str = "transcript"
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    newlines: int = 0
    blank_bytes: int = 0
    pending_bytes: int = 0


def read_tree(root: Path) -> dict[str, bytes]:
    """Every file below `root` by its relative path, archives decompressed."""
    tree = {}
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        elif path.suffix == ".zst":
            import pyarrow as pa

            with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
                data = stream.read()
        tree[path.relative_to(root).as_posix()] = data
    return tree


def is_transcript(path: str) -> bool:
    """Rule 6: which names are read at all."""
    pure = PurePosixPath(path)
    stem = pure.name.removesuffix(".gz").removesuffix(".zst")
    return stem.endswith(".jsonl") and stem != "journal.jsonl" and "memory" not in pure.parts[:-1]


def physical_lines(data: bytes) -> Iterator[tuple[int, int, bytes, bool]]:
    """Line number from 1, byte offset, the line without its newline, and whether it had one (rule 1)."""
    offset = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        terminated = offset + len(line) < len(data)
        if line or terminated:
            yield number, offset, line, terminated
        offset += len(line) + 1


@dataclass(slots=True)
class Line:
    """What a physical line is made of: records (start, bytes, body), lost parts (start, end), blank bytes."""

    records: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    blank: int = 0


def looks_like_record(value: object) -> bool:
    """Whether an object found in the middle of a line is a record rather than a piece of one."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return value["type"] in SESSIONLESS or "sessionId" in value


def object_at(text: str, start: int) -> tuple[dict[str, Any], int] | None:
    """The JSON object at `start` and where it ends, or None."""
    try:
        value, end = value_at(text, start) if text.startswith("{", start) else (None, start)
    except BrokenError:
        return None
    return (value, end) if isinstance(value, dict) else None


def next_record(text: str, start: int) -> int:
    """Where the next whole record starts at or after `start`; the end of the text where there is none."""
    while places := [at for mark in RECORD_STARTS if (at := text.find(mark, start)) >= 0]:
        at = min(places)
        found = object_at(text, at)
        if found and looks_like_record(found[0]):
            return at
        start = found[1] if found else at + 1  # what is inside a whole object is a piece of it
    return len(text)


def salvage(line: bytes) -> Line:
    """Rule 2: the records of a line, and what is lost of it or blank; positions are those of its bytes."""
    kept = [at for at, byte in enumerate(line) if byte]
    clean = line.replace(b"\x00", b"")
    text = clean.decode("latin-1")  # a character a byte: JSON's own syntax is ASCII
    found = Line()
    of_records = bytearray(len(line))
    at = 0
    while True:
        while text.startswith((*WHITE, MARK), at):
            at += 1 if text[at] in WHITE else len(MARK)
        if at == len(text):
            break
        record = object_at(text, at)
        if record:
            said, _ = value_at(clean[at : record[1]].decode("utf-8", "replace"), 0)
            found.records.append((kept[at], record[1] - at, said))
            for place in kept[at : record[1]]:
                of_records[place] = 1
            at = record[1]
            continue
        resumed = next_record(text, at + 1)
        end = resumed if resumed < len(text) else len(text.rstrip(WHITE))
        found.lost.append((kept[at], kept[end - 1] + 1))
        at = resumed
    for start, end in found.lost:
        of_records[start:end] = b"\x01" * (end - start)
    found.blank = of_records.count(0)
    return found


def is_stream_dump(data: bytes) -> bool:
    """Rule 6: whether the first line is a record of another format."""
    first = data[: 1 << 16].lstrip().split(b"\n", maxsplit=1)[0]
    if not first.startswith(b"{") or b'"sessionId"' in first:
        return False
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    if not isinstance(record, dict) or "leafUuid" in record or "snapshot" in record or "sessionId" in record:
        return False
    return record.get("type") in ("stream_event", "result", "rate_limit_event") or "session_id" in record


def read(path: str, data: bytes) -> Transcript:
    """The records of a file in file order, what of it is lost, and the length of its unfinished last line."""
    if is_stream_dump(data):
        return Transcript(kind="stream-json")
    transcript = Transcript()
    previous: datetime | None = None
    for number, offset, line, terminated in physical_lines(data):
        if not terminated:
            whole = line.rstrip(b" \t\r\n\x00")
            found = salvage(whole)
            if len(found.records) != 1 or found.lost:
                transcript.pending_bytes = len(line)
                continue
            transcript.pending_bytes = len(line) - len(whole)
        else:
            found = salvage(line)
        transcript.newlines += terminated
        transcript.blank_bytes += found.blank
        transcript.rejects += [Reject(path, number, offset + a, b - a) for a, b in found.lost]
        for start, length, body in found.records:
            tidied, odd = tidy(body)
            previous = instant(tidied.get("timestamp")) or previous
            transcript.records.append(Record(path, number, offset + start, length, tidied, odd, previous))
    return transcript
