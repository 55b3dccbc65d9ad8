"""cost/project, session, model, version and host; the dollars of each request are worked out in test_cost.py."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

OPUS = "claude-opus-4-5-20251101"
SONNET = "claude-sonnet-4-5-20250929"
MICRO = {"r1": 8550, "r2": 4150, "r3": 4810, "r4": 2565, "r5": 2010, "r6": 3135, "r7": 0}
GROUPS = {
    "cost/project": "project",
    "cost/session": "session_id",
    "cost/model": "model",
    "cost/version": "version",
    "cost/host": "host",
}


def rows(lake: Snapshot, name: str, **params: Any) -> list[dict[str, Any]]:
    return run(lake, name, params).to_pylist()


def dollars(*keys: str) -> Decimal:
    return Decimal(sum(MICRO[key] for key in keys)) / 10**6


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "cost/project",
            [
                ("/home/ada/alpha", 4, 5600, dollars("r1", "r2", "r3", "r4")),
                ("/home/ada/Beta", 2, 2400, dollars("r5", "r6")),
                ("(none)", 1, 0, dollars("r7")),
            ],
        ),
        (
            "cost/session",
            [("s1", 4, 5600, dollars("r1", "r2", "r3", "r4")), ("s2", 3, 2400, dollars("r5", "r6", "r7"))],
        ),
        (
            "cost/model",
            [(OPUS, 4, 5600, dollars("r1", "r2", "r3", "r4")), (SONNET, 3, 2400, dollars("r5", "r6", "r7"))],
        ),
        (
            "cost/version",
            [("2.1.119", 4, 5600, dollars("r1", "r2", "r3", "r4")), ("2.1.39", 3, 2400, dollars("r5", "r6", "r7"))],
        ),
        (
            "cost/host",
            [("laptop", 4, 5600, dollars("r1", "r2", "r3", "r4")), ("server", 3, 2400, dollars("r5", "r6", "r7"))],
        ),
    ],
)
def test_groups_the_dearest_first(lake: Snapshot, name: str, expected: list[tuple[Any, ...]]) -> None:
    found = rows(lake, name)
    assert [(row[GROUPS[name]], row["requests"], row["total_tokens"], row["cost"]) for row in found] == expected


def test_every_kind_of_token_and_cost(lake: Snapshot) -> None:
    row = rows(lake, "cost/host")[1]
    assert row == {
        "host": "server",
        "model": "all",
        "requests": 3,
        "input_tokens": 20,
        "output_tokens": 180,
        "cache_write_5m_tokens": 500,
        "cache_write_1h_tokens": 0,
        "cache_read_tokens": 1700,
        "total_tokens": 2400,
        "cost_input": Decimal("0.00006"),
        "cost_output": Decimal("0.0027"),
        "cost_cache_write": Decimal("0.001875"),
        "cost_cache_read": Decimal("0.00051"),
        "cost_web_search": 0,
        "cost_api": Decimal("0.00276"),
        "cost": Decimal("0.005145"),
        "unpriced_requests": 0,
        "unpriced_tokens": 0,
        "partial_output_share": 1 / 3,
    }


def test_a_session_shows_what_it_was(lakes: Any, tmp_path: Any) -> None:
    """Title and project are those of the session, the times those of the requests that are counted."""
    requests = [
        lakes.request("a", "2026-03-01T10:00:00", (100, 0, 0, 0, 0), project="/home/ada/alpha/sub"),
        lakes.request("b", "2026-03-01T11:00:00", (0, 100, 0, 0, 0), model=SONNET),
        lakes.request("c", "2026-03-01T12:00:00", (0, 1, 0, 0, 0), model=SONNET),
        lakes.request("d", "2026-03-01T13:00:00", (1, 0, 0, 0, 0), session_id="s9", project="/home/ada/Beta"),
    ]
    sessions = [{"session_id": "s1", "title": "Mend the parser", "project": "/home/ada/alpha"}]
    lake = lakes.publish(tmp_path / "lake", {"requests": requests, "sessions": sessions})
    names = ("session_id", "title", "project", "models", "first_ts", "last_ts", "requests")
    found = [tuple(row[name] for name in names) for row in rows(lake, "cost/session")]
    at = {hour: dt.datetime(2026, 3, 1, hour, tzinfo=dt.UTC) for hour in (10, 11, 12, 13)}
    assert found == [
        ("s1", "Mend the parser", "/home/ada/alpha", f"{OPUS}, {SONNET}", at[10], at[12], 3),
        ("s9", None, "/home/ada/Beta", OPUS, at[13], at[13], 1),
    ]
    found = [tuple(row[name] for name in names) for row in rows(lake, "cost/session", by_model=True, session="s1")]
    # 101 output tokens of Sonnet at 15 a million are dearer than 100 input tokens of Opus at 5.
    assert found == [
        ("s1", "Mend the parser", "/home/ada/alpha", SONNET, at[11], at[12], 2),
        ("s1", "Mend the parser", "/home/ada/alpha", OPUS, at[10], at[10], 1),
    ]


def test_a_model_shows_whose_price_it_has(lakes: Any, tmp_path: Any) -> None:
    models = (OPUS, "us.anthropic.claude-opus-4-5-20251101-v1:0", "in-house-7b")
    requests = [lakes.request(model, "2026-03-01T10:00:00", (100, 0, 0, 0, 0), model=model) for model in models]
    found = rows(lakes.publish(tmp_path / "lake", {"requests": requests}), "cost/model")
    assert [(row["model"], row["price_model"], row["cost"], row["unpriced_tokens"]) for row in found] == [
        (OPUS, "claude-opus-4-5", Decimal("0.0005"), 0),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5", Decimal("0.0005"), 0),
        ("in-house-7b", None, None, 100),
    ]


@pytest.mark.parametrize("name", [name for name in GROUPS if name != "cost/model"])
def test_by_model_splits_every_group(lake: Snapshot, name: str) -> None:
    whole = rows(lake, name)
    split = rows(lake, name, by_model=True)
    assert {row.get("models", row.get("model")) for row in split} == {OPUS, SONNET}
    for row in whole:
        parts = [part for part in split if part[GROUPS[name]] == row[GROUPS[name]]]
        for column in ("requests", "total_tokens", "cost", "cost_api", "unpriced_tokens"):
            assert sum(part[column] for part in parts) == row[column]


@pytest.mark.parametrize("name", GROUPS)
def test_groups_add_up_to_the_total(lake: Snapshot, name: str) -> None:
    found = rows(lake, name)
    assert sum(row["requests"] for row in found) == 7
    assert sum(row["total_tokens"] for row in found) == 8000
    assert sum(row["cost"] for row in found) == dollars(*MICRO)
