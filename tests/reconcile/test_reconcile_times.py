"""Times that the lake takes for mistakes, and ccusage does not."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path

import pytest
from accounting.transcripts import assistant, jsonl, line, usage
from reconcile.conftest import reconciled, write

from tokenlake.lake import Lake
from tokenlake.sources import ccusage


@pytest.mark.parametrize("tz", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_times_of_year_0_are_explained(tz: str, program: str, tmp_path: Path) -> None:
    """Such a day is none to the lake, where the rows have the time of the record before, if there is one."""
    times = ["0000-02-29T10:00:00.000Z", "0000-12-31T23:30:00Z", "2026-05-04T10:00:00.000Z", "0001-01-01T00:30:00.000Z"]
    rows = [
        assistant(f"m{place}", usage(10 * place), time, request_id=f"r{place}") for place, time in enumerate(times, 1)
    ]
    write(tmp_path / "logs", {"p/s.jsonl": jsonl(*rows)})
    lake = Lake(tmp_path / "lake")
    lake.refresh([tmp_path / "logs"], host="h")
    with closing((found := reconciled(lake, tmp_path / "logs", program, tz)).connection):
        assert found.is_explained
        assert {row["rule"] for row in found.table("rule").to_pylist()} == {"another day"}
        theirs = {row["day"]: row["ccusage_tokens"] for row in found.table("day").to_pylist()}
    assert sum(theirs.values()) == 10 + 20 + 30 + 40 + 4 * 2
    assert theirs[dt.date(2026, 5, 4)] == 32


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("0000-02-29T10:00:00.000Z", "0400-02-29T10:00:00+00:00"),
        ("0000-12-31T23:30:00+02:00", "0400-12-31T21:30:00+00:00"),
    ],
)
def test_a_time_of_year_0_is_four_centuries_before_that_of_year_400(text: str, since: str) -> None:
    rows = ccusage.read(line(assistant("m", time=text)))
    assert not isinstance(rows, str)
    later = dt.datetime.fromisoformat(since) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert [row.ts for row in rows] == [later // dt.timedelta(microseconds=1) - 146_097 * 86_400_000_000]
