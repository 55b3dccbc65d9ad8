"""Fixtures of the read wing: a tiny lake, the module that makes such lakes, and surroundings of no one's."""

from __future__ import annotations

from types import ModuleType

import pytest
from tests.query import lakes as tiny_lakes

from tokenlake.store.catalog import Snapshot


@pytest.fixture(scope="session")
def lakes() -> ModuleType:
    return tiny_lakes


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return tiny_lakes.publish(tmp_path_factory.mktemp("tiny") / "lake", tiny_lakes.TABLES)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither the zone, the queries nor the lake of whoever runs the tests."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TOKENLAKE_QUERIES", str(tmp_path_factory.mktemp("none") / "queries"))
    monkeypatch.setenv("TOKENLAKE_HOME", str(tmp_path_factory.mktemp("none") / "lake"))
