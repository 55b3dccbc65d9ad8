"""What a made-up lake holds: its totals by hour, day, model and price, counted while it was made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

import numpy as np

from tokenlake.synth.clock import HOUR_MS
from tokenlake.synth.lakes_days import Ints
from tokenlake.synth.lakes_models import MODELS
from tokenlake.synth.truth import BAND_STARTS, BATCH, FAST, US, Counts, Priced

_DAY_MS: Final = 24 * HOUR_MS
_FACTORS: Final = FAST + US + BATCH + 1


@dataclass(frozen=True, slots=True)
class LakeTruth:
    """The totals of a made-up lake.

    `rows` counts the rows of each table; `by_hour` the requests of each UTC hour that has any (`2026-03-01T09`),
    `on_the_hour` those among them that were made at its very first instant; `priced` is the same cut by what decides
    about prices.
    """

    seed: int
    rows: dict[str, int]
    total: Counts
    partial_requests: int
    by_hour: dict[str, Counts]
    on_the_hour: dict[str, Counts]
    priced: tuple[Priced, ...]

    def by_day(self, zone: tzinfo = UTC) -> dict[str, Counts]:
        """Give the totals of local days, for a zone that is whole hours off UTC."""
        days: dict[str, list[int]] = {}
        for hour, counts in self.by_hour.items():
            local = datetime.fromisoformat(f"{hour}:00:00+00:00").astimezone(zone)
            sums = days.setdefault(local.date().isoformat(), [0] * 6)
            for kind, value in enumerate(asdict(counts).values()):
                sums[kind] += value
        return {day: Counts(*sums) for day, sums in sorted(days.items())}

    def by_model(self) -> dict[str, Counts]:
        """Give the totals of each model, in order of their names."""
        models: dict[str, list[int]] = {}
        for cell in self.priced:
            sums = models.setdefault(cell.model, [0] * 6)
            for kind, value in enumerate(asdict(cell.counts).values()):
                sums[kind] += value
        return {model: Counts(*sums) for model, sums in sorted(models.items())}

    def save(self, path: Path) -> None:
        """Write the truth as JSON."""
        path.write_text(json.dumps(asdict(self), indent=None) + "\n", encoding="utf-8")


def load_lake_truth(path: Path) -> LakeTruth:
    """Read what `LakeTruth.save` wrote.

    Raises OSError when there is no such file, ValueError or TypeError when it is not a truth.
    """
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    raw["total"] = Counts(**raw["total"])
    for name in ("by_hour", "on_the_hour"):
        raw[name] = {key: Counts(**counts) for key, counts in raw[name].items()}
    raw["priced"] = tuple(Priced(**{**cell, "counts": Counts(**cell["counts"])}) for cell in raw["priced"])
    return LakeTruth(**raw)


@dataclass(slots=True)
class LakeTally:
    """Sums in growing: seven figures (the six of Counts and web searches) by hour and by what decides about prices."""

    first_ms: int
    hours: int
    rows: dict[str, int] = field(default_factory=dict)
    partial_requests: int = 0
    by_hour: Ints = field(init=False)
    on_the_hour: Ints = field(init=False)
    by_price: Ints = field(init=False)

    def __post_init__(self) -> None:
        """Make room for every hour of the lake."""
        days = -(-self.hours // 24)
        self.by_hour = np.zeros((7, self.hours), np.int64)
        self.on_the_hour = np.zeros((7, self.hours), np.int64)
        self.by_price = np.zeros((7, days * len(MODELS) * _FACTORS * len(BAND_STARTS)), np.int64)

    def plant(self, ms: Ints, model: Ints, factors: Ints, context_tokens: Ints, figures: list[Ints]) -> None:
        """Count requests; `factors` are sums of FAST, US and BATCH.

        `figures` are the five kinds of tokens, as in Counts, and the web searches.
        """
        since = ms - self.first_ms
        band = np.searchsorted(np.array(BAND_STARTS), context_tokens, side="right") - 1
        price = ((since // _DAY_MS * len(MODELS) + model) * _FACTORS + factors) * len(BAND_STARTS) + band
        exact = np.flatnonzero(since % HOUR_MS == 0)
        hour = since // HOUR_MS
        for sums, place, rows in (
            (self.by_hour, hour, slice(None)),
            (self.on_the_hour, hour[exact], exact),
            (self.by_price, price, slice(None)),
        ):
            sums[0] += np.bincount(place, minlength=sums.shape[1])
            for kind, values in enumerate(figures, 1):
                # A double holds these sums exactly: they stay far below 2**53.
                sums[kind] += np.bincount(place, weights=values[rows], minlength=sums.shape[1]).astype(np.int64)

    def count_rows(self, table: str, rows: int) -> None:
        """Count rows of a table."""
        self.rows[table] = self.rows.get(table, 0) + rows

    def truth(self, seed: int) -> LakeTruth:
        """Sum up what was planted."""
        return LakeTruth(
            seed=seed,
            rows=dict(sorted(self.rows.items())),
            total=Counts(*(int(value) for value in self.by_hour[:6].sum(axis=1))),
            partial_requests=self.partial_requests,
            by_hour=dict(self._hours(self.by_hour)),
            on_the_hour=dict(self._hours(self.on_the_hour)),
            priced=tuple(self._priced()),
        )

    def _hours(self, sums: Ints) -> Iterator[tuple[str, Counts]]:
        start = datetime.fromtimestamp(self.first_ms // 1000, UTC)
        for hour in np.flatnonzero(sums[0]).tolist():
            name = (start + timedelta(hours=hour)).isoformat()[:13]
            yield name, Counts(*(int(value) for value in sums[:6, hour]))

    def _priced(self) -> Iterator[Priced]:
        start = datetime.fromtimestamp(self.first_ms // 1000, UTC).date()
        for cell in np.flatnonzero(self.by_price[0]).tolist():
            rest, band = divmod(cell, len(BAND_STARTS))
            rest, factors = divmod(rest, _FACTORS)
            day, model = divmod(rest, len(MODELS))
            *counts, searches = (int(value) for value in self.by_price[:, cell])
            yield Priced(
                (start + timedelta(day)).isoformat(),
                MODELS[model],
                bool(factors & FAST),
                bool(factors & US),
                bool(factors & BATCH),
                band,
                Counts(*counts),
                searches,
            )
