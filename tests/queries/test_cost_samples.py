"""The cost reports over data-samples, against a count of the transcripts and prices in plain Python.

Dollars per million tokens (input, output, 5m write, 1h write, read) and the factors of fast mode, US inference and
the batch tier are the public list prices of platform.claude.com/docs/en/about-claude/pricing, written down by hand.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from accounting import reference
from accounting.reference_reading import is_transcript, read, read_tree

from tokenlake.lake import Lake
from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

PRICES = {
    "claude-sonnet-4-6": ("3", "15", "3.75", "6", "0.3"),
    "claude-sonnet-4-5-20250929": ("3", "15", "3.75", "6", "0.3"),
    "claude-sonnet-4-20250514": ("3", "15", "3.75", "6", "0.3"),
    "claude-opus-4-5-20251101": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-6": ("5", "25", "6.25", "10", "0.5"),
    "claude-opus-4-7": ("5", "25", "6.25", "10", "0.5"),
    "claude-haiku-4-5-20251001": ("1", "5", "1.25", "2", "0.1"),
}
LARGEST_CONTEXT = {"claude-sonnet-4-5-20250929": 200_000, "claude-sonnet-4-20250514": 200_000}
"""Contexts beyond which another price would hold: the samples have none for these models."""
FAST = {"claude-opus-4-6": 6}
US = Fraction(11, 10)
BATCH = Fraction(1, 2)
SEARCH = Fraction(10, 1000)
ZONE = "Asia/Kathmandu"
SUMS = (*reference.TOKENS, "total_tokens")
COSTS = ("cost_input", "cost_output", "cost_cache_write", "cost_cache_read", "cost_web_search", "cost_api", "cost")


def costs(row: dict[str, Any]) -> dict[str, Fraction | None]:
    """What a request costs by kind; nothing is known of a model without a price."""
    if row["model"] not in PRICES:
        return dict.fromkeys(COSTS)
    assert row["context_tokens"] <= LARGEST_CONTEXT.get(row["model"], 2_000_000)
    factor = Fraction(1)
    factor *= FAST[row["model"]] if row["speed"] == "fast" else 1
    factor *= US if row["inference_geo"] == "us" else 1
    factor *= BATCH if row["service_tier"] == "batch" else 1
    names = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
    each = [
        row[name] * Fraction(price) / 10**6 * factor for name, price in zip(names, PRICES[row["model"]], strict=True)
    ]
    search = row["web_searches"] * SEARCH
    kinds = (each[0], each[1], each[2] + each[3], each[4], search)
    return dict(zip(COSTS, (*kinds, each[0] + each[1], sum(kinds, Fraction(0))), strict=True))


@pytest.fixture(scope="module")
def requests(samples: Path) -> list[dict[str, Any]]:
    """The requests that the transcripts amount to, with their costs."""
    tree = read_tree(samples / "logs")
    counted = reference.count(tree)
    usages = {}
    for path in filter(is_transcript, tree):
        for record in read(path, tree[path]).records:
            usages[path, record.offset] = reference.api_message(record.body).get("usage")
    found = []
    for kept in reference.select(counted.usage_rows, "max"):
        usage = usages[kept["place"]]
        row = {
            **counted.requests[kept["key"]],
            **{name: usage.get(name) for name in ("speed", "inference_geo", "service_tier")},
        }
        row["total_tokens"] = row["context_tokens"] + row["output_tokens"]
        found.append(row | costs(row))
    return found


@pytest.fixture(scope="module")
def lake(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    made = Lake(tmp_path_factory.mktemp("samples") / "lake")
    made.refresh([samples / "logs"], host="h")
    return made.snapshot()


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    unpriced = [row for row in rows if row["cost"] is None]
    known = {name: [row[name] for row in rows if row[name] is not None] for name in COSTS}
    return {
        "requests": len(rows),
        **{name: sum(row[name] for row in rows) for name in SUMS},
        **{name: sum(values, Fraction(0)) if values else None for name, values in known.items()},
        "unpriced_requests": len(unpriced),
        "unpriced_tokens": sum(row["total_tokens"] for row in unpriced),
        "partial_output_share": sum(row["output_is_partial"] for row in rows) / len(rows),
    }


def local(row: dict[str, Any]) -> dt.datetime:
    moment: dt.datetime = row["ts"].astimezone(ZoneInfo(ZONE))
    return moment


def week(row: dict[str, Any], first: int) -> dt.date:
    """The day on which the week of a request begins; `first` is that day's number, Monday 0."""
    day = local(row).date()
    return day - dt.timedelta(days=(day.weekday() - first) % 7)


Key = Callable[[dict[str, Any]], Any]
REPORTS: list[tuple[str, dict[str, Any], str, Key]] = [
    ("daily", {}, "day", lambda row: local(row).date()),
    ("weekly", {}, "week", lambda row: week(row, 0)),
    ("weekly", {"week_start": "sunday"}, "week", lambda row: week(row, 6)),
    ("monthly", {}, "month", lambda row: local(row).strftime("%Y-%m")),
    ("hour", {}, "hour", lambda row: local(row).strftime("%Y-%m-%d %H:00")),
    ("hour", {"of_day": True}, "hour", lambda row: local(row).strftime("%H:00")),
    ("project", {}, "project", lambda row: row["project"] or "(none)"),
    ("session", {}, "session_id", lambda row: row["session_id"]),
    ("model", {}, "model", lambda row: row["model"] or "(none)"),
    ("version", {}, "version", lambda row: row["version"] or "(none)"),
    ("host", {}, "host", lambda row: row["host"]),
]


SPLIT = [
    (*report, by_model) for report in REPORTS for by_model in (False, True) if not by_model or report[0] != "model"
]
"""Every report, and by model where a row is no model already."""


@pytest.mark.parametrize(("name", "params", "column", "key", "by_model"), SPLIT)
def test_a_report_is_what_the_transcripts_amount_to(
    lake: Snapshot,
    requests: list[dict[str, Any]],
    name: str,
    params: dict[str, Any],
    column: str,
    key: Key,
    by_model: bool,
) -> None:
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in requests:
        groups[key(row), row["model"] if by_model else None].append(row)
    given = {**params, "tz": ZONE, **({"by_model": True} if by_model else {})}
    found = run(lake, f"cost/{name}", given).to_pylist()
    assert len(found) == len(groups)
    for row in found:
        model = row["models" if name == "session" else "model"] if by_model else None
        group = groups[row[column], model]
        expected = summed(group)
        assert {field: row[field] for field in expected} == expected
        if name == "session":
            assert (row["first_ts"], row["last_ts"]) == (min(r["ts"] for r in group), max(r["ts"] for r in group))
            assert row["models"] == ", ".join(sorted({r["model"] for r in group}))
    if column in ("day", "week", "month", "hour"):
        assert [row[column] for row in found] == sorted(row[column] for row in found)
    else:
        dearest = [row["cost"] if row["cost"] is not None else Decimal(-1) for row in found]
        assert dearest == sorted(dearest, reverse=True)


def test_the_samples_show_what_they_should(requests: list[dict[str, Any]]) -> None:
    """Every factor, a search and a model without a price are among them: else this file would show little."""
    assert {row["speed"] for row in requests} >= {"fast"}
    assert {row["inference_geo"] for row in requests} >= {"us"}
    assert {row["service_tier"] for row in requests} >= {"batch"}
    assert sum(row["web_searches"] for row in requests) > 0
    assert any(row["cost"] is None for row in requests)
