"""Quota samples: what a status line was told about the account's limits, read from the files that keep it."""

from __future__ import annotations

import math
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.ingest.beside import EPOCH, Kind, Row, arrow_table, is_odd_text, text_of
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


def places(roots: Sequence[str], lake: Path, host: str) -> dict[str, str]:
    """Where samples may lie, and whose they are unless a line names its host: beside each `projects/`, and in the lake.

    Those of the lake's own file are this machine's.
    """
    found = {str(place): host for root in roots for place in _beside_projects(Path(root))}
    found.setdefault(os.path.join(os.path.realpath(lake), SAMPLES_NAME), socket.gethostname())
    return found


def added(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, rows: Sequence[Row], staging: Path) -> Snapshot:
    """`snapshot` with the samples in it; the table is small and is written anew, below `staging`, if it changes."""
    if not rows:
        return snapshot
    relation = partitions.relation(QUOTA_SAMPLES, snapshot.paths(QUOTA_SAMPLES.name))
    con.register("new_samples", arrow_table(QUOTA_SAMPLES, rows))
    together = DISTINCT.format(rows=f"(select * from {relation} union all by name select * from new_samples)")
    [(new,)] = con.execute(f"select count(*) from (({together}) except all (select * from {relation}))").fetchall()
    paths = partitions.write(con, QUOTA_SAMPLES, together, staging, f"{snapshot.commit:06d}") if new else []
    con.unregister("new_samples")
    if not new:
        return snapshot
    names = [str(path.relative_to(snapshot.root)) for path in paths]
    return snapshot.changed(QUOTA_SAMPLES.name, snapshot.files.get(QUOTA_SAMPLES.name, ()), names)


def _beside_projects(root: Path) -> Iterator[Path]:
    yield root / SAMPLES_NAME
    if root.name == "projects":
        yield root.parent / SAMPLES_NAME


def _rows_of(record: Mapping[str, Any], host: str, number: int, offset: int) -> tuple[list[Row], int]:
    """A row for each window that a record tells of. Raises ValueError where it is no sample."""
    ts = _time(record.get("timestamp"))
    limits = record.get("rate_limits")
    if limits is None:  # an account without quotas is told of none
        return [], 0
    if not isinstance(limits, Mapping):
        raise ValueError("no quota sample: rate_limits is no object")
    machine = record.get("host")
    rows, problems = [], []
    for window, state in limits.items():
        if state is None:
            continue
        try:
            rows.append((ts, text_of(machine) or host, text_of(window) or "", *_use(state), number, offset))
        except ValueError as error:
            problems.append(str(error))
    if problems and not rows:
        raise ValueError(f"no quota sample: {problems[0]}")
    return rows, len(problems) + is_odd_text(machine)


KIND = Kind("quota-samples", QUOTA_SAMPLES, _rows_of, re.compile(rb'\{"timestamp"'))


def _time(value: object) -> datetime:
    try:
        if not isinstance(value, str):
            raise ValueError
        ts = datetime.fromisoformat(value)
        return (ts if ts.tzinfo else ts.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("no quota sample: no timestamp") from None


def _use(state: object) -> tuple[float, datetime]:
    """The percentage and the time of the reset."""
    if not isinstance(state, Mapping):
        raise ValueError("a window is no object")
    used, resets = state.get("used_percentage"), state.get("resets_at")
    numbers = [value for value in (used, resets) if isinstance(value, int | float) and not isinstance(value, bool)]
    try:
        if len(numbers) != 2 or not all(map(math.isfinite, numbers)) or not 0 <= numbers[0] <= 100:
            raise ValueError("no percentage of 0 to 100, or no reset")
        return float(numbers[0]), EPOCH + timedelta(seconds=numbers[1])
    except OverflowError:
        raise ValueError("a number out of range") from None
