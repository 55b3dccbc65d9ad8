"""Accounting rules 25 and 26: instants, days in a zone, and partitions by UTC month."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from accounting.lakes import one, requests, rows, utc
from accounting.transcripts import S1, S2, assistant, jsonl, usage, user
from tests.conftest import Ingest

FILE = f"-home-ada-harbour/{S1}.jsonl"


@pytest.mark.parametrize(
    ("logged", "instant"),
    [
        ("2026-05-04T09:00:00.123Z", "2026-05-04T09:00:00.123+00:00"),
        ("2026-05-04T23:59:59.999Z", "2026-05-04T23:59:59.999+00:00"),
        ("2026-05-04T09:00:00Z", "2026-05-04T09:00:00+00:00"),
        ("2026-05-05T00:30:00.500+02:00", "2026-05-04T22:30:00.500+00:00"),
        ("2026-05-04T20:00:00.001-05:30", "2026-05-05T01:30:00.001+00:00"),
    ],
)
def test_rule_25_timestamps_are_instants_to_the_millisecond(ingest: Ingest, logged: str, instant: str) -> None:
    """An offset is resolved, not dropped."""
    lake = ingest({FILE: jsonl(assistant(time=logged))})
    assert one(lake)["ts"] == utc(instant)
    assert one(lake, "usage_rows")["ts"] == utc(instant)


def days(lake, tz: str, by: str = "day", **options: str) -> dict[str, int]:  # type: ignore[no-untyped-def]
    """Requests by period."""
    found = lake.run("cache/overhead", by=by, tz=tz, **options).to_pylist()
    return {row["by"]: row["requests"] for row in found}


def at_times(*times: str) -> bytes:
    """A transcript with a request at each of some times."""
    return jsonl(*(assistant(f"msg_{number}", time=time) for number, time in enumerate(times)))


def test_rule_25_days_are_those_of_the_zone_asked_for(ingest: Ingest) -> None:
    """One lake, four zones; each request stands on the local day of its instant."""
    lake = ingest({FILE: at_times("2026-05-31T15:59:59.999Z", "2026-05-31T16:00:00.000Z", "2026-06-01T03:59:59.999Z")})
    assert days(lake, "UTC") == {"2026-05-31": 2, "2026-06-01": 1}
    assert days(lake, "Asia/Taipei") == {"2026-05-31": 1, "2026-06-01": 2}
    assert days(lake, "America/New_York") == {"2026-05-31": 3}
    assert days(lake, "Asia/Taipei", "month") == {"2026-05": 1, "2026-06": 2}
    assert days(lake, "UTC", "month") == {"2026-05": 2, "2026-06": 1}


def test_rule_25_days_follow_daylight_saving(ingest: Ingest) -> None:
    """New York: the day of the spring change has 23 hours, that of the autumn change 25."""
    spring = (
        "2026-03-08T04:59:59.999Z",
        "2026-03-08T05:00:00.000Z",
        "2026-03-09T03:59:59.999Z",
        "2026-03-09T04:00:00Z",
    )
    autumn = (
        "2025-11-02T03:59:59.999Z",
        "2025-11-02T04:00:00.000Z",
        "2025-11-03T04:59:59.999Z",
        "2025-11-03T05:00:00Z",
    )
    lake = ingest({FILE: at_times(*spring, *autumn)})
    assert days(lake, "America/New_York") == {
        "2025-11-01": 1,
        "2025-11-02": 2,
        "2025-11-03": 1,
        "2026-03-07": 1,
        "2026-03-08": 2,
        "2026-03-09": 1,
    }


def test_rule_25_weeks_start_on_monday_unless_asked(ingest: Ingest) -> None:
    """2026-05-03 is a Sunday."""
    lake = ingest({FILE: at_times("2026-05-02T12:00:00.000Z", "2026-05-03T12:00:00.000Z", "2026-05-04T12:00:00.000Z")})
    assert days(lake, "UTC", "week") == {"2026-04-27": 2, "2026-05-04": 1}
    assert days(lake, "UTC", "week", week_start="sunday") == {"2026-04-26": 1, "2026-05-03": 2}


def months(lake, table: str) -> list[str]:  # type: ignore[no-untyped-def]
    """The partitions that hold the table's rows."""
    paths: list[str] = lake.snapshot().paths(table)
    return sorted({found for path in paths for found in re.findall(r"[\\/]month=([^\\/]+)[\\/]", path)})


def test_rule_26_partitions_are_utc_months_of_the_earliest_row(ingest: Ingest) -> None:
    """Whatever month the kept row was written in."""
    lake = ingest(
        {
            FILE: jsonl(
                assistant("msg_1", usage(1), "2026-04-30T23:59:59.999Z"),
                assistant("msg_1", usage(50), "2026-05-01T00:00:01.000Z"),
                assistant("msg_2", usage(50), "2026-07-01T01:00:00.000+02:00"),
            )
        }
    )
    assert months(lake, "requests") == ["2026-04", "2026-06"]
    assert months(lake, "usage_rows") == ["2026-04", "2026-05", "2026-06"]
    assert len(requests(lake)) == 2


def test_rule_26_a_request_moves_when_an_earlier_row_is_found(ingest: Ingest) -> None:
    """And leaves nothing behind in the month where it stood."""
    lake = ingest({FILE: jsonl(assistant("msg_1", usage(50), "2026-05-01T00:00:01.000Z"))})
    assert months(lake, "requests") == ["2026-05"]
    ingest({f"-other/{S2}.jsonl": jsonl(assistant("msg_1", usage(1), "2026-04-30T23:59:59.999Z", session=S2))})
    assert months(lake, "requests") == ["2026-04"]
    assert one(lake)["output_tokens"] == 50


def test_rule_26_a_record_without_a_timestamp_takes_the_previous_one(ingest: Ingest) -> None:
    """Of its own file, in file order, of a record of any type."""
    lake = ingest(
        {
            FILE: jsonl(
                user("Early.", "08:00"),
                assistant("msg_1", time=None),
                {"type": "mode", "mode": "normal", "sessionId": S1},
                {
                    "type": "queue-operation",
                    "operation": "enqueue",
                    "timestamp": "2026-05-04T10:00:00.000Z",
                    "sessionId": S1,
                },
                user("Earlier.", "07:00"),
                assistant("msg_2", time=None),
            ),
            f"-other/{S2}.jsonl": jsonl(user("Late.", "22:00", session=S2)),
        }
    )
    assert {key: row["ts"] for key, row in requests(lake).items()} == {
        "msg_1": utc("2026-05-04T08:00:00Z"),
        "msg_2": utc("2026-05-04T07:00:00Z"),
    }
    (mode,) = [row for row in rows(lake, "events") if row["type"] == "mode"]
    assert mode["ts"] == utc("2026-05-04T08:00:00Z")


def test_rule_26_the_previous_record_may_be_of_an_earlier_ingest(ingest: Ingest) -> None:
    """The file grew by a record without a timestamp."""
    first = jsonl(user("Early.", "08:00"))
    lake = ingest({FILE: first})
    ingest({FILE: first + jsonl(assistant("msg_1", time=None))})
    assert one(lake)["ts"] == utc("2026-05-04T08:00:00Z")


def test_rule_26_a_timestamp_of_another_type_is_odd_and_replaced(ingest: Ingest) -> None:
    """Rule 4 makes it null, and then the previous one holds."""
    lake = ingest({FILE: jsonl(user("Early.", "08:00"), assistant("msg_1", time=None, timestamp=1777885200000))})
    assert one(lake)["ts"] == utc("2026-05-04T08:00:00Z")
    assert one(lake, "files")["odd_fields"] == 1


def test_rule_26_a_row_without_any_time_is_kept(ingest: Ingest) -> None:
    """In a partition of its own, and in the totals."""
    lake = ingest({FILE: jsonl(assistant("msg_1", time=None), assistant("msg_2", time="09:01"))})
    kept = requests(lake)
    assert (kept["msg_1"]["ts"], kept["msg_2"]["ts"]) == (None, utc("2026-05-04T09:01:00Z"))
    assert months(lake, "requests") == ["2026-05", "unknown"]


def test_rule_26_partition_files_hold_rows_of_their_month_only(ingest: Ingest, samples: Path) -> None:
    """Over all samples, read from the files themselves."""
    import pyarrow.parquet as pq

    lake = ingest({})
    lake.refresh([samples / "logs"], host="h")
    seen = 0
    for path in lake.snapshot().paths("requests"):
        (month,) = re.findall(r"[\\/]month=([^\\/]+)[\\/]", path)
        stamps = pq.ParquetFile(path).read(columns=["ts"]).column("ts").to_pylist()
        seen += len(stamps)
        assert {"unknown" if ts is None else f"{ts:%Y-%m}" for ts in stamps} == {month}
    assert seen == 107
