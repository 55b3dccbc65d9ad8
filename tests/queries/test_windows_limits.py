"""windows/limits: every wording, reset times in their zones, and the load before each hit."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.queries.window_folds import a_lake
from tests.query.lakes import instant, request

from tokenlake.lake import Lake
from tokenlake.query.run import run

NARROW = "\u202f"  # the space that newer runtimes print before am and pm


def event(text: str, ts: str, number: int = 0, subtype: str = "limit", **columns: Any) -> dict[str, Any]:
    detail = json.dumps({"error": "rate_limit", "text": text})
    shared = {"type": "assistant", "subtype": subtype, "session_id": "s1", "host": "laptop", "is_sidechain": False}
    return {"id": f"e{number}", "ts": instant(ts), "detail": detail, **shared, **columns}


def answer(events: list[dict[str, Any]], requests: Any = (), **params: Any) -> list[dict[str, Any]]:
    with a_lake({"events": events, "requests": requests}) as lake:
        return run(lake, "windows/limits", {"tz": "UTC", **params}).to_pylist()


def reset(text: str, ts: str, tz: str = "UTC") -> tuple[str | None, str | None]:
    (row,) = answer([event(text, ts)], tz=tz)
    return row["reset_from"], row["resets_ts"] and f"{row['resets_ts']:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("text", "ts", "expected"),
    [
        # Seconds since 1970, and milliseconds.
        ("Claude AI usage limit reached|1753131600", "2025-07-21T20:56:51", ("epoch", "2025-07-21T21:00")),
        ("Claude AI usage limit reached|1753131600000", "2025-07-21T20:56:51", ("epoch", "2025-07-21T21:00")),
        # 7pm in Sao Paulo (UTC-3) is 22:00 UTC; 19:20 in Brussels in summer (UTC+2) is 17:20.
        ("Limit reached · resets 7pm (America/Sao_Paulo)", "2025-12-09T09:00", ("time", "2025-12-09T22:00")),
        ("You've hit your session limit · resets 7:20pm (Europe/Brussels)", "2026-07-22T09:00",
         ("time", "2026-07-22T17:20")),
        # 2pm in Auckland in summer (UTC+13) is 01:00 UTC: of this day still ahead at 00:30, past at 01:30.
        ("5-hour limit reached · resets 2pm (Pacific/Auckland) · /upgrade", "2025-12-10T00:30",
         ("time", "2025-12-10T01:00")),
        ("5-hour limit reached · resets 2pm (Pacific/Auckland) · /upgrade", "2025-12-10T01:30",
         ("time", "2025-12-11T01:00")),
        # Exactly then: the next one.
        ("Session limit reached ∙ resets 8pm (UTC)", "2025-12-10T20:00", ("time", "2025-12-11T20:00")),
        # Half past in Kolkata and Newfoundland, three quarters in Nepal.
        ("Limit reached ∙ resets 9:30am (Asia/Kolkata)", "2026-01-05T00:00", ("time", "2026-01-05T04:00")),
        ("Limit reached ∙ resets 9pm (America/St_Johns)", "2026-01-05T00:29", ("time", "2026-01-05T00:30")),
        ("Limit reached ∙ resets 0:15 (Asia/Kathmandu)", "2026-01-05T00:00", ("time", "2026-01-05T18:30")),
        # Midnight and noon.
        ("Limit reached · resets 12am (UTC)", "2026-01-05T23:00", ("time", "2026-01-06T00:00")),
        ("Limit reached · resets 12pm (UTC)", "2026-01-05T11:00", ("time", "2026-01-05T12:00")),
        ("Limit reached · resets 12:30am (UTC)", "2026-01-05T00:10", ("time", "2026-01-05T00:30")),
        # A clock of 24 hours, small and capital halves of the day, and the narrow space before them.
        ("Limit reached · resets 17:05 (UTC)", "2026-01-05T00:10", ("time", "2026-01-05T17:05")),
        ("Limit reached · resets at 5:05 PM (UTC)", "2026-01-05T00:10", ("time", "2026-01-05T17:05")),
        (f"Limit reached · resets 5{NARROW}PM (UTC)", "2026-01-05T00:10", ("time", "2026-01-05T17:00")),
        # Clocks go forward in Berlin on 29 March 2026 at 02:00: 8am is 07:00 UTC before and 06:00 after.
        ("Limit reached · resets 8am (Europe/Berlin)", "2026-03-28T00:00", ("time", "2026-03-28T07:00")),
        ("Limit reached · resets 8am (Europe/Berlin)", "2026-03-28T22:00", ("time", "2026-03-29T06:00")),
        # And back on 25 October.
        ("Limit reached · resets 8am (Europe/Berlin)", "2026-10-24T21:00", ("time", "2026-10-25T07:00")),
        # Dates: the next such day, next year's where this one's is past, a 29 February in a leap year.
        ("Opus weekly limit reached ∙ resets Oct 31, 9am", "2025-10-28T12:00", ("date", "2025-10-31T09:00")),
        ("Weekly limit reached ∙ resets Jan 2, 9:30pm (America/New_York)", "2025-12-30T12:00",
         ("date", "2026-01-03T02:30")),
        ("Weekly limit reached ∙ resets October 31 at 9am (UTC)", "2025-10-31T09:00", ("date", "2026-10-31T09:00")),
        ("Weekly limit reached ∙ resets Feb 29, 1am (UTC)", "2025-03-01T00:00", ("date", "2028-02-29T01:00")),
        # So many minutes from the hit.
        ("Rate limit reached: wait 12 minutes", "2026-01-05T23:50", ("wait", "2026-01-06T00:02")),
        ("Too fast; please wait 90 seconds.", "2026-01-05T23:50", ("wait", "2026-01-05T23:51")),
        ("Limit: wait 2 hours", "2026-01-05T23:50", ("wait", "2026-01-06T01:50")),
        # What does not say, or says no time that there is.
        ("You've hit your monthly spend limit · raise it at the console", "2026-07-22T09:00", (None, None)),
        ("Limit reached · resets soon", "2026-07-22T09:00", (None, None)),
        ("Limit reached · resets 13pm (UTC)", "2026-07-22T09:00", (None, None)),
        ("Limit reached · resets 25:00 (UTC)", "2026-07-22T09:00", (None, None)),
    ],
)  # fmt: skip
def test_reset_times(text: str, ts: str, expected: tuple[str | None, str | None]) -> None:
    assert reset(text, ts) == expected


def test_a_time_without_a_zone_is_in_the_reports_zone() -> None:
    for text in ("Session limit reached ∙ resets 8pm", "Session limit reached ∙ resets 8pm (soon)"):
        assert reset(text, "2026-01-05T09:00", tz="Asia/Tokyo") == ("time", "2026-01-05T11:00")
        assert reset(text, "2026-01-05T09:00", tz="UTC") == ("time", "2026-01-05T20:00")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Claude AI usage limit reached|1753131600", "usage"),
        ("Limit reached · resets 7pm (America/Sao_Paulo)", "usage"),
        ("You've hit your limit · resets 7pm (UTC)", "usage"),
        ("5-hour limit reached · resets 2pm (Pacific/Auckland)", "5-hour"),
        ("You've hit your session limit · resets 7:20pm (Europe/Brussels)", "5-hour"),
        ("Opus weekly limit reached ∙ resets Oct 31, 9am", "weekly"),
        ("You've hit your monthly spend limit · raise it at the console", "spend"),
        ("API Error: 429 rate_limit_error", "other"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    (row,) = answer([event(text, "2025-10-28T12:00")])
    assert row["kind"] == kind
    assert row["text"] == text


def test_messages_that_speak_of_no_limit_are_none() -> None:
    events = [
        event("No response requested.", "2026-01-05T09:00", 1, "synthetic"),
        event("API Error: 529 Overloaded. Try again in a moment.", "2026-01-05T09:00", 2, "api_error"),
        event("unlimited", "2026-01-05T09:00", 3, "limit", type="system"),
    ]
    assert answer(events) == []


def test_the_load_before_a_hit() -> None:
    """At 12:00: exactly five hours and seven days before are out, the hit's own instant is in."""
    listed = [
        request("a", "2026-03-24T12:00:00", (1, 0, 0, 0, 0)),
        request("b", "2026-03-24T12:00:00.001", (2, 0, 0, 0, 0), offset=1),
        request("c", "2026-03-31T07:00:00", (4, 0, 0, 0, 0), offset=2),
        request("d", "2026-03-31T07:00:00.001", (8, 100, 20, 30, 4000), offset=3, project="/elsewhere"),
        request("e", "2026-03-31T12:00:00", (16, 0, 0, 0, 0), offset=4, host="server"),
        request("f", "2026-03-31T12:00:00.001", (32, 0, 0, 0, 0), offset=5),
        request("g", "2026-03-31T11:00:00", (64, 0, 0, 0, 0), offset=6, model="llama-3-70b-local"),
    ]
    (row,) = answer([event("Limit reached · resets 4pm (UTC)", "2026-03-31T12:00:00")], listed)
    assert list(row.items()) == [
        ("ts", instant("2026-03-31T12:00:00")),
        ("kind", "usage"),
        ("resets_ts", instant("2026-03-31T16:00:00")),
        ("reset_from", "time"),
        ("minutes_to_reset", 240.0),
        ("requests_5h", 3),
        ("input_tokens_5h", 88),
        ("output_tokens_5h", 100),
        ("cache_write_tokens_5h", 50),
        ("cache_read_tokens_5h", 4000),
        ("cost_5h", Decimal("0.000120") + Decimal("0.0025") + Decimal("0.000425") + Decimal("0.002")),
        ("requests_7d", 5),
        ("input_tokens_7d", 94),
        ("output_tokens_7d", 100),
        ("cache_write_tokens_7d", 50),
        ("cache_read_tokens_7d", 4000),
        ("cost_7d", Decimal("0.000150") + Decimal("0.0025") + Decimal("0.000425") + Decimal("0.002")),
        ("unpriced_requests_7d", 1),
        ("session_id", "s1"),
        ("host", "laptop"),
        ("text", "Limit reached · resets 4pm (UTC)"),
    ]
    (row,) = answer([event("Limit reached", "2026-03-31T12:00:00", host="server")], listed, host="server")
    assert (row["requests_5h"], row["requests_7d"]) == (1, 1)


def test_filters_choose_hits_and_leave_their_load() -> None:
    listed = [request("a", "2026-03-31T07:30:00", (1, 0, 0, 0, 0))]
    events = [event("Limit reached", f"2026-03-31T{hour:02}:00:00", hour) for hour in (8, 9, 10)]
    rows = answer(events, listed, since="2026-03-31T09:00:00", until="2026-03-31T09:30:00")
    assert [(row["ts"].hour, row["requests_5h"], row["cost_5h"]) for row in rows] == [(9, 1, Decimal("0.000005"))]
    assert answer(events, listed, session="other") == []


def test_the_samples(samples: Path, tmp_path: Path) -> None:
    """The six messages of the folder of limit hits, worked out by hand."""
    lake = Lake(tmp_path / "lake")
    lake.refresh([samples / "logs"])
    rows = lake.run("windows/limits", tz="Europe/Berlin").to_pylist()

    def utc(*parts: int) -> dt.datetime:
        return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]

    assert [(row["kind"], row["reset_from"], row["resets_ts"]) for row in rows] == [
        ("usage", "epoch", utc(2025, 7, 21, 21)),
        ("usage", "time", utc(2025, 12, 9, 22)),
        ("5-hour", "time", utc(2025, 12, 10, 1)),
        # Without a zone: Berlin's, whose clocks have gone back by then.
        ("weekly", "date", utc(2026, 10, 31, 8)),
        ("5-hour", "time", utc(2026, 7, 22, 17, 20)),
        ("spend", None, None),
    ]
    assert (rows[0]["requests_5h"], rows[0]["cache_write_tokens_5h"], rows[0]["cache_read_tokens_5h"]) == (1, 250, 2500)
