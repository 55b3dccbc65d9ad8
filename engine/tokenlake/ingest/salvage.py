"""Recovers records from lines that the JSON engine refuses or doubts (accounting rules 2 to 4).

Slow and exact, in plain Python: only the rare damaged line comes here. What it recovers goes back through the
engine as clean JSON, so that a record's meaning is written down once.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any

from tokenlake.sources import claude

HEAD_BYTES = 200


@dataclass(frozen=True, slots=True)
class Recovered:
    """One record of a damaged line: its type, clean JSON, the byte where it starts, its odd fields, its flaw."""

    kind: str | None
    offset: int
    raw: str
    odd: int
    flaw: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Bytes that could not be recovered: where they are, how many, why, and the first of them."""

    file_id: int
    line: int
    offset: int
    length: int
    reason: str
    head: bytes


def salvage(
    raw: bytes, file_id: int, line: int, offset: int, refused: bool = True
) -> tuple[list[Recovered], list[Reject]]:
    """Every record of one physical line, and what is left over.

    `raw` is the line without its newline, `offset` the byte of the file at which it starts, `refused` whether the
    engine could not parse it (else it only doubts the type of a field). Each byte of the line ends up in a record,
    in a reject, or is blank (white space, NUL, byte order mark).
    """
    clean, position_of = _without_nul_and_bom(raw)
    text = clean.decode("latin-1")  # one character a byte: JSON's own syntax is ASCII
    flaw = "NUL bytes" if len(clean) < len(raw) else None
    records: list[Recovered] = []
    rejects: list[Reject] = []
    start = 0

    def reject(begin: int, end: int, reason: str) -> None:
        lost = clean[begin:end].rstrip() if end == len(clean) else clean[begin:end]
        skipped = len(clean[begin:end]) - len(clean[begin:end].lstrip())
        begin += skipped
        lost = lost[skipped:]
        if lost:
            first, last = position_of(begin), position_of(begin + len(lost) - 1) + 1
            rejects.append(Reject(file_id, line, offset + first, last - first, reason, raw[first : first + HEAD_BYTES]))

    while start < len(text):
        begin = start + len(text[start:]) - len(text[start:].lstrip(" \t\r\n"))
        if begin == len(text):
            break
        found, end, problem = _decode(text, begin)
        if found:
            value = _parse(clean[begin:end])
            resume = None if isinstance(value, dict) else _resume_point(clean, text, begin)
            if resume is not None and resume < end and text[begin] != "[":
                # A stray quote makes a string of what is the start of a record.
                reject(begin, resume, "cut off by the next record")
                start = resume
                continue
            if isinstance(value, dict):
                at = position_of(begin) if records or rejects else 0
                records.append(_recovered(value, clean[begin:end], offset + at, flaw, refused))
            else:
                reject(begin, end, "not a JSON object" if value is not _TOO_DEEP else "nested too deeply")
            start = end
            continue
        resume = _resume_point(clean, text, begin)
        if resume is None:
            reject(begin, len(text), problem)
            break
        reject(begin, resume, "cut off by the next record")
        start = resume
    if len(records) + len(rejects) > 1:
        records = [replace(record, flaw="several records on a line") for record in records]
    return records, rejects


class _TooDeep:
    """Marks JSON nested deeper than Python can hold."""


_TOO_DEEP = _TooDeep()


def _without_nul_and_bom(raw: bytes) -> tuple[bytes, Any]:
    """The line without NUL bytes and byte order marks, and a function from its positions to those of `raw`."""
    if b"\0" not in raw and b"\xef\xbb\xbf" not in raw:
        return raw, lambda position: position
    import numpy as np

    data = np.frombuffer(raw, dtype=np.uint8)
    keep = data != 0
    for mark in re.finditer(b"\xef\xbb\xbf", raw):
        before = raw[: mark.start()].rstrip(b" \t\r\n\0")
        # A mark opens the line or follows a whole record; elsewhere it is data.
        if not before or before.endswith(b"}"):
            keep[mark.start() : mark.end()] = False
    positions = np.flatnonzero(keep)
    return data[keep].tobytes(), lambda position: int(positions[position])


_DECODER = json.JSONDecoder(strict=False)


def _decode(text: str, begin: int) -> tuple[bool, int, str]:
    """Whether a JSON value starts at `begin`; its end, or why there is none."""
    try:
        return True, _DECODER.raw_decode(text, begin)[1], ""
    except RecursionError:
        return False, begin, "nested too deeply"
    except json.JSONDecodeError as error:
        if not text.startswith("{", begin):
            return False, begin, "not JSON"
        unfinished = error.pos >= len(text) or error.msg.startswith("Unterminated")
        return False, begin, "cut off" if unfinished else "broken JSON"
    except ValueError:  # Python's own limit on the digits of an integer
        return False, begin, "a number of too many digits"


def _resume_point(clean: bytes, text: str, begin: int) -> int | None:
    """Where the next whole record starts behind a broken one, or None."""
    for candidate in claude.RESUME_POINT.finditer(clean, begin + 1):
        found, end, _ = _decode(text, candidate.start())
        if found and claude.looks_like_record(_parse(clean[candidate.start() : end])):
            return candidate.start()
    return None


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8", "replace"), strict=False, parse_float=_finite, parse_constant=_none)
    except RecursionError:
        return _TOO_DEEP


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _none(_: str) -> None:
    return None


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _recovered(record: dict[str, Any], raw: bytes, offset: int, flaw: str | None, refused: bool) -> Recovered:
    odd = claude.conform(record)
    if flaw is None and not odd and not refused:
        return Recovered(
            record.get("type"), offset, raw.decode("utf-8"), 0, "checked"
        )  # the doubt was unfounded: as it was logged
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    clean = _LONE_SURROGATE.sub("\ufffd", text)
    if flaw is None:
        flaw = "odd field" if odd else "lone surrogate" if clean != text else "invalid bytes"
    return Recovered(record.get("type"), offset, clean, odd, flaw)
