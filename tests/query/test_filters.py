"""The common filters: how dates are read, what each keeps, and that they reach the Parquet statistics."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from tokenlake.errors import UsageError
from tokenlake.query.connect import connect
from tokenlake.query.filters import Filters, read_since, read_until
from tokenlake.query.run import sql
from tokenlake.query.views import effective_filters
from tokenlake.store.catalog import Snapshot

NOW = dt.datetime(2026, 3, 30, 10, 30, tzinfo=dt.UTC)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),  # the 23 hours of Berlin's spring Sunday
        ("20260329", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("2025-10-26", "2025-10-25T22:00", "2025-10-26T23:00"),  # and the 25 of the autumn one
        ("2026-03-29T12:00", "2026-03-29T10:00", "2026-03-29T10:00:00.000001"),
        ("2026-03-29 12:00:00Z", "2026-03-29T12:00", "2026-03-29T12:00:00.000001"),
        ("2026-03-29T12:00:00+05:30", "2026-03-29T06:30", "2026-03-29T06:30:00.000001"),
        ("0d", "2026-03-29T22:00", "2026-03-30T22:00"),
        ("today", "2026-03-29T22:00", "2026-03-30T22:00"),
        ("Yesterday", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("7d", "2026-03-22T23:00", "2026-03-23T23:00"),
        ("1w", "2026-03-22T23:00", "2026-03-23T23:00"),
        ("12h", "2026-03-29T22:30", "2026-03-29T22:30:00.000001"),
    ],
)
def test_dates_are_local_days_and_timestamps_are_instants(text: str, since: str, until: str) -> None:
    assert read_since(text, "Europe/Berlin", NOW) == utc(since)
    assert read_until(text, "Europe/Berlin", NOW) == utc(until)


def test_python_dates_are_read_like_their_text() -> None:
    assert read_since(dt.date(2026, 3, 29), "Europe/Berlin", NOW) == utc("2026-03-28T23:00")
    assert read_since(dt.datetime(2026, 3, 29, 12), "Europe/Berlin", NOW) == utc("2026-03-29T10:00")


def test_a_midnight_that_clocks_skip_begins_the_day_after_the_gap() -> None:
    """Santiago's clocks went from 24:00 on 6 September 2025 straight to 01:00, at 04:00 UTC."""
    assert read_since("2025-09-07", "America/Santiago", NOW) == utc("2025-09-07T04:00")


@pytest.mark.parametrize("text", ["tomorrow", "1m", "2026-13-01", "2026-02-30", "20261301", "7", "d7", "", "999999w"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"since: .*is not a date"):
        read_since(text, "UTC", NOW)


def keys(lake: Snapshot, **params: Any) -> str:
    rows = sql(lake, "select key from selected order by key", params).rows()
    return " ".join(key for (key,) in rows)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "r1 r2 r3 r4 r5 r6 r7"),
        ({"since": "2026-03-29", "tz": "Europe/Berlin"}, "r4 r5 r6 r7"),
        ({"until": "2026-03-29", "tz": "Europe/Berlin"}, "r1 r2 r3 r4 r5"),
        ({"since": "2026-03-29", "until": "2026-03-29"}, "r5 r6"),
        ({"since": "2026-03-28T22:59:59", "until": "2026-03-28T22:59:59"}, "r3"),
        ({"since": "2d", "now": "2026-03-31T12:00:00"}, "r5 r6 r7"),
        ({"project": "BETA"}, "r5 r6"),
        ({"project": "ada"}, "r1 r2 r3 r4 r5 r6"),
        ({"model": "Opus"}, "r1 r2 r3 r4"),
        ({"session": "s"}, "r1 r2 r3 r4 r5 r6 r7"),
        ({"session": "s2"}, "r5 r6 r7"),
        ({"session": "2"}, ""),
        ({"host": "server"}, "r5 r6 r7"),
        ({"host": "serv"}, ""),
        ({"model": "opus", "since": "2026-03-28", "until": "2026-03-28"}, "r3 r4"),
        ({"project": "' or true --"}, ""),
        ({"project": "%"}, ""),
    ],
)
def test_filters_keep(lake: Snapshot, params: dict[str, Any], expected: str) -> None:
    assert keys(lake, **params) == expected


def test_filters_prune_row_groups(lakes: Any, tmp_path: Any) -> None:
    """Of 20 row groups of one hour each, those before the instant are not read."""
    rows = [
        lakes.request(f"r{n:05}", "2026-03-01T00:00:00", (1, 0, 0, 0, 0))
        | {"ts": utc("2026-03-01T00:00") + dt.timedelta(seconds=n)}
        for n in range(0, 72_000, 2)
    ]
    root = tmp_path / "lake"
    file = lakes.write_table(root, "requests", rows, row_group_size=1_800)
    filters = Filters(since=utc("2026-03-01T18:00"))
    connection = connect(Snapshot(root, 1, {"requests": (file,)}), filters=filters)
    plan = connection.execute("explain analyze select sum(input_tokens) from selected").fetchall()[0][1]
    scanned, of = re.findall(r"Row Groups Scanned: (\d+) / (\d+)", plan)[0]
    assert (int(scanned), int(of)) == (2, 20)
    assert connection.execute("select count(*) from selected").fetchall() == [(3_600,)]


@pytest.fixture(scope="module")
def wide_lake(lakes: Any, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Two requests of two projects and models, with a row of every other filtered table beside each."""
    ones, twos = ({"session_id": "s1", "host": "laptop"}, {"session_id": "s2", "host": "server"})
    first, second = utc("2026-03-01T10:00"), utc("2026-03-02T10:00")
    tables = {
        "requests": [
            lakes.request("r1", "2026-03-01T10:00", (1, 0, 0, 0, 0), project="/alpha", model="opus"),
            lakes.request("r2", "2026-03-02T10:00", (1, 0, 0, 0, 0), project="/beta", model="haiku", **twos),
        ],
        "tool_calls": [
            {"tool_use_id": "a", "key": "r1", "ts": first, **ones},
            {"tool_use_id": "b", "key": "r2", "ts": second, **twos},
        ],
        "texts": [
            {"id": "a", "key": "r1", "ts": first, **ones},
            {"id": "b", "key": "r2", "ts": second, **twos},
        ],
        "prompts": [
            {"id": "a", "project": "/alpha", "ts": first, **ones},
            {"id": "b", "project": "/beta", "ts": second, **twos},
        ],
        "events": [{"id": "a", "ts": first, **ones}, {"id": "b", "ts": second, **twos}],
        "sessions": [
            {"project": "/alpha", "first_ts": first, "last_ts": first, **ones},
            {"project": "/beta", "first_ts": second, "last_ts": second, **twos},
        ],
        "files": [
            lakes.transcript(1, "/a.jsonl", first_ts=first, last_ts=first),
            lakes.transcript(2, "/b.jsonl", host="server", first_ts=second, last_ts=second),
        ],
        "rejects": [{"file": "/a.jsonl", "host": "laptop"}, {"file": "/b.jsonl", "host": "server"}],
    }
    snapshot: Snapshot = lakes.publish(tmp_path_factory.mktemp("wide") / "lake", tables)
    return snapshot


@pytest.mark.parametrize(
    "params",
    [{"since": "2026-03-02"}, {"project": "beta"}, {"model": "haiku"}, {"session": "s2"}, {"host": "server"}],
    ids=lambda params: next(iter(params)),
)
@pytest.mark.parametrize("view", ["tool_calls", "texts", "prompts", "events", "sessions", "files", "rejects"])
def test_the_other_tables_are_filtered_where_a_filter_has_a_meaning(
    wide_lake: Snapshot, view: str, params: dict[str, Any]
) -> None:
    text = f"select count(*) filter (host = 'laptop'), count(*) from selected_{view}"
    result = sql(wide_lake, text, params)
    has_meaning = next(iter(params)) in effective_filters(text)
    assert list(result.rows()) == [(0, 1) if has_meaning else (1, 2)]
    assert (result.meta.filters == params) is has_meaning
    assert has_meaning or view in ("files", "rejects")


def test_filters_have_an_effect_where_a_parameter_reads_them() -> None:
    assert effective_filters("select 1 from files where host = $host") == {"host"}
    assert effective_filters("select 1 from files -- selected") == set()
