"""Ingests of transcripts that are as they were, have grown, were rewritten, or are gone."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import S1, assistant, jsonl, line, usage, user

from tokenlake.ingest import read
from tokenlake.lake import Lake

NAME = f"-p/{S1}.jsonl"
ONE, TWO, THREE = (line(assistant(f"msg_{n}", usage(n), f"09:0{n}")) + b"\n" for n in (1, 2, 3))
DUMP = b'{"type":"system","subtype":"init","session_id":"x"}\n{"type":"result","session_id":"x"}\n'
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)


def keys(lake: Lake) -> list[str]:
    return [row["key"] for row in lake.sql("select key from requests order by key").to_pylist()]


def departed(lake: Lake) -> list[datetime | None]:
    return [row["departed_at"] for row in lake.sql("select departed_at from files order by path").to_pylist()]


def test_unchanged_transcripts_are_not_opened(ingest, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = ingest({NAME: ONE, "-p/b.jsonl.gz": gzip.compress(TWO), "-p/dump.jsonl": DUMP, "-p/c.jsonl": b""})
    on_disk = {path: path.stat().st_mtime_ns for path in lake.path.rglob("*")}

    def refuse(path: str, *_: object) -> Any:
        pytest.fail(f"{path} was opened")

    for module in ("plan", "read"):
        monkeypatch.setattr(f"tokenlake.ingest.{module}.open_transcript", refuse)
    for function in ("fingerprint", "ends_a_line"):
        monkeypatch.setattr(f"tokenlake.ingest.plan.{function}", refuse)
    summary = lake.refresh([logs], host="h")
    assert (summary.files_unchanged, summary.files_read, summary.bytes_read) == (4, 0, 0)
    assert (summary.requests, summary.warnings) == (2, ())
    assert {path: path.stat().st_mtime_ns for path in lake.path.rglob("*")} == on_disk


def test_of_a_grown_transcript_the_tail_alone_is_read(ingest, logs: Path) -> None:
    lake = ingest({NAME: ONE + TWO[:50]})
    (logs / "projects" / NAME).write_bytes(ONE + TWO + THREE)
    summary = lake.refresh([logs], host="h")
    assert (summary.bytes_read, summary.lines, summary.records) == (len(TWO + THREE), 2, 2)
    assert keys(lake) == ["msg_1", "msg_2", "msg_3"]
    (file,) = lake.sql("select lines, records, usage_rows, ingested_bytes, pending_bytes from files").to_pylist()
    assert list(file.values()) == [3, 3, 3, len(ONE + TWO + THREE), 0]


def test_rows_of_a_rewritten_transcript_are_replaced(ingest) -> None:
    lake = ingest({NAME: ONE + TWO, "-p/b.jsonl": ONE}, keep_raw=True)
    ingest({NAME: TWO + THREE}, keep_raw=True)
    assert keys(lake) == ["msg_1", "msg_2", "msg_3"]
    assert lake.sql("select count(*) as n from usage_rows").to_pylist() == [{"n": 3}]
    raw = lake.sql('select raw from records order by file_id, "offset"').to_pylist()
    assert sorted(row["raw"] + b"\n" for row in raw) == sorted((ONE, TWO, THREE))
    # What was a transcript is a dump now: nothing of it stays, and it is not read.
    ingest({NAME: DUMP, "-p/b.jsonl": ONE + THREE})
    assert keys(lake) == ["msg_1", "msg_3"]
    assert lake.sql("select kind, records from files order by kind").to_pylist() == [
        {"kind": "main", "records": 2},
        {"kind": "stream-json", "records": 0},
    ]


def test_a_vanished_transcript_keeps_its_rows_and_comes_back(ingest, logs: Path) -> None:
    lake = ingest({NAME: ONE + TWO, "-p/b.jsonl": THREE})
    path = logs / "projects" / NAME
    path.unlink()
    gone = lake.refresh([logs], host="h", now=NOON)
    assert (gone.files_departed, gone.files_read, gone.requests) == (1, 0, 3)
    assert departed(lake).count(NOON) == 1
    assert lake.refresh([logs], host="h").files_departed == 0
    path.write_bytes(ONE + TWO)
    back = lake.refresh([logs], host="h")
    assert (back.files_departed, back.requests) == (0, 3)
    assert departed(lake) == [None, None]
    assert lake.sql("select count(*) as n from usage_rows").to_pylist() == [{"n": 3}]


def test_a_rewritten_transcript_that_vanishes_before_it_is_read_keeps_its_rows(
    ingest, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = ingest({NAME: ONE + TWO})
    opened = read.open_transcript

    def vanishing(path: str) -> Any:
        if path.endswith(NAME):
            os.unlink(path)
        return opened(path)

    monkeypatch.setattr(read, "open_transcript", vanishing)
    ingest({NAME: TWO + ONE, "-p/b.jsonl": THREE, "-p/c.jsonl": jsonl(user())})
    assert keys(lake) == ["msg_1", "msg_2", "msg_3"]
    lake.refresh([logs], host="h", now=NOON)
    assert keys(lake) == ["msg_1", "msg_2", "msg_3"]
    assert sorted(map(str, departed(lake))) == sorted(map(str, [NOON, None, None]))
