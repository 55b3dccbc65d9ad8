"""Accounting rules 7 to 13: which rows make a request, which of them is kept, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from accounting.lakes import one, requests, rows, tokens, total, utc
from accounting.transcripts import (
    S1,
    S2,
    S3,
    Record,
    agent_progress,
    assistant,
    jsonl,
    tool_result,
    tool_use,
    usage,
    user,
)
from tests.conftest import Ingest

FILE = f"-home-ada-harbour/{S1}.jsonl"
SYNTHETIC = "<synthetic>"


def iteration(kind: str, output: int, fresh: int, **more: object) -> Record:
    """An entry of usage.iterations."""
    return {"type": kind, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0} | {
        "input_tokens": fresh,
        "output_tokens": output,
        **more,
    }


def copied(record: Record, session: str, **changes: object) -> Record:
    """The record as a fork writes it again: all the same but the session."""
    return {**record, "sessionId": session, **changes}


def test_rule_07_an_assistant_record_with_usage_is_a_usage_row(ingest: Ingest) -> None:
    """One without usage, or with usage that is no object, is none."""
    absent, null, word = assistant("msg_none"), assistant("msg_null"), assistant("msg_word")
    del absent["message"]["usage"]
    null["message"]["usage"] = None
    word["message"]["usage"] = "plenty"
    lake = ingest({FILE: jsonl(absent, null, word, assistant("msg_1", usage(33, read=4)))})
    row = one(lake, "usage_rows")
    assert (row["key"], row["origin"], tokens(row)) == ("msg_1", "assistant", (2, 33, 0, 0, 4))


def test_rule_07_agent_progress_carries_usage_rows(ingest: Ingest) -> None:
    """The record inside the progress record counts, with the subagent's id."""
    lake = ingest({FILE: jsonl(agent_progress("msg_p", usage(3, fresh=5, w5=900, read=100), model="claude-haiku-4-5"))})
    row = one(lake)
    assert (row["key"], row["origin"], row["agent_id"]) == ("msg_p", "agent_progress", "a1b2c3d")
    assert (row["model"], tokens(row)) == ("claude-haiku-4-5", (5, 3, 900, 0, 100))
    assert (row["session_id"], row["ts"]) == (S1, utc("2026-05-04T09:00:00Z"))


def test_rule_07_other_progress_counts_nothing(ingest: Ingest) -> None:
    """Nor does a user record inside an agent_progress one."""
    other = agent_progress("msg_a", usage(50))
    other["data"]["type"] = "mcp_progress"
    inner = agent_progress("msg_b", usage(50), "09:01")
    inner["data"]["message"]["type"] = "user"
    lake = ingest({FILE: jsonl(other, inner)})
    assert rows(lake, "usage_rows") == []


def test_rule_07_advisor_iterations_are_requests_of_their_own(ingest: Ingest) -> None:
    """Under their own model, once per entry, however many rows repeat them."""
    entries = [
        iteration("message", 150, 4),
        iteration("advisor_message", 410, 3200, model="claude-opus-4-7"),
        iteration("advisor_message", 90, 800, model="claude-opus-4-7", cache_read_input_tokens=2500),
    ]
    counts = usage(150, fresh=4, w1=200, iterations=entries)
    lake = ingest({FILE: jsonl(assistant("msg_1", counts, "09:00"), assistant("msg_1", counts, "09:01"))})

    kept = rows(lake, "requests", "origin, input_tokens")
    assert [(row["origin"], row["model"], tokens(row), row["n_rows"]) for row in kept] == [
        ("advisor", "claude-opus-4-7", (800, 90, 0, 0, 2500), 2),
        ("advisor", "claude-opus-4-7", (3200, 410, 0, 0, 0), 2),
        ("assistant", "claude-sonnet-4-6", (4, 150, 0, 200, 0), 2),
    ]
    assert len(rows(lake, "usage_rows")) == 6


def test_rule_07_other_iterations_are_never_added(ingest: Ingest) -> None:
    """An entry that repeats the top level, and a failed attempt before a fallback."""
    entries = [
        iteration("message", 9, 4, cache_creation_input_tokens=21874),
        iteration("fallback_message", 120, 4),
    ]
    lake = ingest({FILE: jsonl(assistant("msg_1", usage(120, fresh=4, iterations=entries)))})
    assert total(lake) == (1, 4, 120, 0, 0, 0)
    assert len(rows(lake, "usage_rows")) == 1


def test_rule_07_the_usage_of_a_tool_result_is_never_added(ingest: Ingest) -> None:
    """It describes one request of the subagent, which has a record of its own."""
    outcome = {"status": "completed", "agentId": "a1", "totalTokens": 9999, "usage": usage(990, read=9000)}
    call = assistant(content=[tool_use("toolu_1", "Agent", prompt="Look.")])
    lake = ingest({FILE: jsonl(call, tool_result("toolu_1", outcome))})
    assert total(lake) == (1, 2, 10, 0, 0, 0)


def test_rule_08_the_message_id_alone_is_the_key(ingest: Ingest) -> None:
    """Another requestId, or none, is still the same request."""
    lake = ingest(
        {
            FILE: jsonl(
                assistant("msg_1", time="09:00", request_id="req_a"),
                assistant("msg_1", time="09:01", request_id="req_b"),
                assistant("msg_1", time="09:02"),
                assistant("msg_2", time="09:03", request_id="req_a"),
            )
        }
    )
    assert {key: row["n_rows"] for key, row in requests(lake).items()} == {"msg_1": 3, "msg_2": 1}


def test_rule_08_without_an_id_the_uuid_is_the_key(ingest: Ingest) -> None:
    """Copies of the record are one request, other records are others."""
    first, second = assistant(None, uuid="uuid-1"), assistant(None, uuid="uuid-2")
    lake = ingest({FILE: jsonl(first, second), "-other/copy.jsonl": jsonl(first)})
    assert {key: row["n_rows"] for key, row in requests(lake).items()} == {"uuid-1": 2, "uuid-2": 1}


def test_rule_08_without_id_and_uuid_the_place_is_the_key(ingest: Ingest) -> None:
    """Two records that cannot be told apart are two requests."""
    record = assistant(None)
    del record["uuid"]
    lake = ingest({FILE: jsonl(record, record), "-other/copy.jsonl": jsonl(record)})
    assert total(lake) == (3, 6, 30, 0, 0, 0)
    assert len(requests(lake)) == 3


def test_rule_09_most_output_tokens_win(ingest: Ingest) -> None:
    """Wherever in time and file the row stands; all its fields come with it."""
    lake = ingest(
        {
            FILE: jsonl(
                assistant("msg_1", usage(1, read=100), "09:00", stop=None),
                assistant("msg_1", usage(240, read=101), "09:01", stop="tool_use"),
                assistant("msg_1", usage(7, read=102), "09:02", stop=None),
            )
        }
    )
    row = one(lake)
    assert (tokens(row), row["stop_reason"], row["n_rows"]) == ((2, 240, 0, 0, 101), "tool_use", 3)
    assert (row["ts"], row["last_ts"]) == (utc("2026-05-04T09:00:00Z"), utc("2026-05-04T09:02:00Z"))


def test_rule_09_then_the_later_timestamp_wins(ingest: Ingest) -> None:
    """Although it stands first in the file."""
    lake = ingest({FILE: jsonl(assistant("msg_1", usage(5, read=2), "09:01"), assistant("msg_1", usage(5, read=1)))})
    assert one(lake)["cache_read_tokens"] == 2


def test_rule_09_then_the_greater_path_wins(ingest: Ingest) -> None:
    """Paths are compared before offsets."""
    padding = user("x" * 900)
    lake = ingest(
        {
            "-a/one.jsonl": jsonl(padding, assistant("msg_1", usage(5, read=1))),
            "-b/one.jsonl": jsonl(assistant("msg_1", usage(5, read=2))),
        }
    )
    row = one(lake)
    assert (row["cache_read_tokens"], row["offset"]) == (2, 0)


def test_rule_09_then_the_greater_offset_wins(ingest: Ingest) -> None:
    """Of two rows of one file that are equal in all else."""
    lake = ingest({FILE: jsonl(assistant("msg_1", usage(5, read=1)), assistant("msg_1", usage(5, read=2)))})
    assert one(lake)["cache_read_tokens"] == 2


def test_rule_09_rows_are_one_request_across_sessions_months_and_ingests(ingest: Ingest) -> None:
    """April's rows found after May's still make one request, and it is April's."""
    lake = ingest({FILE: jsonl(assistant("msg_1", usage(50, read=9), "2026-05-01T00:00:02.000Z"))})
    assert one(lake)["ts"] == utc("2026-05-01T00:00:02Z")
    early = assistant("msg_1", usage(4, read=8), "2026-04-30T23:59:58.000Z", session=S2)
    ingest({f"-other/{S2}.jsonl": jsonl(early)})
    row = one(lake)
    assert (row["ts"], tokens(row)) == (utc("2026-04-30T23:59:58Z"), (2, 50, 0, 0, 9))
    assert (row["n_rows"], row["n_sessions"]) == (2, 2)


def test_rule_09_rows_are_one_request_across_hosts(ingest: Ingest, tmp_path: Path) -> None:
    """A session whose logs were carried to another machine; the host is the kept row's."""
    lake = ingest({FILE: jsonl(assistant("msg_1", usage(4)))}, host="left")
    ingest({FILE: jsonl(assistant("msg_1", usage(50)))}, host="right", root=tmp_path / "right")
    row = one(lake)
    assert (row["host"], tokens(row), row["n_rows"], row["n_sessions"]) == ("right", (2, 50, 0, 0, 0), 2, 1)


def test_rule_09_agent_progress_is_only_a_fallback(ingest: Ingest) -> None:
    """Even with more output it yields to the subagent's own row, whenever that is found."""
    lake = ingest({FILE: jsonl(agent_progress("msg_p", usage(50)))})
    assert one(lake)["origin"] == "agent_progress"
    own = assistant("msg_p", usage(35), isSidechain=True, agentId="a1b2c3d")
    ingest({f"-home-ada-harbour/{S1}/subagents/agent-a1b2c3d.jsonl": jsonl(own)})
    row = one(lake)
    assert (row["origin"], tokens(row), row["n_rows"]) == ("assistant", (2, 35, 0, 0, 0), 2)


def test_rule_09_of_progress_rows_alone_most_output_tokens_win(ingest: Ingest) -> None:
    """Where the subagent's transcript is gone."""
    lake = ingest({FILE: jsonl(agent_progress("msg_p", usage(6)), agent_progress("msg_p", usage(1), "09:01"))})
    assert tokens(one(lake)) == (2, 6, 0, 0, 0)


def test_rule_10_synthetic_records_are_events_not_requests(ingest: Ingest) -> None:
    """Limit hits in any wording, API errors and fillers; their rows stay in usage_rows."""
    said: list[tuple[str, Record]] = [
        ("Claude AI usage limit reached|1753131600", {"isApiErrorMessage": False}),
        (
            "Limit reached · resets 7pm (America/Sao_Paulo)",
            {"isApiErrorMessage": True, "error": "rate_limit"},
        ),
        ("You've hit your weekly limit · resets 9am", {"isApiErrorMessage": True, "error": "rate_limit"}),
        ("API Error: 529 Overloaded", {"isApiErrorMessage": True, "error": "server_error"}),
        ("No response requested.", {"isApiErrorMessage": False}),
    ]
    records = [
        assistant(
            f"id-{number}",
            usage(0, fresh=0),
            f"09:0{number}",
            model=SYNTHETIC,
            content=[{"type": "text", "text": text}],
            **flags,
        )
        for number, (text, flags) in enumerate(said)
    ]
    lake = ingest({FILE: jsonl(*records)})
    assert requests(lake) == {}
    assert [row["model"] for row in rows(lake, "usage_rows")] == [SYNTHETIC] * 5
    events = [(row["type"], row["subtype"]) for row in rows(lake, "events", "ts")]
    kinds = ["limit", "limit", "limit", "api_error", "synthetic"]
    assert events == [("assistant", kind) for kind in kinds]


def test_rule_11_a_copy_belongs_to_the_session_it_was_forked_from(ingest: Ingest) -> None:
    """Even where the fork has the lesser id and an earlier record of its own."""
    own = assistant("msg_1", session=S2)
    early = user("Earlier.", "08:00", session=S1)
    lake = ingest({FILE: jsonl(early, copied(own, S1, forkedFrom={"sessionId": S2, "messageUuid": own["uuid"]}))})
    assert one(lake)["session_id"] == S2
    ingest({f"-other/{S2}.jsonl": jsonl(own)})
    row = one(lake)
    assert (row["session_id"], row["n_rows"], row["n_sessions"]) == (S2, 2, 2)


def test_rule_11_without_a_pointer_it_belongs_to_the_session_that_started_first(ingest: Ingest) -> None:
    """The start of a session is its earliest record of any type, also one found later."""
    record = assistant("msg_1", session=S1)
    lake = ingest({FILE: jsonl(user("One.", "08:30", session=S1), record)})
    ingest({f"-other/{S2}.jsonl": jsonl(user("Two.", "08:40", session=S2), copied(record, S2))})
    assert one(lake)["session_id"] == S1
    ingest({f"-third/{S2}.jsonl": jsonl(user("Zero.", "08:00", uuid="uuid-zero", session=S2))})
    assert one(lake)["session_id"] == S2


def test_rule_11_ties_go_to_the_lesser_session_id(ingest: Ingest) -> None:
    """As with a copy of a whole session."""
    record = assistant("msg_1", session=S3)
    tree = {f"-a/{S3}.jsonl": jsonl(record), f"-b/{S2}.jsonl": jsonl(copied(record, S2))}
    assert one(ingest(tree))["session_id"] == S2


def test_rule_11_a_copied_history_is_counted_once_and_by_one_session(ingest: Ingest) -> None:
    """Requests, prompts, texts and tool calls of a fork's copied part are the original's."""
    history = [
        user("Begin.", "08:59", uuid="uuid-begin", session=S1),
        assistant("msg_1", time="09:00", session=S1, content=[tool_use("toolu_1", command="ls")]),
        tool_result("toolu_1", time="09:01", session=S1),
        assistant("msg_2", usage(20), "09:02", session=S1),
    ]
    fork = [copied(record, S2, cwd="/home/ada/worktree") for record in history]
    fork += [user("Go on.", "10:00", session=S2), assistant("msg_3", usage(30), "10:01", session=S2)]
    hook = {**user("", "08:58", session=S1), "type": "system", "subtype": "local_command"}
    lake = ingest({FILE: jsonl(hook, *history), f"-fork/{S2}.jsonl": jsonl(*fork)})

    assert total(lake) == (3, 6, 60, 0, 0, 0)
    assert {key: (row["session_id"], row["n_rows"], row["n_sessions"]) for key, row in requests(lake).items()} == {
        "msg_1": (S1, 2, 2),
        "msg_2": (S1, 2, 2),
        "msg_3": (S2, 1, 1),
    }
    assert {row["project"] for row in requests(lake).values() if row["session_id"] == S1} == {"/home/ada/harbour"}
    assert [(row["text"], row["session_id"]) for row in rows(lake, "prompts", "ts")] == [
        ("Begin.", S1),
        ("Go on.", S2),
    ]
    assert [(row["key"], row["session_id"]) for row in rows(lake, "texts", "ts")] == [
        ("msg_2", S1),
        ("msg_3", S2),
    ]
    assert [(row["tool_use_id"], row["session_id"]) for row in rows(lake, "tool_calls")] == [("toolu_1", S1)]
    sessions = rows(lake, "sessions", "session_id")
    assert [(row["session_id"], row["requests"], row["prompts"]) for row in sessions] == [
        (S1, 2, 1),
        (S2, 1, 1),
    ]


def test_rule_11_an_old_resume_keeps_the_old_session(ingest: Ingest) -> None:
    """1.0.x: several session ids in one file, each record under its own."""
    old, new = assistant("msg_1", session=S1), assistant("msg_2", time="10:00", session=S2)
    lake = ingest({f"-p/{S1}.jsonl": jsonl(old), f"-p/{S2}.jsonl": jsonl(old, new)})
    assert {key: (row["session_id"], row["n_rows"]) for key, row in requests(lake).items()} == {
        "msg_1": (S1, 2),
        "msg_2": (S2, 1),
    }


def test_rule_12_repeating_an_ingest_changes_nothing(ingest: Ingest) -> None:
    """Neither does touching the file, nor a copy of the same name elsewhere being gone again."""
    tree = {FILE: jsonl(user(), assistant("msg_1", usage(5)), assistant("msg_1", usage(9), "09:01"))}
    lake = ingest(tree)
    before = [rows(lake, table) for table in ("requests", "usage_rows", "prompts", "texts", "sessions")]
    for _ in range(2):
        ingest(tree)
    assert [rows(lake, table) for table in ("requests", "usage_rows", "prompts", "texts", "sessions")] == before


def test_rule_12_a_request_seen_half_is_completed(ingest: Ingest) -> None:
    """The rows of a growing file arrive in two ingests."""
    first = jsonl(assistant("msg_1", usage(1), "09:00", stop=None))
    lake = ingest({FILE: first})
    assert one(lake)["output_is_partial"] is True
    ingest({FILE: first + jsonl(assistant("msg_1", usage(88), "09:01"))})
    row = one(lake)
    assert (tokens(row), row["n_rows"], row["output_is_partial"]) == ((2, 88, 0, 0, 0), 2, False)
    assert row["ts"] == utc("2026-05-04T09:00:00Z")


def test_rule_12_a_rewritten_file_replaces_its_rows(ingest: Ingest) -> None:
    """Shorter than before: what it no longer says is no longer counted."""
    lake = ingest({FILE: jsonl(assistant("msg_1", usage(50)), assistant("msg_2", usage(60), "09:01"))})
    ingest({FILE: jsonl(assistant("msg_2", usage(61), "09:01"))})
    assert {key: tokens(row) for key, row in requests(lake).items()} == {"msg_2": (2, 61, 0, 0, 0)}


def test_rule_12_a_file_rewritten_to_more_bytes_is_not_taken_for_a_grown_one(ingest: Ingest) -> None:
    """Its first bytes differ, so all of it is read again."""
    lake = ingest({FILE: jsonl(assistant("msg_1", usage(50)))})
    ingest({FILE: jsonl(assistant("msg_2", usage(60)), assistant("msg_3", usage(70), "09:01"))})
    assert sorted(requests(lake)) == ["msg_2", "msg_3"]


def test_rule_12_a_vanished_file_keeps_its_rows(ingest: Ingest, logs: Path) -> None:
    """The agent deletes transcripts after a month; the lake does not."""
    lake = ingest({FILE: jsonl(assistant("msg_1")), "-other/two.jsonl": jsonl(assistant("msg_2"))})
    (logs / "projects" / FILE).unlink()
    lake.refresh([logs], host="h")
    assert sorted(requests(lake)) == ["msg_1", "msg_2"]
    assert {row["path"].rsplit("/", 1)[1]: row["departed_at"] is None for row in rows(lake, "files")} == {
        f"{S1}.jsonl": False,
        "two.jsonl": True,
    }


@pytest.mark.parametrize(
    ("dedup", "counted", "output", "read"),
    [
        ("max", 3, 240 + 20 + 6, 2 + 7 + 0),
        ("first", 3, 1 + 20 + 6, 1 + 7 + 0),
        ("last", 3, 3 + 20 + 6, 3 + 7 + 0),
        ("none", 5, 1 + 240 + 3 + 20 + 20, 1 + 2 + 3 + 7 + 7),
    ],
)
def test_rule_13_the_dedup_mode_is_selectable(ingest: Ingest, dedup: str, counted: int, output: int, read: int) -> None:
    """First and last by time; none counts every assistant row but synthetic ones, and no progress."""
    other = assistant("msg_2", usage(20, read=7), "09:05")
    lake = ingest(
        {
            FILE: jsonl(
                assistant("msg_1", usage(240, read=2), "09:01"),
                assistant("msg_1", usage(1, read=1), "09:00"),
                assistant("msg_1", usage(3, read=3), "09:02"),
                other,
                agent_progress("msg_2", usage(90, read=70), "09:06"),
                agent_progress("msg_3", usage(6), "09:07"),
                assistant("id-4", usage(0, fresh=0), "09:08", model=SYNTHETIC),
            ),
            f"-fork/{S2}.jsonl": jsonl(copied(other, S2)),
        }
    )
    (row,) = lake.run("cache/overhead", dedup=dedup, tz="UTC").to_pylist()
    assert (row["requests"], row["output_tokens"], row["cache_read_tokens"]) == (counted, output, read)


@pytest.mark.parametrize(("dedup", "read"), [("first", 1), ("last", 4)])
def test_rule_13_ties_in_time_go_by_path_then_offset(ingest: Ingest, dedup: str, read: int) -> None:
    """Four rows of one time in two files."""
    lake = ingest(
        {
            "-a/one.jsonl": jsonl(assistant("msg_1", usage(5, read=1)), assistant("msg_1", usage(5, read=2))),
            "-b/one.jsonl": jsonl(assistant("msg_1", usage(5, read=3)), assistant("msg_1", usage(5, read=4))),
        }
    )
    (row,) = lake.run("cache/overhead", dedup=dedup, tz="UTC").to_pylist()
    assert (row["requests"], row["cache_read_tokens"]) == (1, read)
