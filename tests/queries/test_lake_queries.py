"""The queries of the folder lake: what is in it, which days, and what could not be read."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_coverage_by_host(lake: Snapshot) -> None:
    """Laptop: two transcripts, one refused, three days in a row. Server: 29 and 30 March, then 2 April."""
    laptop, server = run(lake, "lake/coverage", {"tz": "Europe/Berlin"}).to_pylist()
    assert laptop == {
        "host": "laptop",
        "files": 2,
        "departed_files": 0,
        "refused_files": 1,
        "first_ts": utc("2026-03-27T09:00"),
        "last_ts": utc("2026-03-28T23:00"),
        "days": 3,
        "gap_days": 0,
        "requests": 4,
        # The tiny lake has no session_files: it knows of no session's transcript.
        "known_sessions": 1,
        "held_sessions": 0,
        "departed_sessions": 0,
        "missing_sessions": 1,
        "known_days": 3,
        "held_days": 0,
        "departed_days": 0,
        "missing_days": 3,
        "records": 40,
        "usage_rows": 4,
        "ingested_bytes": 4900,
        "pending_bytes": 100,
        "rejects": 1,
        "odd_fields": 0,
    }
    assert server["departed_files"] == 1
    assert (server["days"], server["gap_days"], server["requests"]) == (3, 2, 3)
    assert (server["records"], server["odd_fields"]) == (9, 2)


def test_coverage_counts_a_host_whose_transcripts_hold_no_request(lakes: Any, tmp_path: Any) -> None:
    lake = lakes.publish(tmp_path / "lake", {"files": [lakes.transcript(1, "/logs/empty.jsonl", host="idle")]})
    (row,) = run(lake, "lake/coverage").to_pylist()
    assert (row["host"], row["files"], row["requests"], row["days"], row["first_ts"]) == (
        "idle",
        1,
        0,
        0,
        None,
    )


def test_days_and_the_gaps_before_them(lake: Snapshot) -> None:
    rows = run(lake, "lake/days", {"tz": "Europe/Berlin"}).to_pylist()
    found = [
        (
            row["day"].isoformat(),
            row["weekday"],
            row["gap_days_before"],
            row["requests"],
            row["sessions"],
            row["hosts"],
        )
        for row in rows
    ]
    assert found == [
        ("2026-03-27", "Fri", 0, 2, 1, 1),
        ("2026-03-28", "Sat", 0, 1, 1, 1),
        ("2026-03-29", "Sun", 0, 2, 2, 2),
        ("2026-03-30", "Mon", 0, 1, 1, 1),
        ("2026-04-02", "Thu", 2, 1, 1, 1),
    ]
    assert [(row["files"], row["departed_files"]) for row in rows] == [(1, 0), (1, 0), (2, 1), (1, 1), (1, 1)]
    assert rows[2]["first_ts"] == utc("2026-03-28T23:00")
    assert rows[2]["last_ts"] == utc("2026-03-29T21:59:59.999")


@pytest.fixture
def remembered(lakes: Any, tmp_path: Path) -> Snapshot:
    """What two machines' histories and transcripts tell, in Berlin's days.

    Laptop: s1 is held, though one of its two transcripts is gone; s2's only one is gone; s3 was prompted on the 3rd
    and the 4th and has none. On the 5th somebody prompted without a session id. Server: s4 is held; its history also
    names s1, whose transcript the laptop has.
    """

    def prompt(ts: str, session: str | None, host: str, project: str = "/home/ada/alpha") -> dict[str, Any]:
        return {"ts": utc(ts), "session_id": session, "host": host, "project": project, "file_id": 9, "offset": 0}

    counts = (1, 2, 0, 0, 0)
    tables = {
        "requests": [
            lakes.request("r1", "2026-05-01T09:00:00", counts, session_id="s1", host="laptop", file_id=1),
            # 00:30 of the 2nd in Berlin.
            lakes.request("r2", "2026-05-01T22:30:00", counts, session_id="s2", host="laptop", file_id=3),
            lakes.request("r4", "2026-05-03T09:00:00", counts, session_id="s4", host="server", file_id=4),
        ],
        "files": [
            lakes.transcript(1, "/logs/s1.jsonl"),
            lakes.transcript(2, "/logs/copy.jsonl", departed_at=utc("2026-05-09T00:00")),
            lakes.transcript(3, "/logs/s2.jsonl", departed_at=utc("2026-05-09T00:00")),
            lakes.transcript(4, "/logs/s4.jsonl", host="server"),
        ],
        "session_files": [
            {"session_id": session, "file_id": file_id, "host": host}
            for session, file_id, host in (("s1", 1, "laptop"), ("s1", 2, "laptop"), ("s2", 3, "laptop"))
        ]
        + [{"session_id": "s4", "file_id": 4, "host": "server"}],
        "known_prompts": [
            prompt("2026-05-01T08:59", "s1", "laptop"),
            prompt("2026-05-01T22:29", "s2", "laptop"),
            prompt("2026-05-03T07:00", "s3", "laptop", "/home/ada/Beta"),
            prompt("2026-05-04T07:00", "s3", "laptop", "/home/ada/Beta"),
            prompt("2026-05-04T07:05", "s1", "laptop"),
            prompt("2026-05-05T07:00", None, "laptop"),
            prompt("2026-05-03T08:59", "s4", "server"),
            prompt("2026-05-06T07:00", "s1", "server"),
        ],
    }
    snapshot: Snapshot = lakes.publish(tmp_path / "lake", tables)
    return snapshot


KNOWN = ("known", "held", "departed", "missing")


def test_coverage_tells_what_is_known_and_not_held(remembered: Snapshot) -> None:
    """Days: the laptop's 1st is held, its 2nd departed, its 3rd to 5th are missing; the server's are held."""
    laptop, server = run(remembered, "lake/coverage", {"tz": "Europe/Berlin"}).to_pylist()
    assert [laptop[f"{name}_sessions"] for name in KNOWN] == [3, 1, 1, 1]
    assert [laptop[f"{name}_days"] for name in KNOWN] == [5, 1, 1, 3]
    assert [server[f"{name}_sessions"] for name in KNOWN] == [2, 2, 0, 0]
    assert [server[f"{name}_days"] for name in KNOWN] == [2, 2, 0, 0]
    # What is only known is no usage.
    assert (laptop["requests"], laptop["days"], server["requests"]) == (2, 2, 1)


def test_coverage_of_what_is_known_obeys_the_filters(remembered: Snapshot) -> None:
    (row,) = run(remembered, "lake/coverage", {"tz": "Europe/Berlin", "project": "beta", "host": "laptop"}).to_pylist()
    assert [row[f"{name}_sessions"] for name in KNOWN] == [1, 0, 0, 1]
    (row,) = run(
        remembered, "lake/coverage", {"tz": "Europe/Berlin", "since": "2026-05-04", "host": "server"}
    ).to_pylist()
    assert [row[f"{name}_days"] for name in KNOWN] == [1, 1, 0, 0]


def test_days_that_are_only_known_have_no_requests(remembered: Snapshot) -> None:
    rows = run(remembered, "lake/days", {"tz": "Europe/Berlin"}).to_pylist()
    names = ("requests", "gap_days_before", *(f"{name}_sessions" for name in KNOWN))
    assert {row["day"].day: tuple(row[name] for name in names) for row in rows} == {
        1: (1, 0, 1, 1, 0, 0),
        2: (1, 0, 1, 0, 1, 0),
        3: (1, 0, 2, 1, 0, 1),
        4: (0, 0, 2, 1, 0, 1),
        5: (0, 0, 0, 0, 0, 0),
        6: (0, 0, 1, 1, 0, 0),
    }
    by_host = run(remembered, "lake/days", {"tz": "Europe/Berlin", "by_host": True}).to_pylist()
    found = [(row["day"].day, row["host"], row["gap_days_before"], row["requests"]) for row in by_host]
    assert [row for row in found if row[1] == "server"] == [(3, "server", 0, 1), (6, "server", 2, 0)]
    assert len(found) == 7


def test_rejects(lake: Snapshot) -> None:
    assert run(lake, "lake/rejects").to_pylist() == [
        {
            "file": "/logs/s1.jsonl",
            "line": 7,
            "offset": 900,
            "bytes": 12,
            "reason": "not JSON",
            "head": '{"type": \x1b[31m\n',
            "host": "laptop",
        }
    ]
    assert len(run(lake, "lake/rejects", {"host": "server"})) == 0


def test_coverage_says_what_filters_do_not_reach(remembered: Snapshot) -> None:
    said = "--project, --model and --session do not choose among them"
    for filters, is_said in (({}, False), ({"host": "laptop"}, False), ({"project": "beta"}, True)):
        notes = run(remembered, "lake/coverage", {"tz": "UTC", **filters}).meta.notes
        assert any(said in note for note in notes) is is_said
