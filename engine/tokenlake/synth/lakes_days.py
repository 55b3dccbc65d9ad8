"""The days on which a made-up lake has requests, and the clock of their working hours."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from tokenlake.synth.clock import HOUR_MS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Generator = np.random.Generator

WORK_START_MS: Final = 6 * HOUR_MS
WORK_MS: Final = 18 * HOUR_MS
"""A working day in UTC: from six o'clock to midnight. The first quarter of every day is idle."""


@dataclass(frozen=True, slots=True)
class Days:
    """The days that have requests, in order.

    `start_ms` is when each one's work starts, in milliseconds since the epoch; `share_before` the share of the lake's
    sessions that start before it (one longer than the days, it ends with 1.0). Work time counts milliseconds of
    working hours from the first day on: it has no nights and no free days.
    """

    start_ms: Ints
    share_before: Floats

    @property
    def work_ms(self) -> int:
        """The work time of all days."""
        return len(self.start_ms) * WORK_MS

    def work_time_of(self, shares: Floats) -> Ints:
        """The work time before which each of these shares of the sessions starts."""
        days = np.searchsorted(self.share_before, shares, side="right") - 1
        days = np.minimum(days, len(self.start_ms) - 1)
        width = self.share_before[days + 1] - self.share_before[days]
        return ((days + (shares - self.share_before[days]) / width) * WORK_MS).astype(np.int64)

    def epoch_ms_of(self, work_time: Ints) -> Ints:
        """The instants of work times, in milliseconds since the epoch; what lies past the end is put at the end."""
        day, within = np.divmod(np.minimum(work_time, self.work_ms - 1), WORK_MS)
        return self.start_ms[day] + within


def working_days(first_day: date, months: int, rng: Generator) -> Days:
    """Draw the days that have requests: more on weekdays, more as time goes on, none on holidays and by chance."""
    months_on = first_day.month - 1 + months
    end = date(first_day.year + months_on // 12, months_on % 12 + 1, first_day.day)
    days = [first_day + timedelta(n) for n in range((end - first_day).days)]
    weights = np.array([0.45 if day.weekday() >= 5 else 1.0 for day in days])
    weights *= np.linspace(0.7, 1.3, len(days)) * rng.uniform(0.5, 1.5, len(days))
    for quarter in range(0, len(days) - 80, 91):
        holiday = quarter + int(rng.integers(10, 70))
        weights[holiday : holiday + 6] = 0
    weights[rng.random(len(days)) < 0.04] = 0
    weights[0] = weights[-1] = 1.0  # the lake fills its span
    at_work = np.flatnonzero(weights)
    start_ms = [int(datetime(*days[n].timetuple()[:3], tzinfo=UTC).timestamp()) * 1000 for n in at_work]
    shares = np.concatenate([[0.0], np.cumsum(weights[at_work])])
    return Days(np.array(start_ms, np.int64) + WORK_START_MS, shares / shares[-1])
