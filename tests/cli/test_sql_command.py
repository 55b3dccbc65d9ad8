"""SQL as typed: what it may not do is said with the reason, and what it answers is shown as it is meant to be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Run

ONLY_READS = "SQL only reads the lake: it changes no table, view or setting"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "select * from '/etc/passwd'",
            "line 1: /etc/passwd is not read: SQL reads the lake and no other file; --",
        ),
        ("select * from 'logs.csv'", "--allow-external (allow_external=True in Python) allows it"),
        ("drop table requests", ONLY_READS),
        ("insert into requests select * from requests", ONLY_READS),
        ("delete from requests", ONLY_READS),
        ("update requests set model = 'x'", ONLY_READS),
        ("set threads = 1", ONLY_READS),
        ("install httpfs", "is not allowed: SQL only reads the lake; --allow-external"),
    ],
)
def test_what_it_may_not_do_is_said(report: Run, text: str, said: str) -> None:
    ran = report("sql", text)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err


def test_a_mistake_is_not_taken_for_an_attempt(report: Run) -> None:
    for text in ("select * from request", "select nothing from requests"):
        ran = report("sql", text)
        assert ran.code == 2
        assert "external" not in ran.err
        assert "only reads" not in ran.err


def test_the_tables_are_listed_without_the_results_own(report: Run) -> None:
    names = report("sql", "show tables", "--format", "csv").out.split()
    assert "_result" not in names
    assert {"requests", "selected"} < set(names)
    assert report("sql", " SHOW tables;", "--format", "csv").out.split() == names


def test_a_plan_is_shown_as_it_is_drawn(report: Run) -> None:
    lines = report("sql", "explain select 1").out.splitlines()
    assert "Projections: 1" in lines[1]
    assert {line[0] for line in lines} <= set("╭│╰")
    assert len({len(line) for line in lines}) == 1
    assert report("sql", "explain select 1", "--format", "csv").out.startswith("explain_key,explain_value\n")


def test_a_file_of_sql_that_cannot_be_read_is_named_once(report: Run, tmp_path: Path) -> None:
    missing, binary = tmp_path / "missing.sql", tmp_path / "binary.sql"
    assert report("sql", "-f", str(missing)).err == f"tokenlake: {missing}: cannot be read: No such file or directory\n"
    binary.write_bytes(b"select \xff")
    ran = report("sql", "-f", str(binary))
    assert (ran.code, ran.err.count(str(binary)), ran.err.count("\n")) == (2, 1, 1)
    assert "it is not UTF-8 (invalid start byte at byte 7)" in ran.err
