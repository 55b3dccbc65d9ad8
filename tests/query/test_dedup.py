"""The dedup modes on usage rows made by hand (accounting rule 13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tokenlake.query.run import sql
from tokenlake.store.catalog import Snapshot

Rows = list[dict[str, Any]]


def out(tokens: int) -> tuple[int, int, int, int, int]:
    return (1, tokens, 0, 0, 0)


@pytest.fixture(scope="module")
def logged(lakes: Any, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A streamed request with a copy in another file and an advisor, progress rows, a synthetic row."""
    row, at = lakes.usage_row, "2026-03-01T10:00:0"
    progress = {"origin": "agent_progress", "is_sidechain": True}
    advisor = {"origin": "advisor", "key": "m1:advisor:0", "model": "claude-opus-4-6"}
    usage = [
        row("m1", at + "0", out(5), 0),
        row("m1", at + "1", out(50), 10),
        row("m1", at + "1", out(40), 20, stop_reason="end_turn"),
        row("m1", at + "1", out(45), 5, file_id=2, session_id="s2", cwd="/copy"),
        row("m1", at + "0", out(1000), 0, **advisor),
        row("m1", at + "1", out(1000), 10, **advisor),
        row("m2", at + "2", out(7), 30, **progress),
        row("m2", at + "3", out(9), 40, **progress),
        row("m3", at + "2", out(99), 50, **progress),
        row("m3", at + "4", out(3), 60),
        row("m4", at + "5", out(0), 70, model="<synthetic>"),
    ]
    request = lakes.request
    requests = [
        request("m1", at + "0", out(50), n_rows=4, n_sessions=2, output_is_partial=True, text_chars=80),
        request("m1:advisor:0", at + "0", out(1000), n_rows=2),
        request("m2", at + "2", out(9), n_rows=2, origin="agent_progress"),
        request("m3", at + "4", out(3), n_rows=2),
    ]
    files = [lakes.transcript(1, "/logs/a.jsonl"), lakes.transcript(2, "/logs/b.jsonl")]
    snapshot: Snapshot = lakes.publish(
        tmp_path_factory.mktemp("dedup") / "lake", {"usage_rows": usage, "requests": requests, "files": files}
    )
    return snapshot


def counted(lake: Snapshot, dedup: str) -> list[tuple[str, int]]:
    text = "select key, output_tokens from selected order by key, output_tokens"
    return list(sql(lake, text, {"dedup": dedup}).rows())


@pytest.mark.parametrize(
    ("dedup", "expected"),
    [
        ("max", [("m1", 50), ("m1:advisor:0", 1000), ("m2", 9), ("m3", 3)]),
        ("first", [("m1", 5), ("m1:advisor:0", 1000), ("m2", 7), ("m3", 3)]),
        ("last", [("m1", 45), ("m1:advisor:0", 1000), ("m2", 9), ("m3", 3)]),
        (
            "none",
            [
                ("m1", 5),
                ("m1", 40),
                ("m1", 45),
                ("m1", 50),
                ("m1:advisor:0", 1000),
                ("m1:advisor:0", 1000),
                ("m3", 3),
            ],
        ),
    ],
)
def test_which_rows_count(logged: Snapshot, dedup: str, expected: list[tuple[str, int]]) -> None:
    assert counted(logged, dedup) == expected


def test_first_and_last_keep_the_facts_of_the_whole_request(logged: Snapshot) -> None:
    """Owner, sizes and whether the output was finalised are the request's; the rest is the row's."""
    text = (
        "select session_id, project, n_rows, n_sessions, output_is_partial, text_chars, file_id, "
        "context_tokens, stop_reason from selected where key = 'm1'"
    )
    assert list(sql(logged, text, {"dedup": "first"}).rows()) == [("s1", "/home/ada/alpha", 4, 2, True, 80, 1, 1, None)]
    assert list(sql(logged, text, {"dedup": "last"}).rows()) == [("s1", "/copy", 4, 2, True, 80, 2, 1, None)]


def test_none_takes_every_row_as_it_was_logged(logged: Snapshot) -> None:
    text = "select session_id, n_rows, output_is_partial from selected where output_tokens = 45"
    assert list(sql(logged, text, {"dedup": "none"}).rows()) == [("s2", 1, True)]


def test_filters_apply_to_the_rows_that_a_mode_keeps(logged: Snapshot) -> None:
    """The kept row of `last` lies in /copy; filtering before the choice would have kept another one."""
    text = "select output_tokens from selected"
    assert list(sql(logged, text, {"dedup": "last", "project": "copy"}).rows()) == [(45,)]
    assert list(sql(logged, text, {"dedup": "first", "project": "copy"}).rows()) == []


# What ccusage 20.0.24 itself counted for the same rows: output tokens of every kept row.
SIDE = {"is_sidechain": True}
SECOND = {"request_id": "req_2"}
NO_REQUEST = {"request_id": None}
PROGRESS = {"origin": "agent_progress", "is_sidechain": True}
ELSEWHERE = {"session_id": "s2", "file_id": 2}
LATER = {"ts": "2026-03-01T10:00:01"}
CCUSAGE: list[tuple[str, list[tuple[str | None, int, dict[str, Any]]], list[int]]] = [
    ("the largest of a key", [("m", 10, {}), ("m", 20, {}), ("m", 15, ELSEWHERE)], [20]),
    ("another request id is another request", [("m", 10, {}), ("m", 20, SECOND)], [10, 20]),
    ("the main thread before a subagent", [("m", 10, {}), ("m", 20, SIDE)], [10]),
    ("a replay in the session is left out", [("m", 10, {}), ("m", 20, SIDE | SECOND)], [10]),
    ("also when it comes first", [("m", 20, SIDE | SECOND), ("m", 10, {})], [10]),
    ("also without a request id", [("m", 10, {}), ("m", 20, SIDE | NO_REQUEST)], [10]),
    ("a replay in another session counts", [("m", 10, {}), ("m", 20, SIDE | SECOND | ELSEWHERE)], [10, 20]),
    ("one of two replays stays", [("m", 10, SIDE), ("m", 20, SIDE | SECOND)], [20]),
    ("without request id: same session, id and time", [("m", 10, NO_REQUEST), ("m", 20, NO_REQUEST)], [20]),
    ("another time", [("m", 10, NO_REQUEST), ("m", 20, NO_REQUEST | LATER)], [10, 20]),
    ("another session", [("m", 10, NO_REQUEST), ("m", 20, NO_REQUEST | ELSEWHERE)], [10, 20]),
    ("without message id never merged", [(None, 10, {}), (None, 10, {})], [10, 10]),
    ("synthetic rows count", [("m", 10, {"model": "<synthetic>"})], [10]),
    ("progress rows count", [("m", 10, PROGRESS)], [10]),
    ("as rows of the main thread", [("m", 10, SIDE), ("m", 50, PROGRESS | SECOND)], [50]),
    ("beside the transcript the larger", [("m", 50, PROGRESS), ("m", 10, SIDE)], [50]),
    ("rows that it drops", [("m", 10, {}), ("m", 20, {"ccusage_skips": "a null in cwd"})], [10]),
]


@pytest.mark.parametrize(("rows", "expected"), [case[1:] for case in CCUSAGE], ids=[case[0] for case in CCUSAGE])
def test_ccusage_mode_keeps_what_ccusage_keeps(
    lakes: Any, tmp_path: Path, rows: list[tuple[str | None, int, dict[str, Any]]], expected: list[int]
) -> None:
    usage = []
    for offset, (message_id, tokens, columns) in enumerate(rows):
        ts = columns.get("ts", "2026-03-01T10:00:00")
        own = {name: value for name, value in columns.items() if name != "ts"}
        usage.append(lakes.usage_row(message_id, ts, out(tokens), offset, **own))
    files = [lakes.transcript(1, "/logs/a.jsonl"), lakes.transcript(2, "/logs/b.jsonl")]
    lake = lakes.publish(tmp_path / "lake", {"usage_rows": usage, "files": files})
    assert sorted(tokens for _, tokens in counted(lake, "ccusage")) == expected


def test_ccusage_mode_takes_the_first_file_of_equal_rows(lakes: Any, tmp_path: Path) -> None:
    """Path order decides, not file ids, time or order in the lake."""
    usage = [
        lakes.usage_row("m", "2026-03-01T10:00:00", out(10), 0, session_id="late"),
        lakes.usage_row("m", "2026-03-02T10:00:00", out(10), 0, session_id="early", file_id=2),
    ]
    files = [lakes.transcript(1, "/logs/z.jsonl"), lakes.transcript(2, "/logs/b.jsonl")]
    lake = lakes.publish(tmp_path / "lake", {"usage_rows": usage, "files": files})
    text = "select session_id, day(ts) from selected"
    assert list(sql(lake, text, {"dedup": "ccusage"}).rows()) == [("early", 2)]


def test_ccusage_mode_counts_the_advisor_of_the_kept_row_only(lakes: Any, tmp_path: Path) -> None:
    at = "2026-03-01T10:00:00"
    advisor = {"origin": "advisor", "key": "m:advisor:0"}
    usage = [
        lakes.usage_row("m", at, out(10), 0),
        lakes.usage_row("m", at, out(1000), 0, **advisor),
        lakes.usage_row("m", at, out(20), 10),
        lakes.usage_row("m", at, out(2000), 10, **advisor),
    ]
    lake = lakes.publish(tmp_path / "lake", {"usage_rows": usage, "files": [lakes.transcript(1, "/logs/a.jsonl")]})
    assert [tokens for _, tokens in counted(lake, "ccusage")] == [20, 2000]


def test_ccusage_mode_leaves_out_archives(lakes: Any, tmp_path: Path) -> None:
    usage = [lakes.usage_row("m", "2026-03-01T10:00:00", out(10), 0)]
    files = [lakes.transcript(1, "/logs/a.jsonl.gz")]
    lake = lakes.publish(tmp_path / "lake", {"usage_rows": usage, "files": files})
    assert counted(lake, "ccusage") == []
