"""No rows: what the reader is told is what was in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from accounting.transcripts import S1, assistant, jsonl, usage, user
from tests.cli.conftest import Run

FIRST = "no rows under "


@pytest.fixture
def on(run: Run, tmp_path: Path) -> list[str]:
    """Two requests of one session on 2026-03-01, without samples of a quota."""
    folder = tmp_path / "logs" / "-p"
    folder.mkdir(parents=True)
    data = jsonl(user(), assistant("msg_1", usage(5)), assistant("msg_2", usage(7), "09:02"))
    (folder / f"{S1}.jsonl").write_bytes(data)
    lake = ["--lake", str(tmp_path / "lake")]
    assert run("ingest", "--root", str(folder.parent), "--host", "ship", *lake).code == 0
    return [*lake, "--no-refresh", "--tz", "UTC", "--format", "csv"]


def said(run: Run, *arguments: str) -> str:
    ran = run(*arguments)
    assert (ran.code, ran.out.count("\n")) == (0, 1)
    return ran.err.splitlines()[-1]


def test_a_filter_that_nothing_meets_is_named_with_what_there_is(run: Run, on: list[str]) -> None:
    cost = ("cost", "daily", *on)
    assert said(run, *cost, "--host", "shop") == f"{FIRST}--host shop: no request has such a host; the lake has ship"
    (model,) = run("sql", "select distinct model from requests", *on).out.split()[1:]
    end = f"no request has such a model; the lake has {model}"
    assert said(run, *cost, "--model", "gpt-5") == f"{FIRST}--model gpt-5: {end}"
    both = said(run, *cost, "--model", "gpt-5", "--session", "zzz")
    assert both == f"{FIRST}--model gpt-5, --session zzz: {end}; no request has such a session; the lake has {S1}"


def test_else_it_is_the_days(run: Run, on: list[str]) -> None:
    told = said(run, "cost", "daily", "--host", "ship", "--since", "2027-01-01", *on)
    (day,) = run("sql", "select distinct strftime(ts, '%Y-%m-%d') as day from requests", *on).out.split()[1:]
    held = f"the lake holds requests from {day} to {day}, time zone UTC"
    assert told == f"{FIRST}--since 2027-01-01, --host ship: {held}"


def test_an_empty_table_is_named(run: Run, on: list[str]) -> None:
    assert said(run, "windows", "burn-variance", *on).endswith(", and nothing in the table quota_samples")


@pytest.mark.parametrize("command", [["cost", "daily"], ["sql", "from selected"]], ids=lambda words: words[0])
def test_a_span_that_ends_before_it_begins_is_refused(run: Run, on: list[str], command: list[str]) -> None:
    ran = run(*command, *on, "--since", "2026-05-01", "--until", "2026-04-01")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("tokenlake: until: 2026-04-01 ends before since, 2026-05-01, begins")
    assert run(*command, *on, "--since", "2026-05-01", "--until", "2026-05-01").code == 0


def test_today_and_yesterday_are_days(run: Run, on: list[str]) -> None:
    (day,) = run("sql", "select distinct strftime(ts, '%Y-%m-%d') as day from requests", *on).out.split()[1:]
    at = ("cost", "daily", *on, "--now", f"{day}T23:00:00Z")
    assert run(*at, "--since", "today", "--until", "Today").out.splitlines()[1].startswith(f"{day},all,2,")
    assert run(*at, "--until", "yesterday").out.count("\n") == 1
    assert run(*at, "--since", "yesterday").out.count("\n") == 2


def test_requests_without_a_time_are_still_requests(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "-p"
    folder.mkdir(parents=True)
    (folder / f"{S1}.jsonl").write_bytes(jsonl(assistant("msg_1", usage(5), None)))
    lake = ["--lake", str(tmp_path / "lake")]
    assert run("ingest", "--root", str(folder.parent), *lake).code == 0
    told = said(run, "cost", "daily", *lake, "--no-refresh", "--format", "csv", "--since", "2026-05-01")
    assert told == f"{FIRST}--since 2026-05-01: none of the lake's requests, 1, has a time"
