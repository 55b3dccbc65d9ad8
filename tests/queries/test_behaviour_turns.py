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
    """The request of s2 follows no prompt: it is outside turns. /theme sets off no request, so it is no turn."""
    (row,) = answer(lake, "turns", by="none")
    expected = {
        "by": "all",
        "turns": 2,
        "requests": 5,
        "requests_outside_turns": 1,
        "subagent_requests": 1,
        "tool_calls": 4,
        "requests_per_turn": 2.0,
        "median_requests": 2.0,
        "largest_requests": 3,
        "tool_calls_per_turn": 2.0,
        "median_elapsed_ms": 23_000.0,
        "timed_turns": 1,
        "duration_ms": 35_000,
        "median_duration_ms": 35_000.0,
        "cost": Decimal(100),
        "cost_per_turn": 50.0,
        "median_cost": 50.0,
        "largest_cost": Decimal(75),
        "cost_outside_turns": None,
        "unpriced_requests": 1,
        "prompt": None,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["p95_requests"] == pytest.approx(2.9)  # 0.95 of the way from 1 to 3
    assert row["p95_elapsed_ms"] == pytest.approx(38_300)  # of 6,000 and 40,000


def test_every_turn_with_its_prompt_the_dearest_first(lake: Snapshot) -> None:
    rows = answer(lake, "turns", by="turn")
    assert [(row["by"], row["requests"], row["cost"], row["duration_ms"], row["prompt"]) for row in rows] == [
        ("2026-05-04 09:00:10 s1", 3, 75, 35_000, "Log every ship."),
        ("2026-05-04 09:01:40 s1", 1, 25, 0, "next"),
        ("(before the first prompt)", 1, None, 0, None),
    ]


@pytest.fixture
def resumed(tmp_path: Path) -> Snapshot:
    """Five requests of $100 and 2 calls of s1, and one of s2, precede any prompt; p1: 1 request, $25; p2: 3, $75."""
    out, dear = (0, MILLION, 0, 0, 0), (0, 4 * MILLION, 0, 0, 0)
    return publish(
        tmp_path,
        requests=[
            request("b1", 1, dear, tool_calls=2, is_sidechain=True, agent_id="a1"),
            *(request(f"b{n}", n, dear, tool_calls=2) for n in range(2, 6)),
            request("r1", 100, out, tool_calls=1, last_ts=at(102)),
            *(request(f"r{n}", 198 + n, out, tool_calls=1, last_ts=at(200 + n)) for n in range(2, 5)),
            request("alone", 90_000, dear, tool_calls=2, session_id="s2"),
        ],
        prompts=[prompt("p1", 100, "first"), prompt("p2", 200, "second")],
    )


def test_requests_before_the_first_prompt_are_in_the_totals_and_in_no_figure_of_turns(resumed: Snapshot) -> None:
    (row,) = answer(resumed, "turns", by="none")
    expected = {
        "turns": 2,
        "requests": 10,
        "requests_outside_turns": 6,
        "subagent_requests": 1,
        "tool_calls": 16,
        "requests_per_turn": 2.0,
        "median_requests": 2.0,
        "p95_requests": 2.9,
        "largest_requests": 3,
        "tool_calls_per_turn": 2.0,
        "median_elapsed_ms": 3_000.0,  # 2,000 and 4,000
        "p95_elapsed_ms": 3_900.0,
        "cost": Decimal(700),
        "cost_per_turn": 50.0,
        "median_cost": 50.0,
        "p95_cost": 72.5,
        "largest_cost": Decimal(75),
        "cost_outside_turns": Decimal(600),
        "unpriced_requests": 0,
    }
    found = {name: row[name] for name in expected}
    assert found == {n: pytest.approx(v) if isinstance(v, float) else v for n, v in expected.items()}


def test_what_is_outside_turns_is_one_last_row_of_the_turns(resumed: Snapshot) -> None:
    """However dear it is: it is no turn."""
    rows = answer(resumed, "turns", by="turn")
    assert [(row["by"], row["turns"], row["requests"], row["cost"], row["largest_cost"]) for row in rows] == [
        ("2026-05-04 09:03:20 s1", 1, 3, 75, 75),
        ("2026-05-04 09:01:40 s1", 1, 1, 25, 25),
        ("(before the first prompt)", 0, 6, 600, None),
    ]


@pytest.mark.parametrize("by", ["none", "turn", "day", "session", "project", "model", "version"])
def test_totals_over_groups_are_the_total(resumed: Snapshot, by: str) -> None:
    rows = answer(resumed, "turns", by=by)
    totals = {"turns": 2, "requests": 10, "requests_outside_turns": 6, "tool_calls": 16, "cost": 700}
    assert {name: sum(row[name] for row in rows) for name in totals} == totals
    assert sum(row["cost_outside_turns"] or 0 for row in rows) == 600


def test_a_request_outside_turns_counts_under_its_own_day(resumed: Snapshot) -> None:
    rows = answer(resumed, "turns", by="day")
    names = ("by", "turns", "requests", "requests_outside_turns", "cost_outside_turns")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("2026-05-04", 2, 9, 5, 500),
        ("2026-05-05", 0, 1, 1, 100),
    ]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("day", [("2026-05-04", 2), ("2026-05-05", 0)]),
        ("session", [("s1", 2), ("s2", 0)]),
        ("project", [("/home/ada/alpha", 2), ("/home/ada/beta", 0)]),
        ("model", [("claude-opus-4-5-20251101", 2), ("some-model", 0)]),
        ("version", [("2.1.119", 2)]),
    ],
)
def test_groups(lake: Snapshot, by: str, expected: list[tuple[str, int]]) -> None:
    assert [(row["by"], row["turns"]) for row in answer(lake, "turns", by=by)] == expected


def test_days_are_local(lake: Snapshot) -> None:
    rows = answer(lake, "turns", by="day", tz="Pacific/Auckland")
    assert [(row["by"], row["turns"]) for row in rows] == [("2026-05-04", 2), ("2026-05-05", 0)]
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
    begun = {(owners[key], turn) for key, turn in expected.items() if turn}
    outside = sum(turn is None for turn in expected.values())
    assert sum(row["turns"] for row in rows) == len(begun)
    assert sum(row["requests_outside_turns"] for row in rows) == outside
    assert len(rows) == len(begun) + (outside > 0)


def test_of_requests_of_one_instant_the_first_in_the_log_is_the_first_of_the_turn(tmp_path: Path) -> None:
    lake = publish(
        tmp_path,
        requests=[
            request("z", 11, (1, 1, 0, 0, 0), offset=10, model="logged-first"),
            request("a", 11, (1, 1, 0, 0, 0), offset=20, model="logged-second"),
        ],
        prompts=[prompt("p", 10, "go")],
    )
    assert [row["by"] for row in answer(lake, "turns", by="model")] == ["logged-first"]


def test_the_mean_cost_of_turns_is_of_their_exact_sum(tmp_path: Path) -> None:
    """A third of a million output tokens each, and more: the sum of fractions would hang on their order."""
    lake = publish(
        tmp_path,
        requests=[request(f"r{n}", 10 * n + 1, (n, 333_333 + n, 7 * n, 0, 11 * n)) for n in range(2000)],
        prompts=[prompt(f"p{n}", 10 * n, "go") for n in range(2000)],
    )
    (row,) = answer(lake, "turns", by="none")
    assert row["cost_per_turn"] == float(row["cost"]) / 2000
