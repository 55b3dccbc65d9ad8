"""Blocks and rolling sums of a made-up lake, worked out plainly: nothing of the query layer is used."""

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tokenlake.synth.lakes_truth import LakeTruth

BLOCK_HOURS = 5


@dataclass(frozen=True, slots=True)
class Block:
    """A block of five hours: its start (`2026-03-01T09`) and its requests and tokens, as in Counts."""

    start: str
    counts: tuple[int, ...]


def blocks(truth: LakeTruth) -> list[Block]:
    """Fold the hours into blocks: one begins with the first request later than five hours after the last one began.

    A request at exactly five hours is still the old block's. Every begin is a full hour, so that sums by hour, and
    those of the hours' very first instants, are enough.
    """
    found: list[Block] = []
    start: datetime | None = None
    sums = [0] * 6
    for name, counts in sorted(truth.by_hour.items()):
        hour = datetime.fromisoformat(f"{name}:00:00")
        parts = [astuple(counts)]
        if start is not None and hour == start + timedelta(hours=BLOCK_HOURS) and name in truth.on_the_hour:
            exact = astuple(truth.on_the_hour[name])
            sums = [one + other for one, other in zip(sums, exact, strict=True)]
            parts = [tuple(one - other for one, other in zip(parts[0], exact, strict=True))]
        for part in parts:
            if not part[0]:
                continue
            if start is None or hour >= start + timedelta(hours=BLOCK_HOURS):
                if start is not None:
                    found.append(Block(start.isoformat()[:13], tuple(sums)))
                start, sums = hour, [0] * 6
            sums = [one + other for one, other in zip(sums, part, strict=True)]
    if start is not None:
        found.append(Block(start.isoformat()[:13], tuple(sums)))
    return found


def rolling_peaks(root: Path, hours: int) -> dict[str, int]:
    """Give the largest sum of all tokens over (t - hours, t] among the requests t of each UTC day.

    Reads the files' times and tokens into memory, 16 bytes a request and as much again while it sorts a month.
    """
    import numpy as np
    import pyarrow.parquet as pq

    columns = ("output_tokens", "context_tokens")
    times, tokens = [], []
    for folder in sorted((root / "requests").iterdir()):
        table = pq.read_table(folder, columns=["ts", *columns], partitioning=None)
        ts = table["ts"].to_numpy().astype("datetime64[us]").astype(np.int64)
        order = np.argsort(ts, kind="stable")
        times.append(ts[order])
        tokens.append(sum(table[name].to_numpy() for name in columns)[order])
    ts, total = np.concatenate(times), np.cumsum(np.concatenate(tokens))
    del times, tokens
    day_us = 86_400_000_000
    peaks: dict[str, int] = {}
    for day in np.unique(ts // day_us):
        low, high = np.searchsorted(ts, [day * day_us, (day + 1) * day_us])
        own = ts[low:high]
        # Requests of one instant belong to one another's windows.
        last = np.searchsorted(ts, own, side="right") - 1
        before = np.searchsorted(ts, own - hours * 3_600_000_000, side="right") - 1
        sums = total[last] - np.where(before < 0, 0, total[before])
        peaks[str(np.datetime64(int(day), "D"))] = int(sums.max())
    return peaks
