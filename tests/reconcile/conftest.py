"""Fixtures: the true program where it is there, its model where it is not, and reconciliations of trees."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from reconcile import peer

if TYPE_CHECKING:
    from tokenlake.reconcile import Reconciliation

Reconciled = Callable[..., "Reconciliation"]


@pytest.fixture(scope="session")
def program() -> str:
    """The path of ccusage; skips where it is not installed."""
    found = os.environ.get("CCUSAGE_BIN") or shutil.which("ccusage")
    if not found:
        pytest.skip("ccusage is neither named by CCUSAGE_BIN nor on the PATH")
    return found


@pytest.fixture(params=["model", "program"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Whom to ask: None for the model in this folder, where no program is to be found; else the program's path."""
    if request.param == "program":
        return str(request.getfixturevalue("program"))
    without_program(monkeypatch)
    return None


def without_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides a ccusage that may be installed."""
    monkeypatch.delenv("CCUSAGE_BIN", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def reconciled(lake: Any, logs: Path, program: str | None, tz: str = "UTC", **options: Any) -> Reconciliation:
    """The lake against the program's report of `logs`, or against the model's."""
    from tokenlake.reconcile import reconcile

    report = peer.report(logs) if program is None else None
    return reconcile(lake.snapshot(), roots=[logs], tz=tz, ccusage_path=program, report=report, **options)


def amounts(found: Reconciliation) -> dict[str, tuple[int, int]]:
    """Requests and tokens by rule."""
    return {row["rule"]: (row["requests"], row["tokens"]) for row in found.table("rule").to_pylist()}


def write(logs: Path, files: dict[str, bytes]) -> None:
    """Files by their path below projects/."""
    for name, data in files.items():
        path = logs / "projects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
