"""Running queries: parameters, errors that name the line, several statements, and commits meanwhile."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from tokenlake.errors import LakeDamagedError, QueryError, UsageError
from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOKENLAKE_QUERIES", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def test_parameters_are_bound_never_interpolated(lake: Snapshot, folder: Path) -> None:
    (folder / "echo.sql").write_text(
        "-- Echo\n-- $word text = 'a': a word\n-- $many integer = 2: a count\n"
        "select $word as word, $many + 1 as more, $tz as tz"
    )
    word = "'; drop view requests; --"
    assert run(lake, "echo", {"word": word, "many": 5, "tz": "Asia/Taipei"}).to_pylist() == [
        {"word": word, "more": 6, "tz": "Asia/Taipei"}
    ]
    assert run(lake, "echo").to_pylist() == [{"word": "a", "more": 3, "tz": "UTC"}]
    assert run(lake, "echo", {"many": None}).to_pylist()[0]["more"] == 3


def test_a_note_says_something_beside_the_rows(lake: Snapshot, folder: Path) -> None:
    (folder / "noted.sql").write_text(
        "-- Noted\n-- note: select $word || ' -- ' || count(*) from selected having count(*) > 0\n"
        "-- note: select null union all select 'last'\n-- $word text = 'a': a word\nselect 1 as one"
    )
    requests = sql(lake, "select count(*) as n from requests").to_pylist()[0]["n"]
    result = run(lake, "noted", {"word": "b"})
    assert (result.to_pylist(), result.meta.notes) == ([{"one": 1}], (f"b -- {requests}", "last"))
    assert run(lake, "noted", {"since": "2100-01-01"}).meta.notes == ("last",)
    assert run(lake, "lake/days").meta.notes == ()


def test_a_note_reads_the_lake_alone(lake: Snapshot, folder: Path) -> None:
    path = folder / "noted.sql"
    path.write_text("-- Noted\n-- note: select content from read_text('/etc/passwd')\nselect 1 as one")
    with pytest.raises(QueryError, match=r"noted\.sql:2: note: Permission Error.*--allow-external"):
        run(lake, "noted")
    path.write_text("-- Noted\n-- note: select nothing\nselect 1 as one")
    with pytest.raises(QueryError, match=r"noted\.sql:2: note: Binder Error"):
        run(lake, "noted")
    path.write_text("-- Noted\n--\n-- note: select * from query('select 1')\nselect 1 as one")
    with pytest.raises(QueryError, match=r"noted\.sql:3: note: query\(\) is not allowed"):
        run(lake, "noted")


def test_what_a_note_depends_on_is_said(lake: Snapshot, folder: Path) -> None:
    """The rows alone depend on nothing."""
    path = folder / "noted.sql"
    path.write_text("-- Noted\nselect 1 as one")
    given = {"tz": "Asia/Taipei", "host": "laptop", "cost_mode": "auto"}
    meta = run(lake, "noted", given).meta
    assert (meta.tz, meta.filters, meta.dedup, meta.cost_mode, meta.prices) == (None, {}, None, None, ())
    path.write_text(
        "-- Noted\n-- note: select 'until ' || max(ts at time zone $tz) from selected\n"
        "-- note: select sum(cost) || ' dollars' from selected_costs\nselect 1 as one"
    )
    meta = run(lake, "noted", given).meta
    assert (meta.tz, meta.filters, meta.dedup, meta.cost_mode) == ("Asia/Taipei", {"host": "laptop"}, "max", "auto")
    assert meta.prices
    assert meta.partial_share is not None


def test_now_and_the_filters_are_parameters_of_every_query(lake: Snapshot, folder: Path) -> None:
    (folder / "common.sql").write_text("-- C\nselect $now as now, $since as since, $until as until, $host as host")
    (row,) = run(lake, "common", {"now": "2026-03-30T12:00:00", "since": "1d", "host": "h"}).to_pylist()
    assert row == {
        "now": dt.datetime(2026, 3, 30, 12, tzinfo=dt.UTC),
        "since": dt.datetime(2026, 3, 29, tzinfo=dt.UTC),
        "until": None,
        "host": "h",
    }


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"bye": "day"}, "cache/overhead has no parameter 'bye'; it has by, week_start, tz, dedup, since"),
        ({"by": "decade"}, "by: 'decade' is none of none, day"),
        ({"by": 7}, "by: 7 is not a text"),
        ({"tz": "Berlin"}, "did you mean Europe/Berlin?"),
        ({"since": 20260101}, "since: 20260101 is not a text"),
        ({"dedup": "best"}, "dedup: 'best' is none of max"),
    ],
)
def test_wrong_parameters_are_named(lake: Snapshot, params: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(lake, "cache/overhead", params)
    assert reason in str(caught.value)


def test_meta_says_how_it_was_counted(lake: Snapshot) -> None:
    meta = run(lake, "cost/daily", {"host": "server", "tz": "Asia/Taipei", "dedup": "max"}).meta
    assert (meta.name, meta.tz, meta.dedup) == ("cost/daily", "Asia/Taipei", "max")
    assert meta.filters == {"host": "server"}
    assert meta.parameters == {"by_model": False}
    assert meta.partial_share == pytest.approx(1 / 3)


def test_meta_leaves_out_what_has_no_effect(lake: Snapshot) -> None:
    meta = run(lake, "lake/rejects", {"model": "opus", "tz": "Asia/Taipei"}).meta
    assert (meta.tz, meta.dedup, meta.partial_share) == (None, None, None)
    assert meta.filters == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select\n  nothing\nfrom requests", 'line 2: Binder Error: Referenced column "nothing" not found'),
        ("select 1\nfrom\nwhere", "line 3: Parser Error: syntax error"),
        ("create table t (i int);\n\nset variable v = 2;\nselect\n  x", "line 5: Binder Error"),
        ("select * from nowhere", "line 1: Catalog Error: Table with name nowhere does not exist"),
        ("select $x", "$x has no value; the common parameters are $tz, $now, $since"),
        ("select * from read_csv('/no/such/file')", "--allow-external (allow_external=True in Python) allows it"),
        ("select 1; select 2", "line 1: this statement's rows would be lost"),
        ("set variable v = 1;\n\nfrom requests;\nselect 2", "line 3: this statement's rows would be lost"),
        ("explain select 1; create table t (i int)", "line 1: this statement's rows would be lost"),
        *(
            (f"create table t (i int);\n{lost};\nselect 1", "line 2: this statement's rows would be lost")
            for lost in (
                "insert into t values (1) returning i",
                "update t set i = 1 returning *",
                "delete from t RETURNING i",
                "merge into t using (select 1 as i) as s on t.i = s.i when not matched then insert returning *",
                "pivot t on i",
            )
        ),
        ("-- nothing", "there is no SQL to run"),
        ("", "there is no SQL to run"),
        ("select 'a'::int", "Conversion Error"),
    ],
)
def test_sql_that_cannot_run_is_answered_with_line_and_reason(lake: Snapshot, text: str, reason: str) -> None:
    with pytest.raises(QueryError) as caught:
        sql(lake, text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_in_a_saved_query_names_its_file_and_line(lake: Snapshot, folder: Path) -> None:
    (folder / "wrong.sql").write_text("-- Wrong\n\nselect\n  nothing\nfrom selected")
    with pytest.raises(QueryError) as caught:
        run(lake, "wrong")
    assert str(caught.value).startswith(f"{folder}/wrong.sql:4: Binder Error")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("select 1 as a, 2 as a;", [(1, 2)]),
        ("create table t as select 7 as x; select x from t", [(7,)]),
        ("set variable v = 3; -- then\nselect getvariable('v')", [(3,)]),
        ("from range(2)", [(0,), (1,)]),
        ("values (1), (2)", [(1,), (2,)]),
        ("select range from range(3) order by range desc -- down", [(2,), (1,), (0,)]),
        ("create table t (i int)", []),
        ("create table t (i int); insert into t values (5), (6); update t set i = 7 where i = 6; from t", [(5,), (7,)]),
        ("create table t (i int); insert into t select 5 as returning; from t", [(5,)]),
        (
            'create table t ("returning" varchar); insert into t ("returning") values (\'returning\'); from t',
            [("returning",)],
        ),
        ("create table t as select 1 as i; create table p as pivot t on i using sum(i); from p", [(1,)]),
        ("create table t (i int); insert into t values (5) returning i + 1", [(6,)]),
        ("select 1 where false", []),
    ],
)
def test_the_last_statement_answers(lake: Snapshot, text: str, rows: list[tuple[int, ...]]) -> None:
    assert list(sql(lake, text).rows()) == rows


@pytest.mark.parametrize("text", ["describe requests", "explain select 1", "summarize select 1 as x", "show tables"])
def test_statements_about_statements_have_results(lake: Snapshot, text: str) -> None:
    assert len(sql(lake, text)) > 0


def test_parameters_of_sql_are_bound(lake: Snapshot) -> None:
    text = "select key from requests where key = $key and (ts at time zone $tz)::date = date '2026-03-30'"
    assert list(sql(lake, text, {"key": "r6", "tz": "Europe/Berlin"}).rows()) == [("r6",)]


def test_a_commit_that_removed_files_meanwhile_is_followed(lakes: Any, tmp_path: Path) -> None:
    """The reader holds the first snapshot; the second commit has replaced its only file."""
    row = lakes.request("old", "2026-03-01T00:00:00", (1, 0, 0, 0, 0))
    first = lakes.publish(tmp_path, {"requests": [row]})
    second = lakes.write_table(tmp_path, "requests", [{**row, "key": "new"}], part="b")
    from tokenlake.store import catalog

    catalog.publish(Snapshot(tmp_path, 2, {"requests": (second,)}))
    (tmp_path / "requests" / "a.parquet").unlink()
    assert list(sql(first, "select key from requests").rows()) == [("new",)]


def test_a_file_that_vanishes_after_the_views_were_made_is_no_fault_of_the_query(
    lakes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = lakes.request("r", "2026-03-01T00:00:00", (1, 0, 0, 0, 0))
    snapshot = lakes.publish(tmp_path, {"requests": [row]})
    from tokenlake.query import run as module

    connected = module.connect

    def connect_then_lose(*given: Any, **named: Any) -> Any:
        connection = connected(*given, **named)
        (tmp_path / "requests" / "a.parquet").unlink(missing_ok=True)
        return connection

    monkeypatch.setattr(module, "connect", connect_then_lose)
    with pytest.raises(LakeDamagedError, match=r"a\.parquet"):
        sql(snapshot, "select key from requests")


def test_a_damaged_lake_is_not_asked_twice(tmp_path: Path, lakes: Any) -> None:
    lakes.publish(tmp_path, {})
    broken = Snapshot(tmp_path, 1, {"requests": ("requests/gone.parquet",)})
    with pytest.raises(LakeDamagedError, match=r"gone\.parquet"):
        sql(broken, "select 1")
