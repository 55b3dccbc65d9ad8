"""Every command: help with an example, filters, folders of queries, errors of one line, exit codes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tokenlake_cli import main
from tokenlake_cli.exits import ExitCode

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TZ": "UTC"}
COMMAND = [sys.executable, "-c", "from tokenlake_cli.main import main; main()"]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        yield (*path, name)
        if isinstance(found := group.get_command(context, name), click.Group):
            yield from commands(found, (*path, name))


@pytest.mark.parametrize("path", [(), *commands(main.tokenlake)], ids=lambda path: " ".join(path) or "tokenlake")
def test_every_command_has_help_with_an_example(run, path: tuple[str, ...]) -> None:
    ran = run(*path, "--help")
    assert ran.code == 0
    assert ran.err == ""
    _, _, example = ran.out.partition("Example:\n")
    assert shlex.split(example.strip().split("\n")[0])[: len(path) + 1] == ["tokenlake", *path] or len(path) < 2
    assert example.strip().startswith("tokenlake ")


def test_help_names_every_exit_code(run) -> None:
    out = run("--help").out
    for code in ExitCode:
        assert f"  {int(code):<4} {code.text}" in out


def test_parameters_are_typed_options(run) -> None:
    out = run("cost", "daily", "--help").out
    assert "--by-model / --no-by-model" in out
    assert "--since WHEN" in out
    assert "[monday|sunday]" in run("cache", "overhead", "--help").out


def test_options_reach_the_query(report) -> None:
    ran = report("cost", "daily", "--by-model", "--host", "server", "--tz", "Europe/Berlin", "--format", "json")
    assert [(row["day"], row["model"], row["requests"]) for row in json.loads(ran.out)] == [
        ("2026-03-29", "claude-sonnet-4-5-20250929", 1),
        ("2026-03-30", "claude-sonnet-4-5-20250929", 1),
        ("2026-04-02", "claude-sonnet-4-5-20250929", 1),
    ]


def test_a_table_ends_with_title_settings_and_definitions(report) -> None:
    ran = report("cache", "overhead", "--project", "alpha", "--tz", "Asia/Taipei")
    below = ran.out.split("\n\n")[1].split("\n")
    assert below[0].startswith("Cache overhead")
    assert below[1] == (
        "project alpha; by none; week_start monday; time zone Asia/Taipei; dedup max; cost mode calculate; "
        "25.0% of requests have partial output"
    )
    assert "hit_ratio                reads / context" in below
    assert ran.err == ""


def test_beside_other_formats_the_settings_go_to_stderr(report) -> None:
    ran = report("cost", "monthly", "--format", "json")
    assert len(json.loads(ran.out)) == 2
    assert "dedup max; cost mode calculate; 28.6% of requests have partial output" in ran.err


def test_sql_from_argument_file_and_stdin(report, lake, tmp_path: Path) -> None:
    expected = json.dumps([{"n": 7}])
    text = "select count(*) as n from requests"
    assert json.loads(report("sql", text, "--format", "json").out) == json.loads(expected)
    (tmp_path / "q.sql").write_text(text)
    assert json.loads(report("sql", "-f", str(tmp_path / "q.sql"), "--format", "json").out) == json.loads(expected)
    piped = subprocess.run(
        [*COMMAND, "sql", "-", "--no-refresh", "--lake", str(lake.root), "--format", "json"],
        input=text,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=True,
    )
    assert piped.stdout == '[\n {"n": 7}\n]\n'
    assert piped.stderr == ""


def test_sql_sees_the_filters(report) -> None:
    ran = report("sql", "select count(*) from selected", "--host", "server", "--format", "csv")
    assert ran.out.split("\n")[1] == "3"
    assert "host server; dedup max" in ran.err


def test_a_filter_without_effect_is_said(report) -> None:
    assert "--model, --host has no effect here" in report("sql", "select 1", "--host", "server", "--model", "x").err
    assert "--project has no effect here: lake/rejects" in report("lake", "rejects", "--project", "x").err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["cost", "daly"], 2, "No such command 'daly'"),
        (["nosuch"], 2, "No such command 'nosuch' (see tokenlake --help)"),
        (["cost", "daily", "--bogus"], 2, "No such option '--bogus'"),
        (["cost", "daily", "--tz", "Berlin"], 2, "'Berlin' is not a time zone: did you mean Europe/Berlin?"),
        (["cost", "daily", "--since", "soon"], 2, "since: 'soon' is not a date"),
        (["cost", "daily", "--format", "xml"], 2, "'xml' is not one of"),
        (["cache", "overhead", "--by", "decade"], 2, "'decade' is not one of"),
        (["sql", "select from where"], 2, "line 1: Parser Error"),
        (["sql"], 2, "give the SQL as an argument"),
        (["sql", "select 1", "-f", "x.sql"], 2, "give the SQL as an argument"),
        (["sql", "-f", "/no/such/file.sql"], 2, "/no/such/file.sql: cannot be read"),
        (["queries", "cache/overhed"], 2, "did you mean cache/overhead?"),
    ],
)
def test_mistakes_are_one_line_and_a_code(run, lake, arguments: list[str], code: int, text: str) -> None:
    rest = [] if arguments[0] == "queries" else ["--no-refresh", "--lake", str(lake.root)]
    ran = run(*arguments, *rest)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("tokenlake: ")
    assert text in ran.err
    assert ran.err.count("\n") == 1


def test_a_lake_that_is_not_there(run, tmp_path: Path) -> None:
    ran = run("cost", "daily", "--no-refresh", "--lake", str(tmp_path / "none"))
    assert ran.code == ExitCode.LAKE
    assert f"there is no lake at {tmp_path}/none" in ran.err


def test_a_folder_that_is_no_lake(run, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("x")
    ran = run("cost", "daily", "--no-refresh", "--lake", str(tmp_path))
    assert ran.code == ExitCode.LAKE


def test_what_is_unforeseen_is_one_line_unless_debug_is_asked(run, lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenlake_cli import lakes

    def fails(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(lakes, "for_report", fails)
    ran = run("cost", "daily")
    assert (ran.code, ran.err) == (
        1,
        "tokenlake: ZeroDivisionError: a bug; run with --debug for the traceback\n",
    )
    ran = run("cost", "daily", "--debug")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Traceback (most recent call last):\n")
    assert ran.err.endswith("\nZeroDivisionError: a bug\ntokenlake: ZeroDivisionError: a bug\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("cost", "daily", "--no-such-option"), ExitCode.USAGE),
        (("synth", "{folder}/made", "--output", "figures.parquet"), ExitCode.USAGE),
        (("ingest", "--root", "{folder}/no-logs", "--lake", "{folder}/new"), ExitCode.SOURCES),
        (("cost", "daily", "--no-refresh", "--lake", "{folder}/no-lake"), ExitCode.LAKE),
    ],
)
def test_debug_shows_the_traceback_and_keeps_the_exit_code(
    arguments: tuple[str, ...], code: ExitCode, run, tmp_path: Path
) -> None:
    given = [argument.format(folder=tmp_path) for argument in arguments]
    ran, traced = run(*given), run(*given, "--debug")
    assert (ran.code, traced.code, traced.out) == (code, code, "")
    assert traced.err.startswith("Traceback (most recent call last):\n")
    assert traced.err.endswith(f"\n{ran.err}")
    assert ran.err.count("\n") == 1


def test_an_interrupt_is_no_traceback(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenlake_cli import lakes

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lakes, "for_report", interrupted)
    ran = run("cost", "daily")
    assert (ran.code, ran.err.strip()) == (130, "tokenlake: interrupted")


def test_a_reader_that_leaves_is_no_error(lake) -> None:
    for form in ("csv", "table"):
        text = "select range as n from range(200000)"
        head = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        done = subprocess.run(
            [*COMMAND, "sql", text, "--format", form, "--no-refresh", "--lake", str(lake.root)],
            stdout=head.stdin,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            check=False,
        )
        assert head.stdin is not None
        assert head.stdout is not None
        head.stdin.close()
        assert head.stdout.read().strip() == b"n"
        head.stdout.close()
        assert head.wait() == 0
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("closed", "query", "code"), [(">&-", "select 1", 0), ("2>&-", "select 1", 0), ("<&-", "-", 2)], ids=str
)
def test_a_closed_stream_is_no_error(lake, closed: str, query: str, code: int) -> None:
    command = shlex.join([*COMMAND, "sql", query, "--no-refresh", "--lake", str(lake.root)])
    done = subprocess.run(
        ["sh", "-c", f"{command} {closed}"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    said = "" if code == 0 else "tokenlake: there is no SQL to run\n"
    assert (done.returncode, done.stderr) == (code, said)


def test_binary_formats_are_not_written_to_a_terminal(report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    ran = report("sql", "select 1", "--format", "parquet")
    assert ran.code == 2
    assert "name a file with --output" in ran.err


def test_binary_formats_go_through_a_pipe(lake, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    with open(tmp_path / "x.parquet", "wb") as file:
        subprocess.run(
            [*COMMAND, "cost", "monthly", "--format", "parquet", "--no-refresh", "--lake", str(lake.root)],
            stdout=file,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            check=True,
        )
    assert pq.read_table(tmp_path / "x.parquet").to_pydict()["requests"] == [6, 1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOKENLAKE_QUERIES", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "top.sql").write_text(
        "-- Largest requests\n-- $n integer: how many\n-- $least number = 0.5: x\n"
        "-- example: tokenlake mine top --n 2\n"
        "select key, $least as least from selected order by context_tokens desc limit $n"
    )
    return tmp_path


def test_a_users_file_becomes_a_command(report, run, folder: Path) -> None:
    assert "mine  " in run("--help").out
    assert "Largest requests" in run("mine", "--help").out
    assert report("mine", "top", "--n", "2", "--format", "csv").out == "key,least\nr5,0.5\nr4,0.5\n"
    assert "Missing option '--n'" in report("mine", "top").err
    assert report("mine", "top", "--n", "two").code == 2


def test_a_users_broken_file_is_refused_and_hurts_no_other(report, run, folder: Path) -> None:
    broken = folder / "mine" / "broken.sql"
    broken.write_text("-- Broken\n-- $n: how many\nselect $n")
    assert "Largest requests" in run("mine", "--help").out
    assert f"{broken}:2:" in " ".join(run("mine", "--help").out.split()).replace("- ", "-")
    assert report("mine", "top", "--n", "1", "--format", "csv").code == 0
    ran = report("mine", "broken")
    assert ran.code == 2
    assert ran.err.startswith(f"tokenlake: {broken}:2: not a parameter")
    listed = run("queries")
    assert listed.code == 0
    assert "mine/top" in listed.out
    assert f"{broken}:2:" in listed.err


def test_a_file_without_a_folder_is_a_command_of_the_top(report, folder: Path) -> None:
    (folder / "one.sql").write_text("-- One\nselect 1 as one")
    assert report("one", "--format", "csv").out == "one\n1\n"


def test_queries_lists_and_shows(run) -> None:
    rows = json.loads(run("queries", "--format", "json").out)
    assert {"cache/overhead", "cost/daily", "lake/rejects"} <= {row["name"] for row in rows}
    shown = run("queries", "cost/daily").out
    assert shown.startswith("-- Cost by day")
    assert "from selected" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run, shell: str) -> None:
    ran = run("completion", shell)
    assert ran.code == 0
    assert "_TOKENLAKE_COMPLETE" in ran.out


def test_completion_knows_queries_and_choices() -> None:
    def completed(words: str) -> str:
        return subprocess.run(
            COMMAND,
            env={
                **ENVIRONMENT,
                "_TOKENLAKE_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split(" ")) - 1),
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert completed("tokenlake ca") == "plain,cache\n"
    assert completed("tokenlake cache overhead --by ve") == "plain,version\n"


def test_version(run) -> None:
    from tokenlake import __version__

    assert run("--version").out == f"tokenlake {__version__}\n"


def test_no_arguments_show_the_help_on_stderr(run) -> None:
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: tokenlake" in ran.err
