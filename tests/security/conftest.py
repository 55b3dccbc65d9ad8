"""Fixtures of the security tests: a tiny lake of this test's own, and a way to run a command line in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.conftest import run
from tests.query import lakes as tiny_lakes
from tests.query.conftest import lakes, surroundings

from tokenlake.query import pricing
from tokenlake.query.connect import connect
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

__all__ = ["lake", "lakes", "run", "surroundings"]


@pytest.fixture
def lake(tmp_path: Path) -> Snapshot:
    """A lake that a test may break."""
    return tiny_lakes.publish(tmp_path / "lake", tiny_lakes.TABLES)


@pytest.fixture
def few_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """For SQL as typed, of the views only those that it names are made, which takes a tenth of the time."""

    def quick(snapshot: Snapshot, also_for: str = "", **options: Any) -> duckdb.DuckDBPyConnection:
        reads = f"{also_for} {pricing.READS}" if "price" in also_for or "cost" in also_for else also_for
        return connect(snapshot, **{"only_for": reads, **options})

    monkeypatch.setattr("tokenlake.query.run.connect", quick)
