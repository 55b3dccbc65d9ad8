"""cache/overhead sums tokens before it prices them: the dollars equal those of every request priced by itself."""

from __future__ import annotations

import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.query import lakes

from tokenlake.lake import Lake
from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot

NAMES = {
    "none": "'all'",
    "day": "strftime(ts at time zone 'UTC', '%Y-%m-%d')",
    "hour": "strftime(ts at time zone 'UTC', '%Y-%m-%d %H:00')",
    "session": "session_id",
    "model": "model",
    "thread": "case when is_sidechain then 'subagent' else 'main' end",
}

# Days on which prices change, contexts at which they do; bare names of families change with every release.
MODELS = ("claude-opus-4-6", "claude-sonnet-4-5", "claude-sonnet-5-5", "claude-haiku-5-5", "opus", "sonnet", "nobody's")
DAYS = ("2025-08-05", "2025-11-24", "2026-02-05", "2026-03-13", "2026-04-16", "2026-10-07", "2026-11-01")
CONTEXTS = (0, 10, 100_000, 100_001, 200_000, 200_001, 900_000, 999_999_999, 1_000_000_000)


def check(lake: Snapshot, by: str, cost_mode: str = "calculate") -> None:
    """Every group's dollars, saved dollars and unpriced counts, against sums over the view costs."""
    expected = {
        row["by"]: row
        for row in sql(
            lake,
            f"""
            select
                {NAMES[by]} as "by",
                sum(cost_api)::decimal(38, 12) as cost_api,
                sum(cost_cache_write)::decimal(38, 12) as cost_cache_write,
                sum(cost_cache_read)::decimal(38, 12) as cost_cache_read,
                sum(cost)::decimal(38, 12) as cost,
                (sum(case when is_calculated then context_tokens * input_price_pico + output_pico + web_search_pico end)
                    ::decimal(25, 0) * 0.000000000001)::decimal(38, 12) as no_cache_cost,
                count(*) filter (not is_priced) as unpriced_requests,
                coalesce(sum(context_tokens + output_tokens) filter (not is_priced), 0)::bigint as unpriced_tokens
            from costs
            group by 1
            """,
            {"cost_mode": cost_mode},
        ).to_pylist()
    }
    found = {
        row["by"]: row
        for row in run(lake, "cache/overhead", {"by": by, "tz": "UTC", "cost_mode": cost_mode}).to_pylist()
    }
    assert {name: {column: row[column] for column in expected[name]} for name, row in found.items()} == expected


def requests() -> st.SearchStrategy[list[dict[str, Any]]]:
    """A few requests near every edge of the prices."""
    moment = st.builds(
        lambda day, seconds: dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC) + dt.timedelta(seconds=seconds),
        st.sampled_from(DAYS),
        st.sampled_from((-1, 0, 43_200, 86_399, 86_400)),
    )
    columns = st.fixed_dictionaries(
        {
            "model": st.sampled_from(MODELS),
            "speed": st.sampled_from((None, "standard", "fast")),
            "inference_geo": st.sampled_from((None, "us")),
            "service_tier": st.sampled_from(("standard", "batch")),
            "web_searches": st.sampled_from((None, 0, 3)),
            "cost_logged": st.sampled_from((None, Decimal("0.25"))),
            "session_id": st.sampled_from(("s1", "s2")),
            "is_sidechain": st.booleans(),
        }
    )
    request = st.builds(
        lambda ts, context, w5, w1, output, more: lakes.request(
            "", ts.isoformat(), _split(context, w5, w1, output), **more
        ),
        moment,
        st.sampled_from(CONTEXTS),
        st.integers(0, 100),
        st.integers(0, 100),
        st.sampled_from((0, 7, 999_999_999, 1_000_000_000)),
        columns,
    )
    return st.lists(request, max_size=12)


def _split(context: int, w5: int, w1: int, output: int) -> tuple[int, int, int, int, int]:
    """Counts that add up to the context: percentages of it written, most of the rest read."""
    written_5m, written_1h = context * w5 // 200, context * w1 // 200
    read = (context - written_5m - written_1h) * 9 // 10
    return context - written_5m - written_1h - read, output, written_5m, written_1h, read


@given(rows=requests(), by=st.sampled_from(sorted(NAMES)), cost_mode=st.sampled_from(("calculate", "auto", "display")))
def test_tokens_summed_and_priced_are_requests_priced_and_summed(
    rows: list[dict[str, Any]], by: str, cost_mode: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        numbered = [row | {"key": f"r{n}", "offset": n} for n, row in enumerate(rows)]
        check(lakes.publish(Path(folder) / "lake", {"requests": numbered}), by, cost_mode)


@pytest.mark.parametrize("models", [MODELS, MODELS[:3], ("opus",), ("sonnet",), ("claude-sonnet-5-5",), ("nobody's",)])
def test_every_step_of_every_price(models: tuple[str, ...], tmp_path: Path) -> None:
    """Before, at and after each day, below and at each context; with few models the steps are others."""
    rows = [
        lakes.request(
            f"{model} {day} {seconds} {context}",
            (dt.datetime.fromisoformat(day) + dt.timedelta(seconds=seconds)).isoformat(),
            _split(context, 10, 10, 100),
            model=model,
            session_id=f"{model} {day} {seconds} {context}",
        )
        for model in models
        for day in (*DAYS, "2025-06-01", "2025-09-29", "2026-02-17", "2026-05-28", "2026-06-30", "2026-07-23")
        for seconds in (-1, 0)
        for context in CONTEXTS[:7]
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    for by in ("none", "session", "model"):
        check(lake, by)


@pytest.mark.parametrize("by", sorted(NAMES))
def test_real_logs_cost_the_same_either_way(real_lake: Snapshot, by: str) -> None:
    check(real_lake, by)


@pytest.fixture(scope="module")
def real_lake(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lake = Lake(tmp_path_factory.mktemp("real") / "lake")
    lake.refresh([real_logs])
    return lake.snapshot()
