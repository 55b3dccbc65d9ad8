"""`tokenlake schema`: every table, view and column is described, in every form."""

from __future__ import annotations

import csv
import fnmatch
import io
import json
from pathlib import Path

import pytest

from tokenlake import schema
from tokenlake.query import documented
from tokenlake.query.views import FILTERED

NAMES = tuple(documented.everything())


def rows(run, *arguments: str) -> list[dict[str, str]]:
    ran = run("schema", *arguments, "--format", "json")
    assert ran.code == 0
    return json.loads(ran.out)


def test_the_list_names_every_table_and_view(run) -> None:
    listed = {row["name"]: row for row in rows(run)}
    assert {table.name for table in schema.TABLES} <= listed.keys()
    assert {"selected", "selected_costs", "costs", "requests_first", "usage_considered", *FILTERED} <= listed.keys()
    assert listed["requests"] == {
        "name": "requests",
        "kind": "table",
        "one_row_is": "API request (accounting rules 7 to 16)",
        "columns": len(schema.REQUESTS.columns),
        "reads": None,
    }
    assert (listed["selected"]["kind"], listed["selected"]["reads"]) == ("view", "deduped")
    assert listed["usage_considered"]["reads"] == "usage_rows, files"


def test_a_table_has_types_units_meanings_and_rules(run) -> None:
    found = {row["column"]: row for row in rows(run, "requests")}
    assert list(found) == list(schema.REQUESTS.names)
    assert found["cache_write_5m_tokens"] == {
        "column": "cache_write_5m_tokens",
        "type": "BIGINT",
        "unit": "tokens",
        "meaning": "tokens written to the 5-minute cache, unsplit writes included",
        "source": "accounting rule 14",
    }
    units = {name: found[name]["unit"] for name in ("ts", "cost_logged", "offset", "text_chars", "n_rows", "file_id")}
    assert units == {
        "ts": "instant, UTC",
        "cost_logged": "dollars",
        "offset": "bytes",
        "text_chars": "characters",
        "n_rows": "count",
        "file_id": None,
    }
    assert found["ts"]["type"] == "TIMESTAMPTZ"


def test_a_column_of_a_view_is_described_where_it_comes_from(run) -> None:
    found = {row["column"]: row for row in rows(run, "selected")}
    assert found["cache_read_tokens"]["meaning"] == "tokens read from the cache"
    assert found["cache_read_tokens"]["source"] == "requests"
    assert found["context_tokens"]["source"] == "requests, accounting rule 15"
    assert found["cost_logged"]["type"] == "DECIMAL(18,9)"


@pytest.mark.parametrize("name", NAMES)
def test_every_column_of_every_table_and_view_is_described(name: str) -> None:
    assert [column.name for column in documented.columns(name) if not column.text] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_column_is_described_that_is_not_there(name: str) -> None:
    there = [column.name for column in documented.columns(name)]
    assert [pattern for pattern in documented.everything()[name].columns if not fnmatch.filter(there, pattern)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_table_and_view_says_what_a_row_is(name: str) -> None:
    item = documented.everything()[name]
    assert 0 < len(item.text) <= 120
    assert not item.text.endswith((":", ","))


def test_the_header_of_a_view() -> None:
    text = (
        "-- Costs (accounting rule 24): one row a request\n"
        "-- More about it: a line that documents no column, for it has blanks before its colon.\n"
        "-- cost: dollars, the sum of its parts;\n"
        "--   null where the model has no price\n"
        "-- is_priced: the model has a price\n"
        "-- cost_api, *_pico   shared,\n"
        "--                    and aligned\n"
        "-- And more.\n"
        "\n-- not_in_header: x\nselect 1"
    )
    title, help_, columns = documented.read_header(text)
    assert title == "Costs (accounting rule 24): one row a request"
    assert help_ == ("More about it: a line that documents no column, for it has blanks before its colon.\nAnd more.")
    assert columns == {
        "cost": "dollars, the sum of its parts; null where the model has no price",
        "is_priced": "the model has a price",
        "cost_api": "shared, and aligned",
        "*_pico": "shared, and aligned",
    }


def test_the_sql_of_a_view(run) -> None:
    assert run("schema", "selected", "--sql").out == "select * from deduped\n"
    shown = run("schema", "requests_first", "--sql").out
    assert shown.startswith("-- Requests as logged by their first row")
    assert "from ranked_rows as kept" in shown


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["request"], "there is no table or view 'request': did you mean requests?"),
        (["zzz"], "`tokenlake schema` lists them"),
        (["requests", "--sql"], "requests is no view: it holds rows, and has no SQL"),
        (["--sql"], "--sql needs the name of a view"),
        (["selected", "--sql", "--format", "csv"], "--sql shows a text"),
    ],
)
def test_mistakes_are_one_line(run, arguments: list[str], reason: str) -> None:
    ran = run("schema", *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert reason in ran.err


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "md", "parquet", "arrow", "txt"])
def test_every_form(run, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"columns.{ending}"
    assert run("schema", "rejects", "--output", str(file)).code == 0
    names = list(schema.REJECTS.names)
    if ending == "parquet":
        import pyarrow.parquet as pq

        assert pq.read_table(file).column("column").to_pylist() == names
    elif ending == "arrow":
        import pyarrow as pa

        assert pa.ipc.open_file(file).read_all().column("column").to_pylist() == names
    elif ending == "csv":
        assert [row["column"] for row in csv.DictReader(io.StringIO(file.read_text()))] == names
    else:
        text = file.read_text()
        assert all(name in text for name in names)


def test_a_table_for_people_has_its_title_below(run) -> None:
    ran = run("schema", "rejects", "--limit", "1")
    assert "rejects (table): bytes that salvage could not recover" in ran.out
    assert "showing 1 of 8 rows" in ran.out
