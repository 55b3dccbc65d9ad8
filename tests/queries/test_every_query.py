"""What holds for every saved query: it loads, it is worded for people, and it runs in every dedup mode."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tokenlake.query import saved
from tokenlake.query.run import run
from tokenlake.query.views import DEDUP
from tokenlake.store.catalog import Snapshot

NAMES = tuple(
    path.relative_to(saved.shipped_folder()).with_suffix("").as_posix()
    for path in sorted(saved.shipped_folder().rglob("*.sql"))
    if path.parent.name not in saved.NOT_SAVED
)

DOLLARS = re.compile(r"(^|_)(costs?|saved|dollars|price)(_|$)")
"""Names of columns that hold dollars, which are exact decimals (accounting rule 23)."""


def test_the_shipped_queries_are_found() -> None:
    shipped = {"cache/overhead", "cost/daily", "cost/monthly", "lake/coverage", "lake/days", "lake/rejects"}
    assert shipped <= set(NAMES)
    assert saved.load_all().errors == ()


@pytest.mark.parametrize("name", NAMES)
def test_it_has_help_and_an_example_that_is_its_own(name: str) -> None:
    query = saved.load(name)
    assert query.help
    assert len(query.title) <= 80
    for example in query.examples:
        assert shlex.split(example)[: name.count("/") + 2] == ["tokenlake", *name.split("/")]
    assert query.examples


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dedup", DEDUP)
def test_it_runs_in_every_dedup_mode(lake: Snapshot, name: str, dedup: str) -> None:
    columns = run(lake, name, {"dedup": dedup}).columns
    assert len(set(columns)) == len(columns) > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_on_an_empty_lake(name: str, tmp_path: Path) -> None:
    assert len(run(Snapshot(tmp_path), name)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_its_numbers_are_bigints_and_doubles_and_its_dollars_decimals(lake: Snapshot, name: str) -> None:
    """A hugeint would reach Arrow, and other engines, as something else than on this one."""
    result = run(lake, name)
    allowed = {"BIGINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP WITH TIME ZONE", "BOOLEAN"}
    for column, kind in zip(result.columns, map(str, result.types), strict=True):
        assert kind in allowed or (kind.startswith("DECIMAL") and DOLLARS.search(column)), (column, kind)
