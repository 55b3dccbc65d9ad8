"""SQL as typed and queries of the user's own: they read the lake, and nothing else, and write no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tokenlake.errors import QueryError
from tokenlake.lake import Lake
from tokenlake.query.connect import connect
from tokenlake.query.run import run as run_saved
from tokenlake.query.run import sql
from tokenlake.store.catalog import Snapshot

OUTSIDE = [
    "select * from read_csv('{secret}')",
    "select * from '{secret}'",
    "select * from read_text('{secret}')",
    "select * from read_blob('file://{secret}')",
    "select * from sniff_csv('{secret}')",
    "select * from parquet_metadata('{secret}')",
    "select * from read_text('{lake}/../secret.csv')",
    "select * from read_text('{lake}/link')",
    "select * from glob('{folder}/*')",
    "select * from glob('{folder}/**/*.csv')",
    "select * from query('select * from read_text(''{secret}'')')",
    "create table t as select * from read_csv('{secret}')",
    "create view v as select * from read_csv('{secret}'); select * from v",
    "create macro m() as table select * from read_csv('{secret}'); select * from m()",
    "explain analyze select * from read_csv('{secret}')",
    "copy (select 1) to '{new}'",
    "copy requests to '{new}' (format parquet)",
    "copy requests from '{secret}'",
    "explain analyze copy (select 1) to '{new}'",
    "with x as (copy (select 1) to '{new}') select * from x",
    "prepare p as copy (select 1) to '{new}'; execute p",
    "export database '{new}'",
    "import database '{folder}'",
    "attach '{new}' as other",
    "attach ':memory:' as other",
    "install httpfs",
    "load httpfs",
    "load '{new}'",
    "select * from read_parquet('http://127.0.0.1:9/x.parquet')",
    "select * from read_csv('s3://bucket/x.csv')",
    "select getenv('HOME')",
    "create persistent secret s (type s3)",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "reset lock_configuration",
    "set allowed_directories = ['/']",
    "set temp_directory = '{folder}'",
    "set profile_output = '{new}'",
    "pragma enable_profiling",
    "pragma profile_output = '{new}'",
    "call enable_logging('QueryLog', storage = 'file', storage_path = '{new}')",
    "select * from enable_logging('QueryLog', storage = 'file', storage_path = '{new}')",
    "set log_query_path = '{new}'",
]


@pytest.fixture
def places(tmp_path: Path, lake: Snapshot) -> dict[str, Path]:
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nopensesame\n")
    (lake.root / "link").symlink_to(secret)
    return {"secret": secret, "new": tmp_path / "new", "folder": tmp_path, "lake": lake.root}


@pytest.mark.usefixtures("few_views")
@pytest.mark.parametrize("text", OUTSIDE)
def test_nothing_outside_the_lake_is_read_or_written(lake: Snapshot, places: dict[str, Path], text: str) -> None:
    before = set(places["folder"].iterdir())
    with pytest.raises(QueryError) as caught:
        list(sql(lake, text.format(**places)).rows())
    assert "opensesame" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert set(places["folder"].iterdir()) == before


# The engine may open the lake's files, so it would also write them: these must not even begin.
OVERWRITING = [
    "copy (select 1) to '{file}' (use_tmp_file false)",
    "COPY/**/(select 1) to '{file}' (use_tmp_file false)",
    "select 1; copy (select 1) to '{file}' (use_tmp_file false); select 2",
    "with x as (copy (select 1) to '{file}' (use_tmp_file false)) select * from x",
    "with x as (\u00a0copy\u00a0(select 1) to '{file}' (use_tmp_file false)) select * from x",
    "with x as (\u200bcopy (select 1) to '{file}' (use_tmp_file false)) select * from x",
    "with x as materialized (--\nCoPy (select 1) to '{file}' (use_tmp_file false)) from x",
    "with x as (copy (select 1) to '{file}' (use_tmp_file false)) select 1 union select 2",
    "create table t as with x as (copy (select 1) to '{file}' (use_tmp_file false)) select * from x",
    "create table t (i int); with x as (copy (select 1) to '{file}' (use_tmp_file false)) insert into t from x",
    "create table t (i int); with x as (copy (select 1) to '{file}' (use_tmp_file false)) update t set i = 1",
    "create table t (i int); with x as (copy (select 1) to '{file}' (use_tmp_file false)) delete from t",
    "with x as (copy (select 1) to '{file}' (use_tmp_file false)) pivot (select 1 as i) on i",
    "explain analyze with x as (copy (select 1) to '{file}' (use_tmp_file false)) select * from x",
    "explain analyze copy (select 1) to '{file}' (use_tmp_file false)",
    "prepare p as copy (select 1) to '{file}' (use_tmp_file false); execute p",
    "from json_execute_serialized_sql(json_serialize_sql("
    "'with x as (copy (select 1) to ''{file}'' (use_tmp_file false)) select * from x'))",
    "pragma json_execute_serialized_sql(json_serialize_sql("
    "'with x as (copy (select 1) to ''{file}'' (use_tmp_file false)) select * from x'))",
    "from query('from json_execute_serialized' || '_sql(json_serialize_sql('"
    " || '''with x as (co' || 'py (select 1) to ''''{file}'''' (use_tmp_file false)) select * from x''))')",
    "from \"QUERY\" ('from \"json_execute_serialized' || '_sql\"(json_serialize_sql('"
    " || '''with x as (co' || 'py (select 1) to ''''{file}'''' (use_tmp_file false)) select * from x''))')",
    "from system.main.query\u2003(\n'select 1')",
    "export database '{folder}'",
    "attach '{file}' as other",
]


@pytest.mark.usefixtures("few_views")
@pytest.mark.parametrize("text", OVERWRITING)
def test_no_file_of_the_lake_is_overwritten(lake: Snapshot, text: str) -> None:
    file = Path(lake.paths("rejects")[0])
    before = file.read_bytes()
    with pytest.raises(QueryError):
        list(sql(lake, text.format(file=file, folder=file.parent)).rows())
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_these_tests_refuse_would_overwrite_a_file_of_the_lake(lake: Snapshot) -> None:
    """Lest the tests above pass for a reason of their own, such as a statement that cannot be parsed."""
    for text in OVERWRITING[:-2]:
        file = Path(lake.paths("rejects")[0])
        before = file.read_bytes()
        connection = connect(lake, only_for="files", allow_external=False)
        harmless = "system.main.query" in text
        try:
            connection.execute(text.format(file=file, folder=file.parent)).fetchall()
        except duckdb.Error as error:
            raise AssertionError(text) from error
        assert (file.read_bytes() == before) == harmless, text
        connection.close()
        file.write_bytes(before)


@pytest.mark.usefixtures("few_views")
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("select count(*) as copied, 'copy me' as query from requests -- copy", [(7, "copy me")]),
        ('select "copy" from (select 1 as "copy")', [(1,)]),
        ("select target as query from tool_calls where target like '%copy (%'", []),
        ("create table t as select 1 as x; insert into t values (2); update t set x = x + 1; from t", [(2,), (3,)]),
        ("create temp macro twice(x) as 2 * x; select twice(4)", [(8,)]),
        ("pivot (select 'a' as k, 1 as v) on k using sum(v)", [(1,)]),
        ("set variable v = 5; select getvariable('v')", [(5,)]),
        ("select $$copy$$, /* copy (select 1) to 'x' */ E'it\\'s (copy '", [("copy", "it's (copy ")]),
        ("select query from (select 3 as query)", [(3,)]),
    ],
)
def test_what_reads_the_lake_still_runs(lake: Snapshot, text: str, rows: list[Any]) -> None:
    assert list(sql(lake, text).rows()) == rows


@pytest.mark.usefixtures("few_views")
def test_the_refusal_says_what_allows_it(lake: Snapshot, places: dict[str, Path]) -> None:
    for text in ("select * from read_csv('{secret}')", "copy (select 1) to '{new}'", "attach '{new}'"):
        with pytest.raises(QueryError, match="--allow-external"):
            sql(lake, text.format(**places))


@pytest.mark.usefixtures("few_views")
def test_external_access_can_be_allowed(lake: Snapshot, places: dict[str, Path]) -> None:
    text = "copy (select word || '!' as word from read_csv('{secret}')) to '{new}' (format csv)".format(**places)
    sql(lake, text, allow_external=True)
    assert places["new"].read_text() == "word\nopensesame!\n"
    api = Lake(lake.root)
    assert api.sql(f"from read_csv('{places['secret']}')", allow_external=True).to_pylist() == [{"word": "opensesame"}]
    with api.connect(allow_external=True) as connection:
        assert connection.execute(f"from read_csv('{places['secret']}')").fetchall() == [("opensesame",)]


def test_a_connection_is_shut_in_unless_told_otherwise(lake: Snapshot, places: dict[str, Path]) -> None:
    import pyarrow as pa

    with Lake(lake.root).connect() as connection:
        assert connection.execute("select count(*) from requests").fetchall() == [(7,)]
        connection.register("mine", pa.table({"key": ["r1"]}))  # what Python hands over is no file
        assert connection.execute("select count(*) from requests semi join mine using (key)").fetchall() == [(1,)]
        for text in (f"from read_csv('{places['secret']}')", f"copy (select 1) to '{places['new']}'", "load httpfs"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(text)
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            connection.execute("set enable_external_access = true")


@pytest.mark.usefixtures("few_views")
def test_a_query_of_the_users_own_is_shut_in_too(
    run: Any, lake: Snapshot, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "queries"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "words.sql").write_text(f"-- Words\nselect * from read_csv('{places['secret']}')")
    copy = f"with x as (copy (select 1) to '{lake.paths('rejects')[0]}' (use_tmp_file false)) select * from x"
    (folder / "mine" / "copy.sql").write_text(f"-- Copy\n{copy}")
    monkeypatch.setenv("TOKENLAKE_QUERIES", str(folder))
    on = ("--no-refresh", "--lake", str(lake.root), "--format", "csv")
    ran = run("mine", "words", *on)
    assert (ran.code, ran.out) == (2, "")
    assert "--allow-external" in ran.err
    assert "opensesame" not in ran.err
    ran = run("mine", "words", *on, "--allow-external")
    assert (ran.code, ran.out) == (0, "word\nopensesame\n")
    before = Path(lake.paths("rejects")[0]).read_bytes()
    ran = run("mine", "copy", *on)
    assert ran.code == 2
    assert "COPY is not allowed" in ran.err
    assert Path(lake.paths("rejects")[0]).read_bytes() == before
    assert run("queries", "--check", "mine/words").code == 0  # it runs where that is allowed


def test_shipped_reports_have_no_such_option(run: Any, lake: Snapshot) -> None:
    ran = run("cost", "daily", "--no-refresh", "--lake", str(lake.root), "--allow-external")
    assert ran.code == 2
    assert "No such option" in ran.err


@pytest.mark.usefixtures("few_views")
def test_the_option_of_sql(run: Any, lake: Snapshot, places: dict[str, Path]) -> None:
    on = ("--no-refresh", "--lake", str(lake.root), "--format", "csv")
    ran = run("sql", f"from read_csv('{places['secret']}')", *on)
    assert (ran.code, ran.out) == (2, "")
    ran = run("sql", f"from read_csv('{places['secret']}')", *on, "--allow-external")
    assert (ran.code, ran.out) == (0, "word\nopensesame\n")


@pytest.mark.usefixtures("few_views")
def test_prices_are_made_and_shown_by_a_connection_that_is_shut_in(
    lake: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENLAKE_CACHE", str(tmp_path / "cache"))
    for _ in ("made", "from the cache"):
        assert len(run_saved(lake, "cost/daily", {"tz": "UTC"})) > 0
    (kept,) = (tmp_path / "cache" / "prices").iterdir()
    before = kept.read_bytes()
    with pytest.raises(QueryError):
        sql(lake, f"with x as (copy (select 1) to '{kept}' (use_tmp_file false)) select * from x, prices limit 0")
    with pytest.raises(QueryError):
        sql(lake, "create or replace table price_store.prices as select 1; select * from prices")
    assert kept.read_bytes() == before


@pytest.mark.usefixtures("few_views")
@pytest.mark.parametrize("name", ["it's a lake", "[a] *?{b}", "a\nb", "\x1b[31mred", "-rf", "$HOME `id` %s", "«ü»"])
def test_a_lake_of_any_name_is_read_by_a_connection_that_is_shut_in(lakes: Any, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "a" / "secret.csv"
    secret.parent.mkdir()
    secret.write_text("word\n")
    lake = lakes.publish(tmp_path / name, lakes.TABLES)
    assert list(sql(lake, "select count(*) from requests").rows()) == [(7,)]
    with pytest.raises(QueryError):
        sql(lake, f"from read_csv('{secret}')")


def test_a_lake_reached_by_a_link_is_read(lakes: Any, tmp_path: Path) -> None:
    lakes.publish(tmp_path / "far" / "lake", lakes.TABLES)
    (tmp_path / "near").symlink_to(tmp_path / "far", target_is_directory=True)
    assert Lake(tmp_path / "near" / "lake").sql("select count(*) as n from requests").to_pylist() == [{"n": 7}]


@pytest.mark.usefixtures("few_views")
def test_a_query_that_outgrows_memory_spills_where_it_is_shut_in(
    lake: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tokenlake.query.connect._MEMORY_LIMIT", "60MB")
    text = (
        "create table t as select range as i, md5(range::varchar) as h from range(2000000);"
        "select count(*) as n, (select sum(size) from duckdb_temporary_files()) > 0 as spilled from t"
    )
    assert sql(lake, text).to_pylist() == [{"n": 2_000_000, "spilled": True}]
    (folder,) = tmp_path.glob("tokenlake-spill*")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_spilling_avoids_a_folder_that_others_can_enter(lake: Snapshot, tmp_path: Path, monkeypatch: Any) -> None:
    from tokenlake.query import spill

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    usual = spill.folder()
    assert spill.folder() == usual
    usual.chmod(0o755)
    other = spill.folder()
    assert other != usual
    assert other.stat().st_mode & 0o777 == 0o700
    usual.rmdir()
    usual.symlink_to(tmp_path, target_is_directory=True)
    assert spill.folder() not in (usual, tmp_path)
