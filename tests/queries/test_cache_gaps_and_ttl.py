"""cache/idle-gaps and cache/ttl-mix against counts worked out by hand, a published table and the samples."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from tests.queries import cache_reference

from tokenlake.lake import Lake
from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot


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


def test_a_gap_that_ends_at_an_edge_is_below_it(lakes: Any, tmp_path: Path) -> None:
    """Gaps of 10 s, 10.001 s, 5 min and 5 min 1 ms in the main thread, 8 days in a subagent's."""
    times = ("09:00:00", "09:00:10", "09:00:20.001", "09:05:20.001", "09:10:20.002")
    rows = [lakes.request(f"m{n}", f"2026-05-04T{t}", (10, 0, 40, 0, 50 * n), offset=n) for n, t in enumerate(times)]
    agent = {"is_sidechain": True, "agent_id": "a1"}
    rows += [lakes.request("a0", "2026-05-04T09:00:00", (0, 0, 500, 0, 0), **agent)]
    rows += [lakes.request("a1", "2026-05-12T09:00:00", (0, 0, 300, 0, 100), **agent)]
    found = answer(lakes.publish(tmp_path / "lake", {"requests": rows}), "cache/idle-gaps")
    assert [row["gap"] for row in found] == [
        *(
            "10 s",
            "30 s",
            "1 min",
            "2 min",
            "5 min",
            "10 min",
            "30 min",
            "1 h",
            "2 h",
            "5 h",
            "1 day",
            "7 days",
            "longer",
        ),
    ]
    assert [(row["gap"], row["main_gaps"], row["subagent_gaps"]) for row in found if row["gaps"]] == [
        ("10 s", 1, 0),
        ("30 s", 1, 0),
        ("5 min", 1, 0),
        ("10 min", 1, 0),
        ("longer", 0, 1),
    ]
    # Contexts 50, 100, 150, 200, 250, of which the next request reads 50 less 0, 100, 150 and 200: nothing rebuilt.
    assert found[0] == {
        "gap": "10 s",
        "up_to_ms": 10_000,
        "gaps": 1,
        "main_gaps": 1,
        "subagent_gaps": 0,
        "share": 1 / 5,
        "cumulative_share": 1 / 5,
        "hit_ratio": 50 / 100,
        "rebuilt_tokens": 0,
    }
    assert found[2] == {
        "gap": "1 min",
        "up_to_ms": 60_000,
        "gaps": 0,
        "main_gaps": 0,
        "subagent_gaps": 0,
        "share": 0.0,
        "cumulative_share": 2 / 5,
        "hit_ratio": None,
        "rebuilt_tokens": 0,
    }
    assert found[-1] == {
        "gap": "longer",
        "up_to_ms": None,
        "gaps": 1,
        "main_gaps": 0,
        "subagent_gaps": 1,
        "share": 1 / 5,
        "cumulative_share": 1.0,
        "hit_ratio": 100 / 400,
        "rebuilt_tokens": 300,
    }


def test_no_gap_is_no_row(lakes: Any, tmp_path: Path) -> None:
    rows = [lakes.request("a", "2026-05-04T09:00:00", (1, 1, 1, 1, 1))]
    assert answer(lakes.publish(tmp_path / "lake", {"requests": rows}), "cache/idle-gaps") == []


def test_gaps_of_the_samples_against_plain_python(
    sample_lake: Lake, sample_requests: list[dict[str, Any]], samples: Path
) -> None:
    chains = cache_reference.chains(sample_requests, cache_reference.compactions(samples))
    ended = [request for chain in chains for request in chain[1:]]
    edges = [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18_000, 86_400, 604_800, 10**9]
    below = dt.timedelta(-1)
    cumulative = 0
    for row, edge in zip(sample_lake.run("cache/idle-gaps").to_pylist(), edges, strict=True):
        here = [request for request in ended if below < request["gap"] <= dt.timedelta(seconds=edge)]
        below = dt.timedelta(seconds=edge)
        cumulative += len(here)
        assert row["gaps"] == len(here) == row["main_gaps"] + row["subagent_gaps"]
        assert row["subagent_gaps"] == sum(request["is_sidechain"] for request in here)
        assert row["share"] == len(here) / len(ended)
        assert row["cumulative_share"] == cumulative / len(ended)
        assert row["rebuilt_tokens"] == sum(request["rebuilt"] for request in here)
        context = sum(request["context_tokens"] for request in here)
        assert row["hit_ratio"] == (
            sum(request["cache_read_tokens"] for request in here) / context if context else None
        )
    assert cumulative == len(ended) > 20


def test_mix_of_a_day_counts_tokens_and_requests(lakes: Any, tmp_path: Path) -> None:
    rows = [
        lakes.request("a", "2026-05-04T09:00:00", (0, 0, 100, 300, 0)),
        lakes.request("b", "2026-05-04T09:00:01", (0, 0, 0, 400, 0)),
        lakes.request("c", "2026-05-04T09:00:02", (0, 0, 0, 0, 900)),
        lakes.request("d", "2026-05-04T09:00:03", (0, 0, 50, 0, 0), is_sidechain=True, agent_id="a1"),
        lakes.request("e", "2026-05-04T23:00:00", (0, 0, 0, 0, 1)),
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    assert [tuple(row.values()) for row in answer(lake, "cache/ttl-mix", tz="Europe/Berlin")] == [
        ("2026-05-04", "main", 3, 1, 2, 100, 700, 700 / 800),
        ("2026-05-04", "subagent", 1, 1, 0, 50, 0, 0.0),
        ("2026-05-05", "main", 1, 0, 0, 0, 0, None),
    ]
    assert [row["by"] for row in answer(lake, "cache/ttl-mix", by="month")] == ["2026-05"] * 2
    assert [row["by"] for row in answer(lake, "cache/ttl-mix", by="week")] == ["2026-05-04"] * 2
    assert [row["by"] for row in answer(lake, "cache/ttl-mix", by="week", week_start="sunday")] == ["2026-05-03"] * 2
    assert [row["requests"] for row in answer(lake, "cache/ttl-mix", by="none")] == [4, 1]


# recca0120's count of raw rows of subagents: day, 5m writes, 1h writes, printed share of 1h writes.
PUBLISHED = [
    ("2026-02-05", 0, 7_974_898, 100),
    ("2026-02-06", 2_886_030, 10_753_834, 79),
    ("2026-03-06", 461_509, 1_281_686, 74),
    ("2026-03-07", 9_810_771, 10_465_251, 52),
    ("2026-03-08", 34_340_003, 24_301_557, 41),
    ("2026-04-08", 2_650_760, 5_533_277, 68),
    ("2026-04-09", 8_451_674, 0, 0),
]


def test_published_shares_of_one_hour_writes_are_of_raw_rows(lakes: Any, tmp_path: Path) -> None:
    """Each request is logged twice: the published sums are those of the rows, the shares are the same either way."""
    logged, requests = [], []
    for number, (day, w5, w1, _) in enumerate(PUBLISHED):
        halves = ((w5 // 2, w1 // 2), (w5 - w5 // 2, w1 - w1 // 2))
        for copy, (half_5m, half_1h) in enumerate(halves):
            counts = (0, copy, half_5m, half_1h, 0)
            columns = {"is_sidechain": True, "agent_id": "a1", "model": "claude-opus-4-6"}
            place = 10 * number + copy
            logged.append(lakes.usage_row(f"m{number}", f"{day}T12:00:00", counts, place, **columns))
        requests.append(lakes.request(f"m{number}", f"{day}T12:00:00", counts, offset=place, **columns))
    tables = {"requests": requests, "usage_rows": logged, "files": [lakes.transcript(1, "/logs/s1.jsonl")]}
    rows = answer(lakes.publish(tmp_path / "lake", tables), "cache/ttl-mix", dedup="none")
    assert [
        (
            row["by"],
            row["cache_write_5m_tokens"],
            row["cache_write_1h_tokens"],
            round(100 * row["cache_write_1h_share"]),
        )
        for row in rows
    ] == PUBLISHED
    assert {row["thread"] for row in rows} == {"subagent"}
    assert [row["requests"] for row in rows] == [2] * 7


def test_mix_of_the_samples_against_plain_python(sample_lake: Lake, sample_requests: list[dict[str, Any]]) -> None:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for request in sample_requests:
        groups[f"{request['ts']:%Y-%m-%d}", "subagent" if request["is_sidechain"] else "main"].append(request)
    expected = []
    for (day, thread), group in sorted(groups.items()):
        w5, w1 = (sum(request[f"cache_write_{kind}_tokens"] for request in group) for kind in ("5m", "1h"))
        counts = [sum(request[f"cache_write_{kind}_tokens"] > 0 for request in group) for kind in ("5m", "1h")]
        expected.append((day, thread, len(group), *counts, w5, w1, w1 / (w5 + w1) if w5 + w1 else None))
    assert list(sample_lake.run("cache/ttl-mix", tz="UTC").rows()) == expected
