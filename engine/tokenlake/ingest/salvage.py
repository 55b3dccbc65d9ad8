"""Recovers records from lines that the JSON engine refuses or doubts (accounting rules 2 to 4).

Slow and exact, in plain Python, in time that grows with the bytes of the line: only the rare damaged line comes
here. What it recovers goes back through the engine as clean JSON, so that a record's meaning is written down once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tokenlake.ingest.values import Found, Values
from tokenlake.sources.claude import shapes, types

HEAD_BYTES = 200
GIANT_BYTES = 4 << 20
"""Of a record that is longer, what the lake does not read is left out before it goes back to the engine."""

MAX_TEXT_CHARS = 64 << 20
"""Characters of all texts of such a record that go back; the longest beyond them are null, and odd fields."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK = re.compile(rb"(?:[ \t\r\n]|\xef\xbb\xbf)*+")


@dataclass(frozen=True, slots=True)
class Recovered:
    """One record of a damaged line: its type, where it starts, its bytes, clean JSON for it, and its odd fields.

    `length` counts the bytes from its first brace to its last, without NULs.
    """

    kind: str | None
    offset: int
    length: int
    raw: str
    odd: int


@dataclass(frozen=True, slots=True)
class Reject:
    """Bytes that could not be recovered: where they are, how many, why, and the first of them."""

    file_id: int
    line: int
    offset: int
    length: int
    reason: str
    head: bytes


@dataclass(slots=True)
class Salvaged:
    """What a line is made of: the bytes of its records, of its rejects, and blank ones; together all of them."""

    records: list[Recovered] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    blank_bytes: int = 0


def salvage(raw: bytes, file_id: int, line: int, offset: int, refused: bool = True) -> Salvaged:
    """Every record of one physical line, and what is left over.

    `raw` is the line without its newline, `offset` the byte of the file at which it starts, `refused` whether the
    engine could not parse it (else it only doubts the type of a field). Each byte of the line ends up in a record,
    in a reject, or is blank: white space, NUL, or a byte order mark in front of a record. A reject is what stands
    in front of a record or of the line's end, from its first byte that is not blank.
    """
    clean, position_of = _without_nul(raw)
    values = Values(clean)
    salvaged = Salvaged(blank_bytes=len(raw) - len(clean))
    begin = end = 0
    while True:
        blank = _BLANK.match(clean, end)
        begin = blank.end() if blank else end
        salvaged.blank_bytes += begin - end
        if begin == len(clean):
            break
        found = values.at(begin)
        if found.problem is None:
            # The first record of a line is where the line is, as for lines that need no salvage.
            at = position_of(begin) if salvaged.records or salvaged.rejects else 0
            salvaged.records.append(_recovered(values, begin, found, offset + at, refused))
            end = found.end
            continue
        end = values.next_record(begin + 1)
        lost = clean[begin:end]
        if end == len(clean):
            lost = lost.rstrip(b" \t\r\n")
        first, last = position_of(begin), position_of(begin + len(lost) - 1) + 1
        reason = found.problem if end == len(clean) else "cut off by the next record"
        head = raw[first : min(last, first + HEAD_BYTES)]
        salvaged.rejects.append(Reject(file_id, line, offset + first, last - first, reason, head))
        # White space behind it belongs to nothing; NULs inside it are lost with it.
        salvaged.blank_bytes += (end - begin - len(lost)) - (last - first - len(lost))
    return salvaged


def storable(text: str) -> str:
    """A text that can be written as UTF-8: lone surrogates become U+FFFD (accounting rule 2)."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def is_whole_record(line: bytes) -> bool:
    """Whether an unterminated line is one record from end to end."""
    clean, _ = _without_nul(line)
    blank = _BLANK.match(clean)
    begin = blank.end() if blank else 0
    found = Values(clean).at(begin)
    return found.problem is None and not clean[found.end :].strip(b" \t\r\n")


def _without_nul(raw: bytes) -> tuple[bytes, Callable[[int], int]]:
    """The line without NUL bytes, and a function from its positions to those of `raw`."""
    if b"\0" not in raw:
        return raw, lambda position: position
    import numpy as np

    is_nul = np.concatenate(([False], np.frombuffer(raw, dtype=np.uint8) == 0, [False]))
    edges = np.flatnonzero(is_nul[1:] != is_nul[:-1])  # of each run of NULs the first, and the byte behind it
    starts, gone = edges[::2], np.cumsum(edges[1::2] - edges[::2])
    starts[1:] -= gone[:-1]  # where it was taken out of what is left

    def position_of(position: int) -> int:
        runs = int(np.searchsorted(starts, position, side="right"))
        return position + (int(gone[runs - 1]) if runs else 0)

    return raw.replace(b"\0", b""), position_of


def _recovered(values: Values, begin: int, found: Found, offset: int, refused: bool) -> Recovered:
    record = values.load(begin, found)
    odd = types.conform(record)
    kind, length = record.get("type"), found.end - begin
    if not odd and not refused:
        # The doubt was unfounded: as it was logged.
        return Recovered(kind, offset, length, values.line[begin : found.end].decode("utf-8"), 0)
    if length > GIANT_BYTES:
        record = shapes.projected(record)
        odd += types.shorten(record, MAX_TEXT_CHARS)
    try:
        text = _dumped(record)
    except RecursionError:
        record = values.load_shallow(begin)
        types.conform(record)
        text = _dumped(record)
    return Recovered(kind, offset, length, storable(text), odd)


def _dumped(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
