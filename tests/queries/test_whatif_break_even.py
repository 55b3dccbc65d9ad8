"""whatif/break-even against the formula, worked out by hand, and against the replay of such a log."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

SIZES = {"prefix_tokens": 20_000, "head_tokens": 4_000}


def answer(lake: Snapshot, **params: Any) -> dict[tuple[str, str], dict[str, Any]]:
    rows = run(lake, "whatif/break-even", params).to_pylist()
    return {(row["model"], row["lifetime"]): row for row in rows}


@pytest.fixture
def two_models(lakes: Any, tmp_path: Path) -> Snapshot:
    """A main thread on Opus 4.5, contexts 20, 60, 80, 100 and 10 thousand with pauses between, and a foreign model."""
    minutes = ("09:00", "09:01", "09:07", "10:10", "11:30")
    contexts = (20_000, 60_000, 80_000, 100_000, 10_000)
    rows = [
        lakes.request(f"o{n}", f"2026-03-01T{at}:00", (0, 0, context, 0, 0))
        for n, (at, context) in enumerate(zip(minutes, contexts, strict=True))
    ]
    rows += [
        lakes.request("a1", "2026-03-01T09:00:00", (0, 0, 1, 0, 0), is_sidechain=True, agent_id="a1"),
        lakes.request("a2", "2026-03-01T12:00:00", (0, 0, 90_000, 0, 0), is_sidechain=True, agent_id="a1"),
        lakes.request("x1", "2026-03-01T09:00:00", (0, 0, 1, 0, 0), session_id="s9", model="somebody-elses-model"),
    ]
    lake: Snapshot = lakes.publish(tmp_path / "lake", {"requests": rows})
    return lake


OPUS = "claude-opus-4-5-20251101"


def test_the_formula_with_the_prices_of_the_model(two_models: Snapshot) -> None:
    """12.5 x 24,000 / 48,000 = 6.25 requests for five minutes, 20 x 24,000 / 48,000 = 10 for an hour."""
    rows = answer(two_models, **SIZES, stale_tokens=48_000)
    assert rows[OPUS, "5m"] == {
        "model": OPUS,
        "lifetime": "5m",
        "requests": 7,
        "write_price": Decimal("6.25"),
        "read_price": Decimal("0.5"),
        "write_per_read": 12.5,
        "prefix_tokens": 20_000,
        "head_tokens": 4_000,
        "stale_tokens": 48_000,
        "break_even_requests": 6.25,
        "net_break_even_requests": 5.75,
        # After 6, 63 and 80 minutes; what came before held 60, 80 and 100 thousand tokens.
        "expiries": 3,
        "fresh_cheaper_expiries": 3,
    }
    hour = rows[OPUS, "1h"]
    assert (hour["write_price"], hour["write_per_read"], hour["break_even_requests"]) == (10, 20, 10)
    assert (hour["net_break_even_requests"], hour["expiries"]) == (9.5, 2)


def test_after_expiry_a_fresh_start_is_cheaper_than_a_larger_context(two_models: Snapshot) -> None:
    rows = answer(two_models, prefix_tokens=80_000, head_tokens=0)
    assert (rows[OPUS, "5m"]["expiries"], rows[OPUS, "5m"]["fresh_cheaper_expiries"]) == (3, 1)


def test_a_model_without_a_price_has_no_break_even(two_models: Snapshot) -> None:
    row = answer(two_models, **SIZES, stale_tokens=48_000)["somebody-elses-model", "5m"]
    assert row["requests"] == 1
    assert [row[name] for name in ("write_price", "read_price", "write_per_read", "break_even_requests")] == [None] * 4


def test_sizes_are_medians_of_the_log(two_models: Snapshot) -> None:
    """First contexts 20,000 and 1, later writes 250,000; half of the six main contexts are below 40,000."""
    row = answer(two_models)[OPUS, "5m"]
    assert (row["prefix_tokens"], row["head_tokens"], row["stale_tokens"]) == (10_001, 250_000, 0)
    assert row["break_even_requests"] is None
    row = answer(two_models, prefix_tokens=10_000, head_tokens=0)[OPUS, "5m"]
    assert row["stale_tokens"] == 30_000


def test_the_prices_are_those_of_the_latest_request(lakes: Any, tmp_path: Path) -> None:
    """Batches are half the price, and were last used before."""
    rows = [
        lakes.request("r1", "2026-03-01T09:00:00", (0, 0, 1, 0, 0), service_tier="batch"),
        lakes.request("r2", "2026-03-01T09:01:00", (0, 0, 1, 0, 0), service_tier="standard"),
    ]
    row = answer(lakes.publish(tmp_path / "lake", {"requests": rows}))[OPUS, "5m"]
    assert row["read_price"] == Decimal("0.5")


@pytest.mark.parametrize("stale", [30_000, 48_000, 100_000])
def test_clearing_in_a_replay_pays_from_the_net_break_even_on(stale: int, lakes: Any, tmp_path: Path) -> None:
    """S + H = 24,000 and the stale tokens lie in the cache; one clearing, then requests that only read."""
    net = answer_of_formula(lakes, tmp_path, stale)
    context = 24_000 + stale
    for n in (math.floor(net), math.ceil(net)):
        rows = [lakes.request("r000", "2026-03-01T09:00:00", (0, 0, context, 0, 0))]
        rows += [lakes.request(f"r{m:03}", "2026-03-01T09:00:01", (0, 0, 0, 0, context)) for m in range(1, n + 1)]
        # The first request after the start is the one that clears; the start itself is not the thread's choice.
        lake = lakes.publish(tmp_path / f"lake-{n}", {"requests": rows})
        replay = {row["scenario"]: row for row in run(lake, "whatif/replay", {**SIZES, "cap": context - 1}).to_pylist()}
        capped = replay["context-cap"]
        assert capped["fresh_sessions"] == 1
        assert (capped["cost_difference"] < 0) == (n > net)


def answer_of_formula(lakes: Any, folder: Path, stale: int) -> float:
    rows = [lakes.request("r1", "2026-03-01T09:00:00", (0, 0, 1, 0, 0))]
    row = answer(lakes.publish(folder / "lake", {"requests": rows}), **SIZES, stale_tokens=stale)[OPUS, "5m"]
    assert row["net_break_even_requests"] == pytest.approx(11.5 * 24_000 / stale)
    return float(row["net_break_even_requests"])
