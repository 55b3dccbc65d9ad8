"""A filter chooses rows and changes nothing in them: numbers, windows and lookups reach beyond what it lets through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.query.lakes import instant, publish, request

from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot

COUNTS = (1, 10, 100, 0, 1000)
TIMES = ("2026-05-01T10:00:00", "2026-05-01T11:00:00", "2026-05-02T10:00:00")


def three_requests(folder: Path, **tables: Any) -> Snapshot:
    rows = [request(f"r{number}", time, COUNTS, offset=number) for number, time in enumerate(TIMES)]
    return publish(folder / "lake", {"requests": rows, **tables})


def test_a_turn_keeps_its_number_when_those_before_it_are_filtered_out(tmp_path: Path) -> None:
    lake = three_requests(tmp_path)
    rows = run(lake, "cache/overhead", {"by": "turn", "since": "2026-05-02", "tz": "UTC"}).to_pylist()
    assert [(row["by"], row["requests"]) for row in rows] == [("3", 1)]


def test_the_longer_window_reaches_back_whichever_it_is(tmp_path: Path) -> None:
    """48 hours hold all three requests, 1 hour the last alone."""
    lake = three_requests(tmp_path)
    asked = {"measure": "requests", "hours": 48, "long_hours": 1, "tz": "UTC"}
    since = {**asked, "since": "2026-05-02"}
    peaks = [(row["window_hours"], row["peak"]) for row in run(lake, "windows/rolling", since).to_pylist()]
    assert peaks == [(48, 3.0), (1, 1.0)]


def test_an_event_stays_when_the_project_of_its_session_is_named_too(tmp_path: Path) -> None:
    """The session's requests are older than --since, its event is not."""
    event = {
        "id": "e1",
        "type": "system",
        "session_id": "s1",
        "ts": instant("2026-05-04T10:00:00"),
        "host": "laptop",
        "is_sidechain": False,
        "file_id": 1,
        "offset": 9,
    }
    lake = three_requests(tmp_path, events=[event])
    text = "select id from selected_events"
    for filters in ({}, {"project": "alpha"}, {"model": "opus"}):
        assert sql(lake, text, {"since": "2026-05-04", "tz": "UTC", **filters}).to_pylist() == [{"id": "e1"}]
    assert sql(lake, text, {"since": "2026-05-04", "tz": "UTC", "project": "beta"}).to_pylist() == []


def test_ratios_of_dollars_are_of_priced_requests_alone(tmp_path: Path) -> None:
    """A cost from the log says nothing of its parts: it is in no ratio of parts (accounting rule 24)."""
    logged = request("old", TIMES[0], COUNTS, offset=7, cost_logged=9)
    priced = request("new", TIMES[1], COUNTS, offset=8)
    both = publish(tmp_path / "both", {"requests": [logged, priced]})
    alone = publish(tmp_path / "alone", {"requests": [priced]})
    ratios = ("total_per_api_cost", "cache_cost_share", "saved")
    (row,) = run(both, "cache/overhead", {"cost_mode": "auto"}).to_pylist()
    (expected,) = run(alone, "cache/overhead", {"cost_mode": "auto"}).to_pylist()
    assert row["cost"] == expected["cost"] + 9
    assert [row[name] for name in ratios] == [expected[name] for name in ratios]
