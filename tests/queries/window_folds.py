"""Blocks and rolling sums in plain loops: what the queries of windows/ are compared with."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.query.lakes import publish, request

from tokenlake.store.catalog import Snapshot

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its start, and what lies in it as (microseconds, tokens), in order."""

    start: int
    entries: list[tuple[int, int]]


def instant(us: int) -> dt.datetime:
    """The instant that many microseconds after 1970."""
    return EPOCH + dt.timedelta(microseconds=us)


def micros(moment: dt.datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def blocks(entries: Iterable[tuple[int, int]], hours: int = 5, floor: int = 60, boundary: str = "gt") -> list[Block]:
    """The blocks that entries make, one after the other, with both of ccusage's conditions."""
    found: list[Block] = []
    unit, length = max(floor * MINUTE, 1), hours * HOUR
    for us, tokens in sorted(entries):
        last = found[-1] if found else None
        since = [us - last.start, us - last.entries[-1][0]] if last else []
        if last is None or any(age > length or (age == length and boundary == "ge") for age in since):
            last = Block(us // unit * unit, [])
            found.append(last)
        last.entries.append((us, tokens))
    return found


def rolling(entries: Sequence[tuple[int, int]], hours: int) -> list[int]:
    """For every entry the sum over the hours before it: (t - hours, t]."""
    return [sum(n for u, n in entries if us - hours * HOUR < u <= us) for us, _ in entries]


def quantile(values: Sequence[float], share: float) -> float:
    """Between the two neighbours in order, in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def requests(entries: Iterable[tuple[int, int]], **columns: Any) -> list[dict[str, Any]]:
    """A request for each entry, all its tokens cache reads."""
    return [
        request(f"r{n:05}", instant(us).isoformat(), (0, 0, 0, 0, tokens), offset=n, **columns)
        for n, (us, tokens) in enumerate(entries)
    ]


@contextmanager
def a_lake(tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[Snapshot]:
    """A lake of these tables, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield publish(Path(folder) / "lake", tables)
