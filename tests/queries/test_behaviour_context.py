"""behaviour/long-context, behaviour/compactions and behaviour/subagents against cases worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.queries.behaviour_rows import answer, at, event, prompt, publish, request, tool_call

from tokenlake.store.catalog import Snapshot

MILLION = 1_000_000


def split(total: int, parts: int) -> list[int]:
    return [total // parts + (n < total % parts) for n in range(parts)]


def test_reads_per_request_of_a_published_pair_of_versions(tmp_path: Path) -> None:
    """claude-code issue 28927: 644 requests read 85,100,082 tokens on 2.1.50, 392 read 80,173,520 on 2.1.51."""
    requests = [
        request(f"{version}-{n}", day * 86_400 + n, (0, 0, 0, 0, reads), version=version)
        for day, (version, total, parts) in enumerate([("2.1.50", 85_100_082, 644), ("2.1.51", 80_173_520, 392)])
        for n, reads in enumerate(split(total, parts))
    ]
    rows = answer(publish(tmp_path, requests=requests), "long-context")
    assert [(row["by"], row["requests"], round(row["reads_per_request"]), row["long_requests"]) for row in rows] == [
        ("2.1.50", 644, 132_143, 0),
        ("2.1.51", 392, 204_524, 392),
    ]


@pytest.fixture
def sizes(tmp_path: Path) -> Snapshot:
    """Opus 4.5 reads at 0.50 dollars a million."""
    other = {"version": "2.1.200", "model": "some-model", "session_id": "s2", "project": None}
    return publish(
        tmp_path,
        requests=[
            request("r1", 0, (0, 0, 0, 0, 200_000)),
            request("r2", 1, (0, 0, 0, 0, 200_001)),
            request("r3", 80_000, (0, 0, 0, 0, 400_000)),
            request("r4", 80_001, (300_000, 9, 0, 0, 0), **other),
        ],
    )


def test_a_request_is_long_beyond_the_limit(sizes: Snapshot) -> None:
    (row,) = answer(sizes, "long-context", by="none")
    assert row == {
        "by": "all",
        "version": "all",
        "requests": 4,
        "long_requests": 3,
        "long_share": 0.75,
        "context_per_request": 1_100_001 / 4,
        "largest_context_tokens": 400_000,
        "cache_read_tokens": 800_001,
        "reads_per_request": 800_001 / 4,
        "long_read_tokens": 600_001,
        "cost": Decimal("0.4000005"),
        "long_cost": Decimal("0.3000005"),
        "unpriced_requests": 1,
    }
    (row,) = answer(sizes, "long-context", by="none", above=400_000)
    assert (row["long_requests"], row["long_cost"], row["long_read_tokens"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"by": "version"}, [("2.1.119", "all", 3), ("2.1.200", "all", 1)]),
        ({"by": "day"}, [("2026-05-04", "all", 2), ("2026-05-05", "all", 2)]),
        (
            {"by": "day", "by_version": True},
            [("2026-05-04", "2.1.119", 2), ("2026-05-05", "2.1.119", 1), ("2026-05-05", "2.1.200", 1)],
        ),
        ({"by": "day", "tz": "Pacific/Honolulu"}, [("2026-05-03", "all", 2), ("2026-05-04", "all", 2)]),
        ({"by": "model"}, [("claude-opus-4-5-20251101", "all", 3), ("some-model", "all", 1)]),
        ({"by": "project"}, [("/home/ada/alpha", "all", 3), ("(none)", "all", 1)]),
        ({"by": "session"}, [("s1", "all", 3), ("s2", "all", 1)]),
    ],
)
def test_groups_of_long_requests(sizes: Snapshot, params: dict[str, Any], expected: list[Any]) -> None:
    rows = answer(sizes, "long-context", **params)
    assert [(row["by"], row["version"], row["requests"]) for row in rows] == expected
    assert sum(row["long_requests"] for row in rows) == 3


COMPACTED = {"compactMetadata": {"trigger": "auto", "preTokens": 167_133}}


def test_a_compaction_with_what_is_around_it(tmp_path: Path) -> None:
    """Opus 4.5: the next request writes 20,000 tokens at 6.25 dollars a million and reads 2,000 at 0.50."""
    lake = publish(
        tmp_path,
        requests=[
            request("r1", 10, (0, 0, 0, 0, 160_000)),
            request("sub", 15, (0, 0, 0, 0, 999), is_sidechain=True, agent_id="a1"),
            request("r2", 20, (5, 0, 995, 0, 166_000)),
            request("r2:advisor:0", 20, (7, 0, 0, 0, 0), origin="advisor"),
            request("r3", 30, (0, 0, 20_000, 0, 2_000)),
            request("r4", 40, (0, 0, 100, 0, 22_000)),
        ],
        tool_calls=[
            tool_call("t1", "r1", 11, is_error=True),
            tool_call("t2", "r4", 41, is_error=True),
            tool_call("t3", "r4", 42, is_error=True),
            tool_call("t4", "sub", 15, is_error=True),
        ],
        prompts=[prompt("p1", 35, "no, undo that"), prompt("p2", 45, "[Request interrupted by user]", "interrupt")],
        events=[event("c1", 25, "compact_boundary", COMPACTED)],
    )
    (row,) = answer(lake, "compactions")
    assert row == {
        "ts": at(25),
        "session_id": "s1",
        "agent_id": None,
        "project": "/home/ada/alpha",
        "kind": "full",
        "trigger": "auto",
        "pre_tokens": 167_133,
        "post_tokens": None,
        "duration_ms": None,
        "context_before": 167_000,
        "context_after": 22_000,
        "dropped_share": 1 - 22 / 167,
        "next_read_tokens": 2_000,
        "next_write_tokens": 20_000,
        "next_cost": Decimal("0.126"),
        "requests_before": 2,
        "requests_after": 2,
        "errors_before": 1,
        "errors_after": 2,
        "interruptions_before": 0,
        "interruptions_after": 1,
        "corrections_before": 0,
        "corrections_after": 1,
    }
    (row,) = answer(lake, "compactions", window=1)
    names = ("requests_before", "requests_after", "errors_before", "errors_after", "corrections_after")
    assert tuple(row[name] for name in names) == (1, 1, 0, 0, 1)
    assert (row["context_before"], row["context_after"]) == (167_000, 22_000)


def test_compactions_without_requests_on_a_side(tmp_path: Path) -> None:
    """Before the first request, two in a row, after the last, and in a session that owns no request at all."""
    detail = {"microcompactMetadata": {"trigger": "manual", "preTokens": 9, "postTokens": 4, "durationMs": 77}}
    lake = publish(
        tmp_path,
        requests=[request("r1", 10, (0, 0, 0, 0, 100)), request("r2", 20, (0, 0, 0, 0, 40))],
        events=[
            event("c1", 5, "compact_boundary", COMPACTED),
            event("c2", 15, "microcompact_boundary", detail),
            event("c3", 20, "compact_boundary", COMPACTED),
            event("c4", 25, "compact_boundary", {}),
            event("c5", 30, "compact_boundary", COMPACTED, session_id="s9"),
            event("other", 30, "turn_duration"),
        ],
    )
    names = ("kind", "trigger", "pre_tokens", "context_before", "context_after", "requests_before", "requests_after")
    assert [tuple(row[name] for name in names) for row in answer(lake, "compactions")] == [
        ("full", "auto", 167_133, None, 100, 0, 2),
        ("micro", "manual", 9, 100, 40, 1, 1),
        ("full", "auto", 167_133, 100, 40, 1, 1),
        ("full", None, None, 40, None, 2, 0),
        ("full", "auto", 167_133, None, None, 0, 0),
    ]
    row = answer(lake, "compactions")[1]
    assert (row["post_tokens"], row["duration_ms"]) == (4, 77)


def test_a_compaction_of_a_subagent_is_about_its_own_chain(tmp_path: Path) -> None:
    agent = {"is_sidechain": True, "agent_id": "a1"}
    lake = publish(
        tmp_path,
        requests=[
            request("r1", 10, (0, 0, 0, 0, 500)),
            request("a1", 11, (0, 0, 0, 0, 90), **agent),
            request("r2", 30, (0, 0, 0, 0, 600)),
            request("a2", 31, (0, 0, 0, 0, 30), **agent),
        ],
        events=[event("c", 20, "compact_boundary", COMPACTED, **agent)],
    )
    (row,) = answer(lake, "compactions")
    assert (row["agent_id"], row["context_before"], row["context_after"]) == ("a1", 90, 30)


def test_filters_choose_compactions_and_change_none(tmp_path: Path) -> None:
    lake = publish(
        tmp_path,
        requests=[request("r1", 10, (0, 0, 0, 0, 500)), request("r2", 30, (0, 0, 0, 0, 60))],
        events=[event("c", 20, "compact_boundary", COMPACTED)],
    )
    (row,) = answer(lake, "compactions", since="2026-05-04T09:00:20")
    assert (row["context_before"], row["context_after"]) == (500, 60)
    assert answer(lake, "compactions", since="2026-05-04T09:00:21") == []


@pytest.fixture
def threads(tmp_path: Path, lakes: Any) -> Snapshot:
    """Opus 4.5 writes at 6.25 dollars a million, output at 25."""
    sub = {"is_sidechain": True}
    kinds = {1: "main", 2: "agent", 3: "compaction", 4: "workflow"}
    return publish(
        tmp_path,
        files=[lakes.transcript(n, f"/logs/{kind}.jsonl", kind=kind) for n, kind in kinds.items()],
        requests=[
            request("m1", 0, (0, MILLION, 0, 0, 0)),
            request("m2", 90_000, (0, MILLION, 0, 0, 0)),
            request("a1", 1, (0, 0, 40_000, 0, 0), agent_id="a1", file_id=2, **sub),
            request("a2", 2, (0, 0, 8_000, 0, 40_000), agent_id="a1", file_id=2, **sub),
            request("b1", 3, (0, 0, 20_000, 0, 0), agent_id="b1", file_id=2, model="some-model", **sub),
            request("c1", 4, (0, 0, 8_000, 0, 0), agent_id="acompact-12ab", file_id=3, **sub),
            request("w1", 5, (0, 0, 8_000, 0, 0), agent_id="w1", file_id=4, **sub),
            request("i1", 6, (0, 0, 8_000, 0, 0), **sub),
            request("p1", 7, (0, 0, 8_000, 0, 0), agent_id="p1", origin="agent_progress", **sub),
            request("q1", 8, (0, 0, 8_000, 0, 0), agent_id="aside_question-77", file_id=2, **sub),
        ],
    )


def test_subagents_by_kind(threads: Snapshot) -> None:
    rows = answer(threads, "subagents")
    names = ("by", "requests", "agents", "cold_starts", "cold_write_tokens", "cost", "unpriced_requests")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("main", 2, 0, 0, 0, Decimal(50), 0),
        ("agent", 3, 2, 2, 60_000, Decimal("0.32"), 1),
        ("compaction", 1, 1, 1, 8_000, Decimal("0.05"), 0),
        ("in-main", 1, 1, 1, 8_000, Decimal("0.05"), 0),
        ("progress", 1, 1, 1, 8_000, Decimal("0.05"), 0),
        ("side_question", 1, 1, 1, 8_000, Decimal("0.05"), 0),
        ("workflow", 1, 1, 1, 8_000, Decimal("0.05"), 0),
    ]
    assert rows[0]["subagent_cost"] == 0
    assert rows[0]["subagent_cost_share"] == 0
    assert rows[1]["cost_share"] == pytest.approx(0.32 / 50.57)
    assert (rows[1]["median_cold_write_tokens"], rows[1]["cold_write_cost"]) == (30_000, Decimal("0.25"))


def test_subagents_beside_the_main_thread(threads: Snapshot) -> None:
    (row,) = answer(threads, "subagents", by="none")
    assert (row["requests"], row["subagent_requests"], row["agents"], row["cold_starts"]) == (10, 8, 7, 7)
    assert (row["cost"], row["subagent_cost"]) == (Decimal("50.57"), Decimal("0.57"))
    assert (row["total_tokens"], row["subagent_tokens"]) == (2 * MILLION + 148_000, 148_000)
    rows = answer(threads, "subagents", by="day")
    assert [(row["by"], row["requests"], row["subagent_requests"]) for row in rows] == [
        ("2026-05-04", 9, 8),
        ("2026-05-05", 1, 0),
    ]
    rows = answer(threads, "subagents", by="agent")
    assert [row["by"] for row in rows][:2] == ["s1 a1", "s1 "]
    assert rows[-1]["by"] == "s1 b1"


def test_a_filter_makes_no_cold_start(threads: Snapshot) -> None:
    """The agent's second request is still its second."""
    (row,) = answer(threads, "subagents", by="none", since="2026-05-04T09:00:02", until="2026-05-04T09:00:02.5")
    assert (row["subagent_requests"], row["cold_starts"], row["cold_write_cost"]) == (1, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 3), st.integers(0, 400_000)), max_size=25))
def test_groups_of_subagents_and_contexts_add_up(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, int, int]]
) -> None:
    requests = [
        request(f"r{n:02}", second, (0, 1, 0, 0, size), is_sidechain=agent > 0, agent_id=f"a{agent}" if agent else None)
        for n, (second, agent, size) in enumerate(made)
    ]
    lake = publish(tmp_path_factory.mktemp("law"), requests=requests)
    cold = len({agent for _, agent, _ in made if agent})
    for by in ("none", "kind", "day", "session", "project", "model", "version"):
        rows = answer(lake, "subagents", by=by)
        assert sum(row["requests"] for row in rows) == len(made)
        assert sum(row["cold_starts"] for row in rows) == cold
        assert sum(row["total_tokens"] for row in rows) == sum(size + 1 for *_, size in made)
    for by in ("none", "version", "day", "model", "project", "session"):
        rows = answer(lake, "long-context", by=by, above=1000)
        assert sum(row["requests"] for row in rows) == len(made)
        assert sum(row["long_requests"] for row in rows) == sum(size > 1000 for *_, size in made)
