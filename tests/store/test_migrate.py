"""Older lakes: one of each schema version is brought to the present one whole, or not at all, never misread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from accounting.lakes import TOKENS, total
from store.older import ANSWERS, STORED, lose_a_column, migrated, on_disk

from tokenlake.errors import LakeVersionError, SourceError
from tokenlake.lake import Lake
from tokenlake.schema import BY_NAME, FILES, SCHEMA_VERSION, TABLES
from tokenlake.store import catalog, sums
from tokenlake.store.catalog import CATALOG_NAME, Snapshot


def rows(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Every row of the data files, as they are, by table."""
    return {
        table: [row for path in snapshot.paths(table) for row in pq.read_table(path, partitioning=None).to_pylist()]
        for table in snapshot.files
    }


@pytest.mark.parametrize("version", STORED)
def test_the_stored_lakes_are_of_their_version_and_small(version: int) -> None:
    assert json.loads((STORED[version] / "lake" / CATALOG_NAME).read_text())["schema_version"] == version
    assert sum(path.stat().st_size for path in STORED[version].rglob("*") if path.is_file()) < 150_000


def test_an_older_lake_is_not_read_but_the_command_is_named(lake: Lake) -> None:
    before = on_disk(lake.path)
    for use in (Lake.snapshot, lambda lake: lake.sql("select 1"), lambda lake: lake.run("cost/daily")):
        with pytest.raises(LakeVersionError, match=f"schema version [12], .*: tokenlake ingest --lake {lake.path}$"):
            use(lake)
    assert on_disk(lake.path) == before


def test_the_next_ingest_migrates_it_and_its_answers_hold(lake: Lake, logs: Path) -> None:
    migrated(lake, logs)
    assert json.loads((lake.path / CATALOG_NAME).read_text())["schema_version"] == SCHEMA_VERSION
    [*figures] = lake.sql(
        f"select count(*) as requests, {', '.join(f'sum({name})::bigint as {name}' for name in TOKENS)}"
        " from requests where host = 'ada'"
    ).to_pylist()
    assert figures == [ANSWERS["totals"]]
    assert total(lake)[0] == ANSWERS["totals"]["requests"] + 1
    for table in ("prompts", "tool_calls", "rejects"):
        (row,) = lake.sql(f"select count(*) as rows from {table} where host = 'ada'").to_pylist()
        assert row["rows"] == ANSWERS[table]
    (texts,) = lake.sql("select count(*) as rows from texts where host = 'ada'").to_pylist()
    assert texts["rows"] == ANSWERS["texts"]
    (coverage, _) = lake.run("lake/coverage", tz="UTC").to_pylist()
    names = ("files", "departed_files", "records", "rejects", "odd_fields", "pending_bytes")
    assert {name: coverage[name] for name in names} == {name: ANSWERS[name] for name in names}
    # What the lake was told once holds.
    settings = lake.snapshot().settings
    assert (settings.keep_raw, settings.roots["ada"]) == (True, ("/home/ada/.claude/projects",))


def test_every_row_is_kept_and_every_column_is_there(lake: Lake, logs: Path) -> None:
    before = rows(catalog.read(lake.path, older=True))
    migrated(lake, logs)
    after = rows(lake.snapshot())
    for table, listed in before.items():
        found = [row for row in after[table] if row.get("host", "ada") == "ada"]
        if listed and "host" not in listed[0]:
            continue
        known = listed[0].keys() if listed else ()
        assert sorted(repr({name: row[name] for name in known}) for row in found) == sorted(map(repr, listed)), table
    for table in TABLES:
        assert lake.sql(f"select * from {table.name}").columns == table.names
    added = set(FILES.names) - before["files"][0].keys()
    assert [row[name] for row in after["files"] if row["host"] == "ada" for name in added] == [None] * 7 * len(added)


def test_the_sums_are_made_of_the_requests_that_there_are(lake: Lake, logs: Path) -> None:
    migrated(lake, logs)
    snapshot = lake.snapshot()
    assert sorted(map(sums.path_of, snapshot.files["requests"])) == list(snapshot.files["request_sums"])
    names = ", ".join(f"sum({name})::bigint as {name}" for name in TOKENS)
    query = f"select sum(requests)::bigint as requests, {names} from request_sums where host = 'ada'"
    assert lake.sql(query).to_pylist() == [ANSWERS["totals"]]


def test_a_column_that_data_files_lack_is_null_in_their_rows(lake: Lake, logs: Path) -> None:
    """Whatever tables later versions add columns to."""
    lose_a_column(lake)
    migrated(lake, logs)
    found = lake.sql("select host, line is null as unknown, count(*) as texts from texts group by all").to_pylist()
    assert {(row["host"], row["unknown"]): row["texts"] for row in found} == {
        ("ada", True): ANSWERS["texts"],
        ("other", False): 1,
    }
    for path in lake.snapshot().paths("copies_texts"):
        assert pq.read_schema(path).names == list(BY_NAME["texts"].names)


def test_it_is_migrated_also_where_there_is_nothing_to_read(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError):
        lake.refresh(host="elsewhere")
    assert total(lake) == tuple(ANSWERS["totals"].values())
