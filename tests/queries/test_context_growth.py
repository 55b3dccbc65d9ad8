"""context/growth against slopes worked out by hand, and against plain Python over the samples."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.queries.replays import chains, compacted, micros

from tokenlake.lake import Lake
from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot


def answer(lake: Snapshot, **params: Any) -> list[dict[str, Any]]:
    return run(lake, "context/growth", params).to_pylist()


@pytest.fixture
def growing(lakes: Any, tmp_path: Path) -> Snapshot:
    """A thread of contexts 100, 300, 200 and 400 at 0, 1, 2 and 3 hours, compacted before the third; a subagent."""
    rows = [
        lakes.request("m1", "2026-03-01T09:00:00", (10, 5, 90, 0, 0)),
        lakes.request("m2", "2026-03-01T10:00:00", (0, 5, 100, 100, 100)),
        lakes.request("m3", "2026-03-01T11:00:00", (0, 5, 0, 0, 200)),
        lakes.request("m4", "2026-03-01T12:00:00", (0, 5, 0, 0, 400)),
        lakes.request("a1", "2026-03-01T09:30:00", (0, 5, 70, 0, 0), is_sidechain=True, agent_id="a1"),
        lakes.request("v1", "2026-03-01T09:40:00", (0, 5, 80, 0, 0), origin="advisor"),
    ]
    compaction: dict[str, Any] = {
        "id": "e1",
        "type": "system",
        "subtype": "compact_boundary",
        "session_id": "s1",
        "host": "laptop",
    }
    compaction |= {"ts": lakes.instant("2026-03-01T10:30:00"), "file_id": 1, "offset": 0}
    lake: Snapshot = lakes.publish(tmp_path / "lake", {"requests": rows, "events": [compaction]})
    return lake


def test_a_row_is_a_chain_with_its_contexts_and_slopes(growing: Snapshot) -> None:
    """Least squares of 100, 300, 200, 400 on 1, 2, 3, 4: (4 * 2900 - 10 * 1000) / (4 * 30 - 100) = 80."""
    main, agent, advisor = answer(growing)
    assert main == {
        "session_id": "s1",
        "thread": "main",
        "agent_id": None,
        "first_ts": dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC),
        "requests": 4,
        "hours": 3.0,
        "first_context_tokens": 100,
        "peak_context_tokens": 400,
        "last_context_tokens": 400,
        "tokens_per_request": pytest.approx(80),
        "tokens_per_hour": pytest.approx(80),
        "growth_tokens": 400,
        "shrink_tokens": 100,
        "compactions": 1,
    }
    assert (agent["thread"], agent["agent_id"], agent["peak_context_tokens"]) == ("subagent", "a1", 70)
    assert (advisor["thread"], advisor["requests"]) == ("advisor", 1)


def test_one_request_has_no_slope(growing: Snapshot) -> None:
    _, agent, _ = answer(growing)
    assert (agent["tokens_per_request"], agent["tokens_per_hour"], agent["hours"]) == (None, None, 0)
    assert (agent["growth_tokens"], agent["compactions"]) == (0, 0)


def test_requests_of_one_instant_have_a_slope_on_their_number_only(lakes: Any, tmp_path: Path) -> None:
    rows = [lakes.request(f"r{n}", "2026-03-01T09:00:00", (0, 0, 0, 0, 7 * n)) for n in range(3)]
    (row,) = answer(lakes.publish(tmp_path / "lake", {"requests": rows}))
    assert (row["tokens_per_request"], row["tokens_per_hour"]) == (pytest.approx(7), None)


def test_threads_and_short_chains_can_be_left_out(growing: Snapshot) -> None:
    assert [row["thread"] for row in answer(growing, thread="subagent")] == ["subagent"]
    assert [row["thread"] for row in answer(growing, min_requests=2)] == ["main"]


def test_a_filter_leaves_the_place_in_the_chain(growing: Snapshot) -> None:
    """Of the requests from 10:00: 300, 200, 400, the first of them 200 more than the one before it."""
    (row,) = answer(growing, since="2026-03-01T10:00:00Z")
    assert (row["requests"], row["first_context_tokens"], row["hours"]) == (3, 300, 2)
    assert (row["growth_tokens"], row["shrink_tokens"], row["compactions"]) == (400, 100, 1)
    assert row["tokens_per_request"] == pytest.approx(50)


def slope(points: list[tuple[Fraction, int]]) -> float | None:
    """The least-squares slope, in exact arithmetic."""
    mean_x = Fraction(sum(x for x, _ in points), len(points))
    mean_y = Fraction(sum(y for _, y in points), len(points))
    square = sum((x - mean_x) ** 2 for x, _ in points)
    return float(sum((x - mean_x) * (y - mean_y) for x, y in points) / square) if square else None


def test_the_samples(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.refresh([Path(__file__).resolve().parents[2] / "data-samples" / "logs"], host="h")
    snapshot = lake.snapshot()
    events = sql(snapshot, "select * from events").to_pylist()
    expected = []
    for chain in chains(sql(snapshot, "select * from requests").to_pylist()):
        first = chain[0]
        contexts = [row["context_tokens"] for row in chain]
        steps = [after - before for before, after in pairwise(contexts)]
        hours = [Fraction(micros(row, first), 3_600_000_000) for row in chain]
        thread = "advisor" if first["origin"] == "advisor" else "subagent" if first["is_sidechain"] else "main"
        expected.append(
            {
                "session_id": first["session_id"],
                "thread": thread,
                "agent_id": first["agent_id"],
                "first_ts": first["ts"],
                "requests": len(chain),
                "hours": float(hours[-1]),
                "first_context_tokens": contexts[0],
                "peak_context_tokens": max(contexts),
                "last_context_tokens": contexts[-1],
                "tokens_per_request": slope([(Fraction(n), context) for n, context in enumerate(contexts)]),
                "tokens_per_hour": slope(list(zip(hours, contexts, strict=True))),
                "growth_tokens": sum(step for step in steps if step > 0),
                "shrink_tokens": -sum(step for step in steps if step < 0),
                "compactions": sum(compacted(a, b, events) for a, b in pairwise(chain)),
            }
        )
    found = answer(snapshot)
    assert len(found) == len(expected) > 50
    assert any(row["compactions"] for row in found)

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["first_ts"], row["session_id"], row["thread"], row["agent_id"] or "~"

    assert found == sorted(found, key=order)
    for row, wanted in zip(found, sorted(expected, key=order), strict=True):
        assert row == {
            name: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
            for name, value in wanted.items()
        }
