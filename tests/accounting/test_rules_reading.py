"""Accounting rules 1 to 6: bytes become records, and what cannot be read is accounted for to the byte."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from accounting.lakes import one, requests, rows, tokens, total
from accounting.transcripts import (
    S1,
    agent_progress,
    assistant,
    jsonl,
    line,
    tool_result,
    tool_use,
    usage,
    user,
)
from tests.conftest import Ingest

FILE = f"-home-ada-harbour/{S1}.jsonl"
SUMMARY = b'{"type":"summary","summary":"At the harbour","leafUuid":"leaf"}'


def rejected(lake) -> list[tuple[int, int, int]]:  # type: ignore[no-untyped-def]
    """Line, offset and length of every reject."""
    return [(row["line"], row["offset"], row["bytes"]) for row in rows(lake, "rejects", 'file, "offset"')]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\r", "\r\r"])
def test_rule_01_only_a_newline_byte_ends_a_line(ingest: Ingest, separator: str) -> None:
    """What other readers take for a line end stays inside the string; raw control characters are data too."""
    said = f"high{separator}low"
    raw = line(assistant("msg_1", content=[{"type": "text", "text": "SAID"}])).replace(b"SAID", said.encode())
    lake = ingest({FILE: raw + b"\n" + jsonl(assistant("msg_2", time="09:01"))})

    assert sorted(requests(lake)) == ["msg_1", "msg_2"]
    assert [row["text"] for row in rows(lake, "texts", "ts")] == [said, "Aye."]
    assert [row["line"] for row in rows(lake, "usage_rows", "ts")] == [1, 2]
    assert rejected(lake) == []


def test_rule_01_carriage_return_before_the_newline_is_white_space(ingest: Ingest) -> None:
    """Files that went through Windows tools read the same."""
    lake = ingest({FILE: jsonl(user(), assistant()).replace(b"\n", b"\r\n")})
    assert total(lake) == (1, 2, 10, 0, 0, 0)
    assert rejected(lake) == []


def test_rule_01_lines_are_counted_from_one_and_offsets_in_bytes(ingest: Ingest) -> None:
    """A snowman is three bytes; a blank line counts as a line."""
    first = line(user("\u2603"))
    second = line(assistant("msg_1"))
    third = line(assistant("msg_2", time="09:01"))
    lake = ingest({FILE: first + b"\n\n" + second + b"\n" + third + b"\n"})

    at = len(first) + 2
    placed = [(row["line"], row["offset"]) for row in rows(lake, "usage_rows", "ts")]
    assert placed == [(3, at), (4, at + len(second) + 1)]
    (file,) = rows(lake, "files")
    assert (file["lines"], file["records"], file["usage_rows"]) == (4, 3, 2)
    assert file["ingested_bytes"] == file["size"] == at + len(second) + len(third) + 2


def test_rule_02_nul_bytes_and_byte_order_mark_are_stripped(ingest: Ingest) -> None:
    """Before a record, after one, on a line of their own, and a mark at the start of the file."""
    data = b"\xef\xbb\xbf" + line(assistant("msg_1")) + b"\n"
    data += b"\x00" * 5000 + line(assistant("msg_2", time="09:01")) + b"\x00\x00\n"
    data += b"\x00" * 7 + b"\n" + line(assistant("msg_3", time="09:02")) + b"\n"
    lake = ingest({FILE: data})

    assert sorted(requests(lake)) == ["msg_1", "msg_2", "msg_3"]
    assert [row["line"] for row in rows(lake, "usage_rows", "ts")] == [1, 2, 4]
    assert one(lake, "files")["records"] == 3
    assert rejected(lake) == []


def test_rule_02_nul_bytes_inside_a_record_are_stripped(ingest: Ingest) -> None:
    """A NUL between two fields does not cost the record."""
    lake = ingest({FILE: line(assistant()).replace(b'"message":', b'\x00\x00"message":') + b"\n"})
    assert total(lake) == (1, 2, 10, 0, 0, 0)
    assert rejected(lake) == []


def test_rule_02_joined_records_are_split(ingest: Ingest) -> None:
    """Two or three records on a line are two or three records, each at its own byte."""
    first, second = line(assistant("msg_1")), line(assistant("msg_2", time="09:01"))
    third = line(assistant("msg_3", time="09:02"))
    lake = ingest({FILE: first + second + SUMMARY + b"\n" + third + SUMMARY + b"\n"})

    placed = [(row["key"], row["line"], row["offset"]) for row in rows(lake, "usage_rows", "ts")]
    newline = len(first) + len(second) + len(SUMMARY)
    assert placed == [("msg_1", 1, 0), ("msg_2", 1, len(first)), ("msg_3", 2, newline + 1)]
    assert one(lake, "files")["records"] == 5
    assert rejected(lake) == []


def test_rule_02_joined_records_of_several_files_are_kept_apart(ingest: Ingest) -> None:
    """An ordinary file beside them, one with joined lines only, and one that ends in an unfinished line."""
    talk, progress = line(user("Ahoy.", uuid="uuid-talk")), line(agent_progress("msg_p", usage(3), "09:05"))
    tree = {
        "-a/one.jsonl": talk + line(tool_result("toolu_1", {"stdout": "done"})) + b"\n",
        "-b/two.jsonl": line(assistant("msg_1")) + progress + b"\n" + jsonl(assistant("msg_2", time="09:01")),
        "-c/three.jsonl": line(user("Again.", uuid="uuid-again")) + SUMMARY + b"\n" + talk[:99],
        "-d/four.jsonl": jsonl(assistant("msg_3", time="09:02")),
    }
    lake = ingest(tree)
    assert {key: row["n_rows"] for key, row in requests(lake).items()} == dict.fromkeys(
        ("msg_1", "msg_2", "msg_3", "msg_p"), 1
    )
    files = {row["path"].split("/")[-2]: row for row in rows(lake, "files")}
    assert {name: row["records"] for name, row in files.items()} == {"-a": 2, "-b": 3, "-c": 2, "-d": 1}
    assert {name: row["lines"] for name, row in files.items()} == {"-a": 1, "-b": 2, "-c": 1, "-d": 1}
    assert sorted(row["text"] for row in rows(lake, "prompts")) == ["Again.", "Ahoy."]


@pytest.mark.parametrize("keep", [18, 0.2, 0.5, 0.8, -1])
def test_rule_02_a_record_cut_off_by_the_next_is_set_aside(ingest: Ingest, keep: float) -> None:
    """Wherever the cut falls, the next record is read and the lost bytes are named."""
    before = jsonl(user())
    whole = line(assistant("msg_lost", usage(99)))
    cut = whole[: int(keep * len(whole))] if 0 < keep < 1 else whole[: int(keep)]
    found = line(assistant("msg_found", time="09:01"))
    lake = ingest({FILE: before + cut + found + b"\n" + jsonl(assistant("msg_next", time="09:02"))})

    assert sorted(requests(lake)) == ["msg_found", "msg_next"]
    assert rejected(lake) == [(2, len(before), len(cut))]
    (row,) = [row for row in rows(lake, "usage_rows") if row["key"] == "msg_found"]
    assert (row["line"], row["offset"]) == (2, len(before) + len(cut))


def test_rule_02_reading_resumes_at_a_record_that_begins_with_its_type(ingest: Ingest) -> None:
    """Records without parentUuid begin with their type."""
    cut = line(assistant("msg_lost"))[:300]
    lake = ingest({FILE: cut + SUMMARY + line(assistant("msg_found")) + b"\n"})
    assert sorted(requests(lake)) == ["msg_found"]
    assert rejected(lake) == [(1, 0, 300)]


def test_rule_02_a_piece_of_a_lost_record_is_no_record(ingest: Ingest) -> None:
    """Whole content blocks, and the record inside an agent_progress one, are lost with what held them."""
    blocks = [{"type": "text", "text": "kept whole"}, {"type": "text", "text": "cut here"}]
    first = line(assistant("msg_lost", content=blocks))
    first = first[: first.index(b" here")]
    second = line(agent_progress("msg_inner", usage(77)))
    second = second[: second.index(b'"normalizedMessages"')]
    lake = ingest({FILE: first + b"\n" + second + b"\n" + jsonl(assistant("msg_1"))})

    assert sorted(requests(lake)) == ["msg_1"]
    assert one(lake, "files")["records"] == 1
    assert rejected(lake) == [(1, 0, len(first)), (2, len(first) + 1, len(second))]


@pytest.mark.parametrize(
    ("escaped", "read"),
    [
        (b"\\ud83d", "\ufffd"),
        (b"\\udea4 \\ud83d", "\ufffd \ufffd"),
        (b"\\ud83d\\ud83d\\udea4", "\ufffd\U0001f6a4"),
        (b"\\ud83d\\udea4", "\U0001f6a4"),
        (b"\\\\ud83d", "\\ud83d"),
        (b"\xff", "\ufffd"),
        (b"\xc3(", "\ufffd("),
    ],
)
def test_rule_02_lone_surrogates_and_invalid_utf8_become_replacement_characters(
    ingest: Ingest, escaped: bytes, read: str
) -> None:
    """The record and its tokens survive; pairs and escaped backslashes stay what they are."""
    raw = line(assistant(content=[{"type": "text", "text": "a BOAT b"}])).replace(b"BOAT", escaped)
    lake = ingest({FILE: raw + b"\n"})
    assert total(lake) == (1, 2, 10, 0, 0, 0)
    assert one(lake, "texts")["text"] == f"a {read} b"
    assert rejected(lake) == []


def test_rule_02_several_losses_on_a_line_are_several_rejects(ingest: Ingest) -> None:
    """Two cut records before two whole ones, on one line."""
    first, second = line(assistant("msg_a"))[:200], line(assistant("msg_b"))[:250]
    found = line(assistant("msg_1")), line(assistant("msg_2", time="09:01"))
    lake = ingest({FILE: first + found[0] + second + found[1] + b"\n"})
    assert sorted(requests(lake)) == ["msg_1", "msg_2"]
    assert rejected(lake) == [(1, 0, 200), (1, 200 + len(found[0]), 250)]


def test_rule_03_what_cannot_be_read_is_a_reject(ingest: Ingest) -> None:
    """File, line, offset, length, a reason, and the first 200 bytes with undecodable ones replaced."""
    noise = b"segfault \xff at 0x0 " + b"x" * 400
    data = jsonl(user()) + noise + b"\n" + jsonl(assistant())
    lake = ingest({FILE: data})

    row = one(lake, "rejects")
    assert (row["line"], row["offset"], row["bytes"]) == (2, len(jsonl(user())), len(noise))
    assert row["head"] == noise[:200].decode("utf-8", "replace")
    assert row["file"].endswith(FILE)
    assert row["host"] == "h"
    assert row["reason"]
    assert one(lake, "files")["rejects"] == 1
    assert total(lake) == (1, 2, 10, 0, 0, 0)


@pytest.mark.parametrize("value", [b"[1,2]", b'"text"', b"42", b"null", b"true", b"[]"])
def test_rule_03_json_that_is_no_object_is_a_reject(ingest: Ingest, value: bytes) -> None:
    """Such a line parses, but no record is in it."""
    lake = ingest({FILE: value + b"\n" + jsonl(assistant())})
    assert rejected(lake) == [(1, 0, len(value))]
    assert one(lake, "files")["records"] == 1


@pytest.mark.parametrize("blank", [b"", b"   ", b"\t\r", b"\x00\x00", b" \x00 \r"])
def test_rule_03_blank_lines_are_no_rejects(ingest: Ingest, blank: bytes) -> None:
    """Nothing is lost in a line of white space or NULs."""
    lake = ingest({FILE: blank + b"\n" + jsonl(assistant()) + blank + b"\n"})
    assert total(lake) == (1, 2, 10, 0, 0, 0)
    assert rejected(lake) == []
    assert one(lake, "files")["records"] == 1


def test_rule_03_an_unfinished_last_line_is_pending_and_read_again(ingest: Ingest) -> None:
    """Its bytes are counted as pending until the rest is there; only then can it turn out to be lost."""
    first, second = jsonl(assistant("msg_1")), line(assistant("msg_2", time="09:01"))
    lake = ingest({FILE: first + second[:150]})
    file = one(lake, "files")
    assert sorted(requests(lake)) == ["msg_1"]
    assert (file["ingested_bytes"], file["pending_bytes"], file["records"]) == (len(first), 150, 1)
    assert rejected(lake) == []

    ingest({FILE: first + second + b"\n"})
    assert sorted(requests(lake)) == ["msg_1", "msg_2"]
    assert one(lake, "files")["pending_bytes"] == 0

    ingest({FILE: first + second + b"\n" + second[:99]})
    ingest({FILE: first + second + b"\n" + second[:99] + b"\n"})
    assert rejected(lake) == [(3, len(first) + len(second) + 1, 99)]


def test_rule_03_a_whole_last_line_without_newline_is_read_once(ingest: Ingest) -> None:
    """And its newline, or a record joined to it, may come later."""
    first, second = line(assistant("msg_1")), line(assistant("msg_2", time="09:01"))
    lake = ingest({FILE: first})
    assert sorted(requests(lake)) == ["msg_1"]
    assert (one(lake, "files")["pending_bytes"], one(lake, "files")["ingested_bytes"]) == (0, len(first))

    ingest({FILE: first + second + b"\n" + SUMMARY + b"\n"})
    placed = [(row["key"], row["line"], row["offset"]) for row in rows(lake, "usage_rows", "ts")]
    assert placed == [("msg_1", 1, 0), ("msg_2", 1, len(first))]
    assert one(lake, "files")["lines"] == 2
    assert rejected(lake) == []


def test_rule_04_a_field_of_an_unexpected_type_is_null_and_counted(ingest: Ingest) -> None:
    """The other fields of the record are kept."""
    lake = ingest({FILE: jsonl(assistant(version=7), assistant("msg_2", time="09:01", cwd=["/home"]))})  # type: ignore[arg-type]
    kept = requests(lake)
    assert (kept["msg_1"]["version"], kept["msg_1"]["project"]) == (None, "/home/ada/harbour")
    assert (kept["msg_2"]["version"], kept["msg_2"]["project"]) == ("2.1.120", None)
    assert total(lake) == (2, 4, 20, 0, 0, 0)
    assert one(lake, "files")["odd_fields"] == 2
    assert rejected(lake) == []


@pytest.mark.parametrize("outcome", [{"stdout": "done"}, "Error: no", [{"type": "text", "text": "done"}], None])
def test_rule_04_a_tool_result_is_an_object_a_string_or_a_list(ingest: Ingest, outcome: object) -> None:
    """None of the three is odd."""
    call = assistant(content=[tool_use("toolu_1", command="ls")])
    lake = ingest({FILE: jsonl(call, tool_result("toolu_1", outcome))})
    row = one(lake, "tool_calls")
    assert (row["name"], row["is_error"]) == ("Bash", False)
    assert row["result_ts"] is not None
    assert one(lake, "files")["odd_fields"] == 0


@pytest.mark.parametrize("content", ["Ahoy.", [{"type": "text", "text": "Ahoy."}]])
def test_rule_04_content_is_a_string_or_a_list(ingest: Ingest, content: object) -> None:
    """Neither is odd, and both are the same prompt."""
    lake = ingest({FILE: jsonl(user(content))})
    row = one(lake, "prompts")
    assert (row["kind"], row["text"], row["chars"]) == ("typed", "Ahoy.", 5)
    assert one(lake, "files")["odd_fields"] == 0


def test_rule_04_a_message_of_numbered_keys_is_a_record_without_usage(ingest: Ingest) -> None:
    """A streaming fallback was seen to write {"0": ..., "1": ...}."""
    broken = assistant("msg_lost")
    broken["message"] = {"0": {"type": "text", "text": "Ay"}, "1": {"type": "text", "text": "e."}}
    lake = ingest({FILE: jsonl(broken, assistant("msg_1", time="09:01"))})
    assert sorted(requests(lake)) == ["msg_1"]
    assert one(lake, "files")["records"] == 2
    assert rejected(lake) == []


def test_rule_05_the_type_is_what_counts_not_the_bytes(ingest: Ingest) -> None:
    """Usage in user and hook records counts nothing; spaces and the order of keys do not matter."""
    talk = user(line(assistant("msg_quoted", usage(500))).decode(), "08:50")
    outcome = tool_result("toolu_1", {"usage": usage(600), "totalTokens": 602})
    hook = {**user("", "08:51"), "type": "progress", "data": {"type": "hook_progress", "usage": usage(700)}}
    spaced = (
        line(assistant("msg_spaced")).replace(b'"usage":{', b'"usage" : {').replace(b'"type":"ass', b'"type" : "ass')
    )
    record = assistant("msg_turned", time="09:01")
    turned = {name: record[name] for name in reversed(record)}
    lake = ingest({FILE: jsonl(talk, outcome, hook, turned) + spaced + b"\n"})
    assert sorted(requests(lake)) == ["msg_spaced", "msg_turned"]
    assert total(lake) == (2, 4, 20, 0, 0, 0)


def test_rule_05_a_user_record_with_a_usage_object_is_no_usage_row(ingest: Ingest) -> None:
    """Not even with the whole shape of an assistant's message."""
    record = assistant("msg_user", usage(500))
    lake = ingest({FILE: jsonl({**record, "type": "user"}, {**record, "type": "system"}, assistant("msg_1"))})
    assert sorted(requests(lake)) == ["msg_1"]


def test_rule_06_files_that_are_no_transcripts_are_skipped(ingest: Ingest) -> None:
    """By name and folder, whatever they hold."""
    trap = jsonl(assistant("msg_trap", usage(999)))
    names = ("journal.jsonl", f"{S1}/subagents/workflows/wf_1/journal.jsonl", "memory/notes.jsonl")
    others = ("sessions-index.json", f"{S1}/subagents/agent-1.meta.json", f"{S1}/tool-results/toolu_1.txt")
    tree = {f"-home-ada-harbour/{name}": trap for name in names + others}
    lake = ingest({**tree, FILE: jsonl(assistant())})
    assert total(lake) == (1, 2, 10, 0, 0, 0)
    assert [row["path"].endswith(FILE) for row in rows(lake, "files")] == [True]


def test_rule_06_only_folders_below_the_root_are_skipped(ingest: Ingest, tmp_path: Path) -> None:
    """Logs kept at a place that is itself called memory are still logs."""
    lake = ingest({FILE: jsonl(assistant())}, root=tmp_path / "memory" / "logs")
    assert total(lake) == (1, 2, 10, 0, 0, 0)


def test_rule_06_a_stream_json_dump_is_refused_and_named(ingest: Ingest) -> None:
    """Nothing of it is counted, and `files` says what it is."""
    init = {
        "type": "system",
        "subtype": "init",
        "session_id": S1,
        "cwd": "/home/ada",
        "tools": [],
        "uuid": "u-1",
    }
    said = {
        "type": "assistant",
        "message": assistant("msg_trap", usage(999))["message"],
        "session_id": S1,
        "uuid": "u-2",
    }
    result = {"type": "result", "subtype": "success", "usage": usage(999), "session_id": S1, "uuid": "u-3"}
    lake = ingest({"-home-ada-harbour/dump.jsonl": jsonl(init, said, result), FILE: jsonl(assistant())})

    assert total(lake) == (1, 2, 10, 0, 0, 0)
    kinds = {row["path"].rsplit("/", 1)[1]: (row["kind"], row["records"]) for row in rows(lake, "files")}
    assert kinds == {"dump.jsonl": ("stream-json", 0), f"{S1}.jsonl": ("main", 1)}
    assert rejected(lake) == []


def test_rule_06_session_id_beside_session_id_is_a_transcript(ingest: Ingest) -> None:
    """2.1.231 and later write both spellings."""
    lake = ingest({FILE: jsonl(user(session_id=S1), assistant(session_id=S1))})
    assert total(lake) == (1, 2, 10, 0, 0, 0)
    assert one(lake, "files")["kind"] == "main"


def test_rule_06_archives_are_read_like_the_files_they_hold(ingest: Ingest) -> None:
    """Offsets are those of the decompressed bytes."""
    data = jsonl(user(), assistant("msg_1", usage(11, read=7)))
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data.replace(b"msg_1", b"msg_2").replace(b"uuid-", b"zuid-"))
    lake = ingest({"-a/one.jsonl.gz": gzip.compress(data), "-a/two.jsonl.zst": sink.getvalue().to_pybytes()})
    kept = requests(lake)
    assert {key: (tokens(row), row["offset"]) for key, row in kept.items()} == {
        "msg_1": ((2, 11, 0, 0, 7), len(jsonl(user()))),
        "msg_2": ((2, 11, 0, 0, 7), len(jsonl(user()))),
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (f"-p/{S1}.jsonl", "main"),
        ("-p/agent-1a2b3c4d.jsonl", "agent"),
        (f"-p/{S1}/subagents/agent-a1b2c3d.jsonl", "agent"),
        (f"-p/{S1}/subagents/agent-acompact-1a2b3c.jsonl", "compaction"),
        (f"-p/{S1}/subagents/workflows/wf_1/agent-a1b2c3d.jsonl", "workflow"),
    ],
)
def test_rule_06_transcripts_are_classified_by_path(ingest: Ingest, name: str, kind: str) -> None:
    """Main sessions, subagents, compaction requests and workflows all count."""
    lake = ingest({name: jsonl(assistant())})
    assert one(lake, "files")["kind"] == kind
    assert total(lake) == (1, 2, 10, 0, 0, 0)
