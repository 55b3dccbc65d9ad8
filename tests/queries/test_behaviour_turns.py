"""behaviour/turns against turns worked out by hand, and against a plain walk through made conversations."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.queries.behaviour_rows import answer, at, event, prompt, publish, request

from tokenlake.query.run import sql
from tokenlake.store.catalog import Snapshot

MILLION = 1_000_000


def turns_of(lake: Snapshot) -> dict[str, str | None]:
    """The turn of every request."""
    rows = sql(lake, "select key, turn_id from request_turns").to_pylist()
    return {row["key"]: row["turn_id"] for row in rows}


def test_a_turn_lasts_until_the_next_prompt_or_slash_command(tmp_path: Path) -> None:
    """Subagents belong to it; what is queued, notified or interrupted begins none; a prompt precedes its instant."""
    lake = publish(
        tmp_path,
        requests=[
            request("before", 5),
            request("r1", 11),
            request("sub", 12, is_sidechain=True, agent_id="a1"),
            request("r2", 16),
            request("r3", 20),
            request("other", 21, session_id="s2"),
            request("r4", 31),
        ],
        prompts=[
            prompt("p1", 10, "do it"),
            prompt("q", 13, "and this", "queued"),
            prompt("n", 14, "<task-notification>", "task-notification"),
            prompt("i", 15, "[Request interrupted by user]", "interrupt"),
            prompt("p2", 20, "<command-name>/review", "slash"),
            prompt("p3", 30, "next"),
        ],
    )
    assert turns_of(lake) == {
        "before": None,
        "r1": "p1",
        "sub": "p1",
        "r2": "p1",
        "r3": "p2",
        "other": None,
        "r4": "p3",
    }


@pytest.fixture
def lake(tmp_path: Path) -> Snapshot:
    """Opus 4.5 output at 25 dollars a million. Turn p1: 3 requests, 4 calls, $75, 40 s; p2: 1 request, $25, 6 s."""
    out = (0, MILLION, 0, 0, 0)
    return publish(
        tmp_path,
        requests=[
            request("r1", 11, out, tool_calls=1),
            request("r2", 20, out, tool_calls=3, is_sidechain=True, agent_id="a1"),
            request("r3", 30, out, last_ts=at(50)),
            request("r4", 104, out, last_ts=at(106)),
            request("r5", 90_000, out, model="some-model", session_id="s2", project="/home/ada/beta"),
        ],
        prompts=[
            prompt("p1", 10, "Log every\nship."),
            prompt("silent", 60, "<command-name>/theme", "slash"),
            prompt("p2", 100, "next"),
        ],
        events=[
            event("d1", 41, "turn_duration", {"durationMs": 30_000}),
            event("d2", 55, "turn_duration", {"durationMs": 5_000}),
            event("d3", 61, "turn_duration", {"durationMs": 7}),
        ],
    )


def test_one_row_of_all_turns(lake: Snapshot) -> None:
    """The turn of s2 has no prompt: it begins with its request. /theme sets off no request, so it is no turn."""
    (row,) = answer(lake, "turns", by="none")
    expected = {
        "by": "all",
        "turns": 3,
        "requests": 5,
        "subagent_requests": 1,
        "tool_calls": 4,
        "requests_per_turn": 5 / 3,
        "median_requests": 1.0,
        "largest_requests": 3,
        "tool_calls_per_turn": 4 / 3,
        "median_elapsed_ms": 6_000.0,
        "timed_turns": 1,
        "duration_ms": 35_000,
        "median_duration_ms": 35_000.0,
        "cost": Decimal(100),
        "cost_per_turn": 50.0,
        "median_cost": 50.0,
        "largest_cost": Decimal(75),
        "unpriced_requests": 1,
        "prompt": None,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["p95_requests"] == pytest.approx(2.8)  # 0.9 of the way from 1 to 3
    assert row["p95_elapsed_ms"] == pytest.approx(36_600)  # of 0, 6,000 and 40,000


def test_every_turn_with_its_prompt_the_dearest_first(lake: Snapshot) -> None:
    rows = answer(lake, "turns", by="turn")
    assert [(row["by"], row["requests"], row["cost"], row["duration_ms"], row["prompt"]) for row in rows] == [
        ("2026-05-04 09:00:10 s1", 3, 75, 35_000, "Log every ship."),
        ("2026-05-04 09:01:40 s1", 1, 25, 0, "next"),
        ("2026-05-05 10:00:00 s2", 1, None, 0, None),
    ]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("day", [("2026-05-04", 2), ("2026-05-05", 1)]),
        ("session", [("s1", 2), ("s2", 1)]),
        ("project", [("/home/ada/alpha", 2), ("/home/ada/beta", 1)]),
        ("model", [("claude-opus-4-5-20251101", 2), ("some-model", 1)]),
        ("version", [("2.1.119", 3)]),
    ],
)
def test_groups(lake: Snapshot, by: str, expected: list[tuple[str, int]]) -> None:
    assert [(row["by"], row["turns"]) for row in answer(lake, "turns", by=by)] == expected


def test_days_are_local(lake: Snapshot) -> None:
    rows = answer(lake, "turns", by="day", tz="Pacific/Auckland")
    assert [(row["by"], row["turns"]) for row in rows] == [("2026-05-04", 2), ("2026-05-05", 1)]
    rows = answer(lake, "turns", by="day", tz="America/Los_Angeles")
    assert [row["by"] for row in rows] == ["2026-05-04", "2026-05-05"]
    rows = answer(lake, "turns", by="turn", tz="Pacific/Auckland")
    assert rows[0]["by"] == "2026-05-04 21:00:10 s1"


def test_a_filter_leaves_requests_in_their_turn(lake: Snapshot) -> None:
    """Of p1 one request is left; it is still p1's."""
    (row,) = answer(lake, "turns", by="turn", since="2026-05-04T09:00:25", until="2026-05-04T09:00:35")
    assert (row["by"], row["requests"], row["cost"]) == ("2026-05-04 09:00:10 s1", 1, 25)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(["s1", "s2"]), st.sampled_from(["typed", "slash", "queued", ""])),
        max_size=30,
    )
)
def test_turns_are_those_of_a_walk_through_the_session(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, str, str]]
) -> None:
    """Sorted by time, prompts before requests of their instant; the last typed one or command is the turn."""
    items = [(second, kind == "", n, name, kind) for n, (second, name, kind) in enumerate(made)]
    expected: dict[str, str | None] = {}
    current: dict[str, str] = {}
    for _, is_request, n, name, kind in sorted(items):
        if is_request:
            expected[f"r{n:02}"] = current.get(name)
        elif kind != "queued":
            current[name] = f"p{n:02}"
    lake = publish(
        tmp_path_factory.mktemp("walk"),
        requests=[request(f"r{n:02}", s, session_id=name) for s, is_, n, name, _ in items if is_],
        prompts=[prompt(f"p{n:02}", s, "x", kind, session_id=name) for s, is_, n, name, kind in items if not is_],
    )
    assert turns_of(lake) == expected
    rows: list[dict[str, Any]] = answer(lake, "turns", by="turn")
    owners = {row["key"]: row["session_id"] for row in sql(lake, "select key, session_id from requests").to_pylist()}
    assert sum(row["requests"] for row in rows) == len(expected)
    assert len(rows) == len({(owners[key], turn) for key, turn in expected.items()})
