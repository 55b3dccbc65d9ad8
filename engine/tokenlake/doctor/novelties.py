"""What the newest transcripts hold that was never seen before: a newer agent may have added it, and it may cost."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenlake.doctor import known
from tokenlake.doctor.known import FIELDS
from tokenlake.ingest.discover import FoundFile
from tokenlake.ingest.transcript import is_archive

_TAIL_BYTES = 1 << 20
"""How much of a transcript is looked at: its end, which is the newest."""

_LONGEST_LINE = 1 << 18
_MOST_NAMES = 200
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


@dataclass(slots=True)
class Novelties:
    """Names never seen before, each with a place where it is; how many records of how many files were looked at."""

    usage: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    records: int = 0
    files: int = 0

    def note(self, name: str, place: str, of_usage: bool = False) -> None:
        """Remembers a name, with the first place where it was."""
        names = self.usage if of_usage else self.others
        if len(names) < _MOST_NAMES:
            names.setdefault(name if len(name) <= 80 else f"{name[:79]}…", place)


def in_transcripts(files: Iterable[FoundFile], seconds: float) -> Novelties:
    """Looks at the ends of transcripts, the newest first, for so many seconds at the most."""
    found = Novelties()
    until = time.monotonic() + seconds
    for file in sorted(files, key=lambda each: each.mtime_ns, reverse=True):
        if is_archive(file.path):
            continue
        try:
            lines = _tail(file.path)
        except OSError:
            continue
        found.files += 1
        for line in lines:
            _look_at(line, file.shown_path, found)
            if time.monotonic() > until:
                return found
    return found


def in_lines(lines: Iterable[tuple[str, bytes]], seconds: float) -> Novelties:
    """The same for lines that the lake has kept, each with the path of its transcript."""
    found = Novelties()
    until = time.monotonic() + seconds
    seen: set[str] = set()
    for path, line in lines:
        seen.add(path)
        _look_at(line, path, found)
        if time.monotonic() > until:
            break
    found.files = len(seen)
    return found


def version_of(text: str | None) -> tuple[int, int, int] | None:
    """A version of the agent as numbers; None for what is none."""
    match = _VERSION.match(text or "")
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _tail(path: str) -> list[bytes]:
    """The last lines of a file, whole ones."""
    with open(path, "rb", buffering=0) as source:
        size = source.seek(0, os.SEEK_END)
        source.seek(max(0, size - _TAIL_BYTES))
        data = source.read(_TAIL_BYTES)
    lines = data.split(b"\n")
    return lines[1:] if size > _TAIL_BYTES else lines


def _look_at(line: bytes, path: str, found: Novelties) -> None:
    if not line or len(line) > _LONGEST_LINE:
        return
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return
    if not isinstance(record, dict):
        return
    found.records += 1
    for name, of_usage in _unknown(record):
        found.note(name, path, of_usage)


def _unknown(record: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Names in a record that are not known, and whether they belong to usage."""
    kind = record.get("type")
    if not isinstance(kind, str):
        return
    if kind not in known.TYPES:
        yield f"record type {kind}", False
        return
    if kind in FIELDS:
        yield from ((f"{kind}.{name}", False) for name in record.keys() - FIELDS[kind])
    if kind == "system":
        yield from _strange(record.get("subtype"), known.SUBTYPES, "system subtype")
    if kind == "progress":
        data = record.get("data")
        if isinstance(data, dict):
            yield from _strange(data.get("type"), known.PROGRESS, "progress type")
            inner = data.get("message")
            if isinstance(inner, dict):
                yield from _of_message(inner.get("message"))
    if kind in ("assistant", "user"):
        yield from _of_message(record.get("message"))


def _of_message(message: object) -> Iterator[tuple[str, bool]]:
    if not isinstance(message, dict):
        return
    yield from ((f"message.{name}", False) for name in message.keys() - known.MESSAGE if not name.isdigit())
    content = message.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            yield from _strange(block.get("type"), known.BLOCKS, "content block")
    usage = message.get("usage")
    if isinstance(usage, dict):
        yield from ((name, True) for name in _of_usage(usage))


def _of_usage(usage: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"usage.{name}" for name in usage.keys() - known.USAGE)
    for part, names in known.USAGE_PARTS.items():
        inner = usage.get(part)
        if isinstance(inner, dict):
            yield from (f"usage.{part}.{name}" for name in inner.keys() - names)
    iterations = usage.get("iterations")
    for entry in iterations if isinstance(iterations, list) else ():
        if isinstance(entry, dict):
            yield from (f"usage.iterations.{name}" for name in entry.keys() - known.ITERATION)
            yield from (name for name, _ in _strange(entry.get("type"), known.ITERATION_TYPES, "iteration type"))


def _strange(value: object, names: frozenset[str], what: str) -> Iterator[tuple[str, bool]]:
    if isinstance(value, str) and value not in names:
        yield f"{what} {value}", False
