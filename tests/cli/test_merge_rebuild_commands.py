"""The commands that make one lake of several, and a lake of the lines that it kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from accounting.transcripts import S2, assistant, jsonl, usage

from tokenlake.lake import Lake
from tokenlake.store.catalog import CATALOG_NAME

STORED = Path(__file__).parents[1] / "store" / "lake-v1" / "lake"


@pytest.fixture
def lakes(tmp_path: Path) -> tuple[Path, Path]:
    """The lakes of a laptop and a server that share a request; the laptop's keeps lines."""
    for host, data in {
        "laptop": jsonl(assistant("msg_1", usage(5))),
        "server": jsonl(assistant("msg_1", usage(70), session=S2), assistant("msg_2", session=S2, time="09:05")),
    }.items():
        (tmp_path / f"logs-{host}").mkdir()
        (tmp_path / f"logs-{host}" / "a.jsonl").write_bytes(data)
        Lake(tmp_path / host).refresh([tmp_path / f"logs-{host}"], host=host, keep_raw=host == "laptop")
    return tmp_path / "laptop", tmp_path / "server"


def test_merge_sums_up_what_it_did(run, lakes: tuple[Path, Path]) -> None:
    laptop, server = lakes
    ran = run("merge", str(server), "--lake", str(laptop), "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    (summary,) = json.loads(ran.out)
    assert summary.pop("seconds") > 0
    tokens = {"input_tokens": 4, "output_tokens": 80, "cache_write_5m_tokens": 0, "cache_write_1h_tokens": 0}
    assert summary == {
        "lake": str(laptop),
        "other_lake": str(server),
        "files_other": 1,
        "files_new": 1,
        "files_replaced": 0,
        "files_same": 0,
        "files_older": 0,
        "requests_before": 1,
        "requests_other": 2,
        "requests": 2,
        **tokens,
        "cache_read_tokens": 0,
    }
    (again,) = json.loads(run("merge", str(server), "--lake", str(laptop), "--format", "json").out)
    assert (again["files_new"], again["files_same"], again["requests"]) == (0, 1, 2)


def test_merge_shows_a_table_for_people_and_makes_a_new_lake(run, lakes: tuple[Path, Path], tmp_path: Path) -> None:
    ran = run("merge", str(lakes[1]), "--lake", str(tmp_path / "new"))
    assert ["requests", "2"] in [line.split() for line in ran.out.split("\n")]
    assert ran.err == f"tokenlake: a new lake was made at {tmp_path}/new\n"
    ran = run("cost", "host", "--no-refresh", "--lake", str(tmp_path / "new"), "--format", "csv")
    assert ran.out.split("\n")[1].startswith("server,all,2,")


def test_merge_warns_of_lines_that_it_leaves_behind(run, lakes: tuple[Path, Path]) -> None:
    laptop, server = lakes
    ran = run("merge", str(laptop), "--lake", str(server))
    assert ran.code == 0
    assert ran.err.startswith(f"tokenlake: warning: {laptop} keeps lines as logged, this lake does not")


@pytest.mark.parametrize("case", ["itself", "absent", "no lake", "newer", "older", "damaged"])
def test_merge_refuses_in_one_clear_line(run, lakes: tuple[Path, Path], tmp_path: Path, case: str) -> None:
    laptop, server = lakes
    (tmp_path / "other").mkdir()
    if case == "older":
        shutil.copytree(STORED, tmp_path / "older")
    if case in ("newer", "damaged"):
        text = '{"schema_version": 999}' if case == "newer" else "{"
        (server / CATALOG_NAME).write_text(text)
    other, reason = {
        "itself": (laptop, "is the lake itself"),
        "absent": (tmp_path / "absent", "there is no lake at"),
        "no lake": (tmp_path / "other", "there is no lake at"),
        "newer": (server, "install a newer tokenlake"),
        "older": (tmp_path / "older", "tokenlake ingest --lake"),
        "damaged": (server, "not a readable catalog"),
    }[case]
    ran = run("merge", str(other), "--lake", str(laptop))
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1)
    assert reason in ran.err
    assert str(other) in ran.err


def test_merge_needs_another_lake(run) -> None:
    ran = run("merge")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "OTHER_LAKE" in ran.err


def test_rebuild_sums_up_what_it_did(run, lakes: tuple[Path, Path]) -> None:
    ran = run("rebuild", "--lake", str(lakes[0]), "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    (summary,) = json.loads(ran.out)
    names = ("lake", "files", "files_taken_over", "lines", "records", "rejects", "requests", "output_tokens")
    assert [summary[name] for name in names] == [str(lakes[0]), 1, 0, 1, 1, 0, 1, 5]
    ran = run("rebuild", "--lake", str(lakes[0]))
    assert ["files_taken_over", "0"] in [line.split() for line in ran.out.split("\n")]


def test_rebuild_refuses_what_it_cannot_and_names_it(run, lakes: tuple[Path, Path], tmp_path: Path) -> None:
    server = lakes[1]
    ran = run("rebuild", "--lake", str(server))
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1)
    assert f"{tmp_path}/logs-server/a.jsonl" in ran.err
    assert "--keep-others" in ran.err
    ran = run("rebuild", "--keep-others", "--lake", str(server), "--format", "csv")
    assert ran.code == 0
    assert Lake(server).sql("select count(*)::int as n from requests").to_pylist() == [{"n": 2}]


def test_rebuild_without_a_lake(run, tmp_path: Path) -> None:
    ran = run("rebuild", "--lake", str(tmp_path / "absent"))
    assert (ran.code, ran.err) == (4, f"tokenlake: there is no lake at {tmp_path}/absent: name one with --lake\n")


@pytest.mark.parametrize("command", ["merge", "rebuild"])
def test_help_says_what_it_does_with_an_example(run, command: str) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    assert f"tokenlake {command} " in ran.out.partition("Example:")[2]


def test_a_report_on_an_older_lake_names_the_command_and_a_refresh_migrates_it(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(STORED, tmp_path / "older")
    where = ("--lake", str(tmp_path / "older"))
    ran = run("cost", "monthly", "--no-refresh", *where)
    assert (ran.code, ran.out, ran.err.count("\n")) == (4, "", 1)
    assert f"tokenlake ingest --lake {tmp_path}/older" in ran.err
    # Also where there is nothing to read on this machine.
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "nowhere"))
    ran = run("cost", "monthly", *where, "--format", "csv", "--tz", "UTC")
    assert ran.code == 0
    assert [line.split(",")[:3] for line in ran.out.split()[1:]] == [["2026-05", "all", "11"], ["2026-06", "all", "1"]]
