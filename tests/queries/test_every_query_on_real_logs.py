"""The saved queries over published real transcripts, against totals of an independent program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokenlake.lake import Lake
from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

KINDS = {
    "n": "requests",
    "i": "input_tokens",
    "o": "output_tokens",
    "w5": "cache_write_5m_tokens",
    "w1": "cache_write_1h_tokens",
    "r": "cache_read_tokens",
}


@pytest.fixture(scope="module")
def expected(real_logs: Path) -> dict[str, Any]:
    totals: dict[str, Any] = json.loads((real_logs / "expected.json").read_text())
    return totals


@pytest.fixture(scope="module")
def real_lake(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lake = Lake(tmp_path_factory.mktemp("real") / "lake")
    lake.refresh([real_logs])
    return lake.snapshot()


def by(rows: list[dict[str, Any]], column: str) -> dict[str, dict[str, int]]:
    return {str(row[column]): {short: row[name] for short, name in KINDS.items()} for row in rows}


def kinds(totals: dict[str, Any]) -> dict[str, int]:
    return {short: totals[short] for short in KINDS}


@pytest.mark.parametrize("dedup", ["max", "first", "last", "none"])
def test_every_dedup_mode_has_its_total(real_lake: Snapshot, expected: dict[str, Any], dedup: str) -> None:
    (row,) = run(real_lake, "cache/overhead", {"dedup": dedup}).to_pylist()
    assert by([row], "by")["all"] == kinds(expected[dedup])
    assert round(row["reads_per_io"], 4) == expected[dedup]["read_per_io"]
    assert round(row["cache_token_share"], 6) == expected[dedup]["cache_share"]


def test_ccusage_mode_has_the_tokens_that_ccusage_counts(real_lake: Snapshot, expected: dict[str, Any]) -> None:
    """Its totals equal the default accounting here; `<synthetic>` rows, without tokens, count as requests."""
    (row,) = run(real_lake, "cache/overhead", {"dedup": "ccusage"}).to_pylist()
    theirs = kinds(expected["max"]) | {"n": expected["max"]["n"] + expected["synthetic"]}
    assert by([row], "by")["all"] == theirs


def test_days_and_models(real_lake: Snapshot, expected: dict[str, Any]) -> None:
    days = run(real_lake, "cost/daily", {"tz": "UTC"}).to_pylist()
    assert by(days, "day") == {day: kinds(totals) for day, totals in expected["by_day"].items()}
    models = run(real_lake, "cache/overhead", {"by": "model"}).to_pylist()
    assert by(models, "by") == {model: kinds(totals) for model, totals in expected["by_model"].items()}


@pytest.mark.parametrize("tz", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_days_and_months_add_up_in_any_zone(real_lake: Snapshot, expected: dict[str, Any], tz: str) -> None:
    for name in ("cost/daily", "cost/monthly"):
        for by_model in (False, True):
            rows = run(real_lake, name, {"tz": tz, "by_model": by_model}).to_pylist()
            for short, column in KINDS.items():
                assert sum(row[column] for row in rows) == expected["max"][short]


def test_coverage_counts_the_transcripts(real_lake: Snapshot, expected: dict[str, Any]) -> None:
    (row,) = run(real_lake, "lake/coverage", {"tz": "UTC"}).to_pylist()
    stats = expected["stats"]
    assert (row["files"], row["ingested_bytes"], row["records"]) == (
        stats["files"],
        stats["bytes"],
        stats["records"],
    )
    assert (row["usage_rows"], row["requests"]) == (expected["usage_rows"], expected["max"]["n"])
    assert (row["days"], row["rejects"]) == (len(expected["by_day"]), 0)
    assert len(run(real_lake, "lake/days", {"tz": "UTC"})) == len(expected["by_day"])
