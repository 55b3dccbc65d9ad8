"""Reports that read sums of requests say just what they would say of the requests, to the last digit."""

from __future__ import annotations

import datetime as dt
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.query import lakes

from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot

GROUPINGS = (
    *("none", "day", "week", "month", "hour", "project", "session", "model", "version", "host", "thread"),
    *("context-decile", "turn"),
)
COST_REPORTS = ("daily", "weekly", "monthly", "hour", "project", "session", "model", "version", "host")
TOKENS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
ZONES = ("UTC", "Asia/Taipei", "America/St_Johns", "Asia/Kathmandu", "Pacific/Auckland")
TIMES = (
    # A price changes, a month ends, a clock goes back; and before 1970 quarter hours are rounded down, too.
    *("2026-10-06T23:40:00", "2026-10-31T23:45:00", "2026-11-01T05:50:00", "1969-12-31T23:50:00"),
)
ODD_STEPS = """model,input,output,cache_read,prompt_from
claude-haiku-5-5,0.25,1.25,0.025,0
claude-haiku-5-5,0.75,3.75,0.075,150000
"""

requests = st.lists(
    st.fixed_dictionaries(
        {
            "ts": st.one_of(
                st.none(),
                st.builds(
                    lambda start, seconds: (
                        dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
                    ),
                    st.sampled_from(TIMES),
                    st.sampled_from((0, 1, 299, 300, 301, 899, 900, 1199, 1200, 3600)),
                ),
            ),
            "model": st.sampled_from(("claude-haiku-5-5", "claude-sonnet-4-5-20250929", "claude-opus-4-6", "x", None)),
            "session_id": st.sampled_from(("s1", "s2", None)),
            "project": st.sampled_from(("/home/ada/alpha", "/home/ada/Beta", None)),
            "host": st.sampled_from(("laptop", "server")),
            "version": st.sampled_from(("2.1.119", "1.0.3")),
            "is_sidechain": st.booleans(),
            "input_tokens": st.sampled_from((0, 7)),
            "output_tokens": st.sampled_from((0, 3, 4096)),
            "cache_write_5m_tokens": st.sampled_from((0, 1_000)),
            "cache_write_1h_tokens": st.sampled_from((0, 500)),
            "cache_read_tokens": st.sampled_from((0, 98_500, 99_993, 100_001, 149_000, 150_001, 199_994, 200_001)),
            "web_searches": st.sampled_from((None, 0, 0, 2)),
            "speed": st.sampled_from((None, "standard", "fast")),
            "inference_geo": st.sampled_from((None, "us")),
            "service_tier": st.sampled_from(("standard", "batch")),
            "cost_logged": st.sampled_from((None, None, Decimal("0.000000001"), Decimal("2.5"), Decimal("999999.5"))),
            "output_is_partial": st.booleans(),
        }
    ),
    max_size=30,
)
# What no one made: counts that add up to more than 64 bits, costs and searches that count for none.
absurd = st.dictionaries(
    st.sampled_from(("input_tokens", "output_tokens", "cache_read_tokens", "web_searches", "cost_logged")),
    st.sampled_from((10**9 - 1, 10**9, 2**63 - 1)),
    max_size=2,
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "since": st.sampled_from(("2026-10-07", "2026-10-06T23:45:00Z", "2026-10-06T23:45:01Z", "2026-11-01")),
        "until": st.sampled_from(("2026-10-31", "2026-11-01T05:54:59Z", "2026-11-01T05:55:00Z")),
        "project": st.just("beta"),
        "model": st.just("claude"),
        "session": st.just("s2"),
        "host": st.just("server"),
    },
).filter(lambda given: (given.get("since"), given.get("until")) != ("2026-11-01", "2026-10-31"))  # no time between


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """A report that may read sums, with its own parameters and the common ones."""
    name = draw(st.sampled_from(("cache/overhead", *(f"cost/{report}" for report in COST_REPORTS))))
    own: dict[str, object] = {}
    if name == "cache/overhead":
        own["by"] = draw(st.sampled_from(GROUPINGS))
    elif name != "cost/model":
        own["by_model"] = draw(st.booleans())
    common = {
        "tz": draw(st.sampled_from(ZONES)),
        "cost_mode": draw(st.sampled_from(("calculate", "auto", "display"))),
    }
    return name, {**own, **common, **draw(filters)}


def publish(folder: Path, rows: list[dict[str, Any]], odd: dict[str, int]) -> Snapshot:
    """A lake with a requests file a month, and their sums; `odd` takes the place of counts of the first request."""
    made: dict[str, list[dict[str, Any]]] = {}
    for number, row in enumerate(rows):
        whole = {**row, **(odd if number == 0 else {})}
        if whole["cost_logged"] is not None:
            whole["cost_logged"] = Decimal(min(whole["cost_logged"], 10**9 - 1))
        request = lakes.request(f"r{number}", "2026-10-01", tuple(whole[name] for name in TOKENS))
        request["context_tokens"] = min(request["context_tokens"], 2**63 - 1)
        month = f"{row['ts']:%Y-%m}" if row["ts"] else "unknown"
        made.setdefault(month, []).append({**request, **whole, "last_ts": row["ts"], "offset": number})
    names = [lakes.write_table(folder, "requests", part, f"month={month}/a") for month, part in made.items()]
    files = {"requests": tuple(names), "request_sums": tuple(lakes.write_sums(folder, name) for name in names)}
    return Snapshot(folder, 1, files)


def without_sums(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, files={"requests": snapshot.files["requests"]})


@settings(max_examples=25)
@given(
    rows=requests,
    odd=absurd | st.just({}),
    asked=st.lists(questions(), min_size=3, max_size=3),
    prices=st.sampled_from(("", ODD_STEPS)),
)
def test_every_figure_is_the_same_with_and_without_sums(
    rows: list[dict[str, Any]], odd: dict[str, int], asked: list[tuple[str, dict[str, object]]], prices: str
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        own = Path(folder) / "prices.csv"
        own.write_text(prices)
        patch.setenv("TOKENLAKE_PRICES", str(own))
        lake = publish(Path(folder) / "lake", rows, odd)
        for name, params in asked:
            summed, single = run(lake, name, params), run(without_sums(lake), name, params)
            assert summed.to_pylist() == single.to_pylist()
            assert summed.types == single.types
            assert summed.meta == single.meta


# --- which rows stand for the requests ------------------------------------------------------------------------------


@pytest.fixture
def lake(tmp_path: Path) -> Snapshot:
    """Two months with a session each, of three and of two requests in a quarter hour."""
    counts = (1, 2, 0, 0, 120_000)
    may = [lakes.request(f"m{n}", f"2026-05-10T10:0{n}:00", counts, cache_read_tokens=120_000 + n) for n in range(3)]
    june = [lakes.request(f"j{n}", f"2026-06-10T10:0{n}:00", counts) for n in range(2)]
    for request in may:
        request["context_tokens"] = request["input_tokens"] + request["cache_read_tokens"]
    return publish_months(tmp_path, {"2026-05": may, "2026-06": june})


def publish_months(root: Path, months: dict[str, list[dict[str, Any]]]) -> Snapshot:
    names = [lakes.write_table(root, "requests", rows, f"month={month}/a") for month, rows in months.items()]
    return Snapshot(
        root, 1, {"requests": tuple(names), "request_sums": tuple(lakes.write_sums(root, name) for name in names)}
    )


def rows_of(lake: Snapshot, **params: object) -> list[int]:
    """How many requests each row stands for that reports of totals read, by time."""
    found = sql(lake, "select requests from selected_cost_sums order by first_ts", params).to_pylist()
    return [row["requests"] for row in found]


def test_a_row_for_requests_that_are_alike(lake: Snapshot) -> None:
    assert rows_of(lake) == [3, 2]
    assert rows_of(without_sums(lake)) == [1, 1, 1, 1, 1]


def test_other_dedup_modes_read_the_rows_as_logged(lake: Snapshot) -> None:
    assert rows_of(lake, dedup="none") == []  # there are none in this lake


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"since": "2026-05-10T10:00:00Z"}, [3, 2]),
        ({"since": "2026-05-10T10:00:30Z"}, [1, 1, 2]),  # of the file that it divides, the requests
        ({"since": "2026-05-10T10:02:00Z"}, [1, 2]),
        ({"since": "2026-05-10T10:02:01Z"}, [2]),
        ({"until": "2026-06-10T10:01:00Z"}, [3, 2]),
        ({"until": "2026-06-10T10:00:00Z"}, [3, 1]),
        ({"since": "2026-06-01", "until": "2026-06-30"}, [2]),
    ],
)
def test_dates_that_fall_between_requests_of_a_row(
    lake: Snapshot, filters: dict[str, object], expected: list[int]
) -> None:
    assert rows_of(lake, tz="UTC", **filters) == expected


def test_a_price_that_begins_between_the_contexts_of_a_row(
    lake: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.csv"
    monkeypatch.setenv("TOKENLAKE_PRICES", str(own))
    # The contexts of May are 120,001 to 120,003, of this model.
    logged = "claude-opus-4-5-20251101"
    for model, step, expected in (
        (logged, 120_001, [3, 2]),
        (logged, 120_002, [1, 1, 1, 2]),
        (logged, 120_004, [3, 2]),
        ("another", 120_002, [3, 2]),
    ):
        own.write_text(f"model,input,output,prompt_from\n{model},1,2,0\n{model},2,4,{step}\n")
        assert rows_of(lake) == expected


def test_counts_too_large_to_be_summed(tmp_path: Path) -> None:
    """Of that file, the requests; and their sum is exact."""
    huge = lakes.request("h", "2026-05-10T10:00:00", (2**63 - 1, 0, 0, 0, 0), context_tokens=2**63 - 1)
    months = {
        "2026-05": [huge, {**huge, "key": "i"}, lakes.request("m", "2026-05-10T10:01:00", (1, 1, 0, 0, 0))],
        "2026-06": [lakes.request(f"j{n}", f"2026-06-10T10:0{n}:00", (1, 1, 0, 0, 0)) for n in range(2)],
    }
    lake = publish_months(tmp_path, months)
    assert rows_of(lake) == [1, 1, 1, 2]
    (row,) = run(lake, "cache/overhead", {"tz": "UTC"}).to_pylist()
    assert (row["input_tokens"], row["unpriced_tokens"]) == (2**64 + 1, 2**64 - 2)
    assert (row["requests"], row["unpriced_requests"], row["output_tokens"]) == (5, 2, 3)


def test_a_requests_file_without_sums_and_sums_without_requests(lake: Snapshot) -> None:
    """No ingest leaves a lake so; what counts are the requests."""
    may, june = lake.files["requests"]
    assert rows_of(replace(lake, files={**lake.files, "request_sums": lake.files["request_sums"][1:]})) == [1, 1, 1, 2]
    assert rows_of(replace(lake, files={**lake.files, "requests": (june,)})) == [2]
    assert rows_of(replace(lake, files={**lake.files, "requests": (may,)})) == [3]
