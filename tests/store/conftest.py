"""Fixtures for lakes of older schema versions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from accounting.transcripts import assistant, jsonl
from store.older import STORED

from tokenlake.lake import Lake


@pytest.fixture(params=STORED, ids="version-{}".format)
def lake(tmp_path: Path, request: pytest.FixtureRequest) -> Lake:
    """A copy of a stored lake."""
    shutil.copytree(STORED[request.param] / "lake", tmp_path / "lake")
    return Lake(tmp_path / "lake")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """One transcript, of another machine than the stored lake's."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "new.jsonl").write_bytes(jsonl(assistant("msg_new")))
    return folder
