"""cache/static-prefix: the three estimators by hand, a published size, and plain Python over the samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from tests.queries import cache_reference

from tokenlake.lake import Lake
from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

OPUS = "claude-opus-4-6"


def answer(lake: Snapshot, **params: Any) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row.pop("by"), row.pop("estimator")): row for row in run(lake, "cache/static-prefix", params).to_pylist()}


def test_a_published_prefix_is_written_once_and_read_99_times(lakes: Any, tmp_path: Path) -> None:
    """15,000 tokens on 100 requests: 15,000 written and 1,485,000 read; all read at $0.50 a million, $0.75."""
    rows = [lakes.request("r00", "2026-05-04T09:00:00", (3, 100, 20_000, 0, 0), model=OPUS)]
    for n in range(1, 100):
        time = f"2026-05-04T09:{n // 2:02}:{n % 2 * 30:02}"
        rows.append(lakes.request(f"r{n:02}", time, (3, 100, 500, 0, 19_500 + 500 * n), model=OPUS))
    found = answer(lakes.publish(tmp_path / "lake", {"requests": rows}), tokens=15_000)
    reads = sum(19_500 + 500 * n for n in range(1, 100))
    assert found["all", "given"] == {
        "thread": "all",
        "prefix_tokens": 15_000,
        "observations": None,
        "requests": 100,
        "warm_requests": 99,
        "cold_requests": 1,
        "read_tokens": 1_485_000,
        "written_tokens": 15_000,
        "share_of_reads": 1_500_000 / reads,
        # 1,485,000 at $0.50 a million and 15,000 at $6.25.
        "cost": Decimal("0.83625"),
        "cost_all_read": Decimal("0.75"),
        "unpriced_requests": 0,
    }


def estimated(lakes: Any, folder: Path) -> Snapshot:
    """Three sessions of two projects, one with a subagent, one under a model without a price."""
    beta = {"project": "/home/ada/Beta", "version": "2.1.39"}
    agent = {"session_id": "s1", "is_sidechain": True, "agent_id": "a1"}
    rows = [
        lakes.request("a1", "2026-05-04T09:00:00", (0, 0, 8_000, 0, 12_000), model=OPUS),
        lakes.request("a2", "2026-05-04T09:01:00", (0, 0, 30_000, 0, 20_000), model=OPUS),
        lakes.request("a3", "2026-05-04T10:00:00", (0, 0, 0, 38_000, 12_000), model=OPUS),
        lakes.request("b1", "2026-05-04T09:00:00", (0, 0, 19_000, 0, 11_000), model=OPUS, session_id="s2", **beta),
        lakes.request("b2", "2026-05-04T12:00:00", (0, 0, 18_000, 0, 12_000), model=OPUS, session_id="s2", **beta),
        lakes.request(
            "c1", "2026-05-04T09:00:00", (25_000, 0, 0, 0, 0), model="gateway-large", session_id="s3", **beta
        ),
        lakes.request("d1", "2026-05-04T09:02:00", (0, 0, 9_000, 0, 0), model=OPUS, **agent),
        lakes.request("d2", "2026-05-04T09:03:00", (0, 0, 1_000, 0, 9_000), model=OPUS, **agent),
    ]
    lake: Snapshot = lakes.publish(folder, {"requests": rows})
    return lake


def test_three_estimators(lakes: Any, tmp_path: Path) -> None:
    """First contexts 20,000, 30,000, 25,000; rebuilds a3, b1 and b2 read 12,000, 11,000, 12,000; d1 wrote 9,000."""
    found = answer(estimated(lakes, tmp_path / "lake"))
    assert {name: (row["thread"], row["prefix_tokens"], row["observations"]) for (_, name), row in found.items()} == {
        "F1 median": ("main", 25_000, 3),
        "F1 least": ("main", 20_000, 3),
        "F2": ("main", 12_000, 2),
        "F3": ("subagent", 9_000, 1),
    }
    # Read whole by a1, a2, a3 and b2, priced; not by b1, and not by c1, which has no price.
    row = found["all", "F2"]
    assert (row["requests"], row["warm_requests"], row["cold_requests"], row["unpriced_requests"]) == (6, 4, 2, 1)
    assert (row["read_tokens"], row["written_tokens"]) == (48_000, 24_000)
    assert row["share_of_reads"] == 72_000 / 67_000
    assert row["cost"] == 12_000 * (4 * Decimal("0.0000005") + Decimal("0.00000625"))
    assert row["cost_all_read"] == 12_000 * 5 * Decimal("0.0000005")
    # No main request but a2 reads 20,000; a3 writes for an hour, at $10 a million.
    row = found["all", "F1 least"]
    assert (row["warm_requests"], row["cold_requests"]) == (1, 5)
    assert row["cost"] == 20_000 * (Decimal("0.0000005") + 3 * Decimal("0.00000625") + Decimal("0.00001"))
    row = found["all", "F3"]
    assert (row["requests"], row["warm_requests"], row["read_tokens"], row["written_tokens"]) == (2, 1, 9_000, 9_000)


def test_estimates_apart_for_each_project_and_version(lakes: Any, tmp_path: Path) -> None:
    lake = estimated(lakes, tmp_path / "lake")
    sizes = {key: row["prefix_tokens"] for key, row in answer(lake, by="project", tokens=7).items()}
    assert sizes == {
        ("/home/ada/Beta", "given"): 7,
        ("/home/ada/Beta", "F1 median"): 27_500,
        ("/home/ada/Beta", "F1 least"): 25_000,
        # Seen once each: the smaller.
        ("/home/ada/Beta", "F2"): 11_000,
        ("/home/ada/alpha", "given"): 7,
        ("/home/ada/alpha", "F1 median"): 20_000,
        ("/home/ada/alpha", "F1 least"): 20_000,
        ("/home/ada/alpha", "F2"): 12_000,
        ("/home/ada/alpha", "F3"): 9_000,
    }
    versions = {key: row["requests"] for key, row in answer(lake, by="version", tokens=7).items() if key[1] == "given"}
    assert versions == {("2.1.119", "given"): 5, ("2.1.39", "given"): 3}


def test_thresholds_of_a_rebuild(lakes: Any, tmp_path: Path) -> None:
    """Above 18,500 rebuilt tokens, b2 is none: of the two left, the one that reads less."""
    found = answer(estimated(lakes, tmp_path / "lake"), min_tokens=18_500)
    assert (found["all", "F2"]["prefix_tokens"], found["all", "F2"]["observations"]) == (11_000, 1)
    assert ("all", "F2") not in answer(estimated(lakes, tmp_path / "again"), min_tokens=100_000)


def test_the_samples_against_plain_python(samples: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.refresh([samples / "logs"], host="h")
    requests = cache_reference.sample_requests(samples, lake.sql("select * from requests").to_pylist())
    everything = [
        request
        for chain in cache_reference.chains(requests, cache_reference.compactions(samples))
        for request in chain
        if request["origin"] != "advisor"
    ]
    by_version: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for request in everything:
        by_version[request["version"]].append(request)
    for by, groups in (("none", {"all": everything}), ("version", by_version)):
        found = answer(lake.snapshot(), by=by, tokens=1_500, min_tokens=500)
        expected = {
            (name, estimator): row for name, group in groups.items() for estimator, row in _estimates(group).items()
        }
        assert found == expected
        assert {estimator for _, estimator in found} == {"given", "F1 median", "F1 least", "F2", "F3"}


def _estimates(group: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows of one group, by estimator."""
    threads = {
        "all": group,
        "main": [request for request in group if not request["is_sidechain"]],
        "subagent": [request for request in group if request["is_sidechain"]],
    }
    first = [request["context_tokens"] for request in threads["main"] if request["number"] == 1]
    first_writes = [request["writes"] for request in threads["subagent"] if request["number"] == 1]
    reads = Counter(
        request["cache_read_tokens"]
        for request in threads["main"]
        if request["rebuilt"] > 500
        and request["cache_read_tokens"]
        and (not request["previous"] or request["rebuilt"] > 0.05 * request["previous"]["context_tokens"])
    )
    sizes: dict[str, tuple[str, int, int | None]] = {"given": ("all", 1_500, None)}
    if first:
        sizes["F1 median"] = ("main", _rounded(median(first)), len(first))
        sizes["F1 least"] = ("main", min(first), len(first))
    if reads:
        size, count = min(reads.items(), key=lambda item: (-item[1], item[0]))
        sizes["F2"] = ("main", size, count)
    if first_writes:
        sizes["F3"] = ("subagent", _rounded(median(first_writes)), len(first_writes))
    return {name: _priced(thread, size, count, threads[thread]) for name, (thread, size, count) in sizes.items()}


def _rounded(value: float) -> int:
    return int(value + 0.5)


def _priced(thread: str, size: int, observations: int | None, requests: list[dict[str, Any]]) -> dict[str, Any]:
    warm = [request for request in requests if request["cache_read_tokens"] >= size]
    reads = sum(request["cache_read_tokens"] for request in requests)
    cost, all_read = [], []
    for request in requests:
        if price := cache_reference.prices(request):
            written = price[3] if request["cache_write_1h_tokens"] else price[2]
            cost.append(size * (price[4] if request["cache_read_tokens"] >= size else written))
            all_read.append(size * price[4])
    return {
        "thread": thread,
        "prefix_tokens": size,
        "observations": observations,
        "requests": len(requests),
        "warm_requests": len(warm),
        "cold_requests": len(requests) - len(warm),
        "read_tokens": size * len(warm),
        "written_tokens": size * (len(requests) - len(warm)),
        "share_of_reads": size * len(requests) / reads if reads else None,
        "cost": sum(cost) if cost else None,
        "cost_all_read": sum(all_read) if all_read else None,
        "unpriced_requests": len(requests) - len(cost),
    }
