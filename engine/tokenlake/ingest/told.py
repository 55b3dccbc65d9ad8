"""Reads the files that lie beside an agent's `projects/`: what their lines tell, and what of them cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tokenlake.ingest import entries
from tokenlake.ingest.batch import BLANK
from tokenlake.ingest.beside import Kind, Look, Row
from tokenlake.ingest.read import BATCH_BYTES, Progress, Reader
from tokenlake.ingest.salvage import HEAD_BYTES, Reject
from tokenlake.ingest.values import Values

if TYPE_CHECKING:
    import pyarrow as pa

_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Told:
    """What one ingest read of the files of a kind and machine: rows of the kind's table, and what the ledger learns.

    `seen`, `lost` and `stats` are as `entries.write` takes them, `departed` are the files found missing.
    """

    kind: Kind
    rows: list[Row]
    seen: pa.Table
    lost: pa.Table
    stats: pa.Table
    departed: set[int]
    odd_fields: int
    warnings: list[str]


@dataclass(slots=True)
class _Counts:
    """What was found in one file."""

    records: int = 0
    odd_fields: int = 0
    record_bytes: int = 0
    blank_bytes: int = 0
    first_ts: datetime | None = None
    last_ts: datetime | None = None
    rejects: list[Reject] = field(default_factory=list)


def read(look: Look) -> Told:
    """Carries out what is to be done."""
    kind, host, todo = look.kind, look.host, look.todo
    reader = Reader(todo.tasks, batch_bytes=max(1 << 20, min(BATCH_BYTES, todo.bytes + 1)))
    counts = {task.file_id: _Counts() for task in todo.tasks}
    rows: list[Row] = []
    for batch in reader.batches() if todo.tasks else ():
        places = zip(batch.file_ids.tolist(), batch.line_numbers.tolist(), batch.offsets.tolist(), strict=True)
        for row, (number, line, offset) in enumerate(places):
            rows += _rows_of_line(kind, host, batch.line(row), number, line, offset, counts[number])
        batch.release()
    for reject in reader.rejects:
        counts[reject.file_id].rejects.append(reject)
    counts = {number: found for number, found in counts.items() if number in reader.progress}
    return Told(
        kind,
        rows,
        entries.seen(todo, host, reader.progress),
        entries.lost([reject for found in counts.values() for reject in found.rejects], todo, host),
        _stats(counts),
        todo.departed,
        sum(found.odd_fields for found in counts.values()),
        list(_warnings(look, counts, reader.progress)),
    )


def _rows_of_line(
    kind: Kind, host: str, raw: bytes, number: int, line: int, offset: int, counts: _Counts
) -> Iterator[Row]:
    """The rows of one line; every byte of it is counted as that of a record, blank, or rejected."""
    values = Values(raw)
    position = 0
    while True:
        begin = _next_byte(raw, position)
        counts.blank_bytes += begin - position
        if begin == len(raw):
            return
        found = values.at(begin)
        problem, end = found.problem, found.end
        if problem is None:
            try:
                told, odd = kind.rows_of(values.load(begin, found), host, number, offset + begin)
            except ValueError as error:
                problem = str(error)
        else:
            end = _next_record(kind, values, begin + 1)
            problem = problem if end == len(raw) else "cut off by the next record"
        position = end
        if problem is None:
            counts.records += 1
            counts.odd_fields += odd
            counts.record_bytes += end - begin
            times = [row[0] for row in told]
            counts.first_ts = min((ts for ts in (counts.first_ts, *times) if ts), default=None)
            counts.last_ts = max((ts for ts in (counts.last_ts, *times) if ts), default=None)
            yield from told
            continue
        bad = raw[begin:end].rstrip(BLANK)
        counts.blank_bytes += end - begin - len(bad)
        counts.rejects.append(Reject(number, line, offset + begin, len(bad), problem, bad[:HEAD_BYTES]))


def _next_byte(raw: bytes, position: int) -> int:
    """Where the next byte is that is not blank; a byte order mark is."""
    while True:
        begin = len(raw) - len(raw[position:].lstrip(BLANK))
        if not raw.startswith(_BOM, begin):
            return begin
        position = begin + len(_BOM)


def _next_record(kind: Kind, values: Values, start: int) -> int:
    """Where the next whole record starts; the end of the line where there is none."""
    for mark in kind.resume.finditer(values.line, start):
        if values.at(mark.start()).problem is None:
            return mark.start()
    return len(values.line)


def _stats(counts: dict[int, _Counts]) -> pa.Table:
    """The counts as rows of `file_stats` (see entries.py)."""
    import pyarrow as pa

    instant = pa.timestamp("us", tz="UTC")
    columns = {
        "file_id": pa.array(list(counts), pa.int64()),
        "records": pa.array([found.records for found in counts.values()], pa.int64()),
        "odd_fields": pa.array([found.odd_fields for found in counts.values()], pa.int64()),
        "first_ts": pa.array([found.first_ts for found in counts.values()], instant),
        "last_ts": pa.array([found.last_ts for found in counts.values()], instant),
        "usage_rows": pa.array([0] * len(counts), pa.int64()),
        "record_bytes": pa.array([found.record_bytes for found in counts.values()], pa.int64()),
        "blank_bytes": pa.array([found.blank_bytes for found in counts.values()], pa.int64()),
    }
    return pa.table(columns)


def _warnings(look: Look, counts: dict[int, _Counts], progress: dict[int, Progress]) -> Iterator[str]:
    for number, found in counts.items():
        path = look.todo.found[number].path
        if error := progress[number].error:
            yield f"{path}: {error}; read up to byte {progress[number].ingested_bytes}"
        if bad := found.rejects:
            what = "1 part" if len(bad) == 1 else f"{len(bad):,} parts"
            first = min(reject.offset for reject in bad)
            yield f"{path}: {what} could not be read, the first at byte {first}; see tokenlake lake rejects"
