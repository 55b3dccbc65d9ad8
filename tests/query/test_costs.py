"""The view `costs` against cases worked out by hand, one for each rule of price, and against other programs."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.query import lakes

from tokenlake.errors import UsageError
from tokenlake.lake import Lake
from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot

PARTS = ("cost_input", "cost_output", "cost_cache_write", "cost_cache_read", "cost_web_search")
MILLION = 1_000_000


def lake_of(root: Path, *requests: dict[str, Any]) -> Snapshot:
    return lakes.publish(root / "lake", {"requests": requests})


def costs(lake: Snapshot, **params: Any) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in sql(lake, "select * from selected_costs order by key", params).to_pylist()}


def cost(root: Path, counts: tuple[int, int, int, int, int], ts: str = "2026-05-04T12:00:00", **columns: Any) -> Any:
    """What one request costs."""
    return costs(lake_of(root, lakes.request("r", ts, counts, **columns)))["r"]["cost"]


@pytest.mark.parametrize(
    ("kind", "dollars"),
    [(0, "5"), (1, "25"), (2, "6.25"), (3, "10"), (4, "0.5")],
)
def test_each_kind_of_token_has_its_price(tmp_path: Path, kind: int, dollars: str) -> None:
    """Rule 19, Opus 4.5: input 5, output 25, writes 6.25 and 10, reads 0.50 dollars per million."""
    counts = tuple(MILLION if number == kind else 0 for number in range(5))
    assert cost(tmp_path, counts, model="claude-opus-4-5") == Decimal(dollars)  # type: ignore[arg-type]


def test_the_columns_of_a_request(tmp_path: Path) -> None:
    """Rule 24: 100 x 5 and 200 x 25, 1,000 x 6.25 + 2,000 x 10, 40,000 x 0.50 microdollars; 3 searches at 1 cent."""
    lake = lake_of(
        tmp_path,
        lakes.request(
            "r", "2026-05-04T12:00:00", (100, 200, 1000, 2000, 40_000), model="claude-opus-4-5", web_searches=3
        ),
    )
    row = costs(lake)["r"]
    assert [row[name] for name in PARTS] == [
        Decimal("0.0005"), Decimal("0.005"), Decimal("0.02625"), Decimal("0.02"), Decimal("0.03"),
    ]  # fmt: skip
    assert row["cost_api"] == Decimal("0.0055")
    assert row["cost"] == Decimal("0.08175") == sum(row[name] for name in PARTS)
    assert (row["is_priced"], row["price_model"]) == (True, "claude-opus-4-5")
    prices = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
    assert [row[f"{name}_price_pico"] for name in prices] == [5_000_000, 25_000_000, 6_250_000, 10_000_000, 500_000]
    assert row["cost_pico"] == 81_750_000_000


def test_costs_are_exact(tmp_path: Path) -> None:
    """Rule 23: three times a read of one token at 0.01 dollars per million are 0.00000003, with nothing after it."""
    lake = lake_of(
        tmp_path,
        *(lakes.request(f"r{n}", "2026-11-01", (0, 0, 0, 0, 1), model="claude-haiku-5-5") for n in range(3)),
    )
    result = sql(lake, "select sum(cost) as cost, sum(cost_pico) as pico, any_value(cost) as one from costs")
    assert list(map(str, result.types))[::2] == ["DECIMAL(38,12)", "DECIMAL(38,12)"]
    assert result.to_pylist() == [{"cost": Decimal("0.00000003"), "pico": 30_000, "one": Decimal("0.00000001")}]


@pytest.mark.parametrize(
    ("model", "ts", "limit", "below", "above"),
    [
        # 100,000 x 0.01 and 100,001 x 0.05 microdollars: the whole request pays the price of its band.
        ("claude-haiku-5-5", "2026-11-01", 100_000, "0.001", "0.00500005"),
        ("claude-sonnet-4-5-20250929", "2026-01-01", 200_000, "0.06", "0.1200006"),
        ("claude-opus-4-6", "2026-03-12T23:59:59.999", 200_000, "0.1", "0.200001"),
        ("claude-opus-4-6", "2026-03-13T00:00:00", 200_000, "0.1", "0.1000005"),
        ("claude-sonnet-4-20250514", "2025-08-12T00:00:00", 200_000, "0.06", "0.1200006"),
        ("claude-sonnet-4-20250514", "2025-08-11T23:59:59.999", 200_000, "0.06", "0.0600003"),
    ],
)
def test_the_band_is_that_of_the_whole_context(
    tmp_path: Path, model: str, ts: str, limit: int, below: str, above: str
) -> None:
    """Rule 19: at the limit the lower price still holds, one token above it the higher one, for all tokens."""
    lake = lake_of(
        tmp_path,
        lakes.request("at", ts, (0, 0, 0, 0, limit), model=model),
        lakes.request("beyond", ts, (0, 0, 0, 0, limit + 1), model=model),
    )
    found = costs(lake)
    assert (found["at"]["cost"], found["beyond"]["cost"]) == (Decimal(below), Decimal(above))


def test_the_band_counts_every_kind_of_context_and_no_output(tmp_path: Path) -> None:
    """25,000 of each kind are 100,000; output, however much, is no context. 1 M output at 0.50, then at 2.50."""
    model = "claude-haiku-5-5"
    lake = lake_of(
        tmp_path,
        lakes.request("at", "2026-11-01", (25_000, MILLION, 25_000, 25_000, 25_000), model=model),
        lakes.request("beyond", "2026-11-01", (25_001, MILLION, 25_000, 25_000, 25_000), model=model),
    )
    found = costs(lake)
    assert (found["at"]["cost_output"], found["beyond"]["cost_output"]) == (Decimal("0.5"), Decimal("2.5"))


@pytest.mark.parametrize(
    ("ts", "dollars"),
    [
        ("2026-10-06T23:59:59.999999", "0.2"),
        ("2026-10-07T00:00:00", "0.1"),
        # The day is the UTC one, whatever zone the timestamp was written in.
        ("2026-10-07T01:00:00+02:00", "0.2"),
        ("2026-10-06T20:00:00-04:00", "0.1"),
    ],
)
def test_the_price_is_that_of_the_day(tmp_path: Path, ts: str, dollars: str) -> None:
    """Rule 22: reads of Sonnet 5.5 cost 0.20 until 2026-10-06 and 0.10 from the 7th."""
    assert cost(tmp_path, (0, 0, 0, 0, MILLION), ts, model="claude-sonnet-5-5") == Decimal(dollars)


@pytest.mark.parametrize(
    ("columns", "factor"),
    [
        ({}, "1"),
        ({"speed": "standard", "inference_geo": "global", "service_tier": "standard"}, "1"),
        ({"speed": "fast"}, "6"),
        ({"inference_geo": "us"}, "1.1"),
        ({"inference_geo": "not_available"}, "1"),
        ({"service_tier": "batch"}, "0.5"),
        ({"service_tier": "priority"}, "1"),
        ({"speed": "fast", "inference_geo": "us"}, "6.6"),
        ({"inference_geo": "us", "service_tier": "batch"}, "0.55"),
        ({"speed": "fast", "inference_geo": "us", "service_tier": "batch"}, "3.3"),
    ],
)
def test_factors_multiply_tokens_and_not_searches(tmp_path: Path, columns: dict[str, str], factor: str) -> None:
    """Rule 20, Opus 4.6: 0.01 x 5 + 0.02 x 25 + 0.03 x 6.25 + 0.04 x 10 + 0.05 x 0.5 = 1.1625 dollars."""
    lake = lake_of(
        tmp_path,
        lakes.request(
            "r", "2026-05-04", (10_000, 20_000, 30_000, 40_000, 50_000),
            model="claude-opus-4-6", web_searches=1, **columns,
        ),
    )  # fmt: skip
    row = costs(lake)["r"]
    assert row["cost"] - row["cost_web_search"] == Decimal("1.1625") * Decimal(factor)
    assert row["cost_web_search"] == Decimal("0.01")


@pytest.mark.parametrize(
    ("model", "factor"),
    [
        ("claude-opus-4-6", 6),
        ("claude-opus-4-7", 6),
        ("claude-opus-4-8", 2),
        ("claude-opus-5", 2),
        ("claude-opus-5-5", 2),
        ("claude-fable-5-2", 2),
    ],
)
def test_the_factor_of_fast_mode(tmp_path: Path, model: str, factor: int) -> None:
    lake = lake_of(
        tmp_path,
        lakes.request("slow", "2026-11-01", (1000, 100, 0, 0, 0), model=model, speed="standard"),
        lakes.request("fast", "2026-11-01", (1000, 100, 0, 0, 0), model=model, speed="fast"),
    )
    found = costs(lake)
    assert found["fast"]["cost"] == factor * found["slow"]["cost"] > 0


def test_fast_mode_without_a_known_factor_is_unpriced(tmp_path: Path) -> None:
    """Rule 21: the standard price would be a guess."""
    assert cost(tmp_path, (1, 1, 1, 1, 1), model="claude-sonnet-4-6", speed="fast") is None


@pytest.mark.parametrize("model", ["no-such-model", "claude", "opus-99", "", "<synthetic>", None, "claude-opus-4-55"])
def test_an_unknown_model_is_unpriced(tmp_path: Path, model: str | None) -> None:
    """Rule 21: null in every column of cost, never 0."""
    lake = lake_of(tmp_path, lakes.request("r", "2026-05-04", (1, 1, 1, 1, 1), model=model))
    row = costs(lake)["r"]
    assert [row[name] for name in (*PARTS, "cost_api", "cost", "price_model", "cost_pico")] == [None] * 9
    assert row["is_priced"] is False


def test_searches_without_a_price_make_a_request_unpriced(tmp_path: Path) -> None:
    """The package gives Claude 3 Haiku no price of searches; without any, none is needed."""
    model = "claude-3-haiku-20240307"
    assert cost(tmp_path / "a", (MILLION, 0, 0, 0, 0), model=model) == Decimal("0.25")
    assert cost(tmp_path / "b", (MILLION, 0, 0, 0, 0), model=model, web_searches=1) is None
    assert cost(tmp_path / "c", (MILLION, 0, 0, 0, 0), model=model, web_searches=None) == Decimal("0.25")


def test_models_of_other_makers_have_prices_under_their_exact_name(tmp_path: Path) -> None:
    """A kind of token without a price of its own is input: `gpt-5` has no price for writes, 1.25 a million."""
    lake = lake_of(
        tmp_path,
        lakes.request("exact", "2026-05-04", (0, 0, MILLION, MILLION, 0), model="gpt-5"),
        lakes.request("other", "2026-05-04", (0, 0, MILLION, MILLION, 0), model="GPT-5[1m]"),
    )
    found = costs(lake)
    assert (found["exact"]["cost"], found["other"]["cost"]) == (Decimal("2.5"), None)


@pytest.mark.parametrize(
    "columns",
    [
        {"output_tokens": 9_000_000_000_000_000_000},
        {"cache_read_tokens": 9_000_000_000_000_000_000, "context_tokens": 9_000_000_000_000_000_000},
        {"web_searches": 9_000_000_000_000_000_000},
    ],
)
def test_absurd_counts_are_unpriced_and_break_no_report(tmp_path: Path, columns: dict[str, int]) -> None:
    lake = lake_of(
        tmp_path,
        lakes.request("sane", "2026-05-04", (MILLION, 0, 0, 0, 0), model="claude-opus-4-5"),
        {**lakes.request("absurd", "2026-05-04", (0, 0, 0, 0, 0), model="claude-opus-4-5"), **columns},
    )
    result = sql(lake, "select sum(cost) as cost, count(*) filter (not is_priced) as unpriced from selected_costs")
    assert result.to_pylist() == [{"cost": Decimal(5), "unpriced": 1}]
    assert [(found.model, found.requests) for found in result.meta.unpriced] == [("claude-opus-4-5", 1)]


def test_a_request_without_a_time_has_the_first_price(tmp_path: Path) -> None:
    request = {**lakes.request("r", "2026-05-04", (0, 0, 0, 0, MILLION), model="claude-sonnet-5-5"), "ts": None}
    assert costs(lake_of(tmp_path, request))["r"]["cost"] == Decimal("0.2")


def test_cost_modes(tmp_path: Path) -> None:
    """Rule 24: the log's figure in `auto` where there is one, alone in `display`; its parts are not known."""
    logged = {"model": "claude-opus-4-5", "cost_logged": Decimal("0.123456789")}
    lake = lake_of(
        tmp_path,
        lakes.request("logged", "2026-05-04", (MILLION, 0, 0, 0, 0), **logged),
        lakes.request("plain", "2026-05-04", (MILLION, 0, 0, 0, 0), model="claude-opus-4-5"),
        lakes.request("unknown", "2026-05-04", (1, 0, 0, 0, 0), model="x", cost_logged=Decimal("0.5")),
        lakes.request("odd", "2026-05-04", (MILLION, 0, 0, 0, 0), **{**logged, "cost_logged": Decimal(-1)}),
    )
    found = {mode: costs(lake, cost_mode=mode) for mode in ("calculate", "auto", "display")}
    five = Decimal(5)
    assert {mode: {key: row["cost"] for key, row in rows.items()} for mode, rows in found.items()} == {
        "calculate": {"logged": five, "plain": five, "unknown": None, "odd": five},
        "auto": {"logged": Decimal("0.123456789"), "plain": five, "unknown": Decimal("0.5"), "odd": five},
        "display": {"logged": Decimal("0.123456789"), "plain": None, "unknown": Decimal("0.5"), "odd": None},
    }
    for mode, row in ((mode, row) for mode, rows in found.items() for row in rows.values()):
        is_logged = mode != "calculate" and row["key"] in ("logged", "unknown")
        assert row["is_priced"] == (row["cost"] is not None)
        assert (row["cost_api"] is None) == (is_logged or row["cost"] is None)
        assert (row["cost_input"] is None) == (row["cost_api"] is None)
    assert found["display"]["logged"]["input_price_pico"] == 5_000_000


def test_an_unknown_cost_mode_is_refused(lake: Snapshot) -> None:
    with pytest.raises(UsageError, match="cost_mode: 'guess' is none of calculate, auto, display"):
        run(lake, "cost/daily", {"cost_mode": "guess"})


def test_filters_and_dedup_reach_costs(tmp_path: Path) -> None:
    """The larger row of m1 has 20 output tokens, the first one 10; at 25 dollars per million."""
    columns = {"file_id": 1, "model": "claude-opus-4-5"}
    rows = [
        lakes.usage_row("m1", "2026-05-04T12:00:00", (0, 10, 0, 0, 0), 0, model="claude-opus-4-5"),
        lakes.usage_row("m1", "2026-05-04T12:00:01", (0, 20, 0, 0, 0), 9, model="claude-opus-4-5"),
    ]
    lake = lakes.publish(
        tmp_path / "lake",
        {
            "requests": [
                lakes.request("m1", "2026-05-04T12:00:00", (0, 20, 0, 0, 0), **columns),
                lakes.request("m2", "2026-05-05T12:00:00", (0, 40, 0, 0, 0), host="server", **columns),
            ],
            "usage_rows": rows,
            "files": [lakes.transcript(1, "/logs/a.jsonl")],
        },
    )
    assert {key: row["cost"] for key, row in costs(lake).items()} == {"m1": Decimal("0.0005"), "m2": Decimal("0.001")}
    assert {key: row["cost"] for key, row in costs(lake, dedup="first").items()} == {"m1": Decimal("0.00025")}
    assert set(costs(lake, host="server")) == {"m2"}
    assert set(costs(lake, until="2026-05-04")) == {"m1"}
    assert set(costs(lake, model="sonnet")) == set()


def test_a_report_names_its_prices_and_what_they_do_not_cover(tmp_path: Path) -> None:
    lake = lake_of(
        tmp_path,
        lakes.request("a", "2026-05-04", (1, 1, 0, 0, 0), model="claude-opus-4-5"),
        lakes.request("b", "2026-05-04", (10, 1, 0, 0, 0), model="mystery"),
        lakes.request("c", "2026-05-04", (10, 1, 0, 0, 0), model="mystery"),
        lakes.request("d", "2026-05-04", (5, 6, 0, 0, 0), model=None),
        lakes.request("e", "2026-05-04", (50, 50, 0, 0, 0), model="claude-sonnet-4-6", speed="fast"),
        lakes.request("f", "2026-05-04", (0, 0, 0, 0, 0), model="<synthetic>"),
    )
    meta = run(lake, "cost/daily", {"tz": "UTC"}).meta
    assert meta.cost_mode == "calculate"
    assert meta.prices[0].startswith("genai-prices 0.")
    assert [(found.model, found.requests, found.tokens) for found in meta.unpriced] == [
        ("claude-sonnet-4-6", 1, 100),
        ("mystery", 2, 22),
        (None, 1, 11),
    ]
    assert run(lake, "cost/daily", {"tz": "UTC", "model": "opus"}).meta.unpriced == ()
    displayed = run(lake, "cost/daily", {"tz": "UTC", "cost_mode": "display"}).meta
    assert (displayed.prices, sum(found.requests for found in displayed.unpriced)) == ((), 5)
    idle = run(lake, "lake/days", {"tz": "UTC"}).meta
    assert (idle.prices, idle.unpriced, idle.cost_mode) == ((), (), None)


@pytest.fixture(scope="module")
def as_the_package_has_it() -> Any:
    genai_prices = pytest.importorskip("genai_prices")

    def calculate(request: dict[str, Any]) -> Decimal:
        usage = genai_prices.Usage(
            input_tokens=request["context_tokens"],
            output_tokens=request["output_tokens"],
            cache_read_tokens=request["cache_read_tokens"],
            cache_write_tokens=request["cache_write_5m_tokens"] + request["cache_write_1h_tokens"],
            cache_write_1h_tokens=request["cache_write_1h_tokens"],
            web_searches=request["web_searches"],
        )
        found = genai_prices.calc_price(
            usage, request["model"], provider_id="anthropic", genai_request_timestamp=request["ts"]
        )
        return Decimal(found.total_price)

    return calculate


small = st.integers(0, 150_000)


@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(["claude-opus-4-1-20250805", "claude-opus-4-6", "claude-sonnet-4-5", "claude-haiku-5-5",
                             "claude-sonnet-4-6", "claude-opus-5-5", "claude-fable-5-1"]),
            st.datetimes(dt.datetime(2026, 3, 11), dt.datetime(2026, 3, 15)),
            st.tuples(small, small, small, small, small),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_costs_equal_those_that_the_package_calculates(
    as_the_package_has_it: Any, tmp_path_factory: pytest.TempPathFactory, requests: list[Any]
) -> None:
    """Bands, days and every kind of token, to the last digit."""
    rows = [
        lakes.request(f"r{n:02}", ts.isoformat(), counts, model=model, web_searches=searches)
        for n, (model, ts, counts, searches) in enumerate(requests)
    ]
    found = costs(lake_of(tmp_path_factory.mktemp("law"), *rows))
    assert [found[row["key"]]["cost"] for row in rows] == [as_the_package_has_it(row) for row in rows]


@pytest.fixture(scope="module")
def real_lake(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lake = Lake(tmp_path_factory.mktemp("real") / "lake")
    lake.refresh([real_logs])
    return lake.snapshot()


def test_costs_on_real_logs_equal_ccusage_where_both_agree(real_lake: Snapshot, real_logs: Path) -> None:
    """Day by day and model by model; Sonnet 4 above 200,000 tokens is priced by the margin there."""
    program = os.environ.get("CCUSAGE_BIN") or shutil.which("ccusage")
    if not program:
        pytest.skip("ccusage is neither named by CCUSAGE_BIN nor on the PATH")
    command = [program, "claude", "daily", "--json", "--offline", "--breakdown", "-m", "calculate", "-z", "UTC"]
    environment = {**os.environ, "CLAUDE_CONFIG_DIR": str(real_logs), "TZ": "UTC"}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    theirs = {
        (day["date"], model["modelName"]): model["cost"]
        for day in json.loads(output)["daily"]
        for model in day["modelBreakdowns"]
    }
    text = (
        "select strftime(ts at time zone 'UTC', '%Y-%m-%d') as day, model, sum(cost) as cost, "
        "bool_or(context_tokens > 200000 and starts_with(model, 'claude-sonnet-4-2')) as differs "
        "from costs group by day, model"
    )
    rows = sql(real_lake, text).to_pylist()
    agreed = {(row["day"], row["model"]): float(row["cost"]) for row in rows if not row["differs"]}
    assert len(rows) - len(agreed) == 1
    assert len(agreed) > 20
    assert agreed == {day: pytest.approx(cost, abs=1e-9) for day, cost in theirs.items() if day in agreed}
    assert sql(real_lake, "select 1 from costs limit 0").meta.unpriced == ()


def test_groups_on_real_logs_add_up_to_the_total(real_lake: Snapshot) -> None:
    ((total,),) = sql(real_lake, "select sum(cost) from selected_costs").rows()
    for by_model in (False, True):
        rows = run(real_lake, "cost/daily", {"tz": "Asia/Kathmandu", "by_model": by_model}).to_pylist()
        assert sum(row["cost"] for row in rows) == total
