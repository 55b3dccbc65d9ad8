"""cache/overhead against sums worked out by hand from the seven requests of the tiny lake."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.queries import cache_reference

from tokenlake.lake import Lake
from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

GROUPINGS = [
    "none",
    "day",
    "week",
    "month",
    "hour",
    "project",
    "session",
    "model",
    "version",
    "host",
    "thread",
    "context-decile",
    "turn",
]


def answer(lake: Snapshot, **params: Any) -> list[dict[str, Any]]:
    return run(lake, "cache/overhead", {"tz": "Europe/Berlin", **params}).to_pylist()


def test_one_row_with_every_ratio_by_default(lake: Snapshot) -> None:
    """Reads 5,400; writes 1,800 + 300; io 40 + 460; the sessions' largest contexts 1,603 and 1,700.

    In millionths of a dollar, r1 to r7, Opus at 5 / 25 / 6.25 / 10 / 0.50 and Sonnet at 3 / 15 / 3.75 / 6 / 0.30:
    input and output 2,300 + 2,400 + 1,210 + 1,190 + 1,500 + 1,260 + 0; writes 6,250 + 1,250 + 3,000 + 625 + 0 + 1,875
    + 0; reads 0 + 500 + 600 + 750 + 510 + 0 + 0; without a cache 7,300 + 8,400 + 8,710 + 9,190 + 6,600 + 2,760 + 0.
    """
    (row,) = answer(lake)
    assert row == {
        "by": "all",
        "requests": 7,
        "input_tokens": 40,
        "output_tokens": 460,
        "cache_write_5m_tokens": 1800,
        "cache_write_1h_tokens": 300,
        "cache_read_tokens": 5400,
        "total_tokens": 8000,
        "reads_per_io": 5400 / 500,
        "overhead_per_io": 7500 / 500,
        "cache_token_share": 7500 / 8000,
        "reads_per_total": 5400 / 8000,
        "reads_per_reads_and_io": 5400 / 5900,
        "hit_ratio": 5400 / 7540,
        "rewrite_factor": 2100 / 3303,
        "cost_api": Decimal("0.00986"),
        "cost_cache_write": Decimal("0.013"),
        "cost_cache_read": Decimal("0.00236"),
        "cost": Decimal("0.02522"),
        "total_per_api_cost": 0.02522 / 0.00986,
        "cache_cost_share": 0.01536 / 0.02522,
        "no_cache_cost": Decimal("0.04296"),
        "saved": 1 - 0.02522 / 0.04296,
        "unpriced_requests": 0,
        "unpriced_tokens": 0,
        "partial_output_share": 2 / 7,
    }


# The total tokens of the requests: r1 1,100, r2 1,300, r3 1,550, r4 1,650, r5 1,800, r6 600, r7 0.
@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (
            "day",
            [
                ("2026-03-27", 2, 2400),
                ("2026-03-28", 1, 1550),
                ("2026-03-29", 2, 3450),
                ("2026-03-30", 1, 600),
                ("2026-04-02", 1, 0),
            ],
        ),
        ("week", [("2026-03-23", 5, 7400), ("2026-03-30", 2, 600)]),
        ("month", [("2026-03", 6, 8000), ("2026-04", 1, 0)]),
        (
            "hour",
            [
                ("2026-03-27 10:00", 2, 2400),
                ("2026-03-28 23:00", 1, 1550),
                ("2026-03-29 00:00", 1, 1650),
                ("2026-03-29 23:00", 1, 1800),
                ("2026-03-30 00:00", 1, 600),
                ("2026-04-02 14:00", 1, 0),
            ],
        ),
        ("project", [("/home/ada/alpha", 4, 5600), ("/home/ada/Beta", 2, 2400), ("(none)", 1, 0)]),
        ("session", [("s1", 4, 5600), ("s2", 3, 2400)]),
        ("model", [("claude-opus-4-5-20251101", 4, 5600), ("claude-sonnet-4-5-20250929", 3, 2400)]),
        ("version", [("2.1.119", 4, 5600), ("2.1.39", 3, 2400)]),
        ("host", [("laptop", 4, 5600), ("server", 3, 2400)]),
        ("thread", [("main", 6, 6450), ("subagent", 1, 1550)]),
        ("turn", [("1", 2, 2900), ("2", 2, 1900), ("3", 2, 1550), ("4", 1, 1650)]),
    ],
)
def test_groups(lake: Snapshot, by: str, expected: list[tuple[str, int, int]]) -> None:
    rows = answer(lake, by=by)
    assert [(row["by"], row["requests"], row["total_tokens"]) for row in rows] == expected


def test_weeks_may_start_on_sunday(lake: Snapshot) -> None:
    """29 March 2026 is a Sunday: the two requests of that local day move into the week it starts."""
    rows = answer(lake, by="week", week_start="sunday")
    assert [(row["by"], row["requests"]) for row in rows] == [("2026-03-22", 3), ("2026-03-29", 4)]


def test_deciles_put_the_smallest_contexts_first(lakes: Any, tmp_path: Any) -> None:
    """Twenty contexts of 1 to 20 tokens: two in each tenth, in their order."""
    rows = [lakes.request(f"r{n:02}", "2026-03-01T00:00:00", (n, 0, 0, 0, 0)) for n in range(1, 21)]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    found = [(row["by"], row["requests"], row["input_tokens"]) for row in answer(lake, by="context-decile")]
    assert found == [(str(place), 2, 4 * place - 1) for place in range(1, 11)]


def test_equal_contexts_share_a_tenth(lakes: Any, tmp_path: Path) -> None:
    """Of ten contexts, three smaller than the four of 50: these begin, and stay, in the fourth tenth."""
    contexts = (10, 20, 30, 50, 50, 50, 50, 60, 70, 80)
    rows = [lakes.request(f"r{n}", "2026-03-01T00:00:00", (size, 0, 0, 0, 0)) for n, size in enumerate(contexts)]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    found = [(row["by"], row["requests"]) for row in answer(lake, by="context-decile")]
    assert found == [("1", 1), ("2", 1), ("3", 1), ("4", 4), ("8", 1), ("9", 1), ("10", 1)]


def test_a_turn_is_the_number_of_the_request_in_its_session(lake: Snapshot) -> None:
    rows = answer(lake, by="turn", session="s2")
    assert [(row["by"], row["total_tokens"]) for row in rows] == [("1", 1800), ("2", 600), ("3", 0)]


@pytest.mark.parametrize("by", GROUPINGS)
def test_groups_add_up_to_the_total(lake: Snapshot, by: str) -> None:
    rows = answer(lake, by=by)
    for column, total in (
        ("requests", 7),
        ("input_tokens", 40),
        ("output_tokens", 460),
        ("total_tokens", 8000),
        ("cost", Decimal("0.02522")),
        ("no_cache_cost", Decimal("0.04296")),
    ):
        assert sum(row[column] for row in rows) == total


def test_ratios_without_a_denominator_are_null(lake: Snapshot) -> None:
    """The request of 2 April has no tokens at all."""
    (row,) = answer(lake, since="2026-04-01")
    ratios = ("reads_per_io", "overhead_per_io", "cache_token_share", "reads_per_total", "hit_ratio")
    assert [row[name] for name in ratios] == [None] * 5
    assert row["rewrite_factor"] is None
    assert [row[name] for name in ("total_per_api_cost", "cache_cost_share", "saved")] == [None] * 3
    assert row["cost"] == 0


def test_reads_per_io_of_a_published_month(lakes: Any, tmp_path: Any) -> None:
    """claude-code issue 24147: 5,092,500,074 reads on 3,887,759 tokens of io, and 176,498,498 writes."""
    counts = (887_759, 3_000_000, 176_498_498, 0, 5_092_500_074)
    lake = lakes.publish(tmp_path / "lake", {"requests": [lakes.request("m", "2026-01-20T00:00:00", counts)]})
    (row,) = answer(lake)
    assert round(row["reads_per_io"], 2) == 1309.88
    assert round(100 * row["cache_token_share"], 2) == 99.93
    assert round(100 * row["reads_per_total"], 2) == 96.58
    assert round(100 * row["reads_per_reads_and_io"], 2) == 99.92


def test_sums_beyond_32_bits_are_exact_bigints(lakes: Any, tmp_path: Any) -> None:
    big = 2**61
    rows = [lakes.request(f"r{n}", "2026-01-20T00:00:00", (big, 0, 0, 0, 1)) for n in range(3)]
    result = run(lakes.publish(tmp_path / "lake", {"requests": rows}), "cache/overhead")
    assert result.to_pylist()[0]["input_tokens"] == 3 * big
    assert str(result.table.schema.field("input_tokens").type) == "int64"


def test_a_days_rewrite_factor_takes_each_session_once_a_day(lakes: Any, tmp_path: Path) -> None:
    """Two sessions over two quarter hours: 100 + 60 written, on contexts that reach 100 and 50."""
    rows = [
        lakes.request("a", "2026-03-01T10:00:00", (0, 0, 100, 0, 0)),
        lakes.request("b", "2026-03-01T10:20:00", (0, 0, 10, 0, 80)),
        lakes.request("c", "2026-03-01T10:00:00", (0, 0, 50, 0, 0), session_id="s2"),
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    for by in ("none", "day", "week", "month", "hour", "project", "model"):
        assert [row["rewrite_factor"] for row in answer(lake, by=by)] == [160 / 150]
    assert [row["rewrite_factor"] for row in answer(lake, by="turn")] == [None, None]


def test_a_published_session_costs_43_times_its_input_and_output(lakes: Any, tmp_path: Path) -> None:
    """441 requests of Opus 4.6: read $45.18 (80.8%), write $9.45 (16.9%), api $1.31 (2.3%), total $55.94, 42.73 : 1.

    The published totals are spread evenly; the day is one on which Opus 4.6 had one price for all contexts.
    """
    totals = (5_017, 51_360, 1_511_817, 0, 90_360_262)
    spread = [tuple(t // 441 + (n < t % 441) for t in totals) for n in range(441)]
    rows = [
        lakes.request(f"r{n}", f"2026-03-19T09:{n // 60:02}:{n % 60:02}", counts, model="claude-opus-4-6", offset=n)
        for n, counts in enumerate(spread)
    ]
    (row,) = answer(lakes.publish(tmp_path / "lake", {"requests": rows}), by="session")
    assert row["cost_cache_read"] == Decimal("45.180131")
    assert row["cost_cache_write"] == Decimal("9.44885625")
    assert row["cost_api"] == Decimal("1.309085")
    assert row["cost"] == Decimal("55.93807225")
    assert round(row["total_per_api_cost"], 2) == 42.73
    assert round(row["cache_cost_share"], 3) == 0.977
    assert [round(100 * float(row[name] / row["cost"]), 1) for name in ("cost_cache_read", "cost_cache_write")] == [
        80.8,
        16.9,
    ]


def test_what_has_no_price_is_counted_and_not_guessed(lakes: Any, tmp_path: Path) -> None:
    rows = [
        lakes.request("a", "2026-03-01T10:00:00", (0, 100, 0, 0, 1000)),
        lakes.request("b", "2026-03-01T10:00:01", (1, 2, 3, 4, 5), model="gateway-large", web_searches=3),
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    (row,) = answer(lake)
    assert (row["requests"], row["total_tokens"]) == (2, 1115)
    assert (row["cost"], row["no_cache_cost"]) == (Decimal("0.003"), Decimal("0.0075"))
    assert (row["unpriced_requests"], row["unpriced_tokens"]) == (1, 15)
    gateway = next(row for row in answer(lake, by="model") if row["by"] == "gateway-large")
    names = ("cost_api", "cost_cache_write", "cost", "no_cache_cost", "saved", "total_per_api_cost", "cache_cost_share")
    assert [gateway[name] for name in names] == [None] * 7


def test_web_searches_are_paid_with_and_without_a_cache(lakes: Any, tmp_path: Path) -> None:
    """Three at $10 a thousand beside 1,000 reads, which as input would be $0.005."""
    rows = [lakes.request("a", "2026-03-01T10:00:00", (0, 0, 0, 0, 1000), web_searches=3)]
    (row,) = answer(lakes.publish(tmp_path / "lake", {"requests": rows}))
    assert (row["cost_api"], row["cost"], row["no_cache_cost"]) == (0, Decimal("0.0305"), Decimal("0.035"))


@pytest.fixture(scope="module")
def sample_lake(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("samples") / "lake")
    lake.refresh([samples / "logs"], host="h")
    return lake


@pytest.fixture(scope="module")
def sample_requests(sample_lake: Lake, samples: Path) -> list[dict[str, Any]]:
    return cache_reference.sample_requests(samples, sample_lake.sql("select * from requests").to_pylist())


@pytest.mark.parametrize("by", ["none", "day", "project", "session", "model", "version", "host", "thread"])
def test_the_samples_against_plain_python(sample_lake: Lake, sample_requests: list[dict[str, Any]], by: str) -> None:
    names: dict[str, Any] = {
        "none": lambda r: "all",
        "day": lambda r: f"{r['ts']:%Y-%m-%d}",
        "session": lambda r: r["session_id"],
    }
    names["thread"] = lambda r: "subagent" if r["is_sidechain"] else "main"
    name_of = names.get(by, lambda r: r[by] or "(none)")
    groups = defaultdict(list)
    for request in sample_requests:
        groups[name_of(request)].append(request)
    expected = {name: _expected(group) for name, group in groups.items()}
    rows = sample_lake.run("cache/overhead", by=by, tz="UTC").to_pylist()
    assert {row.pop("by"): row for row in rows} == expected


def _expected(group: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of a group of requests."""
    i, o, w5, w1, r = (sum(request[name] for request in group) for name in cache_reference.TOKENS)
    w, io = w5 + w1, i + o
    largest: dict[str, int] = {}
    for request in group:
        largest[request["session_id"]] = max(largest.get(request["session_id"], 0), request["context_tokens"])
    paid = [cost for request in group if (cost := cache_reference.costs(request))]
    dollars = {kind: sum(cost[kind] for cost in paid) if paid else None for kind in ("api", "writes", "reads", "cost")}
    no_cache = sum(cost["no_cache"] for cost in paid) if paid else None
    unpriced = [request for request in group if cache_reference.costs(request) is None]

    def ratio(part: Any, whole: Any) -> Any:
        return pytest.approx(float(part / whole), rel=1e-12) if whole else None

    return {
        "requests": len(group),
        "input_tokens": i,
        "output_tokens": o,
        "cache_write_5m_tokens": w5,
        "cache_write_1h_tokens": w1,
        "cache_read_tokens": r,
        "total_tokens": io + w + r,
        "reads_per_io": ratio(r, io),
        "overhead_per_io": ratio(r + w, io),
        "cache_token_share": ratio(r + w, io + w + r),
        "reads_per_total": ratio(r, io + w + r),
        "reads_per_reads_and_io": ratio(r, r + io),
        "hit_ratio": ratio(r, i + w + r),
        "rewrite_factor": ratio(w, sum(largest.values())),
        "cost_api": dollars["api"],
        "cost_cache_write": dollars["writes"],
        "cost_cache_read": dollars["reads"],
        "cost": dollars["cost"],
        "total_per_api_cost": ratio(dollars["cost"], dollars["api"]),
        "cache_cost_share": ratio(dollars["writes"] + dollars["reads"], dollars["cost"]) if paid else None,
        "no_cache_cost": no_cache,
        "saved": ratio(no_cache - dollars["cost"], no_cache) if no_cache else None,
        "unpriced_requests": len(unpriced),
        "unpriced_tokens": sum(request["context_tokens"] + request["output_tokens"] for request in unpriced),
        "partial_output_share": ratio(sum(request["output_is_partial"] for request in group), len(group)),
    }
