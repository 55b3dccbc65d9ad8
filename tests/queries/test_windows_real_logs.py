"""The queries of windows/ on published real transcripts, and blocks beside what ccusage makes of the same files."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import agent_progress, assistant, jsonl, usage
from hypothesis import given
from hypothesis import strategies as st
from tests.queries.window_folds import HOUR, MINUTE, instant, micros, rolling

from tokenlake.lake import Lake
from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

KINDS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_write_tokens": "cacheCreationInputTokens",
    "cache_read_tokens": "cacheReadInputTokens",
}


@pytest.fixture(scope="module")
def real_lake(real_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lake = Lake(tmp_path_factory.mktemp("real") / "lake")
    lake.refresh([real_logs])
    return lake.snapshot()


@pytest.fixture(scope="module")
def program() -> str:
    found = os.environ.get("CCUSAGE_BIN") or shutil.which("ccusage")
    if not found:
        pytest.skip("ccusage is neither named by CCUSAGE_BIN nor on the PATH")
    return found


def theirs(program: str, root: Path, *options: str) -> list[tuple[Any, ...]]:
    """Limits, last request, tokens by kind and in all, and gap or not, of every block of `ccusage blocks`."""
    command = [program, "claude", "blocks", "--json", "--offline", "-m", "calculate", "-z", "UTC", *options]
    environment = {**os.environ, "CLAUDE_CONFIG_DIR": str(root), "TZ": "UTC"}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    def us(text: str | None) -> int | None:
        return None if text is None else micros(dt.datetime.fromisoformat(text))

    return [
        (
            *map(us, (block["startTime"], block["endTime"], block["actualEndTime"])),
            block["isGap"],
            block["totalTokens"],
            *(block["tokenCounts"][name] for name in KINDS.values()),
        )
        for block in json.loads(output)["blocks"]
    ]


def ours(lake: Snapshot, **params: Any) -> list[tuple[Any, ...]]:
    rows = run(lake, "windows/blocks", {"gaps": True, "tz": "UTC", **params}).to_pylist()
    return [
        (
            *(None if row[name] is None else micros(row[name]) for name in ("start_ts", "end_ts", "last_ts")),
            row["is_gap"],
            row["total_tokens"],
            *(row[name] for name in KINDS),
        )
        for row in rows
    ]


def test_blocks_are_as_many_as_published(real_lake: Snapshot, real_logs: Path) -> None:
    expected = json.loads((real_logs / "expected.json").read_text())
    rows = run(real_lake, "windows/blocks").to_pylist()
    assert len(rows) == expected["blocks"]
    # The five requests known from agent_progress records alone are in no block by default.
    assert sum(row["requests"] for row in rows) == expected["assistant_only_max"]["n"]
    assert sum(row["cache_read_tokens"] for row in rows) == expected["assistant_only_max"]["r"]
    everything = run(real_lake, "windows/blocks", {"origin": "all"}).to_pylist()
    assert sum(row["requests"] for row in everything) == expected["max"]["n"]
    assert sum(row["output_tokens"] for row in everything) == expected["max"]["o"]


@pytest.mark.parametrize("dedup", ["max", "ccusage"])
def test_blocks_equal_ccusage(real_lake: Snapshot, real_logs: Path, program: str, dedup: str) -> None:
    assert ours(real_lake, dedup=dedup) == theirs(program, real_logs)


@pytest.mark.parametrize("hours", [1, 3, 24])
def test_blocks_of_other_lengths_equal_ccusage(real_lake: Snapshot, real_logs: Path, program: str, hours: int) -> None:
    assert ours(real_lake, hours=hours) == theirs(program, real_logs, "-n", str(hours))


def test_dates_choose_the_blocks_that_ccusage_chooses(real_lake: Snapshot, real_logs: Path, program: str) -> None:
    theirs_chosen = theirs(program, real_logs, "-s", "20250720", "-u", "20250722")
    assert ours(real_lake, since="2025-07-20", until="2025-07-22") == theirs_chosen
    assert 0 < len(theirs_chosen) < len(theirs(program, real_logs))


steps = st.one_of(
    st.sampled_from([0, 1000, MINUTE, HOUR, 4 * HOUR, 5 * HOUR - 1000, 5 * HOUR, 5 * HOUR + 1000, 6 * HOUR]),
    st.integers(0, 9 * HOUR // 1000).map(lambda ms: ms * 1000),
)


@st.composite
def transcripts(draw: st.DrawFn) -> bytes:
    """Requests of one to three rows that grow or stay, synthetic messages and agent_progress records, out of order."""
    us = micros(dt.datetime(2026, 3, 30, 20, tzinfo=dt.UTC))
    records = []
    for number in range(draw(st.integers(1, 14))):
        us += draw(steps)
        name, time = f"msg_{number}", f"{instant(us):%Y-%m-%dT%H:%M:%S}.{us // 1000 % 1000:03}Z"
        kind = draw(st.sampled_from(["plain", "plain", "rows", "synthetic", "progress"]))
        tokens = {"fresh": draw(st.integers(0, 9)), "w5": draw(st.integers(0, 99)), "read": draw(st.integers(0, 999))}
        if kind == "synthetic":
            records.append(
                assistant(name, usage(0, fresh=0), time, model="<synthetic>", content=[], stop="stop_sequence")
            )
        elif kind == "progress":
            records.append(agent_progress(name, usage(3, **tokens), time))
        else:
            outputs = sorted(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3 if kind == "rows" else 1)))
            for row, output in enumerate(outputs):
                us += draw(st.sampled_from([0, 1000, 40 * MINUTE])) if row else 0
                time = f"{instant(us):%Y-%m-%dT%H:%M:%S}.{us // 1000 % 1000:03}Z"
                records.append(
                    assistant(name, usage(output, **tokens), time, request_id=f"req_{number}", uuid=f"u{number}-{row}")
                )
    return jsonl(*draw(st.permutations(records)))


@given(data=transcripts())
def test_blocks_of_any_times_equal_ccusage(program: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "logs"
        file = root / "projects" / "-home-ada-harbour" / "5e550000-0001-4000-8000-000000000000.jsonl"
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        lake = Lake(Path(folder) / "lake")
        lake.refresh([root])
        assert ours(lake.snapshot()) == theirs(program, root)


def test_rolling_sums_of_every_request(real_lake: Snapshot) -> None:
    listed = Lake(real_lake.root).sql(
        "select key, epoch_us(ts) as us, context_tokens + output_tokens as tokens from requests order by ts, key"
    )
    keys, entries = zip(*((row["key"], (row["us"], row["tokens"])) for row in listed.to_pylist()), strict=True)
    rows = run(real_lake, "windows/rolling", {"by": "request"}).to_pylist()
    for hours in (5, 168):
        found = {row["by"]: row["peak"] for row in rows if row["window_hours"] == hours}
        assert found == dict(zip(keys, rolling(entries, hours), strict=True))


def test_weeks_and_burn_hold_every_request(real_lake: Snapshot, real_logs: Path) -> None:
    expected = json.loads((real_logs / "expected.json").read_text())["max"]
    total = sum(expected[kind] for kind in ("i", "o", "w5", "w1", "r"))
    for anchor in ("2024-01-01T00:00:00", "2026-03-04T09:00:00+05:45"):
        weeks = run(real_lake, "windows/weeks", {"anchor": anchor}).to_pylist()
        assert (sum(w["requests"] for w in weeks), sum(w["total_tokens"] for w in weeks)) == (expected["n"], total)
    burn = run(real_lake, "windows/burn").to_pylist()
    blocks = run(real_lake, "windows/blocks", {"origin": "all"}).to_pylist()
    shared = ("start_ts", "end_ts", "requests", "total_tokens", "cost", "is_active")
    assert [[row[name] for name in shared] for row in burn] == [[row[name] for name in shared] for row in blocks]


def test_the_limit_that_was_hit(real_lake: Snapshot) -> None:
    """A usage limit at 20:56 of 21 July 2025, to be lifted at 21:00; the load by a plain count."""
    (hit,) = run(real_lake, "windows/limits").to_pylist()
    assert (hit["kind"], hit["reset_from"]) == ("usage", "epoch")
    assert hit["resets_ts"] == dt.datetime(2025, 7, 21, 21, tzinfo=dt.UTC)
    listed = Lake(real_lake.root).sql("select ts, cache_read_tokens from requests").to_pylist()
    for name, hours in (("5h", 5), ("7d", 168)):
        before = [r for r in listed if hit["ts"] - dt.timedelta(hours=hours) < r["ts"] <= hit["ts"]]
        assert hit[f"requests_{name}"] == len(before)
        assert hit[f"cache_read_tokens_{name}"] == sum(r["cache_read_tokens"] for r in before)
