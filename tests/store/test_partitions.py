"""Parquet files of a table: by UTC month, sorted, compressed, and written together again when they are many."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from accounting.transcripts import assistant, jsonl, usage

from tokenlake.lake import Lake
from tokenlake.schema import TABLES, Column, Table
from tokenlake.store import partitions

COLUMNS = (Column("key", "VARCHAR", "a key"), Column("ts", "TIMESTAMPTZ", "a time"), Column("n", "BIGINT", "a count"))
TIDES = Table("tides", "tide", "key", ("ts", "key"), COLUMNS)
HARBOURS = Table("harbours", "harbour", "key", ("key",), COLUMNS, monthly=False)
ROWS = """
from (values
  ('d', timestamptz '2026-05-01 00:00:00+00', 4),
  ('c', timestamptz '2026-04-30 23:59:59.999+00', 3),
  ('b', timestamptz '2026-05-01 01:30:00+02', 2),
  ('z', null::timestamptz, 1),
  ('a', timestamptz '2026-05-01 00:00:00+00', 5)
) rows(key, ts, n)
"""


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    # A zone in which every row but the one without a time lies in May.
    connection.execute("set TimeZone = 'Asia/Taipei'")
    return connection


def keys(path: Path) -> list[str]:
    return pq.read_table(path, columns=["key"], partitioning=None)["key"].to_pylist()


def test_a_monthly_table_lies_in_a_folder_a_utc_month_sorted(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    written = partitions.write(con, TIDES, f"select n, ts, key {ROWS}", tmp_path, "000007-1")
    assert {str(path.parent.relative_to(tmp_path)): keys(path) for path in written} == {
        "tides/month=2026-04": ["b", "c"],
        "tides/month=2026-05": ["a", "d"],
        "tides/month=unknown": ["z"],
    }
    assert all(path.match("000007-1*.parquet") for path in written)
    assert pq.read_schema(written[0]).names == ["key", "ts", "n"]


def test_another_table_lies_in_one_file_sorted(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    folder = tmp_path / "it's a [folder]"
    (written,) = partitions.write(con, HARBOURS, f"select key, ts, n {ROWS}", folder, "000007")
    assert written.parent == folder / "harbours"
    assert written.match("000007*.parquet")
    assert keys(written) == ["a", "b", "c", "d", "z"]


def test_only_files_of_the_tag_are_returned(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    first = partitions.write(con, TIDES, f"select * {ROWS} where key = 'a'", tmp_path, "000001-1")
    second = partitions.write(con, TIDES, f"select * {ROWS} where key = 'd'", tmp_path, "000001-2")
    nothing = partitions.write(con, TIDES, f"select * {ROWS} where n > 9", tmp_path, "000001-3")
    assert [keys(path) for path in (*first, *second)] == [["a"], ["d"]]
    assert nothing == []


def test_row_groups_are_bounded_and_compressed(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    query = "select i::varchar as key, timestamptz '2026-05-01 00:00:00+00' as ts, i as n from range(250000) r(i)"
    (path,) = partitions.write(con, TIDES, query, tmp_path, "t")
    metadata = pq.ParquetFile(path).metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    assert sum(group.num_rows for group in groups) == 250_000
    # 250,000 rows in groups of at most 122,880.
    assert len(groups) >= 3
    assert max(group.num_rows for group in groups) <= 122_880
    assert {group.column(i).compression for group in groups for i in range(3)} == {"ZSTD"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_without_files_is_an_empty_relation_of_its_columns(
    con: duckdb.DuckDBPyConnection, table: Table
) -> None:
    found = con.execute(f"describe select * from {partitions.relation(table, [])}").fetchall()
    spelled = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    assert [row[:2] for row in found] == [(c.name, spelled.get(c.type, c.type)) for c in table.columns]
    assert con.execute(f"select count(*) from {partitions.relation(table, [])}").fetchone() == (0,)
    named = con.execute(f"describe select * from {partitions.relation(table, [], filename=True)}").fetchall()
    assert named[-1][0] == "filename"


def test_files_are_read_by_their_exact_names(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    folder = tmp_path / "it's *.parquet [1]"
    (path,) = partitions.write(con, HARBOURS, f"select * {ROWS}", folder, "t")
    relation = partitions.relation(HARBOURS, [str(path)], filename=True)
    assert con.execute(f"select distinct filename, count(*) over () from {relation}").fetchall() == [(str(path), 5)]


# --- compaction ---------------------------------------------------------------------------------------------------


def files(folder: Path, count: int, size: int = 100, name: str = "f") -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}{n}.parquet" for n in range(count)]
    for path in paths:
        with open(path, "wb") as file:
            file.truncate(size)
    return [str(path) for path in paths]


def test_many_small_files_of_a_month_are_worth_making_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_SMALL_FILE_BYTES", 1000)
    few = files(tmp_path / "month=2026-04", 7)
    many = files(tmp_path / "month=2026-05", 8)
    assert partitions.small_files([*few, *many]) == [many]
    assert partitions.small_files([*few, *many[1:]]) == []
    assert partitions.small_files([]) == []
    # A month's new files lie elsewhere until they are published.
    staged = files(tmp_path / ".staging" / "month=2026-04", 1, name="new")
    assert partitions.small_files([*few, *staged, *many]) == [[*few, *staged], many]


def test_large_files_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_SMALL_FILE_BYTES", 1000)
    small = files(tmp_path / "month=2026-05", 8, 999)
    large = files(tmp_path / "month=2026-05", 3, 1000, "large")
    assert partitions.small_files([*small, *large]) == [small]
    assert partitions.small_files([*small[1:], *large]) == []


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Counter[str]]:
    """A lake after five small ingests, of which three make many files; the most files that a table had after one."""
    folder = tmp_path_factory.mktemp("grown")
    lake, most = Lake(folder / "lake"), Counter[str]()
    (folder / "logs").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(partitions, "_MANY_SMALL_FILES", 3)
        for n in range(1, 6):
            (folder / "logs" / f"{n}.jsonl").write_bytes(jsonl(assistant(f"msg_{n}", usage(n), f"09:0{n}")))
            lake.refresh([folder / "logs"], host="h", keep_raw=True)
            for table, names in lake.snapshot().files.items():
                most[table] = max(most[table], len(names))
    return lake, most


def test_many_small_ingests_leave_few_files(grown: tuple[Lake, Counter[str]]) -> None:
    lake, most = grown
    assert {"requests", "usage_rows", "texts"} <= most.keys()
    assert {table: count for table, count in most.items() if count > 3 and table != "records"} == {}
    assert lake.sql("select count(*) as n, sum(output_tokens)::bigint as output from requests").to_pylist() == [
        {"n": 5, "output": 1 + 2 + 3 + 4 + 5}
    ]
    on_disk = {str(path.relative_to(lake.path)) for path in lake.path.rglob("*.parquet")}
    assert on_disk == {name for names in lake.snapshot().files.values() for name in names}


def test_many_small_ingests_leave_few_files_of_kept_records(grown: tuple[Lake, Counter[str]]) -> None:
    lake, most = grown
    assert lake.sql("select count(*) as n from records").to_pylist() == [{"n": 5}]
    assert most["records"] <= 3
