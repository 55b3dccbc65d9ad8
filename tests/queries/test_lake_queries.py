"""The queries of the folder lake: what is in it, which days, and what could not be read."""

from __future__ import annotations

import datetime as dt
from typing import Any

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
