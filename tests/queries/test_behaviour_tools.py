"""behaviour/tools and behaviour/retries against tables worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.queries.behaviour_rows import answer, at, event, publish, request, tool_call

from tokenlake.store.catalog import Snapshot


@pytest.fixture
def calls(tmp_path: Path) -> Snapshot:
    return publish(
        tmp_path,
        requests=[
            request("r1", 0),
            request("r2", 90_000, session_id="s2", project="/home/ada/beta", model="m2", version="2.1.39"),
        ],
        tool_calls=[
            tool_call("t1", "r1", 1, "Bash", result_bytes=100, result_ts=at(3)),
            tool_call("t2", "r1", 2, "Bash", result_bytes=300, result_ts=at(2.5), is_error=True),
            tool_call("t3", "r1", 3, "Bash", result_bytes=50, is_error=True, denied=True),
            tool_call("t4", "r1", 4, "Bash", result_ts=None, result_bytes=None, is_error=None, denied=None),
            tool_call("t5", "r1", 5, "mcp__git__log", is_sidechain=True, agent_id="a1", result_bytes=0),
            tool_call("t6", "r2", 90_000, "Read", session_id="s2", result_bytes=None),
            tool_call("t7", "gone", 90_001, None, session_id="s3"),
        ],
    )


def test_every_tool(calls: Snapshot) -> None:
    """Bash: results of 50, 100 and 300 bytes after 1,000, 2,000 and 500 ms; one call is not answered."""
    rows = answer(calls, "tools")
    assert [row["by"] for row in rows] == ["Bash", "(none)", "Read", "mcp__git__log"]
    assert rows[0] == {
        "by": "Bash",
        "calls": 4,
        "errors": 1,
        "denied_calls": 1,
        "unanswered_calls": 1,
        "error_share": 0.25,
        "input_bytes": 40,
        "result_bytes": 450,
        "median_result_bytes": 100.0,
        "p95_result_bytes": pytest.approx(280),
        "largest_result_bytes": 300,
        "duration_ms": 3_500,
        "median_duration_ms": 1_000.0,
        "p95_duration_ms": pytest.approx(1_900),
        "longest_duration_ms": 2_000,
    }
    assert (rows[2]["result_bytes"], rows[2]["largest_result_bytes"]) == (0, 0)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("none", [("all", 7)]),
        ("server", [("built in", 5), ("(none)", 1), ("git", 1)]),
        ("day", [("2026-05-04", 5), ("2026-05-05", 2)]),
        ("session", [("s1", 5), ("s2", 1), ("s3", 1)]),
        ("thread", [("main", 6), ("subagent", 1)]),
        ("project", [("/home/ada/alpha", 5), ("(none)", 1), ("/home/ada/beta", 1)]),
        ("model", [("claude-opus-4-5-20251101", 5), ("(none)", 1), ("m2", 1)]),
        ("version", [("2.1.119", 5), ("(none)", 1), ("2.1.39", 1)]),
    ],
)
def test_groups_of_calls(calls: Snapshot, by: str, expected: list[tuple[str, int]]) -> None:
    rows = answer(calls, "tools", by=by)
    assert [(row["by"], row["calls"]) for row in rows] == expected
    assert sum(row["errors"] for row in rows) == 1
    assert sum(row["duration_ms"] for row in rows) == 3_500 + 1_000 + 1_000 + 1_000


def test_days_of_calls_are_local(calls: Snapshot) -> None:
    rows = answer(calls, "tools", by="day", tz="Pacific/Honolulu")
    assert [(row["by"], row["calls"]) for row in rows] == [("2026-05-03", 5), ("2026-05-05", 2)]


def error(number: int, second: float, error: dict[str, Any], **columns: Any) -> dict[str, Any]:
    detail = {"retryAttempt": number, "maxRetries": 10, "retryInMs": 512.5 * number, "error": error}
    return event(f"e{second}", second, "api_error", {**detail, **columns.pop("detail", {})}, **columns)


@pytest.fixture
def errors(tmp_path: Path) -> Snapshot:
    return publish(
        tmp_path,
        events=[
            error(1, 1, {"status": 529, "requestID": "req_1"}),
            error(2, 2, {"status": 529}),
            error(10, 3, {"cause": {"code": "ConnectionRefused"}}, session_id="s2"),
            error(1, 4, {}, detail={"cause": {"code": "FailedToOpenSocket"}}),
            error(1, 5, {"cause": {}}),
            error(3, 90_000, {"status": 500}, session_id="s2", host="server"),
            event("shown", 6, "api_error", {"apiErrorStatus": 529, "error": '"server_error"'}, type="assistant"),
            event("old", 7, "api_error", {"error": '"unknown"'}, type="assistant"),
            event("limit", 8, "limit", {"text": "limit reached"}, type="assistant"),
            event("other", 9, "turn_duration", {"durationMs": 5}),
        ],
    )


def test_retries_by_day_and_status(errors: Snapshot) -> None:
    """Waits are rounded to milliseconds: 513 + 1,025 for the two of 529."""
    rows = answer(errors, "retries")
    names = ("by", "status", "errors", "sessions", "last_attempt", "exhausted", "wait_ms", "failures")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("2026-05-04", "529", 2, 1, 2, 0, 1_538, 1),
        ("2026-05-04", "(none)", 1, 1, 1, 0, 513, 0),
        ("2026-05-04", "ConnectionRefused", 1, 1, 10, 1, 5_125, 0),
        ("2026-05-04", "FailedToOpenSocket", 1, 1, 1, 0, 513, 0),
        ("2026-05-04", "unknown", 0, 1, None, 0, 0, 1),
        ("2026-05-05", "500", 1, 1, 3, 0, 1_538, 0),
    ]
    assert (rows[0]["mean_attempt"], rows[0]["allowed_attempts"], rows[0]["longest_wait_ms"]) == (1.5, 10, 1_025)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("none", [("all", "all", 6, 2)]),
        ("session", [("s1", "all", 4, 2), ("s2", "all", 2, 0)]),
        ("host", [("laptop", "all", 5, 2), ("server", "all", 1, 0)]),
    ],
)
def test_retries_in_other_groups(errors: Snapshot, by: str, expected: list[Any]) -> None:
    rows = answer(errors, "retries", by=by, by_status=False)
    assert [(row["by"], row["status"], row["errors"], row["failures"]) for row in rows] == expected


def test_numbers_that_are_none_are_left_out(tmp_path: Path) -> None:
    detail = {"retryAttempt": "soon", "retryInMs": "1e300", "error": {"status": 529}}
    lake = publish(tmp_path, events=[event("e", 1, "api_error", detail)])
    (row,) = answer(lake, "retries")
    assert (row["errors"], row["mean_attempt"], row["exhausted"], row["wait_ms"]) == (1, None, 0, 0)
