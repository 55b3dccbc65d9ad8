"""--output never overwrites what the lake is made of, whichever command writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Run

LOGS = Path(__file__).parents[2] / "data-samples" / "logs" / "projects" / "-home-ada-bom"


@pytest.mark.parametrize(
    "command",
    [
        ["sql", "--no-refresh", "select 1 as n"],
        ["cost", "daily", "--no-refresh"],
        ["prices"],
        ["doctor", "--quick"],
        ["reconcile", "--no-refresh"],
        ["reproduce", "--own", "--no-refresh", "R9"],
    ],
    ids=lambda command: command[0],
)
def test_an_output_among_the_files_of_the_lake_is_refused(run: Run, command: list[str], tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert run("ingest", "--root", str(LOGS), "--lake", str(lake)).code == 0
    catalog = lake / "tokenlake.json"
    before = catalog.read_bytes()
    for place in (catalog, lake / "new.csv", lake / "requests" / ".." / "tokenlake.json"):
        ran = run(*command, "--lake", str(lake), "--output", str(place))
        assert (ran.code, ran.out) == (2, "")
        assert "is in the folder of the lake" in ran.err
    assert catalog.read_bytes() == before
    assert not (lake / "new.csv").exists()
