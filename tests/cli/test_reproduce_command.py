"""`tokenlake reproduce`: published figures beside computed ones, their forms, and the exit code."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import Run

from tokenlake.reproduce import run as reproducing
from tokenlake.store.catalog import Snapshot
from tokenlake_cli.exits import ExitCode

COLUMNS = ["id", "source", "figure", "published", "computed", "formula", "verdict", "note"]


def test_one_id_is_one_command_without_set_up(run: Run, tmp_path: Path) -> None:
    ran = run("reproduce", "R19", "--format", "csv")
    assert ran.code == ExitCode.OK
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert list(rows[0]) == COLUMNS
    assert [(row["published"], row["computed"], row["verdict"]) for row in rows] == [
        ("2.4", "2.4", "exact"),
        ("5.1", "5.1", "exact"),
        ("2.125x", "2.125x", "exact"),
    ]
    assert "3 figures: exact: 3" in ran.err
    assert "prices: genai-prices" in ran.err
    # No lake but the temporary one is made.
    assert not (tmp_path / "home-lake").exists()


def test_it_draws_a_table_with_what_must_be_said_below(run: Run) -> None:
    ran = run("reproduce", "r7", "29000")
    assert ran.code == ExitCode.OK
    lines = ran.out.splitlines()
    assert lines[0].split() == COLUMNS
    assert any("1,485,000" in line and "exact" in line for line in lines)
    assert any("1,500x" in line and "not computed" in line for line in lines)
    assert "5 figures: exact: 4; not computed: 1" in ran.out
    assert "time zone UTC" in ran.out


def test_it_has_every_form(run: Run, tmp_path: Path) -> None:
    json_rows = json.loads(run("reproduce", "recca0120-what-if", "--format", "json", "--limit", "1").out)
    assert [row["id"] for row in json_rows] == ["R19"]
    file = tmp_path / "figures.parquet"
    assert run("reproduce", "R19", "--output", str(file)).code == ExitCode.OK
    assert pq.read_table(file).column_names == COLUMNS


def test_a_figure_that_is_not_as_published_is_an_exit_code(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (reproducing.specs_folder() / "recca0120-what-if.toml").read_text(encoding="utf-8")
    (tmp_path / "recca0120-what-if.toml").write_text(text.replace('text = "2.4"', 'text = "2.3"'), encoding="utf-8")
    monkeypatch.setattr(reproducing, "specs_folder", lambda: tmp_path)
    ran = run("reproduce")
    assert ran.code == ExitCode.FINDINGS
    assert "not reproduced" in ran.out
    assert "1 of 3 figures are not as published: R19 cost in prefixes of input, 1-hour cache" in ran.err


def test_own_stands_beside_the_published(run: Run, lake: Snapshot) -> None:
    """The tiny lake: 5,400 reads; input and output 40 and 460."""
    ran = run("reproduce", "--own", "R1", "--no-refresh", "--lake", str(lake.root), "--tz", "UTC", "--format", "json")
    assert ran.code == ExitCode.OK
    rows = {row["figure"]: row for row in json.loads(ran.out)}
    ratio = rows["cache reads per input and output token"]
    assert (ratio["published"], ratio["own"]) == ("1,310 : 1", "10.80 : 1")
    assert rows["input and output"]["own"] == "500"
    assert "time zone UTC" in ran.err


def test_the_sources_say_what_is_made_up(run: Run) -> None:
    rows = json.loads(run("reproduce", "--sources", "--format", "json").out)
    assert len(rows) == 11
    first = rows[0]
    assert (first["source"], first["ids"]) == ("claude-code #24147", "R1, R2, R3, R4")
    assert first["url"].endswith("/issues/24147")
    assert all(row["invented"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["R99"], "'R99' is no figure; there are R1, R2"),
        (["R19", "--tz", "UTC"], "they go with --own"),
        (["R19", "--lake", "x"], "they go with --own"),
        (["R19", "--no-refresh"], "they go with --own"),
        (["--own", "--sources"], "--own and --sources"),
        (["--own", "--no-refresh", "--lake", "/nowhere/lake"], "there is no lake at /nowhere/lake"),
    ],
)
def test_what_cannot_be_is_one_line(run: Run, arguments: list[str], message: str) -> None:
    ran = run("reproduce", *arguments)
    assert ran.code in (ExitCode.USAGE, ExitCode.LAKE)
    assert ran.out == ""
    assert len(ran.err.splitlines()) == 1
    assert message in ran.err


def test_a_folder_without_room_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reproducing.specs_write, "write_corpus", full)
    ran = run("reproduce", "R19")
    assert ran.code == ExitCode.LAKE
    assert "cannot be written: No space left on device; $TMPDIR names a folder with 500 MB of room" in ran.err
