"""The lake made of published real transcripts, against published totals and against ccusage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from accounting import ccusage
from accounting.lakes import TOKENS, rows, total

if TYPE_CHECKING:
    from tokenlake.lake import Lake

PUBLISHED = {"requests": "n"} | dict(zip(TOKENS, ("i", "o", "w5", "w1", "r"), strict=True))


@pytest.fixture(scope="module")
def lake(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of all real transcripts."""
    from tokenlake.lake import Lake

    made = Lake(tmp_path_factory.mktemp("real") / "lake")
    made.refresh([real_logs], host="h")
    return made


@pytest.fixture(scope="module")
def expected(real_logs: Path) -> dict[str, Any]:
    """The published totals."""
    published: dict[str, Any] = json.loads((real_logs / "expected.json").read_text("utf-8"))
    return published


def ours(row: dict[str, Any]) -> dict[str, int]:
    """Requests and tokens of a result row."""
    return {name: row[name] for name in PUBLISHED}


def theirs(figures: dict[str, Any]) -> dict[str, int]:
    """Published figures under our names."""
    return {name: figures[short] for name, short in PUBLISHED.items()}


def test_totals_and_files_are_the_published_ones(lake: Lake, expected: dict[str, Any]) -> None:
    """To the token, with nothing rejected, pending or odd."""
    assert total(lake) == tuple(theirs(expected["max"]).values())
    files = rows(lake, "files")
    assert len(files) == expected["stats"]["files"]
    assert sum(row["records"] for row in files) == expected["stats"]["records"]
    assert sum(row["usage_rows"] for row in files) == expected["usage_rows"] == len(rows(lake, "usage_rows"))
    assert sum(row["odd_fields"] + row["pending_bytes"] for row in files) == 0
    assert rows(lake, "rejects") == []
    assert len([row for row in rows(lake, "requests") if row["n_sessions"] > 1]) == expected["shared_between_sessions"]


@pytest.mark.parametrize("by", ["day", "model"])
def test_groups_are_the_published_ones(lake: Lake, expected: dict[str, Any], by: str) -> None:
    """By UTC day and by model."""
    found = {row["by"]: ours(row) for row in lake.run("cache/overhead", by=by, tz="UTC").to_pylist()}
    assert found == {group: theirs(figures) for group, figures in expected[f"by_{by}"].items()}


@pytest.mark.parametrize("dedup", ["max", "none", "first", "last"])
def test_every_dedup_mode_gives_its_published_totals(lake: Lake, expected: dict[str, Any], dedup: str) -> None:
    """None is what naive scripts count, first the mistake to avoid."""
    (row,) = lake.run("cache/overhead", dedup=dedup, tz="UTC").to_pylist()
    assert ours(row) == theirs(expected[dedup])


def test_every_request_is_that_of_the_reference(lake: Lake, real_logs: Path) -> None:
    """All fields of rules 8 to 17, request by request."""
    from accounting.reference import count
    from accounting.reference_reading import read_tree

    reference = count(read_tree(real_logs))
    found = {row["key"]: row for row in rows(lake, "requests")}
    assert sorted(found) == sorted(reference.requests)
    wrong = [
        (key, name, found[key][name], value)
        for key, request in reference.requests.items()
        for name, value in request.items()
        if found[key][name] != value
    ]
    assert wrong == []
    assert {row["tool_use_id"] for row in rows(lake, "tool_calls")} == reference.tool_calls


@pytest.mark.parametrize("dedup", ["max", "ccusage"])
def test_days_equal_ccusage(lake: Lake, real_logs: Path, dedup: str) -> None:
    """Day by day and kind by kind, by our rules and by its own."""
    said = ccusage.daily(real_logs)
    found = lake.run("cache/overhead", by="day", tz="UTC", dedup=dedup).to_pylist()
    assert ccusage.as_ccusage(found) == said
