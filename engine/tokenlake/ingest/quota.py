"""Quota samples: what a status line was told about the account's limits, read from the files that keep it."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.ingest.beside import EPOCH, arrow_table, is_file, text_of
from tokenlake.ingest.discover import file_id
from tokenlake.schema import QUOTA_SAMPLES
from tokenlake.store import partitions
from tokenlake.store.catalog import SAMPLES_NAME, Snapshot

if TYPE_CHECKING:
    import duckdb


# One sample an instant, machine and window, whichever file and order it comes from.
DISTINCT = """
select * from {rows}
qualify row_number() over (
    partition by host, ts, "window"
    order by used_percentage desc, resets_at desc, file_id, "offset"
) = 1
"""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples that the lake does not hold yet, as rows of `quota_samples`, and what could not be read."""

    rows: tuple[tuple[Any, ...], ...] = ()
    warnings: tuple[str, ...] = ()


def read(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, roots: Sequence[str], host: str) -> Samples:
    """What the samples files have beyond the lake: those beside `projects/` of each root, and the lake's own.

    A file is read from the last sample that the lake has of it, and from its start where that is no longer
    there. The samples are `host`'s, those of the lake's own file this machine's, unless a line names its host.
    """
    files = {str(place): host for root in roots for place in _beside_projects(Path(root)) if is_file(place)}
    own = snapshot.root / SAMPLES_NAME
    if is_file(own):
        files.setdefault(os.path.realpath(own), socket.gethostname())
    if not files:
        return Samples()
    relation = partitions.relation(QUOTA_SAMPLES, snapshot.paths(QUOTA_SAMPLES.name))
    last = f'select file_id, max("offset"), arg_max(epoch_us(ts), "offset") from {relation} group by file_id'
    known = {row[0]: (row[1], EPOCH + timedelta(microseconds=row[2])) for row in con.execute(last).fetchall()}
    rows: list[tuple[Any, ...]] = []
    warnings: list[str] = []
    for path, machine in sorted(files.items()):
        number = file_id(machine, path)
        try:
            found, bad = _read_file(path, machine, number, known.get(number))
        except OSError as error:
            warnings.append(f"{path}: {error.strerror or error}; not read")
            continue
        rows += found
        if bad:
            what = "1 line is" if len(bad) == 1 else f"{len(bad)} lines are"
            warnings.append(f"{path}: {what} no quota sample, the first at byte {bad[0]}; left out")
    return Samples(tuple(_unknown(con, relation, rows)), tuple(warnings))


def added(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, samples: Samples, staging: Path) -> Snapshot:
    """`snapshot` with the samples in it; the table is small and is written anew, below `staging`."""
    if not samples.rows:
        return snapshot
    con.register("new_samples", arrow_table(QUOTA_SAMPLES, samples.rows))
    relation = partitions.relation(QUOTA_SAMPLES, snapshot.paths(QUOTA_SAMPLES.name))
    query = DISTINCT.format(rows=f"(select * from {relation} union all by name select * from new_samples)")
    paths = partitions.write(con, QUOTA_SAMPLES, query, staging, f"{snapshot.commit:06d}")
    con.unregister("new_samples")
    names = [str(path.relative_to(snapshot.root)) for path in paths]
    return snapshot.changed(QUOTA_SAMPLES.name, snapshot.files.get(QUOTA_SAMPLES.name, ()), names)


def _beside_projects(root: Path) -> Iterator[Path]:
    yield root / SAMPLES_NAME
    if root.name == "projects":
        yield root.parent / SAMPLES_NAME


def _read_file(
    path: str, host: str, number: int, known: tuple[int, datetime] | None
) -> tuple[list[tuple[Any, ...]], list[int]]:
    """The samples of a file, and where lines start that are none; a last line without an end has to wait."""
    rows: list[tuple[Any, ...]] = []
    bad: list[int] = []
    with open(path, "rb") as file:
        offset = 0
        if known is not None:
            file.seek(known[0])
            with suppress(ValueError):
                again = _sample(file.readline(), host, number, known[0])
                offset = known[0] if again and again[0][0] == known[1] else 0
        file.seek(offset)
        for line in file:
            if line.endswith(b"\n") and line.strip(b"\0 \t\r\n"):
                try:
                    rows += _sample(line, host, number, offset)
                except ValueError:
                    bad.append(offset)
            offset += len(line)
    return rows, bad


def _sample(line: bytes, host: str, number: int, offset: int) -> list[tuple[Any, ...]]:
    """A row for each window that the line tells of; ValueError where it is no sample."""
    try:
        record = json.loads(line.strip(b"\0 \t\r\n").removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"))
        if not isinstance(record, Mapping) or not isinstance(record.get("timestamp"), str):
            raise ValueError("no timestamp")
        ts = datetime.fromisoformat(record["timestamp"])
        ts = (ts if ts.tzinfo else ts.replace(tzinfo=UTC)).astimezone(UTC)
    except (RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from None
    named = text_of(record.get("host")) or host
    limits = record.get("rate_limits")
    if limits is None:  # an account without quotas is told of none
        return []
    if not isinstance(limits, Mapping):
        raise ValueError("rate_limits is no object")
    return [
        (ts, named, text_of(window) or "", *_use(state), number, offset)
        for window, state in limits.items()
        if state is not None
    ]


def _use(state: object) -> tuple[float, datetime]:
    """The percentage and the time of the reset."""
    if not isinstance(state, Mapping):
        raise ValueError("a window is no object")
    used, resets = state.get("used_percentage"), state.get("resets_at")
    numbers = [value for value in (used, resets) if isinstance(value, int | float) and not isinstance(value, bool)]
    try:
        if len(numbers) != 2 or not all(math.isfinite(value) for value in numbers) or numbers[0] < 0:
            raise ValueError("no percentage or no reset")
        return float(numbers[0]), EPOCH + timedelta(seconds=numbers[1])
    except OverflowError:
        raise ValueError("a number out of range") from None


def _unknown(con: duckdb.DuckDBPyConnection, relation: str, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Those of the rows that would change the table."""
    if not rows:
        return []
    con.register("read_samples", arrow_table(QUOTA_SAMPLES, rows))
    together = DISTINCT.format(rows=f"(select * from {relation} union all by name select * from read_samples)")
    ((new,),) = con.execute(f"select count(*) from (({together}) except all (select * from {relation}))").fetchall()
    con.unregister("read_samples")
    return list(rows) if new else []
