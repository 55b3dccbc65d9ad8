"""Made-up lakes: laid out like real ones, the same every time, and holding just what their truth says."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from accounting.transcripts import assistant, jsonl, usage

from tokenlake.errors import LakeError
from tokenlake.lake import Lake
from tokenlake.query import saved
from tokenlake.schema import BY_NAME, TABLES, arrow_schema
from tokenlake.store import catalog, partitions
from tokenlake.synth.lakes import TRUTH_NAME, LakeOptions, write_lake
from tokenlake.synth.lakes_models import UNPRICED
from tokenlake.synth.lakes_truth import LakeTruth, load_lake_truth
from tokenlake.synth.truth import Counts

OPTIONS = LakeOptions(requests=40_000, seed=7, months=8, first_day=date(2025, 12, 1))
QUERIES = sorted(saved.files())
SUMS = (
    "count(*), sum(input_tokens), sum(output_tokens), sum(cache_write_5m_tokens), sum(cache_write_1h_tokens),"
    " sum(cache_read_tokens)"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LakeTruth]:
    path = tmp_path_factory.mktemp("made") / "lake"
    return path, write_lake(path, OPTIONS)


@pytest.fixture(scope="module")
def plain(made: tuple[Path, LakeTruth]) -> duckdb.DuckDBPyConnection:
    """DuckDB alone, which knows of the lake only its folders of Parquet files."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    for table in TABLES:
        folder = made[0] / table.name
        if folder.is_dir():
            pattern = f"{folder}/*/*.parquet" if table.monthly else f"{folder}/*.parquet"
            connection.execute(f"create view {table.name} as select * from read_parquet('{pattern}')")
    return connection


def counts(plain: duckdb.DuckDBPyConnection, where: str = "true") -> Counts:
    row = plain.execute(f"select {SUMS} from requests where {where}").fetchone()
    assert row is not None
    return Counts(*(int(value or 0) for value in row))


# --- the truth ------------------------------------------------------------------------------------------------------


def test_it_has_exactly_the_requests_asked_for(made: tuple[Path, LakeTruth]) -> None:
    assert made[1].total.requests == made[1].rows["requests"] == 40_000


def test_the_truth_is_what_is_in_the_files(made: tuple[Path, LakeTruth], plain: duckdb.DuckDBPyConnection) -> None:
    truth = made[1]
    assert counts(plain) == truth.total
    assert counts(plain, "output_is_partial").requests == truth.partial_requests
    for table, rows in truth.rows.items():
        assert plain.execute(f"select count(*) from {table}").fetchone() == (rows,)
    hours = plain.execute(f"select strftime(ts, '%Y-%m-%dT%H'), {SUMS} from requests group by 1").fetchall()
    assert {hour: Counts(*map(int, sums)) for hour, *sums in hours} == truth.by_hour


def test_the_truth_knows_local_days(made: tuple[Path, LakeTruth], plain: duckdb.DuckDBPyConnection) -> None:
    for name in ("UTC", "Asia/Taipei", "America/New_York"):
        days = plain.execute(f"select (ts at time zone '{name}')::date::varchar, {SUMS} from requests group by 1")
        expected = {day: Counts(*map(int, sums)) for day, *sums in days.fetchall()}
        assert made[1].by_day(ZoneInfo(name)) == expected


def test_the_truth_knows_what_decides_about_prices(
    made: tuple[Path, LakeTruth], plain: duckdb.DuckDBPyConnection
) -> None:
    cells = plain.execute(
        f"""select strftime(ts, '%Y-%m-%d'), model, coalesce(speed = 'fast', false),
            coalesce(inference_geo = 'us', false), service_tier = 'batch',
            (context_tokens > 100000)::int + (context_tokens > 200000)::int, sum(web_searches), {SUMS}
        from requests group by all"""
    ).fetchall()
    expected = {tuple(cell[:6]): (int(cell[6]), *map(int, cell[7:])) for cell in cells}
    found = {
        (c.day, c.model, c.is_fast, c.is_us, c.is_batch, c.band): (c.web_searches, *astuple(c.counts))
        for c in made[1].priced
    }
    assert found == expected


def test_the_truth_is_saved_beside_the_lake(made: tuple[Path, LakeTruth]) -> None:
    assert load_lake_truth(made[0] / TRUTH_NAME) == made[1]


# --- the same every time --------------------------------------------------------------------------------------------


def digest(root: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.parquet")):
        whole.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def test_equal_options_give_equal_files_whatever_the_threads(tmp_path: Path) -> None:
    options = LakeOptions(requests=3000, seed=3, months=3)
    first = write_lake(tmp_path / "a", options, jobs=1)
    assert write_lake(tmp_path / "b", options, jobs=3) == first
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    write_lake(tmp_path / "c", replace(options, seed=4))
    assert digest(tmp_path / "c") != digest(tmp_path / "a")


@pytest.mark.parametrize("requests", [1, 2, 7, 100])
def test_tiny_lakes_have_exactly_their_requests(requests: int, tmp_path: Path) -> None:
    truth = write_lake(tmp_path / "lake", LakeOptions(requests=requests, months=2))
    assert truth.total.requests == requests
    assert len(Lake(tmp_path / "lake").sql("select key from requests")) == requests


def test_only_requests_sessions_and_files_unless_more_is_asked_for(tmp_path: Path) -> None:
    options = LakeOptions(requests=2000, usage_rows=False, traces=False)
    truth = write_lake(tmp_path / "lake", options)
    assert sorted(truth.rows) == ["files", "requests", "session_files", "sessions"]
    # Leaving tables out changes nothing in the others' totals.
    assert write_lake(tmp_path / "whole", replace(options, usage_rows=True, traces=True)).total == truth.total


def test_a_folder_that_holds_anything_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(LakeError, match="not empty"):
        write_lake(tmp_path, LakeOptions(requests=10))
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


@pytest.mark.parametrize("wrong", [{"requests": 0}, {"months": 0}, {"hosts": 0}, {"first_day": date(2026, 1, 2)}])
def test_senseless_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(OPTIONS, **wrong)  # type: ignore[arg-type]


# --- laid out like a real one ---------------------------------------------------------------------------------------


def test_every_file_has_the_schema_of_its_table(made: tuple[Path, LakeTruth]) -> None:
    snapshot = catalog.read(made[0])
    assert sorted(snapshot.files) == [
        *("events", "files", "prompts", "request_sums", "requests", "session_files", "sessions", "texts", "tool_calls"),
        "usage_rows",
    ]
    for name in snapshot.files:
        for path in snapshot.paths(name):
            assert pq.read_schema(path).equals(arrow_schema(BY_NAME[name]), check_metadata=True)


@pytest.mark.parametrize("name", ["requests", "usage_rows", "sessions", "files", "prompts", "tool_calls", "texts"])
def test_files_are_encoded_as_the_store_encodes_them(name: str, made: tuple[Path, LakeTruth], tmp_path: Path) -> None:
    path = Path(catalog.read(made[0]).paths(name)[0])
    connection = duckdb.connect()
    (copy,) = partitions.write(connection, BY_NAME[name], f"select * from '{path}'", tmp_path, "copy")
    assert layout(path) == layout(copy)
    # A path relative to its lake says the month, as in the store.
    assert path.parent.relative_to(made[0]) == copy.parent.relative_to(tmp_path)
    assert pq.read_table(path, partitioning=None) == pq.read_table(copy, partitioning=None)


def layout(path: Path) -> list[object]:
    metadata = pq.ParquetFile(path).metadata
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    return [
        [group.num_rows for group in groups],
        [(c.path_in_schema, c.physical_type, c.compression, sorted(c.encodings)) for c in columns],
    ]


def test_a_row_group_is_no_longer_than_those_of_the_store(tmp_path: Path) -> None:
    options = LakeOptions(requests=130_000, months=1, first_day=date(2026, 1, 1), usage_rows=False, traces=False)
    write_lake(tmp_path / "lake", options)
    (path,) = (tmp_path / "lake" / "requests").rglob("*.parquet")
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [122_880, 7_120]
    strings = pq.read_table(path, columns=["session_id"], partitioning=None)["session_id"]
    assert strings.type == pa.string()


def test_rows_are_sorted_and_in_the_folder_of_their_month(
    made: tuple[Path, LakeTruth], plain: duckdb.DuckDBPyConnection
) -> None:
    snapshot = catalog.read(made[0])
    for name in snapshot.files:
        table = BY_NAME[name]
        order = ", ".join(f'"{column}"' for column in table.order)
        for path in snapshot.paths(name):
            source = f"read_parquet('{path}', hive_partitioning = false, file_row_number = true)"
            wrong = plain.execute(
                f"select file_row_number from (select file_row_number,"
                f" row_number() over (order by {order}, file_row_number) - 1 as place from {source})"
                " where place <> file_row_number"
            ).fetchall()
            assert wrong == [], path
            if table.monthly:
                months = plain.execute(f"select distinct {partitions.month(table)} from {source}").fetchall()
                assert months == [(Path(path).parent.name.removeprefix("month="),)]


def test_ids_are_unique(plain: duckdb.DuckDBPyConnection) -> None:
    for table in TABLES:
        if table.id is not None and table.name != "tool_rows":
            (twice,) = plain.execute(f"select count(*) - count(distinct {table.id}) from {table.name}").fetchone()  # type: ignore[misc]
            assert twice == 0, table.name


# --- whole in itself ------------------------------------------------------------------------------------------------


def test_the_requests_are_what_deduplication_makes_of_the_usage_rows(plain: duckdb.DuckDBPyConnection) -> None:
    """Accounting rules 9 and 16, over the rows as logged."""
    wrong = plain.execute(
        """
        with ranked as (
            select *, row_number() over (partition by key order by output_tokens desc, ts desc, "offset" desc) as place
            from usage_rows
        ),
        grouped as (
            select key, count(*) as n_rows, min(ts) as ts, max(ts) as last_ts, max(stop_reason) as stop_reason,
                max(output_tokens) as most, sum(tool_calls) as tool_calls, sum(text_chars) as text_chars,
                sum(thinking_chars) as thinking_chars
            from usage_rows group by key
        )
        select r.* from requests r full join grouped g using (key) left join ranked k on k.key = g.key and k.place = 1
        where (r.ts, r.last_ts, r.n_rows, r.tool_calls, r.text_chars, r.thinking_chars, r.file_id, r."offset")
            is distinct from
            (g.ts, g.last_ts, g.n_rows, g.tool_calls, g.text_chars, g.thinking_chars, k.file_id, k."offset")
        or (r.input_tokens, r.output_tokens, r.cache_write_5m_tokens, r.cache_write_1h_tokens, r.cache_read_tokens)
            is distinct from
            (k.input_tokens, k.output_tokens, k.cache_write_5m_tokens, k.cache_write_1h_tokens, k.cache_read_tokens)
        or r.stop_reason is distinct from g.stop_reason
        or r.context_tokens <> r.input_tokens + r.cache_write_5m_tokens + r.cache_write_1h_tokens + r.cache_read_tokens
        or r.output_is_partial <> (r.stop_reason is null
            or (string_split(r.version, '.')::int[] < [2, 1, 97] and g.most <= 10))
        """
    ).fetchall()
    assert wrong == []


@pytest.mark.parametrize(
    ("part", "whole", "column"),
    [
        *((part, "sessions", "session_id") for part in ("requests", "prompts", "texts", "tool_calls", "events")),
        *(
            (part, "files", "file_id")
            for part in ("requests", "usage_rows", "prompts", "texts", "events", "session_files")
        ),
        *((part, "requests", "key") for part in ("usage_rows", "texts", "tool_calls")),
    ],
)
def test_whatever_a_row_names_is_there(part: str, whole: str, column: str, plain: duckdb.DuckDBPyConnection) -> None:
    lost = plain.execute(f"select count(*) from {part} anti join {whole} using ({column})").fetchone()
    assert lost == (0,)


def test_counts_of_other_tables_agree(plain: duckdb.DuckDBPyConnection) -> None:
    assert plain.execute(
        """select count(*) from sessions
        left join (select session_id, count(*) as n, min(ts) as first_ts, max(last_ts) as last_ts from requests
            group by session_id) as found using (session_id)
        where requests <> n or sessions.first_ts > found.first_ts or sessions.last_ts <> found.last_ts"""
    ).fetchone() == (0,)
    for figure in ("tool_calls", "text_chars"):
        table, value = ("tool_calls", "1") if figure == "tool_calls" else ("texts", "chars")
        total = plain.execute(f"select sum({figure}) from requests").fetchone()
        assert plain.execute(f"select sum({value}) from {table}").fetchone() == total


# --- shaped like real ones ------------------------------------------------------------------------------------------


def test_it_has_what_the_queries_are_about(made: tuple[Path, LakeTruth], plain: duckdb.DuckDBPyConnection) -> None:
    def some(condition: str, table: str = "requests") -> bool:
        return plain.execute(f"select count(*) > 0 from {table} where {condition}").fetchone() == (True,)

    total = made[1].total
    context = total.input_tokens + total.cache_write_5m_tokens + total.cache_write_1h_tokens + total.cache_read_tokens
    assert 0.93 < total.cache_read_tokens / context < 0.99
    assert 70_000 < context / total.requests < 140_000
    for condition in (
        *("is_sidechain", "origin = 'agent_progress'", "speed = 'fast'", "inference_geo = 'us'", "web_searches > 0"),
        *(
            "context_tokens > 200000",
            f"model = '{UNPRICED}'",
            "effort is not null",
            "n_rows > 3",
            "stop_reason is null",
        ),
        *("cache_write_1h_tokens > 0 and cache_write_5m_tokens > 0", "output_is_partial", "prompt_id is null"),
    ):
        assert some(condition), condition
    assert some("subtype = 'compact_boundary' and detail like '%preTokens%'", "events")
    assert some("subtype = 'api_error'", "events")
    assert some("kind = 'interrupt'", "prompts")
    assert some("is_error", "tool_calls")
    assert some("denied", "tool_calls")


def test_a_quarter_of_every_day_is_idle_and_some_days_are(plain: duckdb.DuckDBPyConnection) -> None:
    assert plain.execute("select min(hour(ts)), max(hour(ts)) from requests").fetchone() == (6, 23)
    days = plain.execute("select count(distinct ts::date), max(ts::date) - min(ts::date) + 1 from requests").fetchone()
    assert days is not None
    assert days[1] - days[0] >= 10
    # All eight months, December to July.
    assert plain.execute("select count(distinct date_trunc('month', ts)) from requests").fetchone() == (8,)


def test_a_chain_reads_what_it_wrote_until_that_expires(plain: duckdb.DuckDBPyConnection) -> None:
    """Reads never exceed what there was, and after a pause longer than the cache lives little is left of it."""
    moved = plain.execute(
        """
        with chained as (
            select *, lag(context_tokens) over chain as before_tokens,
                epoch_ms(ts) - epoch_ms(lag(ts) over chain) as gap_ms
            from requests window chain as (partition by session_id, agent_id order by ts, key)
        )
        select count(*) filter (cache_read_tokens > before_tokens),
            avg((cache_read_tokens >= before_tokens * 0.9)::int) filter (gap_ms < 240000),
            avg((cache_read_tokens >= before_tokens * 0.9)::int) filter (gap_ms > 3600000)
        from chained where before_tokens > 60000
        """
    ).fetchone()
    assert moved is not None
    above, warm_share, cold_share = moved
    assert above == 0
    assert warm_share > 0.95
    assert cold_share < 0.05


# --- read by the ordinary reader ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUERIES)
def test_every_saved_query_has_an_answer(name: str, made: tuple[Path, LakeTruth]) -> None:
    assert len(Lake(made[0]).run(name, tz="Asia/Taipei").columns) > 0


@pytest.mark.parametrize("dedup", ["first", "last", "none", "ccusage"])
def test_its_usage_rows_answer_the_other_ways_of_counting(
    dedup: str, made: tuple[Path, LakeTruth], plain: duckdb.DuckDBPyConnection
) -> None:
    found = Lake(made[0]).run("cache/overhead", dedup=dedup).arrow()["requests"].to_pylist()
    (rows,) = plain.execute("select count(*) from usage_rows where origin = 'assistant'").fetchone()  # type: ignore[misc]
    assert found == [rows if dedup == "none" else 40_000]


def test_an_ingest_adds_to_it(tmp_path: Path) -> None:
    """A made-up lake is a lake: the next transcript goes into it like into any other."""
    write_lake(tmp_path / "lake", LakeOptions(requests=500, months=1, first_day=date(2026, 5, 1)))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.jsonl").write_bytes(jsonl(assistant("msg_new", usage(7), "09:01")))
    lake = Lake(tmp_path / "lake")
    lake.refresh([tmp_path / "logs"], host="here")
    answer = lake.sql("select count(*) as n, count(*) filter (key = 'msg_new') as one from requests").arrow()
    assert answer.to_pylist() == [{"n": 501, "one": 1}]
