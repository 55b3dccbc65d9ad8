"""cost/daily, weekly, monthly and hour against sums and dollars worked out by hand.

List prices in dollars per million tokens (input, output, 5m write, 1h write, read): Opus 4.5 5, 25, 6.25, 10, 0.50;
Sonnet 4.5 3, 15, 3.75, 6, 0.30. So the requests of the tiny lake cost, in millionths of a dollar:

    r1  10 x 5 + 90 x 25 + 1000 x 6.25              = 50 + 2250 + 6250              = 8550
    r2  5 x 5 + 95 x 25 + 200 x 6.25 + 1000 x 0.5   = 25 + 2375 + 1250 + 500        = 4150
    r3  2 x 5 + 48 x 25 + 300 x 10 + 1200 x 0.5     = 10 + 1200 + 3000 + 600        = 4810
    r4  3 x 5 + 47 x 25 + 100 x 6.25 + 1500 x 0.5   = 15 + 1175 + 625 + 750         = 2565
    r5  100 x 15 + 1700 x 0.3                       = 1500 + 510                    = 2010
    r6  20 x 3 + 80 x 15 + 500 x 3.75               = 60 + 1200 + 1875              = 3135
    r7  nothing                                                                     = 0
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

OPUS = "claude-opus-4-5-20251101"
SONNET = "claude-sonnet-4-5-20250929"
PERIODS = {"cost/daily": "day", "cost/weekly": "week", "cost/monthly": "month", "cost/hour": "hour"}
TOKENS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
COSTS = ("cost_input", "cost_output", "cost_cache_write", "cost_cache_read", "cost_web_search")


def rows(lake: Snapshot, name: str, **params: Any) -> list[dict[str, Any]]:
    return run(lake, name, {"tz": "Europe/Berlin", **params}).to_pylist()


def of(found: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in found]


def micro(dollars: Decimal | None) -> int | None:
    """Dollars in whole millionths."""
    if dollars is None:
        return None
    assert dollars * 10**6 % 1 == 0
    return int(dollars * 10**6)


def test_a_day_has_requests_tokens_and_every_kind_of_cost(lake: Snapshot) -> None:
    """29 March has 23 hours in Berlin, 23:00 UTC of the 28th to 22:00 UTC of the 29th: r4 and r5."""
    found = {row["day"]: row for row in rows(lake, "cost/daily")}
    row = found[dt.date(2026, 3, 29)]
    assert {name: micro(row[name]) for name in (*COSTS, "cost_api", "cost")} == {
        "cost_input": 15,
        "cost_output": 1175 + 1500,
        "cost_cache_write": 625,
        "cost_cache_read": 750 + 510,
        "cost_web_search": 0,
        "cost_api": 15 + 1175 + 1500,
        "cost": 2565 + 2010,
    }
    assert tuple(row[name] for name in ("model", "requests", *TOKENS, "total_tokens")) == (
        *("all", 2, 3, 147, 100, 0, 3200, 3450),
    )
    assert (row["unpriced_requests"], row["unpriced_tokens"], row["partial_output_share"]) == (0, 0, 1.0)


def test_daily_counts_local_days_through_the_change_of_clocks(lake: Snapshot) -> None:
    found = rows(lake, "cost/daily")
    assert [(row["day"].isoformat(), row["requests"], row["total_tokens"], micro(row["cost"])) for row in found] == [
        ("2026-03-27", 2, 2400, 12700),
        ("2026-03-28", 1, 1550, 4810),
        ("2026-03-29", 2, 3450, 4575),
        ("2026-03-30", 1, 600, 3135),
        ("2026-04-02", 1, 0, 0),
    ]


def test_daily_follows_the_zone(lake: Snapshot) -> None:
    """In UTC the requests r3 and r4 share a day, as do r5 and r6; in Auckland (UTC+13) r1 and r2 stay."""
    assert [(row["day"].isoformat(), row["requests"]) for row in rows(lake, "cost/daily", tz="UTC")] == [
        ("2026-03-27", 2),
        ("2026-03-28", 2),
        ("2026-03-29", 2),
        ("2026-04-02", 1),
    ]
    found = rows(lake, "cost/daily", tz="Pacific/Auckland")
    assert [(row["day"].isoformat(), row["requests"], micro(row["cost"])) for row in found] == [
        ("2026-03-27", 2, 12700),
        ("2026-03-29", 2, 4810 + 2565),
        ("2026-03-30", 2, 2010 + 3135),
        ("2026-04-03", 1, 0),
    ]


def test_daily_by_model_puts_the_dearer_first(lake: Snapshot) -> None:
    found = rows(lake, "cost/daily", by_model=True, since="2026-03-29", until="2026-03-29")
    assert [(row["model"], row["requests"], micro(row["cost"])) for row in found] == [
        (OPUS, 1, 2565),
        (SONNET, 1, 2010),
    ]


def test_weeks_start_on_monday_unless_asked(lake: Snapshot) -> None:
    """29 March 2026 is a Sunday: r4 and r5 of that local day move into the week that it starts."""
    found = rows(lake, "cost/weekly")
    assert [(row["week"].isoformat(), row["requests"], micro(row["cost"])) for row in found] == [
        ("2026-03-23", 5, 12700 + 4810 + 4575),
        ("2026-03-30", 2, 3135),
    ]
    found = rows(lake, "cost/weekly", week_start="sunday")
    assert [(row["week"].isoformat(), row["requests"], micro(row["cost"])) for row in found] == [
        ("2026-03-22", 3, 12700 + 4810),
        ("2026-03-29", 4, 4575 + 3135),
    ]


def test_months(lake: Snapshot) -> None:
    assert of(rows(lake, "cost/monthly"), "month", "requests", *TOKENS, "total_tokens", "partial_output_share") == [
        ("2026-03", 6, 40, 460, 1800, 300, 5400, 8000, 2 / 6),
        ("2026-04", 1, 0, 0, 0, 0, 0, 0, 0.0),
    ]
    assert of(rows(lake, "cost/monthly", by_model=True), "month", "model", "requests") == [
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
    assert of(found, "month", "input_tokens") == [("2026-03", 1), ("2026-04", 2)]


def test_zones_off_by_quarter_hours_have_their_own_days(lakes: Any, tmp_path: Any) -> None:
    """Midnight of 2 March in Kathmandu (UTC+5:45) is 18:15 UTC; requests lie before and at it."""
    moments = ("2026-03-01T18:14:59.999", "2026-03-01T18:15:00", "2026-03-01T18:29:59")
    requests = [lakes.request(f"r{n}", ts, (10**n, 0, 0, 0, 0)) for n, ts in enumerate(moments)]
    lake = lakes.publish(tmp_path / "lake", {"requests": requests})
    found = rows(lake, "cost/daily", tz="Asia/Kathmandu")
    assert [(row["day"].isoformat(), row["input_tokens"]) for row in found] == [("2026-03-01", 1), ("2026-03-02", 110)]
    hours = rows(lake, "cost/hour", tz="Asia/Kathmandu")
    assert of(hours, "hour", "input_tokens") == [("2026-03-01 23:00", 1), ("2026-03-02 00:00", 110)]


def test_hours_and_the_hours_of_the_day(lake: Snapshot) -> None:
    """Berlin's winter: r1 and r2 at 10, r3 at 23, r4 at midnight; its summer: r5 at 23, r6 at midnight, r7 at 14."""
    found = rows(lake, "cost/hour")
    assert [(row["hour"], row["requests"], micro(row["cost"])) for row in found] == [
        ("2026-03-27 10:00", 2, 12700),
        ("2026-03-28 23:00", 1, 4810),
        ("2026-03-29 00:00", 1, 2565),
        ("2026-03-29 23:00", 1, 2010),
        ("2026-03-30 00:00", 1, 3135),
        ("2026-04-02 14:00", 1, 0),
    ]
    found = rows(lake, "cost/hour", of_day=True)
    assert [(row["hour"], row["requests"], micro(row["cost"])) for row in found] == [
        ("00:00", 2, 2565 + 3135),
        ("10:00", 2, 12700),
        ("14:00", 1, 0),
        ("23:00", 2, 4810 + 2010),
    ]


def test_the_hour_that_clocks_go_through_twice_is_one_row(lakes: Any, tmp_path: Any) -> None:
    """On 25 October 2026 Berlin has 02:30 at 00:30 and again at 01:30 UTC."""
    moments = ("2026-10-25T00:30:00", "2026-10-25T01:30:00", "2026-10-25T02:30:00")
    requests = [lakes.request(f"r{n}", ts, (1, 0, 0, 0, 0)) for n, ts in enumerate(moments)]
    lake = lakes.publish(tmp_path / "lake", {"requests": requests})
    found = of(rows(lake, "cost/hour"), "hour", "requests")
    assert found == [("2026-10-25 02:00", 2), ("2026-10-25 03:00", 1)]


def test_a_model_without_a_price_is_counted_and_has_no_cost(lakes: Any, tmp_path: Any) -> None:
    """Never 0, never a guess (accounting rule 21): its row's cost is null; a mixed row's cost is of the others."""
    lake = lakes.publish(
        tmp_path / "lake",
        {
            "requests": [
                lakes.request("a", "2026-03-01T10:00:00", (1, 2, 3, 4, 5), model="in-house-7b"),
                lakes.request("b", "2026-03-01T11:00:00", (1, 2, 3, 4, 5), model=None),
                lakes.request("c", "2026-03-02T10:00:00", (1, 2, 3, 4, 5), model="in-house-7b"),
                lakes.request("d", "2026-03-02T10:00:00", (1000, 0, 0, 0, 0)),
            ]
        },
    )
    names = ("cost_input", "cost_api", "cost", "unpriced_requests", "unpriced_tokens")
    assert of(rows(lake, "cost/daily"), *names) == [
        (None, None, None, 2, 30),
        (Decimal("0.005"), Decimal("0.005"), Decimal("0.005"), 1, 15),
    ]
    found = rows(lake, "cost/monthly", by_model=True)
    assert of(found, "model", "cost", "unpriced_requests") == [
        (OPUS, Decimal("0.005"), 0),
        ("in-house-7b", None, 2),
        ("(none)", None, 1),
    ]


def test_web_searches_are_ten_dollars_a_thousand(lakes: Any, tmp_path: Any) -> None:
    lake = lakes.publish(
        tmp_path / "lake",
        {"requests": [lakes.request("a", "2026-03-01T10:00:00", (100, 0, 0, 0, 0), web_searches=3)]},
    )
    (row,) = rows(lake, "cost/daily")
    assert (micro(row["cost_web_search"]), micro(row["cost_api"]), micro(row["cost"])) == (30_000, 500, 30_500)


def test_cost_modes(lakes: Any, tmp_path: Any) -> None:
    """Of two requests of 100 input tokens (500 millionths) one has a logged cost (accounting rule 24)."""
    logged = Decimal("0.0123")
    lake = lakes.publish(
        tmp_path / "lake",
        {
            "requests": [
                lakes.request("a", "2026-03-01T10:00:00", (100, 0, 0, 0, 0), cost_logged=logged),
                lakes.request("b", "2026-03-01T10:01:00", (100, 0, 0, 0, 0)),
            ]
        },
    )
    found = {mode: rows(lake, "cost/daily", cost_mode=mode)[0] for mode in ("calculate", "auto", "display")}
    assert {mode: micro(row["cost"]) for mode, row in found.items()} == {
        "calculate": 1000,
        "auto": 12300 + 500,
        "display": 12300,
    }
    assert [row["unpriced_requests"] for row in found.values()] == [0, 0, 1]


def test_sums_beyond_64_bits_of_picodollars_are_exact(lakes: Any, tmp_path: Any) -> None:
    """24 quarter hours of 800,000 million read tokens at 0.50 a million: 400,000 dollars each, 9.6 million in all."""
    requests = [
        lakes.request(f"r{n}", f"2026-03-01T{n:02}:00:00", (0, 0, 0, 0, 999_999_999), cost_logged=Decimal(400_000))
        for n in range(24)
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": requests})
    (row,) = rows(lake, "cost/daily", tz="UTC", cost_mode="display")
    assert row["cost"] == 9_600_000
    (row,) = rows(lake, "cost/daily", tz="UTC")
    assert row["cost_cache_read"] == Decimal("499.9999995") * 24


@pytest.mark.parametrize("name", PERIODS)
@pytest.mark.parametrize("by_model", [False, True])
def test_periods_add_up_to_the_total(lake: Snapshot, name: str, by_model: bool) -> None:
    found = rows(lake, name, by_model=by_model)
    assert sum(row["requests"] for row in found) == 7
    assert [sum(row[column] for row in found) for column in TOKENS] == [40, 460, 1800, 300, 5400]
    assert sum(row["total_tokens"] for row in found) == 8000
    assert micro(sum(row["cost"] for row in found)) == 8550 + 4150 + 4810 + 2565 + 2010 + 3135
    for row in found:
        assert row["cost"] == sum(row[column] for column in COSTS)
        assert row["cost_api"] == row["cost_input"] + row["cost_output"]


@pytest.mark.parametrize("name", PERIODS)
def test_filters_leave_the_values_of_what_stays(lake: Snapshot, name: str) -> None:
    """Without the other machine, the periods in which it did nothing are as before."""
    key = PERIODS[name]
    whole = {row[key]: row for row in rows(lake, name)}
    laptop = {row[key]: row for row in rows(lake, name, host="laptop")}
    server = {row[key]: row for row in rows(lake, name, host="server")}
    assert whole.keys() == laptop.keys() | server.keys()
    for period, row in laptop.items():
        if period not in server:
            assert row == whole[period]
        else:
            assert row["cost"] + server[period]["cost"] == whole[period]["cost"]
