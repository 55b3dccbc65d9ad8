"""What an ingest does with each transcript: leave it, read its tail, read it whole, or refuse it."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import S1, assistant, line, usage

from tokenlake.ingest.discover import discover
from tokenlake.ingest.plan import Plan, plan
from tokenlake.ingest.transcript import Task, fingerprint
from tokenlake.store.ledger import Entry

NAME = f"-p/{S1}.jsonl"
ONE, TWO, THREE = (line(assistant(f"msg_{n}", usage(n), f"09:0{n}")) + b"\n" for n in (1, 2, 3))
DUMP = b'{"type":"system","subtype":"init","session_id":"x"}\n{"type":"result","session_id":"x"}\n'
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)


# --- the plan alone -----------------------------------------------------------------------------------------------

Planned = Callable[..., Plan]


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """Plans for one transcript that was ingested up to `ingested` as `before` and now is `after`."""

    def run(before: bytes, after: bytes | None, ingested: int | None = None, **known: Any) -> Plan:
        path = tmp_path / "logs" / known.pop("name", "a.jsonl")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(before)
        (found,) = discover([path.parent], "h").files
        ingested = len(before) if ingested is None else ingested
        prefix = fingerprint(str(path), ingested)
        lines = before[:ingested].count(b"\n") + (not before[:ingested].endswith(b"\n") and ingested > 0)
        entry = Entry(
            found.file_id, str(path), "h", "main", len(before), found.mtime_ns, prefix, ingested, lines, False
        )
        entry = Entry(**{name: known.get(name, getattr(entry, name)) for name in Entry.__slots__})
        if after is None:
            path.unlink()
        elif after is not before:
            path.write_bytes(after)
            os.utime(path, ns=(0, found.mtime_ns + 1_000_000))
        return plan(discover([path.parent], "h"), {entry.file_id: entry}, "h")

    return run


def in_short(result: Plan) -> tuple[list[tuple[int, int, int]], bool, bool, int]:
    """Start, first line and bytes of each task; whether grown; whether replaced; how many unchanged."""
    tasks = [(task.start, task.first_line, task.size - task.start) for task in result.tasks]
    return tasks, bool(result.grown), bool(result.replaced), result.unchanged


OTHER = b'{"other":1}\n'
LONG = b'{"type":"user","text":"' + b"x" * 20_000 + b'"}\n'


@pytest.mark.parametrize(
    ("before", "ingested", "after", "wanted"),
    [
        (ONE + TWO, None, ONE + TWO + THREE, ([(len(ONE + TWO), 3, len(THREE))], True, False, 0)),
        (ONE + TWO[:40], len(ONE), ONE + TWO, ([(len(ONE), 2, len(TWO))], True, False, 0)),
        (ONE + TWO, None, b"".join((ONE, TWO)), ([(len(ONE + TWO), 3, 0)], True, False, 0)),
        (b"", None, ONE, ([(0, 1, len(ONE))], True, False, 0)),
        (ONE[:-1], None, ONE + TWO, ([(len(ONE) - 1, 1, 1 + len(TWO))], True, False, 0)),
        (ONE[:-1], None, ONE[:-1] + b" \r\n" + TWO, ([(len(ONE) - 1, 1, 3 + len(TWO))], True, False, 0)),
        (ONE[:-1], None, ONE[:-1] + TWO, ([(0, 1, len(ONE + TWO) - 1)], False, True, 0)),
        (ONE + TWO, None, ONE, ([(0, 1, len(ONE))], False, True, 0)),
        (ONE + TWO, None, TWO + ONE, ([(0, 1, len(ONE + TWO))], False, True, 0)),
        (ONE + TWO, None, OTHER + ONE + TWO, ([(0, 1, len(OTHER + ONE + TWO))], False, True, 0)),
        (ONE + TWO, None, b"", ([(0, 1, 0)], False, True, 0)),
    ],
    ids=[
        "grown",
        "pending line finished",
        "touched",
        "was empty",
        "newline came",
        "blanks and newline came",
        "last line went on",
        "shrunk",
        "rewritten",
        "grown at its head",
        "emptied",
    ],
)
def test_changed_transcripts(planned: Planned, before: bytes, ingested: int | None, after: bytes, wanted) -> None:
    # Equal bytes in another object: written again, with another time.
    result = planned(before, bytes(bytearray(after)), ingested)
    assert in_short(result) == wanted
    assert result.bytes == wanted[0][0][2]
    assert not result.changes_nothing


def test_an_unchanged_transcript_costs_nothing(planned: Planned) -> None:
    result = planned(ONE, ONE)
    assert in_short(result) == ([], False, False, 1)
    assert result.changes_nothing


def test_a_rewrite_in_the_middle_that_keeps_the_size_is_read_whole(planned: Planned) -> None:
    """As of a tool that blanks out secrets: neither the first nor the last 4 KiB tell."""
    edited = LONG[:10_000] + b"y" * 40 + LONG[10_040:]
    assert in_short(planned(LONG, edited)) == ([(0, 1, len(LONG))], False, True, 0)


def test_a_new_transcript_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(ONE)
    found = discover([tmp_path], "h")
    result = plan(found, {}, "h")
    assert result.tasks == [Task(found.files[0].file_id, f"{tmp_path}/a.jsonl", len(ONE), 0, 1)]
    assert (result.grown, result.replaced, result.unchanged) == (set(), set(), 0)


def test_a_changed_archive_is_read_whole(planned: Planned) -> None:
    first, more = gzip.compress(ONE), gzip.compress(ONE) + gzip.compress(TWO)
    assert in_short(planned(first, more, len(ONE), name="a.jsonl.gz")) == ([(0, 1, len(more))], False, True, 0)


def test_a_transcript_is_departed_only_where_it_was_looked_for(planned: Planned, tmp_path: Path) -> None:
    assert len(planned(ONE, None).departed) == 1
    for known in ({"departed": True}, {"host": "another"}, {"path": f"{tmp_path}/elsewhere/a.jsonl"}):
        result = planned(ONE, None, **known)
        assert (result.departed, result.changes_nothing) == (set(), True)


def test_a_dump_is_refused_once_and_looked_at_again_when_it_changed(planned: Planned, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.jsonl").write_bytes(DUMP)
    new = plan(discover([tmp_path / "logs"], "h"), {}, "h")
    assert (len(new.refused), new.tasks, new.changes_nothing) == (1, [], False)
    assert new.warnings == [
        f"{tmp_path}/logs/a.jsonl: output of --output-format stream-json, not a transcript; not read"
    ]
    refused = {"kind": "stream-json", "prefix_hash": ""}
    again = planned(DUMP, DUMP, 0, **refused)
    assert (again.refused, again.warnings, again.changes_nothing) == (set(), [], True)
    assert len(planned(DUMP, DUMP + DUMP, 0, **refused).refused) == 1
    assert in_short(planned(DUMP, ONE, 0, **refused)) == ([(0, 1, len(ONE))], False, False, 0)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("a.jsonl.gz", gzip.compress(ONE), b"being written anew"), ("a.jsonl", ONE + TWO, ONE)],
    ids=["damaged archive", "no permission"],
)
def test_what_cannot_be_read_keeps_its_earlier_rows(
    planned: Planned, monkeypatch: pytest.MonkeyPatch, name: str, before: bytes, after: bytes
) -> None:
    """Were it planned as replaced, the next commit would forget its rows and read nothing in their place."""
    if not name.endswith(".gz"):

        def refuse(path: str) -> Any:
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr("tokenlake.ingest.plan.open_transcript", refuse)
    result = planned(before, after, name=name)
    assert len(result.warnings) == 1
    assert (result.replaced, result.tasks) == (set(), [])
    assert result.changes_nothing
