"""The queries of behaviour over data-samples, against the same figures made by plain loops over the lake's rows."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.queries.behaviour_rows import Row, answer

from tokenlake.lake import Lake
from tokenlake.query.run import sql
from tokenlake.store.catalog import Snapshot

EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def sample_lake(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lake = Lake(tmp_path_factory.mktemp("samples") / "lake")
    lake.refresh([samples / "logs"])
    return lake.snapshot()


@pytest.fixture(scope="module")
def tables(sample_lake: Snapshot) -> dict[str, list[Row]]:
    """The rows of the tables, and of `costs`: what a request costs is tested elsewhere."""
    names = ("tool_calls", "prompts", "texts", "events", "files", "sessions", "costs")
    return {name: sql(sample_lake, f"select * from {name}").to_pylist() for name in names}


def place(row: Row) -> tuple[Any, ...]:
    return (row["ts"], row["key"], row["file_id"], row["offset"])


def grouped(rows: Iterable[Row], *names: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def quantile(values: list[float], share: float) -> float | None:
    """The value so far into the sorted ones, between two of them in proportion."""
    if not values:
        return None
    values = sorted(values)
    position = share * (len(values) - 1)
    low = int(position)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (position - low)


def milliseconds(later: dt.datetime, earlier: dt.datetime) -> int:
    return (later - earlier) // dt.timedelta(milliseconds=1)


def equal(found: list[Row], expected: list[Row]) -> None:
    """Every row and column, floats to a part in 10^12."""
    assert [row["by"] for row in found] == [row["by"] for row in expected]
    for row, right in zip(found, expected, strict=True):
        assert set(row) == set(right)
        for name, value in right.items():
            assert row[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), (right, name)


def money(rows: Iterable[Row], name: str = "cost") -> Decimal | None:
    values = [row[name] for row in rows if row[name] is not None]
    return sum(values, Decimal()) if values else None


def test_tools(sample_lake: Snapshot, tables: dict[str, list[Row]]) -> None:
    expected = []
    for (name,), calls in grouped(tables["tool_calls"], "name").items():
        answered = [call for call in calls if call["result_ts"]]
        sizes: list[float] = [call["result_bytes"] or 0 for call in answered]
        times: list[float] = [milliseconds(call["result_ts"], call["ts"]) for call in answered]
        errors = sum(bool(call["is_error"]) and not call["denied"] for call in calls)
        expected.append(
            {
                "by": name,
                "calls": len(calls),
                "errors": errors,
                "denied_calls": sum(bool(call["denied"]) for call in calls),
                "unanswered_calls": len(calls) - len(answered),
                "error_share": errors / len(calls),
                "input_bytes": sum(call["input_bytes"] for call in calls),
                "result_bytes": sum(sizes),
                "median_result_bytes": quantile(sizes, 0.5),
                "p95_result_bytes": quantile(sizes, 0.95),
                "largest_result_bytes": max(sizes, default=None),
                "duration_ms": sum(times),
                "median_duration_ms": quantile(times, 0.5),
                "p95_duration_ms": quantile(times, 0.95),
                "longest_duration_ms": max(times, default=None),
            }
        )
    expected.sort(key=lambda row: (-row["calls"], row["by"]))
    assert sum(row["errors"] for row in expected) > 0
    assert sum(row["denied_calls"] for row in expected) > 0
    equal(answer(sample_lake, "tools"), expected)


def test_retries(sample_lake: Snapshot) -> None:
    """The samples hold one attempt that failed, at 9:00:20, and one error shown in place of an answer."""
    assert answer(sample_lake, "retries") == [
        {
            "by": "2026-07-22",
            "status": "529",
            "errors": 1,
            "sessions": 1,
            "mean_attempt": 1.0,
            "last_attempt": 1,
            "allowed_attempts": 10,
            "exhausted": 0,
            "wait_ms": 513,
            "longest_wait_ms": 513,
            "failures": 1,
        }
    ]


def walked_turns(tables: dict[str, list[Row]]) -> dict[tuple[Any, Any], list[Row]]:
    """Requests by session and prompt: the last typed one or slash command at or before each."""
    begun = grouped((p for p in tables["prompts"] if p["kind"] in ("typed", "slash")), "session_id")
    turns: dict[tuple[Any, Any], list[Row]] = defaultdict(list)
    for request in tables["costs"]:
        before = [p for p in begun.get((request["session_id"],), []) if p["ts"] <= request["ts"]]
        last = max(before, key=lambda p: (p["ts"], p["id"]))["id"] if before else None
        turns[request["session_id"], last].append(request)
    return turns


def test_turns(sample_lake: Snapshot, tables: dict[str, list[Row]]) -> None:
    """Requests before a session's first prompt are in the totals of their own day, and in no figure of turns."""
    prompts = {row["id"]: row for row in tables["prompts"]}
    logged: dict[str, int] = defaultdict(int)
    for event in tables["events"]:
        if event["subtype"] == "turn_duration":
            before = [
                p
                for p in tables["prompts"]
                if p["session_id"] == event["session_id"] and p["ts"] <= event["ts"] and p["kind"] in ("typed", "slash")
            ]
            if before:
                last = max(before, key=lambda p: (p["ts"], p["id"]))["id"]
                logged[last] += int(json.loads(event["detail"])["durationMs"])
    days: dict[str, list[Row]] = defaultdict(list)
    outside: dict[str, list[Row]] = defaultdict(list)
    for (_, turn), requests in walked_turns(tables).items():
        if turn is None:
            for row in requests:
                outside[row["ts"].date().isoformat()].append(row)
            continue
        first = min(requests, key=place)
        begun = prompts[turn]["ts"]
        days[first["ts"].date().isoformat()].append(
            {
                "requests": len(requests),
                "subagents": sum(row["is_sidechain"] for row in requests),
                "tool_calls": sum(row["tool_calls"] or 0 for row in requests),
                "elapsed": milliseconds(max(row["last_ts"] for row in requests), begun),
                "logged": logged.get(turn),
                "cost": money(requests),
                "unpriced": sum(not row["is_priced"] for row in requests),
            }
        )
    expected = []
    assert outside
    for day in sorted({*days, *outside}):
        turns, others = days[day], outside[day]
        costs = [float(turn["cost"]) for turn in turns if turn["cost"] is not None]
        sizes: list[float] = [turn["requests"] for turn in turns]
        times: list[float] = [turn["elapsed"] for turn in turns]
        timed: list[float] = [turn["logged"] for turn in turns if turn["logged"] is not None]
        expected.append(
            {
                "by": day,
                "turns": len(turns),
                "requests": sum(sizes) + len(others),
                "requests_outside_turns": len(others),
                "subagent_requests": sum(turn["subagents"] for turn in turns)
                + sum(row["is_sidechain"] for row in others),
                "tool_calls": sum(turn["tool_calls"] for turn in turns) + sum(row["tool_calls"] or 0 for row in others),
                "requests_per_turn": statistics.fmean(sizes) if turns else None,
                "median_requests": quantile(sizes, 0.5),
                "p95_requests": quantile(sizes, 0.95),
                "largest_requests": max(sizes, default=None),
                "tool_calls_per_turn": statistics.fmean(turn["tool_calls"] for turn in turns) if turns else None,
                "median_elapsed_ms": quantile(times, 0.5),
                "p95_elapsed_ms": quantile(times, 0.95),
                "timed_turns": len(timed),
                "duration_ms": sum(timed),
                "median_duration_ms": quantile(timed, 0.5),
                "cost": money([*turns, *others]),
                "cost_per_turn": statistics.fmean(costs) if costs else None,
                "median_cost": quantile(costs, 0.5),
                "p95_cost": quantile(costs, 0.95),
                "largest_cost": max((turn["cost"] for turn in turns if turn["cost"] is not None), default=None),
                "cost_outside_turns": money(others),
                "unpriced_requests": sum(turn["unpriced"] for turn in turns)
                + sum(not row["is_priced"] for row in others),
                "prompt": None,
            }
        )
    equal(answer(sample_lake, "turns"), expected)


def test_degradation(sample_lake: Snapshot, tables: dict[str, list[Row]]) -> None:
    """Interruptions by the text of the records; of the samples' prompts none corrects, and none comes twice."""
    errors: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for call in tables["tool_calls"]:
        errors[call["key"]][0] += bool(call["is_error"]) and not call["denied"]
        errors[call["key"]][1] += bool(call["denied"])
    for prompt in tables["prompts"]:
        if prompt["text"].startswith("[Request interrupted by user"):
            before = [
                row
                for row in tables["costs"]
                if row["session_id"] == prompt["session_id"]
                and row["ts"] < prompt["ts"]
                and not row["is_sidechain"]
                and row["origin"] != "advisor"
            ]
            if before:
                errors[max(before, key=place)["key"]][2] += 1
    ordered = sorted(
        tables["costs"], key=lambda row: (row["context_tokens"], row["key"], row["file_id"], row["offset"])
    )
    larger, rest = divmod(len(ordered), 10)
    expected = []
    for number in range(1, 11):
        size = larger + (number <= rest)
        rows, ordered = ordered[:size], ordered[size:]
        tool_errors, denied, interrupted = (sum(errors[row["key"]][n] for row in rows) for n in range(3))
        calls = sum(row["tool_calls"] or 0 for row in rows)
        expected.append(
            {
                "by": str(number),
                "requests": size,
                "least_context_tokens": rows[0]["context_tokens"],
                "largest_context_tokens": rows[-1]["context_tokens"],
                "tool_calls": calls,
                "tool_errors": tool_errors,
                "denied_calls": denied,
                "interruptions": interrupted,
                "corrections": 0,
                "repeats": 0,
                "tool_errors_per_100": 100 * tool_errors / size,
                "denied_calls_per_100": 100 * denied / size,
                "interruptions_per_100": 100 * interrupted / size,
                "corrections_per_100": 0.0,
                "repeats_per_100": 0.0,
                "tool_error_share": tool_errors / calls if calls else None,
            }
        )
    assert sum(row["tool_errors"] for row in expected) > 0
    assert sum(row["interruptions"] for row in expected) > 0
    equal(answer(sample_lake, "degradation"), expected)


def test_compactions(sample_lake: Snapshot) -> None:
    """The one conversation of the samples that was compacted, twice between its two requests."""
    rows = answer(sample_lake, "compactions")
    assert [(row["ts"].isoformat(), row["kind"], row["trigger"], row["pre_tokens"]) for row in rows] == [
        ("2026-01-28T09:00:12+00:00", "micro", "auto", 167_000),
        ("2026-01-28T09:00:16+00:00", "full", "auto", 167_133),
    ]
    for row in rows:
        assert (row["context_before"], row["context_after"]) == (167_003, 22_003)
        assert (row["next_read_tokens"], row["next_write_tokens"]) == (0, 22_000)
        assert row["dropped_share"] == 1 - 22_003 / 167_003
        assert (row["requests_before"], row["requests_after"]) == (1, 1)


def test_subagents(sample_lake: Snapshot, tables: dict[str, list[Row]]) -> None:
    kinds = {row["file_id"]: row["kind"] for row in tables["files"]}

    def kind(row: Row) -> str:
        if not row["is_sidechain"]:
            return "main"
        if kinds[row["file_id"]] in ("workflow", "compaction"):
            return str(kinds[row["file_id"]])
        if row["origin"] == "agent_progress":
            return "progress"
        return "in-main" if kinds[row["file_id"]] == "main" else "agent"

    first: dict[Any, Row] = {}
    for row in sorted(tables["costs"], key=place):
        if row["is_sidechain"] and row["origin"] != "advisor":
            first.setdefault((row["session_id"], row["agent_id"]), row)
    cold = {row["key"] for row in first.values()}
    total = float(money(tables["costs"]) or 0)
    expected = []
    for name, rows in grouped(({**row, "kind": kind(row)} for row in tables["costs"]), "kind").items():
        subs = [row for row in rows if row["is_sidechain"]]
        starts = [row for row in rows if row["key"] in cold]
        written: list[float] = [row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"] for row in starts]
        cost, sub_cost = money(rows), money(subs) if subs else Decimal(0)
        assert cost is not None
        assert sub_cost is not None
        expected.append(
            {
                "by": name[0],
                "requests": len(rows),
                "subagent_requests": len(subs),
                "agents": len({(row["session_id"], row["agent_id"]) for row in subs}),
                "total_tokens": sum(row["context_tokens"] + row["output_tokens"] for row in rows),
                "subagent_tokens": sum(row["context_tokens"] + row["output_tokens"] for row in subs),
                "cost": cost,
                "subagent_cost": sub_cost,
                "cost_share": float(cost) / total,
                "subagent_cost_share": float(sub_cost / cost),
                "cold_starts": len(starts),
                "cold_write_tokens": sum(written),
                "median_cold_write_tokens": quantile(written, 0.5),
                "cold_write_cost": money(starts, "cost_cache_write") if starts else Decimal(0),
                "unpriced_requests": sum(not row["is_priced"] for row in rows),
            }
        )
    expected.sort(key=lambda row: -row["cost"])
    assert {row["by"] for row in expected} == {"main", "agent", "compaction", "workflow", "in-main", "progress"}
    equal(answer(sample_lake, "subagents"), expected)


def test_long_context(sample_lake: Snapshot, tables: dict[str, list[Row]]) -> None:
    expected = []
    for (version,), rows in grouped(tables["costs"], "version").items():
        long = [row for row in rows if row["context_tokens"] > 200_000]
        reads = sum(row["cache_read_tokens"] for row in rows)
        expected.append(
            (
                min(row["ts"] or EARLIEST for row in rows),
                {
                    "by": version or "(none)",
                    "version": "all",
                    "requests": len(rows),
                    "long_requests": len(long),
                    "long_share": len(long) / len(rows),
                    "context_per_request": sum(row["context_tokens"] for row in rows) / len(rows),
                    "largest_context_tokens": max(row["context_tokens"] for row in rows),
                    "cache_read_tokens": reads,
                    "reads_per_request": reads / len(rows),
                    "long_read_tokens": sum(row["cache_read_tokens"] for row in long),
                    "cost": money(rows),
                    "long_cost": money(long) if long else Decimal(0),
                    "unpriced_requests": sum(not row["is_priced"] for row in rows),
                },
            )
        )
    expected.sort(key=lambda pair: (pair[0], -pair[1]["long_requests"], -pair[1]["requests"], pair[1]["by"]))
    assert any(row["long_requests"] for _, row in expected)
    equal(answer(sample_lake, "long-context"), [row for _, row in expected])


def test_the_samples_claim_nothing_and_read_no_secret(sample_lake: Snapshot) -> None:
    assert answer(sample_lake, "unverified-claims") == []
    assert answer(sample_lake, "secret-reads") == []


@pytest.fixture(scope="module")
def real_lake(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lake = Lake(tmp_path_factory.mktemp("real") / "lake")
    lake.refresh([real_logs])
    return lake.snapshot()


def test_groups_of_real_logs_add_up(real_lake: Snapshot, real_logs: Path) -> None:
    requests = json.loads((real_logs / "expected.json").read_text())["max"]["n"]
    groupings = {
        "degradation": ("none", "context-decile", "session-age", "model", "version", "thread", "session"),
        "turns": ("none", "turn", "day", "session", "project", "model", "version"),
        "subagents": ("none", "kind", "day", "session", "project", "model", "version"),
        "long-context": ("none", "version", "day", "model", "project", "session"),
    }
    for name, choices in groupings.items():
        costs = set()
        for by in choices:
            rows = answer(real_lake, name, by=by)
            assert sum(row["requests"] for row in rows) == requests
            costs.add(sum((row.get("cost") or Decimal() for row in rows), Decimal()))
        assert len(costs) == 1
    calls = {
        sum(row["calls"] for row in answer(real_lake, "tools", by=by))
        for by in ("none", "tool", "server", "day", "session", "thread", "project", "model", "version")
    }
    assert len(calls) == 1


def test_signals_of_real_logs(real_lake: Snapshot) -> None:
    """Read by hand: 20 interruptions, one of them before any request, 8 prompts that correct, and 3 said again."""
    rows = sql(real_lake, "select * from prompt_signals").to_pylist()
    names = ("is_interruption", "is_correction", "is_repeat")
    assert [sum(row[name] for row in rows) for name in names] == [20, 8, 3]
    (total,) = answer(real_lake, "degradation", by="none")
    assert (total["interruptions"], total["corrections"], total["repeats"]) == (19, 7, 3)


def test_every_claim_of_the_real_logs_could_be_shown(real_lake: Snapshot) -> None:
    """Read by hand: more than a hundred sentences claim passed tests, and a command before each could show it."""
    assert answer(real_lake, "unverified-claims") == []
    alone = replace(real_lake, files={**real_lake.files, "tool_calls": (), "prompts": ()})
    claims = Counter(row["kind"] for row in answer(alone, "unverified-claims"))
    assert claims == {"tests": 114, "build": 30, "check": 1}
