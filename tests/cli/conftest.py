"""Fixtures of the command line: a tiny lake, and a way to run a command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from tests.query.conftest import lake, lakes, surroundings

from tokenlake.store.catalog import Snapshot

__all__ = ["lake", "lakes", "report", "run", "surroundings"]


class Ran(NamedTuple):
    """What a command line did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `tokenlake ARGUMENTS` in this process."""

    def call(*arguments: str) -> Ran:
        from tokenlake_cli import main

        code = int(main.run(list(arguments)))
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def report(run: Run, lake: Snapshot) -> Run:
    """Runs a report over the tiny lake as it is."""
    return lambda *arguments: run(*arguments, "--no-refresh", "--lake", str(lake.root))
