"""Older lakes: one of each schema version is brought to the present one whole, or not at all, never misread."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from accounting.lakes import TOKENS, total
from accounting.transcripts import assistant, jsonl

from tokenlake.errors import LakeDamagedError, LakeError, LakeVersionError, SourceError
from tokenlake.lake import Lake
from tokenlake.schema import BY_NAME, FILES, SCHEMA_VERSION, TABLES
from tokenlake.store import catalog, partitions, sums
from tokenlake.store.catalog import CATALOG_NAME, OLDEST_VERSION, Snapshot

STORED = {version: Path(__file__).parent / f"lake-v{version}" for version in range(OLDEST_VERSION, SCHEMA_VERSION)}
ANSWERS = json.loads((STORED[1] / "answers.json").read_text())


@pytest.fixture(params=STORED, ids="version-{}".format)
def lake(tmp_path: Path, request: pytest.FixtureRequest) -> Lake:
    """A copy of a stored lake."""
    shutil.copytree(STORED[request.param] / "lake", tmp_path / "lake")
    return Lake(tmp_path / "lake")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """One transcript, of another machine than the stored lake's."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "new.jsonl").write_bytes(jsonl(assistant("msg_new")))
    return folder


def rows(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Every row of the data files, as they are, by table."""
    return {
        table: [row for path in snapshot.paths(table) for row in pq.read_table(path, partitioning=None).to_pylist()]
        for table in snapshot.files
    }


def on_disk(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def migrated(lake: Lake, logs: Path) -> Lake:
    lake.refresh([logs], host="other")
    return lake


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


def lose_a_column(lake: Lake) -> None:
    """Makes data files of texts, copies too, as if the last column had come with a later version."""
    snapshot = catalog.read(lake.path, older=True)
    for path in [*snapshot.paths("texts"), *snapshot.paths("copies_texts")]:
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns("line"), path)


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


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("place", ["write", "publish"])
@pytest.mark.parametrize("end", [Killed(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))], ids=["kill", "full disk"])
def test_a_migration_that_ends_early_leaves_the_older_lake(
    lake: Lake, logs: Path, monkeypatch: pytest.MonkeyPatch, place: str, end: BaseException
) -> None:
    lose_a_column(lake)
    before = on_disk(lake.path)

    def fail(*_: object, **__: object) -> None:
        raise end

    with monkeypatch.context() as patched:
        # Before the first data file is written, and when all of them are in place.
        patched.setattr(partitions if place == "write" else catalog, place, fail)
        with pytest.raises((Killed, LakeError)):
            migrated(lake, logs)
    after = on_disk(lake.path)
    assert {name: after[name] for name in before} == before
    assert total(migrated(lake, logs))[0] == ANSWERS["totals"]["requests"] + 1


def test_an_older_lake_with_a_damaged_table_is_refused_and_left_alone(lake: Lake, logs: Path) -> None:
    (ledger,) = catalog.read(lake.path, older=True).paths("files")
    Path(ledger).write_bytes(b"PAR1, it was")
    before = on_disk(lake.path)
    with pytest.raises(LakeDamagedError, match=r"table files cannot be read .*restore it from a backup"):
        migrated(lake, logs)
    assert {name: data for name, data in on_disk(lake.path).items() if not name.startswith(".")} == before


def test_a_migrated_lake_can_be_rebuilt_from_the_lines_that_it_kept(lake: Lake, logs: Path) -> None:
    """The bytes of its transcripts are long gone from disk."""
    lake.refresh([logs], host="other", keep_raw=True)
    summary = lake.rebuild()
    assert (summary.files, summary.files_taken_over) == (8, 0)
    assert total(lake)[0] == ANSWERS["totals"]["requests"] + 1
    (coverage, _) = lake.run("lake/coverage", tz="UTC").to_pylist()
    names = ("files", "departed_files", "records", "rejects", "odd_fields", "pending_bytes")
    assert {name: coverage[name] for name in names} == {name: ANSWERS[name] for name in names}
    # What version 1 did not count is known now, of its transcripts too.
    for row in lake.sql("select * from files").to_pylist():
        parts = ("record_bytes", "rejected_bytes", "newline_bytes", "blank_bytes")
        assert sum(row[name] for name in parts) == row["ingested_bytes"], row["path"]


def test_merging_migrates_this_lake_and_refuses_an_older_other(lake: Lake, logs: Path, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other")
    other.refresh([logs], host="other")
    with pytest.raises(LakeVersionError, match=f"tokenlake ingest --lake {lake.path}"):
        other.merge(lake)
    lake.merge(other)
    assert total(lake)[0] == ANSWERS["totals"]["requests"] + 1
