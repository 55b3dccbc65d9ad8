"""Accounting rules 1 to 6, 25 and 26 in plain loops: a transcript as records, lost parts and a tail."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

DECODER = json.JSONDecoder(strict=False)
"""Lenient about raw control characters in strings: CR is data (rule 1)."""

RECORD_STARTS = ('{"parentUuid"', '{"type"')

BARE_TYPES = frozenset(
    {
        "summary",
        "file-history-snapshot",
        "file-history-delta",
        "queue-operation",
        "last-prompt",
        "custom-title",
        "ai-title",
        "agent-name",
        "mode",
        "permission-mode",
        "pr-link",
        "frame-link",
        "atis-latch",
    }
)
"""Record types that are written without sessionId or uuid; a content block never has one of these."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: where it starts, what it says, and its time (its own, else the file's previous one)."""

    path: str
    line: int
    offset: int
    body: dict[str, Any]
    ts: datetime | None
    bad_time: bool


@dataclass(frozen=True, slots=True)
class Reject:
    """Bytes that no record was read from: start and length in the transcript, and the line they stand on."""

    path: str
    line: int
    offset: int
    length: int


@dataclass(slots=True)
class Transcript:
    """What one file holds; `kind` is "transcript" or "stream-json" (refused, rule 6)."""

    kind: str = "transcript"
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
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


def is_blank(line: bytes) -> bool:
    """A line of nothing but white space, NULs and a BOM is neither a record nor lost."""
    return not line.replace(b"\x00", b"").removeprefix(b"\xef\xbb\xbf").strip()


def looks_like_record(value: object) -> bool:
    """Whether an object found in the middle of a line is a record rather than a piece of one."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return value["type"] in BARE_TYPES or bool(value.get("sessionId") and value.get("uuid"))


def value_at(text: str, start: int) -> tuple[Any, int] | None:
    """The JSON value at `start` and where it ends, or None."""
    try:
        return DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None


def next_record(text: str, start: int) -> int:
    """Where the next readable record starts at or after `start`; the end of the text where there is none."""
    places = sorted({at for mark in RECORD_STARTS for at in range(start, len(text)) if text.startswith(mark, at)})
    for at in places:
        found = value_at(text, at)
        if found and looks_like_record(found[0]):
            return at
    return len(text)


def salvage(line: bytes) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, int]]]:
    """Rule 2: the records of a line with the byte at which each starts, and its lost parts (start, end)."""
    kept = [at for at, byte in enumerate(line) if byte]
    text = line.replace(b"\x00", b"").decode("utf-8", "surrogateescape")

    def byte_at(char: int) -> int:
        before = len(text[:char].encode("utf-8", "surrogateescape"))
        return kept[before] if before < len(kept) else len(line)

    records: list[tuple[int, dict[str, Any]]] = []
    lost: list[tuple[int, int]] = []
    at = 0
    while True:
        while at < len(text) and text[at] in " \t\r\ufeff":
            at += 1
        if at == len(text):
            return records, lost
        found = value_at(text, at)
        if found and isinstance(found[0], dict):
            records.append((byte_at(at), well_formed(found[0])))
            at = found[1]
            continue
        resumed = next_record(text, found[1] if found else at + 1)
        lost.append((byte_at(at), byte_at(resumed)))
        at = resumed


def well_formed(value: Any) -> Any:
    """The value with every lone surrogate, from an escape or from an undecodable byte, as U+FFFD."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    if isinstance(value, list):
        return [well_formed(item) for item in value]
    if isinstance(value, dict):
        return {well_formed(key): well_formed(item) for key, item in value.items()}
    return value


def whole_object(line: bytes) -> dict[str, Any] | None:
    """The line as one record, where it is one from end to end."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        records, lost = salvage(line)
        return records[0][1] if len(records) == 1 and not lost else None
    return well_formed(value) if isinstance(value, dict) else None


def instant(value: object) -> datetime | None:
    """A timestamp with a zone as a UTC instant, else None."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return None


def read(path: str, data: bytes) -> Transcript:
    """The records of a file in file order, what of it is lost, and the length of its unfinished last line."""
    transcript = Transcript()
    previous: datetime | None = None
    for number, offset, line, terminated in physical_lines(data):
        if is_blank(line):
            continue
        whole = whole_object(line)
        if whole is None and not terminated:
            transcript.pending_bytes = len(line)
            continue
        records, lost = ([(line.index(b"{"), whole)], []) if whole is not None else salvage(line)
        transcript.rejects += [Reject(path, number, offset + a, b - a) for a, b in lost]
        for start, body in records:
            if not transcript.records and "session_id" in body and "sessionId" not in body:
                return Transcript(kind="stream-json")
            own = instant(body.get("timestamp"))
            previous = own or previous
            bad_time = body.get("timestamp") is not None and own is None
            transcript.records.append(Record(path, number, offset + start, body, previous, bad_time))
    return transcript
