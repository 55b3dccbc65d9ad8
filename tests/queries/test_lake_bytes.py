"""`lake bytes`: every byte of a transcript is in one of its columns, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accounting.transcripts import S1, assistant, line, user
from tests.conftest import Ingest

from tokenlake.query.run import run

RECORD = line(user("Ahoy."))
CUT = line(assistant("msg_lost"))[:50]
DUMP = b'{"type":"system","subtype":"init","session_id":"x"}\n'


def test_each_byte_is_in_one_column(ingest: Ingest) -> None:
    """Two records, one behind a cut one; NULs, spaces and a mark; a tail that is not finished."""
    data = b"\xef\xbb\xbf" + RECORD + b" \r\n" + b"\n" + b"\0\0" + CUT + RECORD + b"\n" + b'{"typ'
    lake = ingest({f"-p/{S1}.jsonl": data, "-p/dump.jsonl": DUMP})
    first, second = lake.run("lake/bytes").to_pylist()
    assert first["file"].endswith(f"{S1}.jsonl")
    assert [first[name] for name in first if name.endswith("bytes")] == [
        len(data),
        2 * len(RECORD),
        3 + 2 + 1 + 1 + 2 + 1,  # mark, space and return, newline, newline, NULs, newline
        50,
        5,
        0,
        0,
    ]
    assert (second["kind"], second["bytes"], second["unread_bytes"]) == ("stream-json", 0, len(DUMP))
    assert sum(row["unaccounted_bytes"] for row in (first, second)) == 0


def test_what_is_missing_is_shown_first(lakes: Any, tmp_path: Path) -> None:
    """Of 100 bytes ingested 93 are counted; of the other transcript an earlier version counted nothing."""
    counted = {"ingested_bytes": 100, "pending_bytes": 0, "record_bytes": 80, "newline_bytes": 2}
    files = [
        {**lakes.transcript(1, "/logs/old.jsonl"), "ingested_bytes": 50, "pending_bytes": 4},
        {**lakes.transcript(2, "/logs/odd.jsonl"), **counted, "blank_bytes": 1, "rejected_bytes": 10},
    ]
    odd, old = run(lakes.publish(tmp_path / "lake", {"files": files}), "lake/bytes").to_pylist()
    assert (odd["file"], odd["unaccounted_bytes"], odd["blank_bytes"]) == ("/logs/odd.jsonl", 7, 3)
    assert (old["bytes"], old["record_bytes"], old["unaccounted_bytes"]) == (54, None, None)
