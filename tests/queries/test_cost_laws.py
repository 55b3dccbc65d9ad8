"""Laws of the cost reports: they equal the sums of what each request costs by itself, whatever the requests are."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.query import lakes

from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot

COSTS = ("cost_input", "cost_output", "cost_cache_write", "cost_cache_read", "cost_web_search", "cost_api", "cost")
TOKENS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
ZONES = ("UTC", "America/St_Johns", "Asia/Kathmandu", "Pacific/Auckland")

# Models with bands, with prices that change, of families that move, of other makers, and without a price; contexts on
# both sides of every band; and what no price is for: a billion tokens of output or context, a million searches.
requests = st.lists(
    st.fixed_dictionaries(
        {
            "ts": st.datetimes(dt.datetime(2025, 8, 10), dt.datetime(2026, 11, 20)),
            "model": st.sampled_from(
                [
                    *(
                        "claude-sonnet-4-20250514",
                        "claude-sonnet-4-5-20250929",
                        "claude-haiku-5-5",
                        "claude-sonnet-5-5",
                    ),
                    *("claude-opus-4-6", "opus", "gpt-4o", "gemini-2.5-pro", "in-house-7b", None),
                ]
            ),
            "input_tokens": st.sampled_from([0, 7, 99_999, 100_001, 200_000, 200_001, 300_000, 10**9 - 1, 10**9]),
            "output_tokens": st.sampled_from([0, 3, 4096, 10**9 - 1, 10**9]),
            "cache_write_5m_tokens": st.sampled_from([0, 1, 1_000]),
            "cache_write_1h_tokens": st.sampled_from([0, 1, 1_000]),
            "cache_read_tokens": st.sampled_from([0, 1, 99_000]),
            "web_searches": st.sampled_from([None, 0, 2, 10**6]),
            "speed": st.sampled_from([None, "standard", "fast"]),
            "inference_geo": st.sampled_from([None, "us"]),
            "service_tier": st.sampled_from([None, "batch"]),
            "cost_logged": st.sampled_from([None, Decimal("0.000000001"), Decimal("1.5"), Decimal("-1")]),
            "output_is_partial": st.booleans(),
        }
    ),
    max_size=40,
)


def lake_of(rows: list[dict[str, Any]], folder: Path) -> Snapshot:
    made = []
    for number, row in enumerate(rows):
        ts = row["ts"].replace(tzinfo=dt.UTC)
        request = lakes.request(f"r{number}", ts.isoformat(), tuple(row[name] for name in TOKENS))
        made.append({**request, **row, "ts": ts})
    return lakes.publish(folder / "lake", {"requests": made})


def added(rows: list[dict[str, Any]], name: str) -> Decimal | None:
    """The sum of what is not null, null where nothing is."""
    values = [row[name] for row in rows if row[name] is not None]
    return sum(values, Decimal(0)) if values else None


@pytest.mark.parametrize("cost_mode", ["calculate", "auto", "display"])
@given(rows=requests, tz=st.sampled_from(ZONES))
def test_days_equal_the_sums_of_their_requests(cost_mode: str, rows: list[dict[str, Any]], tz: str) -> None:
    with TemporaryDirectory() as folder:
        lake = lake_of(rows, Path(folder))
        single = sql(lake, "select * from selected_costs", {"cost_mode": cost_mode}).to_pylist()
        report = run(lake, "cost/daily", {"tz": tz, "cost_mode": cost_mode, "by_model": True})
        found = report.to_pylist()
    groups: dict[tuple[dt.date, str], list[dict[str, Any]]] = defaultdict(list)
    for row in single:
        groups[row["ts"].astimezone(ZoneInfo(tz)).date(), row["model"] or "(none)"].append(row)
    assert {(row["day"], row["model"]) for row in found} == groups.keys()
    assert len(found) == len(groups)
    for row in found:
        group = groups[row["day"], row["model"]]
        unpriced = [each for each in group if not each["is_priced"]]
        assert row["requests"] == len(group)
        assert [row[name] for name in TOKENS] == [sum(each[name] for each in group) for name in TOKENS]
        assert [row[name] for name in COSTS] == [added(group, name) for name in COSTS]
        assert row["unpriced_requests"] == len(unpriced)
        assert row["unpriced_tokens"] == sum(each["context_tokens"] + each["output_tokens"] for each in unpriced)
        assert row["partial_output_share"] == sum(each["output_is_partial"] for each in group) / len(group)
    # What stands below the report is taken from the same sums.
    assert sum(item.requests for item in report.meta.unpriced) == sum(not row["is_priced"] for row in single)
    partial = sum(row["output_is_partial"] for row in single)
    assert report.meta.partial_share == (partial / len(single) if single else None)


@given(rows=requests, tz=st.sampled_from(ZONES))
def test_all_cost_reports_have_one_total(rows: list[dict[str, Any]], tz: str) -> None:
    names = ("daily", "weekly", "monthly", "hour", "project", "session", "model", "version", "host")
    with TemporaryDirectory() as folder:
        lake = lake_of(rows, Path(folder))
        reports = {name: run(lake, f"cost/{name}", {"tz": tz}).to_pylist() for name in names}
    totals = {
        name: (
            sum(row["requests"] for row in report),
            sum(row["total_tokens"] for row in report),
            sum(row["unpriced_tokens"] for row in report),
            *(added(report, column) for column in COSTS),
        )
        for name, report in reports.items()
    }
    assert set(totals.values()) == {totals["daily"]}
    assert totals["daily"][0] == len(rows)
