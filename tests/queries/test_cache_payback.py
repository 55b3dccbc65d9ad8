"""cache/payback and cache/savings against sums worked out by hand and against plain Python over the samples."""

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

OPUS = "claude-opus-4-6"


def answer(lake: Snapshot, name: str, **params: Any) -> list[dict[str, Any]]:
    return run(lake, name, {"tz": "UTC", **params}).to_pylist()


@pytest.fixture(scope="module")
def sample_lake(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("samples") / "lake")
    lake.refresh([samples / "logs"], host="h")
    return lake


@pytest.fixture(scope="module")
def sample_requests(sample_lake: Lake, samples: Path) -> list[dict[str, Any]]:
    return cache_reference.sample_requests(samples, sample_lake.sql("select * from requests").to_pylist())


@pytest.fixture
def written(lakes: Any, tmp_path: Path) -> Snapshot:
    """Four requests of a thread and one of another session."""
    rows = [
        # 1,000 for an hour before 4,000 for five minutes, of which the next request reads 3,000.
        lakes.request("a", "2026-05-04T09:00:00", (0, 0, 4000, 1000, 500), model=OPUS),
        # Read whole by the next, which has more.
        lakes.request("b", "2026-05-04T09:01:00", (0, 0, 2000, 0, 3500), model=OPUS),
        # Lost: the next comes after ten minutes, and reads less than this one did.
        lakes.request("c", "2026-05-04T09:02:00", (0, 0, 600, 0, 6000), model=OPUS),
        # The last of its chain; its model has no price.
        lakes.request("d", "2026-05-04T09:12:01", (0, 0, 7000, 0, 500), model="gateway-large"),
        # The only one of its chain.
        lakes.request("e", "2026-05-04T09:02:30", (0, 0, 0, 100, 0), session_id="s2", model=OPUS),
    ]
    lake: Snapshot = lakes.publish(tmp_path / "lake", {"requests": rows})
    return lake


def test_writes_are_read_back_or_not_for_a_reason(written: Snapshot) -> None:
    """a: 1,000 + 2,000 read back, 2,000 not, for no reason but a changed prefix; b: all; c and d to the last token."""
    rows = {row.pop("outcome"): row for row in answer(written, "cache/payback")}
    assert list(rows) == ["end-of-chain", "read-back", "prefix-change", "model-switch"]
    assert rows["read-back"] == {
        "requests": 2,
        "cache_write_5m_tokens": 4000,
        "cache_write_1h_tokens": 1000,
        "share": 5000 / 14_700,
        # 4,000 at $6.25 a million and 1,000 at $10; as input all at $5.
        "cost_cache_write": Decimal("0.035"),
        "cost_as_input": Decimal("0.025"),
        "unpriced_tokens": 0,
    }
    assert rows["prefix-change"]["cache_write_5m_tokens"] == 2000
    assert rows["prefix-change"]["cache_write_1h_tokens"] == 0
    assert rows["model-switch"]["cache_write_5m_tokens"] == 600
    assert rows["end-of-chain"] == {
        "requests": 2,
        "cache_write_5m_tokens": 7000,
        "cache_write_1h_tokens": 100,
        "share": 7100 / 14_700,
        "cost_cache_write": Decimal("0.001"),
        "cost_as_input": Decimal("0.0005"),
        "unpriced_tokens": 7000,
    }


def test_filters_do_not_end_a_chain(written: Snapshot) -> None:
    rows = answer(written, "cache/payback", until="2026-05-04T09:00:30")
    assert {row["outcome"]: row["cache_write_5m_tokens"] for row in rows} == {"read-back": 2000, "prefix-change": 2000}


def test_expired_writes(lakes: Any, tmp_path: Path) -> None:
    """Ten minutes after: what was written for five is gone, what was written for an hour is not."""
    rows = []
    for session, w5, w1 in (("s1", 5000, 0), ("s2", 0, 5000)):
        columns = {"session_id": session, "model": OPUS}
        rows.append(lakes.request(f"{session}a", "2026-05-04T09:00:00", (0, 0, w5, w1, 0), **columns))
        rows.append(lakes.request(f"{session}b", "2026-05-04T09:10:00", (0, 0, 0, 0, 0), **columns))
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    assert [(row["outcome"], row["cache_write_5m_tokens"]) for row in answer(lake, "cache/payback")] == [
        ("expired", 5000),
        ("prefix-change", 0),
    ]


def test_payback_of_the_samples_against_plain_python(
    sample_lake: Lake, sample_requests: list[dict[str, Any]], samples: Path
) -> None:
    sums: dict[str, list[Any]] = defaultdict(lambda: [0, 0, 0, Decimal(0), Decimal(0), 0])
    for chain in cache_reference.chains(sample_requests, cache_reference.compactions(samples)):
        for request in chain:
            after, w1 = request["next"], request["cache_write_1h_tokens"]
            read = after["cache_read_tokens"] - request["cache_read_tokens"] if after else 0
            back = max(0, min(read, request["writes"]))
            parts = {"read-back": (back - min(back, w1), min(back, w1))}
            lost = "end-of-chain" if after is None else after["cause"]
            parts[lost] = (request["cache_write_5m_tokens"] - parts["read-back"][0], w1 - parts["read-back"][1])
            price = cache_reference.prices(request)
            for outcome, (part_5m, part_1h) in parts.items():
                if part_5m + part_1h:
                    values = (1, part_5m, part_1h)
                    if price:
                        values += (part_5m * price[2] + part_1h * price[3], (part_5m + part_1h) * price[0], 0)
                    else:
                        values += (0, 0, part_5m + part_1h)
                    sums[outcome] = [a + b for a, b in zip(sums[outcome], values, strict=True)]
    rows = sample_lake.run("cache/payback").to_pylist()
    assert {
        row["outcome"]: [
            row["requests"],
            row["cache_write_5m_tokens"],
            row["cache_write_1h_tokens"],
            row["cost_cache_write"] or 0,
            row["cost_as_input"] or 0,
            row["unpriced_tokens"],
        ]
        for row in rows
    } == sums
    (total,) = sample_lake.run("cache/overhead").to_pylist()
    assert sum(row["cost_cache_write"] or 0 for row in rows) == total["cost_cache_write"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_savings_by_hand(written: Snapshot) -> None:
    """In millionths of a dollar: writes 25,000 + 10,000 + 12,500 + 3,750 + 1,000, reads (500 + 3,500 + 6,000) x 0.5.

    Without a cache the contexts 5,500 + 5,500 + 6,600 + 100 at $5 a million.
    """
    (row,) = answer(written, "cache/savings")
    assert row == {
        "by": "all",
        "requests": 5,
        "context_tokens": 25_200,
        "output_tokens": 0,
        "cache_write_tokens": 14_700,
        "cache_read_tokens": 10_500,
        "hit_ratio": 10_500 / 25_200,
        "reads_per_write": 10_500 / 14_700,
        "cost": Decimal("0.05725"),
        "no_cache_cost": Decimal("0.0885"),
        "cost_saved": Decimal("0.03125"),
        "saved": 1 - 0.05725 / 0.0885,
        "unpriced_requests": 1,
        "unpriced_tokens": 7_500,
    }


def test_savings_by_group(lake: Snapshot) -> None:
    """The seven requests of the tiny lake, in Berlin: $0.02522 were paid, $0.04296 would have been."""
    days = answer(lake, "cache/savings", by="day", tz="Europe/Berlin")
    assert [(row["by"], row["requests"]) for row in days] == [
        ("2026-03-27", 2),
        ("2026-03-28", 1),
        ("2026-03-29", 2),
        ("2026-03-30", 1),
        ("2026-04-02", 1),
    ]
    assert [(row["by"], row["cost"]) for row in answer(lake, "cache/savings", by="session")] == [
        ("s1", Decimal("0.020075")),
        ("s2", Decimal("0.005145")),
    ]
    for by in ("none", "day", "week", "month", "project", "session", "model", "version", "host", "thread"):
        rows = answer(lake, "cache/savings", by=by)
        assert sum(row["cost"] for row in rows) == Decimal("0.02522")
        assert sum(row["no_cache_cost"] for row in rows) == Decimal("0.04296")
        assert sum(row["requests"] for row in rows) == 7


@pytest.mark.parametrize("by", ["none", "day", "model"])
def test_savings_of_the_samples_against_plain_python(
    sample_lake: Lake, sample_requests: list[dict[str, Any]], by: str
) -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for request in sample_requests:
        groups["all" if by == "none" else f"{request['ts']:%Y-%m-%d}" if by == "day" else request["model"]].append(
            request
        )
    rows = sample_lake.run("cache/savings", by=by, tz="UTC").to_pylist()
    assert {row["by"] for row in rows} == groups.keys()
    for row in rows:
        group = groups[row["by"]]
        paid = [cost for request in group if (cost := cache_reference.costs(request))]
        assert row["cost"] == (sum(cost["cost"] for cost in paid) if paid else None)
        assert row["no_cache_cost"] == (sum(cost["no_cache"] for cost in paid) if paid else None)
        assert row["unpriced_requests"] == len(group) - len(paid)
        assert row["context_tokens"] == sum(request["context_tokens"] for request in group)


def test_savings_leave_out_what_was_logged_as_one_figure(lakes: Any, tmp_path: Path) -> None:
    """In the cost mode auto: $0.25 as logged, and 1,000 reads at $0.50 a million that would have cost $5."""
    rows = [
        lakes.request("a", "2026-05-04T09:00:00", (10, 10, 10, 10, 10), cost_logged=Decimal("0.25")),
        lakes.request("b", "2026-05-04T09:00:01", (0, 0, 0, 0, 1000)),
    ]
    (row,) = answer(lakes.publish(tmp_path / "lake", {"requests": rows}), "cache/savings", cost_mode="auto")
    assert [row[name] for name in ("cost", "no_cache_cost", "cost_saved")] == [
        Decimal("0.2505"),
        Decimal("0.005"),
        Decimal("0.0045"),
    ]
    assert row["saved"] == pytest.approx(0.9)
