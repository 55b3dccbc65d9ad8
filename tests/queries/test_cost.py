"""cost/daily and cost/monthly against sums worked out by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

OPUS = "claude-opus-4-5-20251101"
SONNET = "claude-sonnet-4-5-20250929"


def rows(lake: Snapshot, name: str, **params: Any) -> list[tuple[Any, ...]]:
    return list(run(lake, name, {"tz": "Europe/Berlin", **params}).rows())


def test_daily_counts_local_days_through_the_change_of_clocks(lake: Snapshot) -> None:
    """29 March has 23 hours in Berlin: 23:00 UTC of the 28th to 22:00 UTC of the 29th."""
    assert rows(lake, "cost/daily") == [
        (dt.date(2026, 3, 27), "all", 2, 15, 185, 1200, 0, 1000, 2400, 0.0),
        (dt.date(2026, 3, 28), "all", 1, 2, 48, 0, 300, 1200, 1550, 0.0),
        (dt.date(2026, 3, 29), "all", 2, 3, 147, 100, 0, 3200, 3450, 1.0),
        (dt.date(2026, 3, 30), "all", 1, 20, 80, 500, 0, 0, 600, 0.0),
        (dt.date(2026, 4, 2), "all", 1, 0, 0, 0, 0, 0, 0, 0.0),
    ]


def test_daily_follows_the_zone(lake: Snapshot) -> None:
    """In UTC the requests r3 and r4 share a day, as do r5 and r6; in Auckland (UTC+13) r1 and r2 stay."""
    assert [(row[0].isoformat(), row[2]) for row in rows(lake, "cost/daily", tz="UTC")] == [
        ("2026-03-27", 2),
        ("2026-03-28", 2),
        ("2026-03-29", 2),
        ("2026-04-02", 1),
    ]
    assert [(row[0].isoformat(), row[2]) for row in rows(lake, "cost/daily", tz="Pacific/Auckland")] == [
        ("2026-03-27", 2),
        ("2026-03-29", 2),
        ("2026-03-30", 2),
        ("2026-04-03", 1),
    ]


def test_daily_by_model_puts_the_larger_first(lake: Snapshot) -> None:
    found = [row[:3] for row in rows(lake, "cost/daily", by_model=True, since="2026-03-29", until="2026-03-29")]
    assert found == [(dt.date(2026, 3, 29), SONNET, 1), (dt.date(2026, 3, 29), OPUS, 1)]


def test_monthly(lake: Snapshot) -> None:
    assert rows(lake, "cost/monthly") == [
        ("2026-03", "all", 6, 40, 460, 1800, 300, 5400, 8000, 2 / 6),
        ("2026-04", "all", 1, 0, 0, 0, 0, 0, 0, 0.0),
    ]


def test_monthly_by_model(lake: Snapshot) -> None:
    assert [row[:3] for row in rows(lake, "cost/monthly", by_model=True)] == [
        ("2026-03", OPUS, 4),
        ("2026-03", SONNET, 2),
        ("2026-04", SONNET, 1),
    ]


def test_the_last_local_evening_of_a_month_belongs_to_it(lakes: Any, tmp_path: Any) -> None:
    """1 April 06:59 UTC is still March in Los Angeles, 07:00 UTC is April."""
    lake = lakes.publish(
        tmp_path / "lake",
        {
            "requests": [
                lakes.request("a", "2026-04-01T06:59:59", (1, 0, 0, 0, 0)),
                lakes.request("b", "2026-04-01T07:00:00", (2, 0, 0, 0, 0)),
            ]
        },
    )
    found = rows(lake, "cost/monthly", tz="America/Los_Angeles")
    assert [(row[0], row[3]) for row in found] == [("2026-03", 1), ("2026-04", 2)]


def test_zones_off_by_quarter_hours_have_their_own_days(lakes: Any, tmp_path: Any) -> None:
    """Midnight of 2 March in Kathmandu (UTC+5:45) is 18:15 UTC; requests lie before and at it."""
    moments = ("2026-03-01T18:14:59.999", "2026-03-01T18:15:00", "2026-03-01T18:29:59")
    requests = [lakes.request(f"r{n}", ts, (10**n, 0, 0, 0, 0)) for n, ts in enumerate(moments)]
    lake = lakes.publish(tmp_path / "lake", {"requests": requests})
    found = [(row[0].isoformat(), row[3]) for row in rows(lake, "cost/daily", tz="Asia/Kathmandu")]
    assert found == [("2026-03-01", 1), ("2026-03-02", 110)]
