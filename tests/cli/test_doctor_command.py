"""`tokenlake doctor`: a row a check in every form, the exit code, and a table that fits the terminal."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from accounting.transcripts import assistant, jsonl

COLUMNS = ["check", "status", "found", "to_do"]


@pytest.fixture
def doctor(run: Any, ingest: Any, logs: Path) -> Any:
    lake = ingest({"p/s.jsonl": jsonl(assistant())})
    call = lambda *arguments: run(  # noqa: E731
        "doctor", "--lake", str(lake.path), "--root", str(logs), "--host", "h", *arguments
    )
    call.lake = lake
    return call


def test_a_whole_lake(doctor: Any) -> None:
    ran = doctor()
    assert ran.code == 0
    assert ran.err == ""
    assert "\n28 checks: 0 warnings, 0 problems\n" in ran.out
    assert doctor("--quick").out.count(" ok ") == 20


def test_every_form_holds_the_same(doctor: Any, tmp_path: Path) -> None:
    rows = json.loads(doctor("--format", "json").out)
    assert [list(row) for row in rows] == [COLUMNS] * 28
    assert [json.loads(line) for line in doctor("--format", "jsonl").out.splitlines()] == rows
    read = list(csv.DictReader(io.StringIO(doctor("--format", "csv").out)))
    assert [{name: value or None for name, value in row.items()} for row in read] == rows
    for form in ("parquet", "arrow"):
        assert doctor("--output", str(tmp_path / f"d.{form}")).code == 0
    assert pq.read_table(tmp_path / "d.parquet").to_pylist() == rows
    assert pa.ipc.open_file(tmp_path / "d.arrow").read_all().to_pylist() == rows
    assert doctor("--format", "markdown").out.count("\n") == 30


def test_a_problem_has_an_exit_code_and_a_warning_has_none(doctor: Any) -> None:
    (doctor.lake.path / "stray.txt").touch(mode=0o600)
    ran = doctor("--format", "csv")
    assert ran.code == 0
    assert "other files,warning," in ran.out
    Path(doctor.lake.snapshot().paths("requests")[0]).unlink()
    ran = doctor("--format", "csv")
    assert ran.code == 5
    assert "data files,problem,1 of " in ran.out
    assert ran.err == "23 checks: 3 warnings, 1 problem\n"


def test_no_lake(run: Any, tmp_path: Path) -> None:
    ran = run("doctor", "--lake", str(tmp_path / "none"), "--format", "csv")
    assert ran.code == 5
    assert "lake,problem,there is no lake at" in ran.out
    assert not (tmp_path / "none").exists()


def test_long_texts_are_broken_to_the_width_of_the_terminal(doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (doctor.lake.path / "stray.txt").touch(mode=0o600)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    words = "nothing reads them; data files among them go with the next ingest that writes, move the others elsewhere"
    for width in (80, 100, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        out = re.sub(r"\x1b\[[0-9;]*m", "", doctor().out)
        assert max(map(len, out.splitlines())) <= width
        at = out.splitlines()[0].index("to_do")
        told = " ".join(line[at:].strip() for line in out.splitlines()[2:-2])
        assert words in " ".join(told.split())


def test_problems_of_a_hostile_name_are_one_line(run: Any, ingest: Any, logs: Path) -> None:
    lake = ingest({"p/\x1b[31m\n.jsonl": b"{broken\n" + jsonl(assistant())})
    ran = run("doctor", "--lake", str(lake.path), "--root", str(logs), "--host", "h")
    assert ran.code == 0
    assert all(char.isprintable() or char == "\n" for char in ran.out + ran.err)
