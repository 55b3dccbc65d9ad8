"""cache/overhead against sums worked out by hand from the seven requests of the tiny lake."""

from __future__ import annotations

from typing import Any

import pytest

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
    """reads 5,400; writes 1,800 + 300; io 40 + 460; the sessions' largest contexts 1,603 and 1,700."""
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
    ):
        assert sum(row[column] for row in rows) == total


def test_ratios_without_a_denominator_are_null(lake: Snapshot) -> None:
    """The request of 2 April has no tokens at all."""
    (row,) = answer(lake, since="2026-04-01")
    ratios = ("reads_per_io", "overhead_per_io", "cache_token_share", "reads_per_total", "hit_ratio")
    assert [row[name] for name in ratios] == [None] * 5
    assert row["rewrite_factor"] is None


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
