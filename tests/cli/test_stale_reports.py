"""A report whose transcripts cannot be looked at says so in a line, and answers from the lake."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import S1, assistant, jsonl, usage, user
from tests.cli.conftest import Ran, Run

COST = ("cost", "monthly", "--format", "csv")


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the agent keeps its logs, with one transcript."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    folder = tmp_path / "config" / "projects"
    (folder / "-p").mkdir(parents=True)
    (folder / "-p" / f"{S1}.jsonl").write_bytes(jsonl(user(), assistant("msg_1", usage(5))))
    return folder


@pytest.fixture
def lake(tmp_path: Path) -> list[str]:
    return ["--lake", str(tmp_path / "lake")]


def warned(ran: Ran, *words: str) -> bool:
    """Whether the report is there, and one warning holds the words."""
    assert (ran.code, ran.out.count("\n")) == (0, 2)
    warnings = [line for line in ran.err.splitlines() if line.startswith("tokenlake: warning: ")]
    assert len(warnings) == 1, ran.err
    return all(word in warnings[0] for word in words)


def is_quiet(ran: Ran) -> bool:
    return ran.code == 0 and "warning" not in ran.err


@pytest.mark.parametrize("is_named", [False, True], ids=["by default", "by --root"])
def test_a_folder_that_is_gone(run: Run, projects: Path, lake: list[str], is_named: bool) -> None:
    assert run("ingest", *(["--root", str(projects)] if is_named else []), *lake).code == 0
    assert is_quiet(run(*COST, *lake))
    projects.parent.rename(projects.parent.with_name("config-x"))
    assert warned(run(*COST, *lake), str(projects))
    assert is_quiet(run(*COST, "--no-refresh", *lake))
    assert run("ingest", *lake).code == 3


def test_one_of_two_folders_that_is_gone(run: Run, projects: Path, lake: list[str], tmp_path: Path) -> None:
    shutil.copytree(projects, tmp_path / "backup")
    assert run("ingest", "--root", str(projects), "--root", str(tmp_path / "backup"), *lake).code == 0
    shutil.rmtree(tmp_path / "backup")
    assert warned(run(*COST, *lake), f"{tmp_path}/backup: no longer there")


@pytest.mark.parametrize("is_named", [False, True], ids=["by default", "by --root"])
def test_a_folder_that_may_not_be_read(
    run: Run, projects: Path, lake: list[str], is_named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("ingest", *(["--root", str(projects)] if is_named else []), *lake).code == 0
    allowed = os.access

    def refusing(path: Any, *rest: Any, **more: Any) -> bool:
        return os.fspath(path) != str(projects) and allowed(path, *rest, **more)

    monkeypatch.setattr(os, "access", refusing)
    assert warned(run(*COST, *lake), f"{projects}: no permission to read it", "of the lake as it is")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_whose_parent_may_not_be_entered(run: Run, projects: Path, lake: list[str]) -> None:
    assert run("ingest", *lake).code == 0
    projects.parent.chmod(0)
    try:
        assert warned(run(*COST, *lake), str(projects), "Permission denied")
    finally:
        projects.parent.chmod(0o700)


def test_a_lake_of_other_machines_misses_no_folder_here(run: Run, projects: Path, lake: list[str]) -> None:
    assert run("ingest", "--root", str(projects), "--host", "laptop", *lake).code == 0
    shutil.rmtree(projects.parent)
    assert is_quiet(run(*COST, *lake))


def test_an_ingest_tells_of_a_folder_that_is_gone(run: Run, projects: Path, lake: list[str], tmp_path: Path) -> None:
    shutil.copytree(projects, tmp_path / "backup")
    assert run("ingest", "--root", str(projects), "--root", str(tmp_path / "backup"), *lake).code == 0
    shutil.rmtree(tmp_path / "backup")
    ran = run("ingest", *lake)
    assert (ran.code, ran.err.count("warning")) == (0, 1)
    assert f"{tmp_path}/backup: no longer there; what was read of it before is kept" in ran.err


def test_a_folder_that_only_the_environment_names(
    run: Run, projects: Path, lake: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{projects.parent},{tmp_path / 'nowhere'}")
    ran = run("ingest", *lake)
    assert ran.code == 0
    assert f"{tmp_path}/nowhere/projects: not there, although $CLAUDE_CONFIG_DIR names it" in ran.err
    assert warned(run(*COST, *lake), "nowhere")


def test_an_interrupted_query_is_an_interrupt(
    run: Run, projects: Path, lake: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB may be the one who notices, and says so in its own way."""
    from tokenlake_cli import lakes

    def interrupted(*_: object, **__: object) -> None:
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr(lakes, "for_report", interrupted)
    ran = run(*COST, *lake)
    assert (ran.code, ran.err) == (130, "tokenlake: interrupted\n")
