"""The connection: exactly the snapshot's files, empty tables that keep their types, and storage errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tokenlake import schema
from tokenlake.errors import LakeDamagedError, QueryError, UsageError
from tokenlake.query import views
from tokenlake.query.connect import connect
from tokenlake.store.catalog import Snapshot


@pytest.mark.parametrize("table", schema.TABLES, ids=lambda table: table.name)
def test_an_empty_table_has_the_columns_of_the_schema(tmp_path: Path, table: schema.Table) -> None:
    described = connect(Snapshot(tmp_path)).execute(f"describe {table.name}").fetchall()
    kinds = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    assert [row[:2] for row in described] == [
        (column.name, kinds.get(column.type, column.type)) for column in table.columns
    ]


@pytest.mark.parametrize("view", views.DEDUP.values())
def test_every_dedup_view_has_the_columns_of_requests(tmp_path: Path, view: str) -> None:
    connection = connect(Snapshot(tmp_path))
    wanted = connection.execute("describe requests").fetchall()
    assert connection.execute(f"describe {view}").fetchall() == wanted


def test_only_the_files_of_the_snapshot_are_read(lakes: Any, tmp_path: Path) -> None:
    """Files that no catalog names, such as those of a commit under way, lie beside the others."""
    row = lakes.request("r1", "2026-03-01T00:00:00", (1, 0, 0, 0, 0))
    kept = lakes.write_table(tmp_path, "requests", [row], part="kept")
    lakes.write_table(tmp_path, "requests", [row], part="stray")
    connection = connect(Snapshot(tmp_path, 1, {"requests": (kept,)}))
    assert connection.execute("select count(*) from requests").fetchall() == [(1,)]


def test_paths_are_taken_as_they_are(lakes: Any, tmp_path: Path) -> None:
    row = lakes.request("r1", "2026-03-01T00:00:00", (1, 0, 0, 0, 0))
    root = tmp_path / "it's [1] a *?{b} lake" / "month=1999-01"
    connection = connect(lakes.publish(root, {"requests": [row]}))
    assert connection.execute("select key from requests").fetchall() == [("r1",)]
    assert "month" not in {row[0] for row in connection.execute("describe requests").fetchall()}


def test_the_session_is_in_utc(tmp_path: Path) -> None:
    (zone,) = connect(Snapshot(tmp_path)).execute("select current_setting('TimeZone')").fetchall()[0]
    assert zone == "UTC"


def test_a_misspelt_table_finds_no_variable_of_python(tmp_path: Path) -> None:
    connection = connect(Snapshot(tmp_path))
    reqests = duckdb.sql("select 1")  # noqa: F841
    with pytest.raises(duckdb.CatalogException):
        connection.execute("select * from reqests")


def test_an_unknown_dedup_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dedup: 'best' is none of max, first, last, none, ccusage"):
        connect(Snapshot(tmp_path), dedup="best")


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeDamagedError, match=r"requests/gone\.parquet"):
        connect(Snapshot(tmp_path, 1, {"requests": ("requests/gone.parquet",)}))


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"no parquet at all" * 10)
    with pytest.raises(LakeDamagedError, match=r"bad\.parquet"):
        connect(Snapshot(tmp_path, 1, {"requests": ("bad.parquet",)}))


def test_views_come_after_the_views_that_they_read(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- b is no dependency of d here\nselect * from b join c using (x)")
    (tmp_path / "b.sql").write_text("select * from c")
    (tmp_path / "c.sql").write_text("select 1 as x")
    assert views.in_order(views.shipped(tmp_path)) == ["c", "b", "a"]


def test_views_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("select * from b")
    (tmp_path / "b.sql").write_text("select * from a")
    with pytest.raises(QueryError, match="circle"):
        views.in_order(views.shipped(tmp_path))
