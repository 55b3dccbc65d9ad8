"""Queries of the user's own: started from a template, listed, checked, reached as commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tokenlake.query import saved
from tokenlake_cli.main import BUILT_IN


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of queries, which does not exist yet."""
    path = tmp_path / "own"
    monkeypatch.setenv("TOKENLAKE_QUERIES", str(path))
    return path


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def listed(run) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in json.loads(run("queries", "--format", "json").out)}


@pytest.mark.parametrize("name", ["mine/sessions", "sessions", "a/b/c-d_2"])
def test_a_new_query_passes_the_check_and_is_a_command(run, report, folder: Path, name: str) -> None:
    path = folder / f"{name}.sql"
    ran = run("queries", "--new", name)
    assert (ran.code, ran.out) == (0, f"{path}\n")
    assert f"tokenlake {name.replace('/', ' ')}" in ran.err
    checked = run("queries", "--check", name)
    assert (checked.code, checked.out, checked.err) == (0, "", "1 query checked: no problems\n")
    # s1 has 1,100 + 1,300 + 1,550 + 1,650 tokens in four requests, s2 1,800 + 600 + 0 in three.
    ran = report(*name.split("/"), "--least", "2", "--tz", "UTC", "--format", "csv")
    assert ran.out.split() == [
        "session_id,day,requests,total_tokens",
        "s1,2026-03-27,4,5600",
        "s2,2026-03-29,3,2400",
    ]
    assert report(*name.split("/"), "--least", "4", "--format", "csv").out.count("\n") == 2
    assert f"tokenlake {name.replace('/', ' ')} --least 10" in run(*name.split("/"), "--help").out


def test_a_new_query_does_not_overwrite(run, folder: Path) -> None:
    path = write(folder, "mine/top", "-- Mine\nselect 1")
    ran = run("queries", "--new", "mine/top")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"tokenlake: {path} is there already: edit it, or choose another name\n"
    assert path.read_text() == "-- Mine\nselect 1"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Mine/Top", "a-z, 0-9, - and _ only"),
        ("mine/top.sql", "without .sql"),
        ("../top", "a-z, 0-9, - and _ only"),
        ("/tmp/top", "a-z, 0-9, - and _ only"),
        ("mine//top", "a-z, 0-9, - and _ only"),
        ("", "a-z, 0-9, - and _ only"),
        ("views/top", "the folder views is not searched"),
        ("sql/top", "`tokenlake sql` is a command of the program"),
        ("schema", "`tokenlake schema` is a command of the program"),
        ("cost/daily", "is a query of the program"),
        ("cost", "there is a folder of this name"),
        ("cost/daily/mine", "its folder would hide the query cost/daily"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_in_one_line(run, folder: Path, name: str, reason: str) -> None:
    ran = run("queries", "--new", name)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert reason in ran.err
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_one_line(run, folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    ran = run("queries", "--new", "mine/top")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "cannot be written" in ran.err


@pytest.mark.parametrize("arguments", [["--new", "a/b", "--check"], ["x", "--new", "a/b"], ["x", "--format", "csv"]])
def test_one_answer_at_a_time(run, folder: Path, arguments: list[str]) -> None:
    assert "an answer of its own" in run("queries", *arguments).err
    assert not folder.exists()


def test_the_list_says_whose_a_query_is(run, folder: Path) -> None:
    write(folder, "mine/top", "-- Mine\nselect 1")
    write(folder, "cost/daily", "-- Mine too\nselect 1")
    rows = listed(run)
    assert rows["mine/top"]["whose"] == "own"
    assert rows["cost/daily"]["whose"] == "own, in place of the shipped one"
    assert rows["cost/monthly"]["whose"] == "shipped"
    assert rows["mine/top"]["file"] == str(folder / "mine" / "top.sql")


BROKEN = {
    "mine/column": ("-- T\n\nselect\n    session_id,\n    nosuch\nfrom selected", [(5, '"nosuch" not found')]),
    "mine/table": ("-- T\nselect 1\nfrom nosuch", [(3, "nosuch does not exist")]),
    "mine/kind": ("-- T\nselect sum(session_id) from selected", [(2, "sum(VARCHAR)")]),
    "mine/syntax": ("-- T\nselect from\nwhere", [(3, "syntax error")]),
    "mine/unused": (
        "-- T\n-- $a integer = 1: x\n-- $b integer = 1: x\nselect 1",
        [(2, "$a is declared and never used"), (3, "$b is declared and never used")],
    ),
    "mine/undeclared": ("-- T\nselect $b,\n  $a", [(2, "$b is used and not"), (3, "$a is used and not")]),
    "mine/header": (
        "-- T\n-- $a integer = many: x\n-- $b word: y\nselect $a, $b",
        [(2, "'many' is not a whole number"), (3, "unknown type 'word'")],
    ),
    "mine/untitled": ("select 1", [(1, "no title")]),
    "mine/Name": ("-- T\nselect 1", [(1, "rename it")]),
    "sql": ("-- T\nselect 1", [(1, "cannot be reached as a command: `tokenlake sql`")]),
    "lake": ("-- T\nselect 1", [(1, "there is a folder of this name")]),
    "views/mine": ("-- T\nselect 1", [(1, "the folder views is not searched")]),
}


def test_the_check_reports_every_problem_of_every_file(run, folder: Path) -> None:
    expected = {}
    for name, (text, problems) in BROKEN.items():
        path = write(folder, name, text)
        expected |= {f"{path}:{line}: ": reason for line, reason in problems}
    write(folder, "mine/good", "-- T\n-- $n integer: must be given\n-- $t text {a|b}: too\nselect $n + 1, $t || 'c'")
    ran = run("queries", "--check")
    lines = [line for line in ran.out.split("\n") if str(folder) in line]
    assert ran.code == 2
    assert len(lines) == len(expected)
    for start, reason in expected.items():
        assert [reason in line for line in lines if line.startswith(start)] == [True]
    assert f"{len(expected)} problems" in ran.err


@pytest.mark.parametrize("name", ["mine/column", "mine/header"])
def test_the_check_of_one_by_name_and_by_file(run, folder: Path, tmp_path: Path, name: str) -> None:
    text, problems = BROKEN[name]
    path = write(folder, name, text)
    elsewhere = write(tmp_path, "elsewhere", text)
    for wanted, place in ((name, path), (str(path), path), (str(elsewhere), elsewhere)):
        ran = run("queries", "--check", wanted)
        assert ran.code == 2
        assert [line.split(": ")[0] for line in ran.out.splitlines()] == [f"{place}:{line}" for line, _ in problems]
    assert run("queries", "--check", "cost/daily").code == 0
    assert "did you mean cost/daily?" in run("queries", "--check", "cost/daly").err
    assert "there is no such file" in run("queries", "--check", "nosuch.sql").err


@pytest.mark.parametrize("sql", ["select * from 'other.csv'", "select * from query('select 1')"])
def test_the_check_says_what_needs_external_access(run, folder: Path, sql: str) -> None:
    path = write(folder, "mine/other", f"-- Other\n{sql}")
    ran = run("queries", "--check", "mine/other")
    assert (ran.code, ran.out) == (0, "")
    first, last = ran.err.splitlines()
    assert first.startswith(f"{path}: reads more than the lake: it runs with --allow-external only")
    assert last == "1 query checked: no problems"


def test_a_broken_file_hurts_no_other(run, report, folder: Path) -> None:
    for name, (text, _) in BROKEN.items():
        write(folder, name, text)
    write(folder, "mine/good", "-- Good\nselect 1 as one")
    assert report("mine", "good", "--format", "csv").out == "one\n1\n"
    assert report("lake", "rejects").code == 0
    assert "Good" in run("mine", "--help").out
    assert run("--help").code == 0
    assert {"mine/good", "cost/daily", "mine/column"} <= listed(run).keys()


def test_the_shipped_queries_pass_the_check(run, folder: Path) -> None:
    ran = run("queries", "--check")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"{len(saved.files())} queries checked: no problems\n"


def test_no_shipped_query_is_named_like_a_command_of_the_program() -> None:
    assert not {name.partition("/")[0] for name in saved.files()} & BUILT_IN.keys()


def test_no_rows_say_which_days_there_are(report, run, lakes, tmp_path: Path) -> None:
    ran = report(
        "cost", "daily", "--since", "2030-01-01", "--host", "laptop", "--tz", "Europe/Berlin", "--format", "csv"
    )
    assert ran.out.count("\n") == 1
    assert ran.err.split("\n")[-2] == (
        "no rows under --since 2030-01-01, --host laptop: "
        "the lake holds requests from 2026-03-27 to 2026-04-02, time zone Europe/Berlin"
    )
    empty = lakes.publish(tmp_path / "empty", {"requests": []})
    ran = run("cost", "daily", "--no-refresh", "--lake", str(empty.root), "--format", "csv")
    assert ran.err.split("\n")[-2] == (
        "no rows: the lake holds no requests; `tokenlake ingest` reads transcripts into it"
    )
    assert "no rows" not in report("cost", "daily").err
