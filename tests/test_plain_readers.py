"""A lake is plain Parquet: DuckDB, Polars and PyArrow read it as they are, in a process without any code of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from accounting.transcripts import S1, S2, Record, assistant, jsonl, tool_result, tool_use, usage, user

from tokenlake.lake import Lake
from tokenlake.schema import BY_NAME, Table, arrow_schema
from tokenlake.store.catalog import CATALOG_NAME
from tokenlake.store.partitions import UNKNOWN_MONTH

READERS = """
import json
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as ds

lake = Path(sys.argv[1])
tables = sorted(path.name for path in lake.iterdir() if path.is_dir() and not path.name.startswith("."))
con = duckdb.connect()
con.execute("set TimeZone = 'Asia/Taipei'")


def duckdb_reads():
    counts = {
        table: con.execute(f"select count(*) from read_parquet('{lake}/{table}/**/*.parquet')").fetchall()[0][0]
        for table in tables
    }
    requests = f"from read_parquet('{lake}/requests/**/*.parquet', hive_partitioning = true)"
    sums = f"select sum(output_tokens)::bigint, sum(context_tokens)::bigint {requests}"
    [(output, context)] = con.execute(sums).fetchall()
    rows = con.execute(f"select key, month, epoch_us(ts) {requests}").fetchall()
    return counts, output, context, rows


def polars_reads():
    frames = {table: pl.scan_parquet(f"{lake}/{table}/**/*.parquet", hive_partitioning=True) for table in tables}
    counts = {table: frame.select(pl.len()).collect().item() for table, frame in frames.items()}
    requests = frames["requests"].collect()
    rows = requests.select("key", "month", pl.col("ts").dt.timestamp("us")).rows()
    assert requests["ts"].dtype == pl.Datetime("us", "UTC"), requests["ts"].dtype
    return counts, requests["output_tokens"].sum(), requests["context_tokens"].sum(), rows


def pyarrow_reads():
    counts = {table: ds.dataset(f"{lake}/{table}", partitioning="hive").count_rows() for table in tables}
    requests = ds.dataset(f"{lake}/requests", partitioning="hive").to_table()
    times = requests["ts"].cast("int64").to_pylist()
    rows = list(zip(requests["key"].to_pylist(), requests["month"].to_pylist(), times))
    assert str(requests.schema.field("ts").type) == "timestamp[us, tz=UTC]", requests.schema
    sums = [pc.sum(requests[name]).as_py() for name in ("output_tokens", "context_tokens")]
    return counts, *sums, rows


found = {}
for reads in (duckdb_reads, polars_reads, pyarrow_reads):
    counts, output, context, rows = reads()
    rows = sorted(([*row] for row in rows), key=str)
    found[reads.__name__] = {"counts": counts, "output": output, "context": context, "rows": rows}
assert not [name for name in sys.modules if name.startswith("tokenlake")]
print(json.dumps(found))
"""

# Key, time as logged, and the UTC month it belongs to.
TIMES = (
    ("msg_1", "2026-04-30T23:59:59.999Z", "2026-04"),
    ("msg_2", "2026-05-01T00:00:00.000Z", "2026-05"),
    ("msg_3", "2026-05-01T01:30:00.250+02:00", "2026-04"),
    ("msg_4", "2026-12-31T16:00:00Z", "2026-12"),
)
# 2026-04-30 is day 20,573 since 1970.
DAY = 86_400_000_000
INSTANTS = {
    "msg_1": 20_574 * DAY - 1_000,
    "msg_2": 20_574 * DAY,
    "msg_3": 20_574 * DAY - 30 * 60_000_000 + 250_000,
    "msg_4": 20_818 * DAY + 16 * 3_600_000_000,
    "msg_5": None,
}


def tree() -> dict[str, list[Record]]:
    calls = [tool_use("toolu_1", command="ls"), {"type": "text", "text": "Aye."}]
    requests = [
        assistant(name, usage(10**n, fresh=n, w5=100, read=1000), time) for n, (name, time, _) in enumerate(TIMES, 1)
    ]
    return {
        f"-p/{S1}.jsonl": [user("Ahoy."), *requests, tool_result("toolu_1", time="09:01")],
        # A copy under another session, the call itself, and a request without any time.
        f"-p/{S2}.jsonl": [
            assistant("msg_5", usage(5), None, session=S2),
            {**user("Ahoy."), "sessionId": S2},
            {**requests[1], "sessionId": S2},
            assistant("msg_2", usage(4), "09:00", content=calls, session=S2),
        ],
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("plain")
    for name, records in tree().items():
        path = folder / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jsonl(*records) + b"rubbish\n")
    lake = Lake(folder / "lake")
    lake.refresh([folder / "logs"], host="h", keep_raw=True)
    return lake


@pytest.fixture(scope="module")
def found(lake: Lake) -> dict[str, Any]:
    """What each reader found in the lake, in a process of its own that sees no folder of this checkout."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", READERS, str(lake.path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=lake.path,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def files_of(lake: Lake) -> list[tuple[Table, Path]]:
    snapshot = lake.snapshot()
    listed = [
        (BY_NAME[name.removeprefix("copies_")], Path(path)) for name in snapshot.files for path in snapshot.paths(name)
    ]
    assert len({table.name for table, _ in listed}) >= 11
    return listed


@pytest.mark.parametrize("reader", ["duckdb_reads", "polars_reads", "pyarrow_reads"])
def test_a_plain_reader_finds_what_the_lake_says(lake: Lake, found: dict[str, Any], reader: str) -> None:
    read = found[reader]
    tables = [name for name in lake.snapshot().files if name in BY_NAME]
    counts = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in tables)
    counted = {row["name"]: row["n"] for row in lake.sql(counts).to_pylist()}
    assert {name: count for name, count in read["counts"].items() if name in BY_NAME} == counted
    assert counted["requests"] == 5
    assert (counted["usage_rows"], counted["files"], counted["rejects"], counted["records"]) == (7, 2, 2, 12)
    # By hand: 10 + 100 + 1,000 + 10,000 + 5; contexts of 1 to 4 fresh tokens, 100 written and 1,000 read, and of 2.
    assert (read["output"], read["context"]) == (11_115, 4 * 1_100 + 10 + 2)
    sums = "select sum(output_tokens)::bigint as output, sum(context_tokens)::bigint as context from requests"
    assert lake.sql(sums).to_pylist() == [{"output": read["output"], "context": read["context"]}]


@pytest.mark.parametrize("reader", ["duckdb_reads", "polars_reads", "pyarrow_reads"])
def test_times_are_utc_instants_in_the_partition_of_their_month(found: dict[str, Any], reader: str) -> None:
    months = {name: month for name, _, month in TIMES} | {"msg_5": UNKNOWN_MONTH}
    assert found[reader]["rows"] == [[name, months[name], INSTANTS[name]] for name in sorted(months)]


def test_every_file_has_the_schema_and_the_month_it_lies_under(lake: Lake) -> None:
    for table, path in files_of(lake):
        assert pq.read_schema(path).equals(arrow_schema(table), check_metadata=False), path
        folder = path.parent.name
        if not table.monthly:
            assert folder.removeprefix("copies_") == table.name
            continue
        times = pq.read_table(path, columns=[table.order[0]], partitioning=None)[table.order[0]].to_pylist()
        assert {f"month={time:%Y-%m}" if time else f"month={UNKNOWN_MONTH}" for time in times} == {folder}, path


def test_every_file_is_compressed_and_sorted(lake: Lake) -> None:
    for table, path in files_of(lake):
        file = pq.ParquetFile(path)
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        columns = [group.column(n) for group in groups for n in range(group.num_columns)]
        assert {column.compression for column in columns} <= {"ZSTD"}, path
        rows = file.read()
        by = [(name, "ascending") for name in table.order]
        assert rows.equals(rows.sort_by(by)), path


def test_nothing_lies_in_the_lake_that_its_catalog_does_not_name(lake: Lake) -> None:
    snapshot = lake.snapshot()
    named = {name for names in snapshot.files.values() for name in names}
    assert {str(path.relative_to(lake.path)) for path in lake.path.rglob("*.parquet")} == named
    assert {path.name for path in lake.path.iterdir() if path.is_file() and path.name[0] != "."} == {CATALOG_NAME}
    # Transcripts are private: so is what is made of them.
    assert [path for path in (lake.path, *lake.path.rglob("*.parquet")) if path.stat().st_mode & 0o077] == []


def test_texts_and_times_have_no_surprising_types(lake: Lake) -> None:
    """What other programs trip over: large strings, dictionaries, nanoseconds, times without a zone."""
    for _, path in files_of(lake):
        for field in pq.read_schema(path):
            assert field.type in (
                *(pa.string(), pa.int64(), pa.bool_(), pa.binary(), pa.decimal128(18, 9)),
                pa.timestamp("us", tz="UTC"),
            ), (path, field)
