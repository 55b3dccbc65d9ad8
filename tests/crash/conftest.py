"""What the tests of crashes share: a process that runs ingests and lets them come to harm, and places for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.crash_places import Places
from benchmarks.crash_worker import Worker

if not hasattr(os, "fork"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """The process whose forks run the ingests."""
    with Worker() as started:
        yield started


@pytest.fixture
def where(tmp_path: Path) -> Places:
    """A tree and two lakes that are not there yet."""
    (tmp_path / "logs").mkdir()
    return Places(tmp_path)
