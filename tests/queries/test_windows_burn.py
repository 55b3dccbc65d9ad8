"""windows/burn against rates worked out by hand, and against windows/blocks."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.queries.window_folds import HOUR, MINUTE, a_lake, blocks, instant, micros, requests
from tests.query.lakes import request

from tokenlake.errors import UsageError
from tokenlake.query.run import run

NOON = micros(dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC))


def answer(listed: list[dict[str, Any]], **params: Any) -> list[dict[str, Any]]:
    with a_lake({"requests": listed}) as lake:
        return run(lake, "windows/burn", {"tz": "UTC", **params}).to_pylist()


def priced(minutes: int, counts: tuple[int, int, int, int, int], number: int, **columns: Any) -> dict[str, Any]:
    return request(f"r{number}", instant(NOON + minutes * MINUTE).isoformat(), counts, offset=number, **columns)


# Two finished blocks of 1,000 and 3,000 tokens, and one from 00:00 on: at 00:10, 01:10 and 01:40.
LISTED = [
    priced(0, (0, 0, 0, 0, 1000), 0),
    priced(6 * 60, (0, 0, 0, 0, 3000), 1),
    priced(12 * 60 + 10, (100, 200, 0, 0, 5700), 2),
    priced(13 * 60 + 10, (0, 0, 0, 0, 9000), 3),
    priced(13 * 60 + 40, (0, 0, 0, 0, 3000), 4, model="llama-3-70b-local"),
]


def test_the_active_block_with_every_column() -> None:
    """At 01:50: 18,000 tokens in 90 minutes, 3,000 of them in the last 30; 190 minutes are left."""
    rows = answer(LISTED, now=instant(NOON + 830 * MINUTE))
    cost = Decimal("0.0005") + Decimal("0.005") + Decimal("0.00735")
    assert list(rows[-1].items()) == [
        ("start_ts", instant(NOON + 12 * HOUR)),
        ("end_ts", instant(NOON + 17 * HOUR)),
        ("is_active", True),
        ("worked_min", 90.0),
        ("requests", 3),
        ("total_tokens", 18_000),
        ("io_tokens", 300),
        ("cost", cost),
        ("tokens_per_min", 200.0),
        ("io_tokens_per_min", pytest.approx(300 / 90)),
        ("cost_per_hour", pytest.approx(cost / Decimal("1.5"), abs=Decimal("1e-9"))),
        ("busiest_hour_tokens", 12_000),
        ("recent_tokens_per_min", 100.0),
        ("recent_cost_per_hour", Decimal(0)),
        ("left_min", 190),
        ("projected_tokens", 56_000),
        ("projected_cost", pytest.approx(cost + cost / 90 * 190, abs=Decimal("1e-9"))),
        ("recent_projected_tokens", 37_000),
        ("tokens_per_median", 28.0),
        ("unpriced_requests", 1),
    ]
    # The finished blocks stand beside their own median of 2,000.
    assert [(row["total_tokens"], row["tokens_per_median"]) for row in rows[:2]] == [(1000, 0.5), (3000, 1.5)]
    assert [(row["tokens_per_min"], row["left_min"], row["projected_tokens"]) for row in rows[:2]] == [(None,) * 3] * 2


def test_recent_is_no_longer_than_the_block_is_old() -> None:
    """At 00:20 the block is 20 minutes old: 6,000 tokens in these, 280 minutes left."""
    row = answer(LISTED[:3], now=instant(NOON + 740 * MINUTE), recent=60)[-1]
    assert (row["recent_tokens_per_min"], row["left_min"], row["recent_projected_tokens"]) == (300.0, 280, 90_000)
    row = answer(LISTED[:3], now=instant(NOON + 740 * MINUTE), recent=5)[-1]
    assert (row["recent_tokens_per_min"], row["recent_projected_tokens"]) == (0.0, 6000)


def test_without_an_active_block_nothing_is_projected() -> None:
    rows = answer(LISTED, now=instant(NOON + 40 * HOUR))
    assert [(row["is_active"], row["projected_tokens"], row["recent_tokens_per_min"]) for row in rows] == [
        (False, None, None)
    ] * 3
    assert rows[-1]["tokens_per_median"] == 6.0


def test_dates_choose_blocks_and_filters_choose_requests() -> None:
    listed = [*LISTED, priced(13 * 60, (7, 0, 0, 0, 0), 9, project="/ours", session_id="s9")]
    now = instant(NOON + 40 * HOUR)
    whole = answer(listed, now=now)
    assert answer(listed, now=now, since="2026-03-31T18:00:00", until="2026-03-31T23:00:00") == whole[1:2]
    for name, value in (("project", "ours"), ("session", "s9")):
        (row,) = answer(listed, now=now, **{name: value})
        assert (row["start_ts"], row["requests"], row["total_tokens"]) == (instant(NOON + 12 * HOUR), 1, 7)
    assert answer(listed, now=now, host="server") == []


def test_a_block_is_an_hour_long_or_longer() -> None:
    with pytest.raises(UsageError, match="hours: 0 is less than 1"):
        answer(LISTED, hours=0)


@given(
    steps=st.lists(
        st.one_of(
            st.sampled_from([0, 1000, HOUR, 5 * HOUR - 1000, 5 * HOUR, 5 * HOUR + 1000, 6 * HOUR]),
            st.integers(0, 9 * HOUR // 1000).map(lambda ms: ms * 1000),
        ),
        min_size=1,
        max_size=30,
    ),
    hours=st.sampled_from([5, 5, 1, 24]),
)
def test_blocks_are_those_of_a_plain_loop(steps: list[int], hours: int) -> None:
    times = [NOON + sum(steps[: n + 1]) for n in range(len(steps))]
    entries = [(us, n + 1) for n, us in enumerate(times)]
    expected = [(block.start, len(block.entries), sum(n for _, n in block.entries)) for block in blocks(entries, hours)]
    rows = answer(requests(entries), hours=hours)
    assert [(micros(row["start_ts"]), row["requests"], row["total_tokens"]) for row in rows] == expected


@pytest.mark.parametrize("filters", [{}, {"model": "llama"}, {"session": "s2"}])
def test_blocks_and_burn_tell_the_same_rate_of_what_is_counted(filters: dict[str, str]) -> None:
    """Of s2, 12,000 tokens between minutes 20 and 60; of the block, 16,000 between 0 and 100."""
    listed = [
        priced(0, (0, 0, 0, 0, 1000), 0),
        priced(20, (0, 0, 0, 0, 4000), 1, session_id="s2", model="llama-3-70b-local"),
        priced(60, (0, 0, 0, 0, 8000), 2, session_id="s2", model="llama-3-70b-local"),
        priced(100, (0, 0, 0, 0, 3000), 3),
    ]
    with a_lake({"requests": listed}) as lake:
        (burn,) = run(lake, "windows/burn", {"tz": "UTC", **filters}).to_pylist()
        (block,) = run(lake, "windows/blocks", {"tz": "UTC", "origin": "all", **filters}).to_pylist()
    assert burn["tokens_per_min"] == block["burn_tokens_per_min"] == (12_000 / 40 if filters else 160.0)
