"""windows/rolling and windows/weeks against hand-worked sums and plain loops."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from accounting import reference
from accounting.reference_reading import read_tree
from hypothesis import given
from hypothesis import strategies as st
from tests.queries.window_folds import DAY, HOUR, MINUTE, a_lake, instant, micros, quantile, requests, rolling
from tests.query.lakes import request

from tokenlake.errors import UsageError
from tokenlake.lake import Lake
from tokenlake.query.run import run

NOON = micros(dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC))
MONDAY = micros(dt.datetime(1970, 1, 5, tzinfo=dt.UTC))


def answer(tables: dict[str, Any], query: str = "windows/rolling", **params: Any) -> list[dict[str, Any]]:
    with a_lake(tables) as lake:
        return run(lake, query, {"tz": "UTC", **params}).to_pylist()


def sums(entries: list[tuple[int, int]], **params: Any) -> list[tuple[int, float]]:
    rows = answer({"requests": requests(entries)}, by="request", **params)
    return [(row["window_hours"], row["peak"]) for row in rows]


def test_a_window_holds_its_end_and_not_its_beginning() -> None:
    """At 17:00 the request of 12:00 is exactly five hours old and out; a millisecond earlier it is in."""
    entries = [(NOON, 1), (NOON + 5 * HOUR - 1000, 2), (NOON + 5 * HOUR, 4)]
    assert sums(entries) == [(5, 1), (5, 3), (5, 6), (168, 1), (168, 3), (168, 7)]


def test_requests_of_one_instant_are_in_each_other() -> None:
    entries = [(NOON, 1), (NOON, 2), (NOON, 4), (NOON + 5 * HOUR, 8), (NOON + 5 * HOUR, 16)]
    assert sums(entries, long_hours=6) == [(5, 7)] * 3 + [(5, 24)] * 2 + [(6, 7)] * 3 + [(6, 31)] * 2


def test_a_day_with_every_column() -> None:
    """Sums of the last hour at 12:00, 12:30, 13:15 and 14:20: 10, 30, 50, 40; of three hours: 10, 30, 60, 100.

    The hours from 12:00 and so on hold 30, 30 and 40; three hours end to end from a Monday run 12:00 to 15:00.
    """
    entries = [(NOON, 10), (NOON + 30 * MINUTE, 20), (NOON + 75 * MINUTE, 30), (NOON + 140 * MINUTE, 40)]
    rows = answer({"requests": requests(entries)}, hours=1, long_hours=3)
    assert rows == [
        {
            "by": "2026-03-31",
            "ts": None,
            "window_hours": 1,
            "requests": 4,
            "peak": 50.0,
            "p50": 35.0,
            "p95": pytest.approx(48.5),
            "tumbling_peak": 40.0,
            "peak_per_tumbling": 1.25,
            "unpriced_requests": 0,
        },
        {
            "by": "2026-03-31",
            "ts": None,
            "window_hours": 3,
            "requests": 4,
            "peak": 100.0,
            "p50": 45.0,
            "p95": pytest.approx(94.0),
            "tumbling_peak": 100.0,
            "peak_per_tumbling": 1.0,
            "unpriced_requests": 0,
        },
    ]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("total", 15), ("input", 1), ("output", 2), ("cache-write", 7), ("cache-read", 5), ("requests", 1)],
)
def test_any_kind_can_be_summed(measure: str, expected: int) -> None:
    rows = answer({"requests": [request("a", "2026-03-31T12:00:00", (1, 2, 3, 4, 5))]}, measure=measure)
    assert [row["peak"] for row in rows] == [expected, expected]


def test_costs_are_exact_and_tell_what_has_no_price() -> None:
    """1 token of output is 25 millionths of a dollar; what has left takes all of it away."""
    listed = [request(f"r{h}", instant(NOON + h * HOUR).isoformat(), (0, 1, 0, 0, 0), offset=h) for h in range(12)]
    listed.append(request("u", instant(NOON).isoformat(), (9, 9, 9, 9, 9), model="llama-3-70b-local", offset=99))
    rows = answer({"requests": listed}, measure="cost", by="hour")
    short = [row for row in rows if row["window_hours"] == 5]
    assert [round(row["peak"] * 1e6, 9) for row in short] == [25, 50, 75, 100, *[125] * 8]
    assert [row["unpriced_requests"] for row in short] == [1, *[0] * 11]


def test_dates_choose_rows_and_cut_no_sum() -> None:
    entries = [(NOON + n * 7 * HOUR, 2**n) for n in range(40)]
    whole = answer({"requests": requests(entries)})
    days = {"2026-04-04", "2026-04-05"}
    chosen = answer({"requests": requests(entries)}, since="2026-04-04", until="2026-04-05")
    assert chosen == [row for row in whole if row["by"] in days]
    assert len(chosen) == 4


def test_filters_choose_what_is_summed() -> None:
    ours = requests([(NOON, 1), (NOON + HOUR, 2)], project="/ours")
    rest = requests([(NOON, 4)], project="/rest", host="server", session_id="s2", model="claude-sonnet-4-5", file_id=2)
    tables = {"requests": ours + rest}
    assert [row["peak"] for row in answer(tables)] == [7, 7]
    assert [row["peak"] for row in answer(tables, project="ours")] == [3, 3]
    for name, value in (("host", "server"), ("session", "s2"), ("model", "sonnet")):
        assert [row["peak"] for row in answer(tables, **{name: value})] == [4, 4]


@pytest.mark.parametrize("name", ["hours", "long_hours"])
def test_a_window_is_an_hour_long_or_longer(name: str) -> None:
    with pytest.raises(UsageError, match="hours: 0 is less than 1"):
        answer({"requests": requests([(NOON, 1)])}, **{name: 0})


steps = st.one_of(
    st.sampled_from([0, 0, 1000, MINUTE, HOUR, 4 * HOUR, 5 * HOUR - 1000, 5 * HOUR, 5 * HOUR + 1000, DAY, 7 * DAY]),
    st.integers(0, 9 * HOUR // 1000).map(lambda ms: ms * 1000),
)


@st.composite
def entries(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Times about the change of a month and of Berlin's clocks, with many exact distances."""
    us = micros(dt.datetime(2026, 3, 28, tzinfo=dt.UTC)) + draw(steps)
    found = []
    for step in draw(st.lists(steps, min_size=1, max_size=30)):
        us += step
        found.append((us, draw(st.integers(0, 1000))))
    return found


def expected_days(entries: Sequence[tuple[int, int]], zone: str, hours: int) -> list[tuple[Any, ...]]:
    """Requests, peak, median, 95th percentile and tumbling peak of every local day."""
    days: dict[str, list[tuple[float, int]]] = defaultdict(list)
    tumbling: dict[int, int] = defaultdict(int)
    for us, tokens in entries:
        tumbling[(us - MONDAY) // (hours * HOUR)] += tokens
    for (us, _), value in zip(entries, rolling(entries, hours), strict=True):
        day = str(instant(us).astimezone(ZoneInfo(zone)).date())
        days[day].append((value, tumbling[(us - MONDAY) // (hours * HOUR)]))
    rows = []
    for day, found in sorted(days.items()):
        values = [value for value, _ in found]
        middle, high = (pytest.approx(quantile(values, share), rel=1e-12, abs=1e-9) for share in (0.5, 0.95))
        rows.append((day, hours, len(values), float(max(values)), middle, high, float(max(n for _, n in found))))
    return rows


COLUMNS = ("by", "window_hours", "requests", "peak", "p50", "p95", "tumbling_peak")


@given(
    entries=entries(),
    hours=st.sampled_from([1, 5, 24]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]),
)
def test_sums_are_those_of_a_plain_loop(entries: list[tuple[int, int]], hours: int, zone: str) -> None:
    with a_lake({"requests": requests(entries)}) as lake:
        params = {"tz": zone, "hours": hours}
        daily = run(lake, "windows/rolling", params).to_pylist()
        single = run(lake, "windows/rolling", {**params, "by": "request"}).to_pylist()
    for length in (hours, 168):
        found = [tuple(row[c] for c in COLUMNS) for row in daily if row["window_hours"] == length]
        assert found == expected_days(entries, zone, length)
        found = [(micros(row["ts"]), row["peak"]) for row in single if row["window_hours"] == length]
        assert found == [(us, n) for (us, _), n in zip(entries, rolling(entries, length), strict=True)]


@pytest.mark.parametrize(("seed", "largest"), [(1, 1000), (2, 1), (3, 2**63 - 1)])
def test_crowds_of_requests_have_the_quantiles_of_a_plain_loop(seed: int, largest: int) -> None:
    """Many requests in each half minute, many sums alike; dates that cut within it."""
    rng = Random(seed)
    start = micros(dt.datetime(2026, 3, 28, 20, tzinfo=dt.UTC))
    made = sorted(
        (start + rng.randrange(20) * 20 * MINUTE + rng.randrange(45_000) * 1000, rng.randint(0, largest))
        for _ in range(900)
    )
    since, until = (instant(made[n][0]) for n in (200, 700))
    with a_lake({"requests": requests(made)}) as lake:
        whole = run(lake, "windows/rolling", {"tz": "UTC"}).to_pylist()
        cut = run(lake, "windows/rolling", {"tz": "UTC", "since": since, "until": until, "by": "hour"}).to_pylist()
    expected = [row for hours in (5, 168) for row in expected_days(made, "UTC", hours)]
    assert [tuple(row[c] for c in COLUMNS) for row in whole] == expected
    shown = {us for us, _ in made if since <= instant(us) <= until}
    for hours in (5, 168):
        values = defaultdict(list)
        for (us, _), value in zip(made, rolling(made, hours), strict=True):
            if us in shown:
                values[f"{instant(us):%Y-%m-%d %H:00}"].append(value)
        found = {row["by"]: row for row in cut if row["window_hours"] == hours}
        assert found.keys() == values.keys()
        for period, row in found.items():
            assert (row["requests"], row["peak"]) == (len(values[period]), float(max(values[period])))
            assert row["p50"] == pytest.approx(quantile(values[period], 0.5), rel=1e-12)
            assert row["p95"] == pytest.approx(quantile(values[period], 0.95), rel=1e-12)


def test_the_samples(samples: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.refresh([samples / "logs"])
    counted = reference.count(read_tree(samples / "logs" / "projects")).requests.values()
    made = sorted((micros(r["ts"]), r["context_tokens"] + r["output_tokens"]) for r in counted)
    rows = lake.run("windows/rolling", tz="Asia/Kathmandu").to_pylist()
    expected = [row for hours in (5, 168) for row in expected_days(made, "Asia/Kathmandu", hours)]
    assert [tuple(row[c] for c in COLUMNS) for row in rows] == expected


# Weeks from an anchor.


def test_a_week_with_every_column() -> None:
    """From Wednesday 09:00 in Berlin: what was at that instant belongs, what was a week later does not."""
    start = micros(dt.datetime(2026, 3, 4, 8, tzinfo=dt.UTC))
    listed = [
        request("a", instant(start).isoformat(), (1000, 0, 0, 0, 0)),
        request("b", instant(start + 7 * DAY - 1000).isoformat(), (0, 100, 20, 30, 4000), offset=1),
        request("c", instant(start + 7 * DAY).isoformat(), (0, 0, 0, 0, 5), offset=2, model="llama-3-70b-local"),
    ]
    now = instant(start + 8 * DAY)
    first, second = answer({"requests": listed}, "windows/weeks", anchor="2026-03-04T09:00:00+01:00", now=now)
    assert list(first.items()) == [
        ("start_ts", instant(start)),
        ("end_ts", instant(start + 7 * DAY)),
        ("first_ts", instant(start)),
        ("last_ts", instant(start + 7 * DAY - 1000)),
        ("requests", 2),
        ("input_tokens", 1000),
        ("output_tokens", 100),
        ("cache_write_tokens", 50),
        ("cache_read_tokens", 4000),
        ("total_tokens", 5150),
        ("cost_input", Decimal("0.005")),
        ("cost_output", Decimal("0.0025")),
        ("cost_cache_write", Decimal("0.000425")),
        ("cost_cache_read", Decimal("0.002")),
        ("cost_web_search", Decimal(0)),
        ("cost_api", Decimal("0.0075")),
        ("cost", Decimal("0.009925")),
        ("is_active", False),
        ("projected_tokens", None),
        ("projected_cost", None),
        ("unpriced_requests", 0),
    ]
    # A day of seven has passed.
    assert (second["start_ts"], second["is_active"]) == (instant(start + 7 * DAY), True)
    assert (second["total_tokens"], second["projected_tokens"], second["cost"]) == (5, 35, None)
    assert second["unpriced_requests"] == 1


def test_weeks_lie_before_the_anchor_too_and_follow_no_clock() -> None:
    """Berlin's week of 29 March 2026 is an hour short; a window is not."""
    listed = requests([(NOON - n * DAY, 1) for n in range(40)])
    rows = answer({"requests": listed}, "windows/weeks", anchor="2027-01-01T12:00:00+01:00", tz="Europe/Berlin")
    starts = [micros(row["start_ts"]) for row in rows]
    assert {(micros(dt.datetime(2027, 1, 1, 11, tzinfo=dt.UTC)) - start) % (7 * DAY) for start in starts} == {0}
    assert [b - a for a, b in pairwise(starts)] == [7 * DAY] * (len(starts) - 1)
    assert sum(row["requests"] for row in rows) == 40
    assert all(row["start_ts"] <= row["first_ts"] <= row["last_ts"] < row["end_ts"] for row in rows)


def test_dates_choose_weeks_that_they_touch_whole() -> None:
    listed = requests([(NOON - n * DAY, 1) for n in range(40)])
    whole = answer({"requests": listed}, "windows/weeks")
    chosen = answer({"requests": listed}, "windows/weeks", since="2026-03-15", until="2026-03-16")
    assert chosen == [w for w in whole if f"{w['start_ts']:%m-%d}" in ("03-09", "03-16")]
    assert [row["requests"] for row in chosen] == [7, 7]


# --- before 1970, where numbers of slices and quarter hours are negative ----------------------------------------------


def early(*times: str) -> list[tuple[int, int]]:
    """Requests of these times, of 1, 2, 4 ... tokens."""
    return [(micros(dt.datetime.fromisoformat(f"{time}+00:00")), 2**number) for number, time in enumerate(times)]


def test_slices_before_1970_are_as_long_as_the_others() -> None:
    """At 0:49:55 that of 23:49:50 is out, at 0:49:45 it is in: 1, 3, 6."""
    entries = early("1969-12-31T23:49:50", "1970-01-01T00:49:45", "1970-01-01T00:49:55")
    assert sums(entries, hours=1) == [(1, 1), (1, 3), (1, 6), (168, 1), (168, 3), (168, 7)]


def test_fixed_windows_before_1970_begin_on_their_hours() -> None:
    """The hours from 23:00 and 0:00 hold 3 and 12; of 168 hours all lie in the one from Monday, the 29th."""
    entries = early("1969-12-31T23:49:50", "1969-12-31T23:59:50", "1970-01-01T00:00:10", "1970-01-01T00:30:00")
    rows = answer({"requests": requests(entries)}, by="request", hours=1)
    assert [(row["window_hours"], row["tumbling_peak"]) for row in rows] == [
        (1, 3),
        (1, 3),
        (1, 12),
        (1, 12),
        *[(168, 15)] * 4,
    ]


@given(entries=entries(), hours=st.sampled_from([1, 5, 24]), zone=st.sampled_from(["UTC", "Europe/Berlin"]))
def test_sums_before_1970_are_those_of_a_plain_loop(entries: list[tuple[int, int]], hours: int, zone: str) -> None:
    """The same times, but about the first Monday of 1970."""
    moved = [(us - micros(dt.datetime(2026, 3, 28, tzinfo=dt.UTC)) - 2 * DAY, tokens) for us, tokens in entries]
    found = answer({"requests": requests(moved)}, tz=zone, hours=hours)
    for length in (hours, 168):
        rows = [tuple(row[c] for c in COLUMNS) for row in found if row["window_hours"] == length]
        assert rows == expected_days(moved, zone, length)
