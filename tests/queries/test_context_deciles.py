"""context/deciles against tenths worked out by hand, and against plain Python over the samples."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tokenlake.lake import Lake
from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot


def answer(lake: Snapshot, **params: Any) -> list[dict[str, Any]]:
    return run(lake, "context/deciles", params).to_pylist()


@pytest.fixture
def twenty(lakes: Any, tmp_path: Path) -> Snapshot:
    """Two threads of ten requests: contexts 1 to 10 thousand by turns with 11 to 20 thousand, half of each read."""
    rows, calls = [], []
    for n in range(1, 11):
        for session, context in (("s1", n * 1000), ("s2", (n + 10) * 1000)):
            key = f"{session}-{n:02}"
            counts = (0, 0, context // 2, 0, context // 2)
            rows.append(lakes.request(key, f"2026-03-01T09:{n:02}:00", counts, session_id=session, tool_calls=2))
            call = {"key": key, "session_id": session, "ts": rows[-1]["ts"], "name": "Bash", "is_sidechain": False}
            call |= {"host": "laptop", "file_id": 1, "offset": 0, "is_error": context >= 18_000, "denied": False}
            calls.append({**call, "tool_use_id": f"t-{key}"})
            calls.append({**call, "tool_use_id": f"u-{key}", "is_error": False})
    interrupt = {"id": "p1", "session_id": "s2", "ts": lakes.instant("2026-03-01T09:10:30"), "kind": "interrupt"}
    interrupt |= {"chars": 30, "text": "[Request interrupted by user]", "host": "laptop", "file_id": 1, "offset": 0}
    lake: Snapshot = lakes.publish(tmp_path / "lake", {"requests": rows, "tool_calls": calls, "prompts": [interrupt]})
    return lake


def test_tenths_by_context(twenty: Snapshot) -> None:
    rows = answer(twenty)
    assert [(row["decile"], row["requests"]) for row in rows] == [(n, 2) for n in range(1, 11)]
    assert [(row["least_context_tokens"], row["largest_context_tokens"]) for row in rows] == [
        (n * 1000 - 1000, n * 1000) for n in range(2, 21, 2)
    ]
    assert rows[9] == {
        "decile": 10,
        "requests": 2,
        "least_context_tokens": 19_000,
        "largest_context_tokens": 20_000,
        "first_chain_request": 9,
        "last_chain_request": 10,
        "context_per_request": 19_500.0,
        "reads_per_request": 9_750.0,
        "hit_ratio": 0.5,
        # 19,500 written at $6.25 a million, 19,500 read at $0.50.
        "cost": Decimal("0.131625"),
        "cost_per_request": 0.0658125,
        "unpriced_requests": 0,
        "tool_calls": 4,
        "tool_errors": 2,
        "denied_calls": 0,
        "interruptions": 1,
        "corrections": 0,
        "repeats": 0,
        "tool_errors_per_100": 100.0,
        "denied_calls_per_100": 0.0,
        "interruptions_per_100": 50.0,
        "corrections_per_100": 0.0,
        "repeats_per_100": 0.0,
    }
    assert [row["tool_errors"] for row in rows] == [0] * 8 + [1, 2]


def test_tenths_by_number_of_the_request(twenty: Snapshot) -> None:
    rows = answer(twenty, by="request")
    assert [(row["first_chain_request"], row["last_chain_request"]) for row in rows] == [(n, n) for n in range(1, 11)]
    assert [row["context_per_request"] for row in rows] == [(n + 5) * 1000 for n in range(1, 11)]
    assert [row["interruptions"] for row in rows] == [0] * 9 + [1]


def test_a_filter_leaves_the_number_of_the_request(twenty: Snapshot) -> None:
    rows = answer(twenty, by="request", since="2026-03-01T09:09:00Z")
    assert [(row["requests"], row["first_chain_request"]) for row in rows] == [(1, 9), (1, 9), (1, 10), (1, 10)]


def test_subagents_can_be_left_out_or_looked_at_alone(lake: Snapshot) -> None:
    """Of the seven requests of the tiny lake, one is a subagent's."""
    assert sum(row["requests"] for row in answer(lake)) == 7
    assert sum(row["requests"] for row in answer(lake, thread="main")) == 6
    (row,) = answer(lake, thread="subagent")
    assert (row["requests"], row["least_context_tokens"]) == (1, 1502)


@pytest.mark.parametrize("by", ["context", "request"])
def test_the_samples(by: str, tmp_path: Path) -> None:
    """Tenths of the sorted requests, the first ones one larger where ten does not divide their number."""
    lake = Lake(tmp_path / "lake")
    lake.refresh([Path(__file__).resolve().parents[2] / "data-samples" / "logs"], host="h")
    snapshot = lake.snapshot()
    requests = sql(snapshot, "select * from requests").to_pylist()
    costs = {row["key"]: row["cost"] for row in sql(snapshot, "select key, cost from costs").to_pylist()}
    numbers: dict[str, int] = {}
    seen: dict[object, int] = {}
    for row in sorted(requests, key=lambda row: (row["ts"], row["key"])):
        chain = (row["session_id"], row["is_sidechain"], row["agent_id"], row["origin"] == "advisor")
        seen[chain] = numbers[row["key"]] = seen.get(chain, 0) + 1
    requests.sort(key=lambda row: (row["context_tokens"] if by == "context" else numbers[row["key"]], row["key"]))
    size, larger = divmod(len(requests), 10)
    found = answer(snapshot, by=by)
    for row in found:
        place = row["decile"] - 1
        start = place * size + min(place, larger)
        tenth = requests[start : start + size + (place < larger)]
        contexts = [request["context_tokens"] for request in tenth]
        reads = sum(request["cache_read_tokens"] for request in tenth)
        priced = [costs[request["key"]] for request in tenth if costs[request["key"]] is not None]
        assert row["requests"] == len(tenth)
        assert (row["least_context_tokens"], row["largest_context_tokens"]) == (min(contexts), max(contexts))
        assert row["first_chain_request"] == min(numbers[request["key"]] for request in tenth)
        assert row["last_chain_request"] == max(numbers[request["key"]] for request in tenth)
        assert row["context_per_request"] == pytest.approx(sum(contexts) / len(tenth))
        assert row["reads_per_request"] == pytest.approx(reads / len(tenth))
        assert row["hit_ratio"] == (pytest.approx(reads / sum(contexts)) if sum(contexts) else None)
        assert row["cost"] == (sum(priced) if priced else None)
        assert row["unpriced_requests"] == len(tenth) - len(priced)
        assert row["tool_calls"] == sum(request["tool_calls"] or 0 for request in tenth)
    assert sum(row["requests"] for row in found) == len(requests)
    calls = sql(snapshot, "select count(*) as n from tool_calls where is_error and not coalesce(denied, false)")
    assert sum(row["tool_errors"] for row in found) == calls.to_pylist()[0]["n"] > 0
