"""windows/burn-variance, and the anchor that windows/weeks takes from samples, against hand-worked answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from tests.queries.window_folds import a_lake
from tests.query.lakes import instant, request

from tokenlake.query.run import run

RESET = "2026-03-02T13:00:00"
WEEK = "2026-03-06T09:00:00"


def sample(
    ts: str, used: float, resets: str = RESET, window: str = "five_hour", host: str = "laptop"
) -> dict[str, Any]:
    return {"ts": instant(ts), "host": host, "window": window, "used_percentage": used, "resets_at": instant(resets)}


def rows(samples: Sequence[dict[str, Any]], requests: Sequence[dict[str, Any]] = (), **params: Any) -> list[Any]:
    with a_lake({"quota_samples": samples, "requests": requests}) as lake:
        return run(lake, "windows/burn-variance", {"tz": "UTC", **params}).to_pylist()


def test_a_window_with_every_column() -> None:
    """From 2% at 8:30 to 38% at 10:00: 36% in 1.5 hours. Opus 4.5: 1,000 reads $0.0005, 100 output $0.0025."""
    samples = [
        sample("2026-03-02T08:00:00", 2),
        sample("2026-03-02T08:30:00", 2),
        sample("2026-03-02T09:00:00", 20),
        sample("2026-03-02T10:00:00", 38),
        sample("2026-03-02T12:00:00", 38),
    ]
    requests = [
        request("at the start", "2026-03-02T08:30:00", (0, 100, 0, 0, 1000)),
        request("after it", "2026-03-02T08:30:00.001", (0, 100, 0, 0, 1000)),
        request("at the end", "2026-03-02T10:00:00", (0, 100, 0, 0, 7000)),
        request("after the end", "2026-03-02T10:00:00.001", (0, 100, 0, 0, 1000)),
        request("unpriced", "2026-03-02T09:00:00", (0, 0, 0, 0, 500), model="gateway"),
    ]
    (row,) = rows(samples, requests)
    assert row == {
        "window": "five_hour",
        "resets_at": instant(RESET),
        "first_ts": instant("2026-03-02T08:30:00"),
        "last_ts": instant("2026-03-02T10:00:00"),
        "samples": 5,
        "first_percentage": 2.0,
        "last_percentage": 38.0,
        "used_percentage": 36.0,
        "hours": 1.5,
        "percent_per_hour": 24.0,
        "times_slowest": 1.0,
        "percent_confidence": "official",
        "requests": 3,
        "total_tokens": 1100 + 7100 + 500,
        "cost": Decimal("0.009000000000"),
        "requests_per_percent": pytest.approx(3 / 36),
        "tokens_per_percent": pytest.approx(8700 / 36),
        "cost_per_percent": Decimal("0.000250000000"),
        "counts_confidence": "local estimate",
        "unpriced_requests": 1,
        "host": "all",
    }


def test_windows_of_one_quota_are_measured_by_their_slowest() -> None:
    """10, 40 and 25% an hour; the weekly one, 2% an hour, is a quota of its own."""
    samples = []
    for day, used in ((2, 10), (3, 40), (4, 25)):
        samples += [
            sample(f"2026-03-0{day}T08:00:00", 0, f"2026-03-0{day}T13:00:00"),
            sample(f"2026-03-0{day}T09:00:00", used, f"2026-03-0{day}T13:00:00"),
        ]
    samples += [
        sample("2026-03-02T08:00:00", 10, WEEK, "seven_day"),
        sample("2026-03-02T09:00:00", 12, WEEK, "seven_day"),
    ]
    found = [(row["window"], row["percent_per_hour"], row["times_slowest"]) for row in rows(samples)]
    assert found == [("five_hour", 10, 1), ("five_hour", 40, 4), ("five_hour", 25, 2.5), ("seven_day", 2, 1)]
    assert [row["percent_per_hour"] for row in rows(samples, window="seven_day")] == [2]
    # Windows that are not shown are nobody's slowest.
    shown = rows(samples, window="five_hour", since="2026-03-03", until="2026-03-04")
    assert [(row["percent_per_hour"], row["times_slowest"]) for row in shown] == [(40, 1.6), (25, 1)]


@pytest.mark.parametrize(
    "percentages",
    [
        [(8, 5)],  # a single sample
        [(8, 5), (9, 5)],  # no rise
        [(8, 50), (9, 0)],  # fell back, as after a reset out of turn
    ],
)
def test_without_a_rise_there_is_no_rate(percentages: list[tuple[int, int]]) -> None:
    (row,) = rows([sample(f"2026-03-02T{hour:02}:00:00", used) for hour, used in percentages])
    assert (row["hours"], row["percent_per_hour"], row["times_slowest"]) == (None, None, None)


def test_machines_share_an_account_unless_asked() -> None:
    """One saw 10% at 8:00, the other 30% at 9:00; each for itself saw 10 and 30% rise by 10 in an hour."""
    samples = [
        sample("2026-03-02T08:00:00", 10),
        sample("2026-03-02T09:00:00", 20),
        sample("2026-03-02T09:00:00", 30, host="server"),
        sample("2026-03-02T10:00:00", 40, host="server"),
    ]
    requests = [
        request("r1", "2026-03-02T08:30:00", (0, 0, 0, 0, 10)),
        request("r2", "2026-03-02T09:30:00", (0, 0, 0, 0, 5), host="server"),
    ]

    def seen(**params: Any) -> list[tuple[str, float, float, int]]:
        found = rows(samples, requests, **params)
        return [(row["host"], row["used_percentage"], row["percent_per_hour"], row["total_tokens"]) for row in found]

    assert seen() == [("all", 30, 15, 15)]
    assert seen(by="host") == [("laptop", 10, 10, 10), ("server", 10, 10, 5)]
    assert seen(host="server") == [("all", 10, 10, 5)]
    assert seen(model="sonnet") == [("all", 30, 15, 0)]


# --- weeks ----------------------------------------------------------------------------------------------------------


def week_starts(samples: Sequence[dict[str, Any]], **params: Any) -> list[dt.datetime]:
    requests = [request("r1", "2026-03-05T12:00:00", (0, 0, 0, 0, 1))]
    with a_lake({"requests": requests, "quota_samples": samples}) as lake:
        return [row["start_ts"] for row in run(lake, "windows/weeks", {"tz": "UTC", **params}).to_pylist()]


def test_weeks_end_when_the_newest_sample_says_so() -> None:
    """2026-03-05 lies in the Monday week of 03-02; with a reset on Friday 03-06 9:00, in that from 02-27 9:00."""
    assert week_starts([]) == [instant("2026-03-02T00:00:00")]
    weekly = [
        sample("2026-03-03T08:00:00", 1, "2026-03-04T17:00:00", "seven_day"),
        sample("2026-03-03T09:00:00", 1, WEEK, "seven_day"),
        sample("2026-03-03T10:00:00", 1, RESET),
    ]
    assert week_starts(weekly) == [instant("2026-02-27T09:00:00")]
    assert week_starts(weekly, anchor="2026-03-04T00:00:00") == [instant("2026-03-04T00:00:00")]
    # Resets of another machine's account are none of this one's.
    weekly[1]["host"] = "server"
    assert week_starts(weekly, host="laptop") == [instant("2026-03-04T17:00:00")]
