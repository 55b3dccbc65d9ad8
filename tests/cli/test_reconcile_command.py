"""`tokenlake reconcile`: tables, forms, exit codes, and one clear line for what cannot be."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import assistant, jsonl, usage
from reconcile import peer


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three requests of two days; ccusage passes over the second, for a null in cwd."""
    records = [
        assistant("msg_a", usage(10), "2026-05-04T09:00:00.000Z", request_id="req_a"),
        assistant("msg_b", usage(20), "2026-05-04T10:00:00.000Z", request_id="req_b", cwd=None),
        assistant("msg_c", usage(30), "2026-05-05T09:00:00.000Z", request_id="req_c"),
    ]
    path = tmp_path / "logs/projects/-p/s.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(jsonl(*records))
    return tmp_path / "logs"


@pytest.fixture
def report_file(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ccusage says of them; no program is to be found."""
    monkeypatch.delenv("CCUSAGE_BIN", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    file = tmp_path / "ccusage.json"
    file.write_text(peer.report(logs))
    return file


@pytest.fixture
def reconcile(run: Any, logs: Path, report_file: Path, tmp_path: Path) -> Any:
    """Runs the command on them, with the report."""

    def call(*arguments: str, report: Path = report_file) -> Any:
        where = ("--root", str(logs), "--lake", str(tmp_path / "lake"), "--tz", "UTC", "--json", str(report))
        return run("reconcile", *where, *arguments)

    return call


def test_both_tables_are_shown_and_nothing_is_left(reconcile: Any) -> None:
    ran = reconcile()
    assert ran.code == 0
    assert ran.err == ""
    totals, rules = ran.out.split("\nThe lake and ccusage\n")
    days = [line.split() for line in totals.splitlines() if line.startswith("2026-")]
    # Requests and tokens, ours and theirs, and the difference.
    assert [row[:7] for row in days] == [
        ["2026-05-04", "claude-sonnet-4-6", "2", "1", "34", "12", "-22"],
        ["2026-05-05", "claude-sonnet-4-6", "1", "1", "32", "32", "0"],
    ]
    rows = json.loads(reconcile("--format", "json").out)
    assert [(row["tokens_explained"], row["tokens_unexplained"]) for row in rows] == [(-22, 0), (0, 0)]
    assert "left out: null in cwd  rows      1        -1     -22" in rules
    assert "ccusage passes over the line, for this reason" in rules
    assert "ccusage's report was given; its prices as 20.0.24 has them" in rules
    assert "requests of ccusage are worked out by its rules, also for days that its report lacks" in rules


@pytest.mark.parametrize(("by", "rows"), [("day", 2), ("model", 1), ("kind", 10), ("rule", 1)])
def test_every_table_has_its_rows(reconcile: Any, by: str, rows: int) -> None:
    listed = list(csv.DictReader(io.StringIO(reconcile("--by", by, "--format", "csv").out)))
    assert len(listed) == rows


def test_a_table_has_every_form(reconcile: Any, tmp_path: Path) -> None:
    ran = reconcile("--format", "json")
    assert "ccusage's report was given" in ran.err
    assert reconcile("--output", str(tmp_path / "out.parquet")).code == 0
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "out.parquet").column_names == list(json.loads(ran.out)[0])


def test_kinds_are_told_apart(reconcile: Any) -> None:
    rows = json.loads(reconcile("--by", "kind", "--format", "json").out)
    first = {row["kind"]: row for row in rows if row["day"] == "2026-05-04"}
    assert first["output"] | {"model": None} == {
        "day": "2026-05-04", "model": None, "kind": "output", "ours": 30, "ccusage": 10, "difference": -20,
        "unexplained": 0,
    }  # fmt: skip
    assert (first["input"]["difference"], first["cache_read"]["difference"]) == (-2, 0)


@pytest.mark.parametrize("arguments", [("--rows",), ("--rows", "NULL in")])
def test_rows_behind_a_rule(reconcile: Any, logs: Path, arguments: tuple[str, ...]) -> None:
    (row,) = json.loads(reconcile(*arguments, "--format", "json").out)
    assert (row["rule"], row["line"], row["key"], row["day"]) == ("left out: null in cwd", 2, "msg_b", "2026-05-04")
    assert row["file"] == str(logs / "projects/-p/s.jsonl")
    assert (row["requests"], row["input_tokens"], row["output_tokens"]) == (-1, -2, -20)
    assert row["cost"] == pytest.approx(-(2 * 3 + 20 * 15) / 1e6)


def test_no_rows_behind_another(reconcile: Any) -> None:
    assert json.loads(reconcile("--rows", "synthetic", "--format", "json").out) == []


def test_days_are_chosen(reconcile: Any) -> None:
    ran = reconcile("--since", "20260505", "--until", "2026-05-05", "--by", "day", "--format", "json")
    assert [row["day"] for row in json.loads(ran.out)] == ["2026-05-05"]
    assert json.loads(reconcile("--until", "2026-05-03", "--format", "json").out) == []


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_an_instant_is_no_day(reconcile: Any, option: str) -> None:
    ran = reconcile(option, "2026-05-04T12:00:00Z")
    assert (ran.code, ran.out) == (2, "")
    assert "ccusage's totals are those of whole days; give a day, such as 2026-03-01" in ran.err


def test_what_is_unexplained_is_shown_and_told_by_the_exit_code(reconcile: Any, report_file: Path) -> None:
    said = json.loads(report_file.read_text())
    said["daily"][1]["outputTokens"] += 7
    said["daily"][1]["modelBreakdowns"][0]["outputTokens"] += 7
    report_file.write_text(json.dumps(said))
    ran = reconcile("--by", "rule", "--format", "json")
    assert ran.code == 5
    assert [(row["rule"], row["tokens"]) for row in json.loads(ran.out)] == [
        ("left out: null in cwd", -22),
        ("unexplained", 7),
    ]
    assert "7 tokens and 0.000000 dollars are unexplained: was the report made in UTC" in ran.err
    # Not where only other days are asked for.
    assert reconcile("--until", "2026-05-04", "--by", "rule").code == 0


def test_a_report_of_another_zone_is_unexplained(run: Any, reconcile: Any, tmp_path: Path) -> None:
    assert reconcile().code == 0
    where = ("--lake", str(tmp_path / "lake"), "--no-refresh", "--json", str(tmp_path / "ccusage.json"))
    ran = run("reconcile", *where, "--tz", "Pacific/Honolulu", "--by", "day")
    assert ran.code == 5
    assert "are unexplained: was the report made in Pacific/Honolulu, in this cost mode" in ran.err


def test_the_report_may_come_from_stdin(reconcile: Any, report_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(report_file.read_bytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert reconcile("--by", "rule", report=Path("-")).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--by", "day", "--rows"), 2, "give one of --by and --rows"),
        (("--ccusage", "ccusage"), 2, "give one of --json and --ccusage"),
        (("--host", "nobody"), 2, "the lake holds no transcripts of nobody"),
        (("--tz", "Mars"), 2, "'Mars' is not a time zone"),
        (("--since", "soon"), 2, "'soon' is not a date"),
        (("--by", "hour"), 2, "'hour' is not one of"),
    ],
)
def test_what_cannot_be_is_one_line(reconcile: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    ran = reconcile(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("text", ["", "no json", '{"sessions": []}', "\xff\x00"])
def test_a_report_that_is_none_is_named(reconcile: Any, report_file: Path, text: str) -> None:
    report_file.write_text(text)
    ran = reconcile()
    assert (ran.code, ran.out) == (3, "")
    assert f"{report_file}: is not the output of `ccusage claude daily --json`" in ran.err
    assert ran.err.count("\n") == 1


def test_a_report_that_is_not_there_is_named(reconcile: Any, tmp_path: Path) -> None:
    ran = reconcile(report=tmp_path / "none.json")
    assert (ran.code, ran.out) == (3, "")
    assert "none.json: cannot be read: No such file or directory" in ran.err


def test_without_the_program_it_says_how_to_get_it(
    run: Any, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read."""
    monkeypatch.delenv("CCUSAGE_BIN", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    ran = run("reconcile", "--root", str(logs), "--lake", str(tmp_path / "lake"))
    assert (ran.code, ran.out) == (3, "")
    assert "ccusage is not on the PATH: install it (npm install -g ccusage)" in ran.err
    assert "--json FILE" in ran.err
    assert not (tmp_path / "lake").exists()


def test_the_program_is_run(run: Any, logs: Path, tmp_path: Path) -> None:
    import os
    import shutil

    program = os.environ.get("CCUSAGE_BIN") or shutil.which("ccusage")
    if not program:
        pytest.skip("ccusage is neither named by CCUSAGE_BIN nor on the PATH")
    where = ("--root", str(logs), "--lake", str(tmp_path / "lake"), "--ccusage", program, "--tz", "Asia/Tokyo")
    ran = run("reconcile", *where, "--by", "rule", "--format", "json")
    assert ran.code == 0
    assert [row["rule"] for row in json.loads(ran.out)] == ["left out: null in cwd"]
    assert "its prices as it says itself" in ran.err


def test_the_cost_mode_is_that_of_the_report(reconcile: Any, logs: Path, report_file: Path) -> None:
    """In `auto`, which is ccusage's own, a row with costUSD costs that on both sides."""
    records = [assistant("msg_a", usage(10), "2026-05-04T09:00:00.000Z", request_id="req_a", costUSD=0.25)]
    (logs / "projects/-p/s.jsonl").write_bytes(jsonl(*records))
    said = json.loads(peer.report(logs))
    for figures, name in ((said["daily"][0], "totalCost"), (said["daily"][0]["modelBreakdowns"][0], "cost")):
        figures[name] = 0.25
    report_file.write_text(json.dumps(said))
    for mode, code in (("auto", 0), ("display", 0), ("calculate", 5)):
        ran = reconcile("--cost-mode", mode, "--by", "day", "--format", "json")
        assert (mode, ran.code) == (mode, code)
        (row,) = json.loads(ran.out)
        assert row["ccusage_cost"] == 0.25
        assert row["cost"] == (0.25 if mode != "calculate" else pytest.approx((2 * 3 + 10 * 15) / 1e6))
