"""Completion: every shell is offered the commands, the user's own among them, their options and choices."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
COMMAND = [sys.executable, "-c", "from tokenlake_cli.main import main; main()"]

QUERY = """\
-- Largest requests, by size
-- $order text = 'context' {context|output}: what counts
-- $how_many integer = 3: rows
-- $all boolean = false: the small ones too
-- example: tokenlake mine top --how-many 2
select key, $order as "order", $all as "all" from selected order by 1 limit $how_many
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "top.sql").write_text(QUERY)
    (tmp_path / "mine" / "broken.sql").write_text("-- Broken\n-- $n: how many\nselect $n")
    (tmp_path / "mine" / "Bad Name.sql").write_text("-- T\nselect 1")
    return tmp_path


Completed = Callable[[str], dict[str, str | None]]


def bash(out: str) -> dict[str, str | None]:
    """Lines of type and value."""
    return {line.partition(",")[2]: None for line in out.splitlines()}


def zsh(out: str) -> dict[str, str | None]:
    """Three lines a word: type, value, help or an underscore."""
    lines = out.splitlines()
    return {value: None if text == "_" else text for value, text in zip(lines[1::3], lines[2::3], strict=True)}


def fish(out: str) -> dict[str, str | None]:
    """Lines of type and value, and after a tab the help."""
    pairs = [line.partition(",")[2].partition("\t") for line in out.splitlines()]
    return {value: text or None for value, _, text in pairs}


@pytest.fixture(params=["bash", "zsh", "fish"])
def completed(request: pytest.FixtureRequest, folder: Path) -> Completed:
    """What a shell is offered for a line that ends in the word to complete, with descriptions where it has them."""
    shell = request.param
    read = {"bash": bash, "zsh": zsh, "fish": fish}[shell]

    def ask(line: str) -> dict[str, str | None]:
        last = line.rsplit(" ", 1)[-1]
        done = subprocess.run(
            COMMAND,
            env={
                **ENVIRONMENT,
                "TOKENLAKE_QUERIES": str(folder),
                "_TOKENLAKE_COMPLETE": f"{shell}_complete",
                "COMP_WORDS": line,
                "COMP_CWORD": last if shell == "fish" else str(line.count(" ")),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return read(done.stdout)

    return ask


def test_the_users_group_is_offered_beside_the_others(completed: Completed) -> None:
    offered = completed("tokenlake ")
    assert {"mine", "cache", "cost", "sql", "queries", "schema"} <= offered.keys()
    assert completed("tokenlake mi").keys() == {"mine"}


def test_the_users_query_is_offered_with_its_title_and_a_broken_one_does_not_hurt(completed: Completed) -> None:
    offered = completed("tokenlake mine ")
    assert offered.keys() == {"top", "broken", "Bad Name"}
    assert offered["top"] in (None, "Largest requests, by size.", "Largest requests, by size")
    assert completed("tokenlake mine t").keys() == {"top"}


def test_options_of_the_query_and_of_every_report(completed: Completed) -> None:
    offered = completed("tokenlake mine top --")
    assert {"--order", "--how-many", "--all", "--no-all", "--since", "--format", "--help"} <= offered.keys()
    assert offered["--how-many"] in (None, "Rows.", "Rows.  [default: 3]")
    assert completed("tokenlake mine top --ho").keys() == {"--how-many", "--host"}


def test_choices_of_an_option(completed: Completed) -> None:
    assert completed("tokenlake mine top --order ").keys() == {"context", "output"}
    assert completed("tokenlake mine top --order o").keys() == {"output"}
    assert "parquet" in completed("tokenlake mine top --all --format p")


def test_a_broken_query_has_no_options_and_no_noise(completed: Completed) -> None:
    assert completed("tokenlake mine broken --").keys() <= {"--help"}


def test_names_of_queries_and_of_tables(completed: Completed) -> None:
    assert completed("tokenlake queries mine/t").keys() == {"mine/top"}
    assert completed("tokenlake queries --check mine/t").keys() == {"mine/top"}
    assert {"requests", "requests_first"} <= completed("tokenlake schema requ").keys()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_the_users_query_through_the_script(folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "tokenlake"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from tokenlake_cli.main import main; main()" "$@"\n')
    program.chmod(0o755)
    script = """\
eval "$(tokenlake completion bash)"
complete -p tokenlake
COMP_WORDS=(tokenlake mine top --order c); COMP_CWORD=4
_tokenlake_completion tokenlake
echo "${COMPREPLY[@]}"
"""
    done = subprocess.run(
        ["bash", "-c", script],
        env={
            **ENVIRONMENT,
            "TOKENLAKE_QUERIES": str(folder),
            "PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]]),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    registered, replies = done.stdout.splitlines()
    assert registered.endswith("tokenlake")
    assert replies == "context"


def test_fish_keeps_descriptions_beyond_their_first_comma() -> None:
    script = subprocess.run(
        [*COMMAND, "completion", "fish"], env=ENVIRONMENT, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall("string split.*", script) == ['string split --max 1 "," $completion);']


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_accept_the_script(folder: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    source = subprocess.run(
        [*COMMAND, "completion", shell], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    done = subprocess.run([shell, "-n"], input=source.stdout, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
