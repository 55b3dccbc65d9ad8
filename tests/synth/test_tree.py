"""The made-up trees: the same every time, counted the same by independent readers, shaped like real ones."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, astuple, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from benchmarks.dollars import dollars

from synth.recount import KINDS, Recount, midnight_days, recount, transcripts
from tokenlake.synth.options import SynthOptions, bytes_from_text
from tokenlake.synth.tree import write_tree
from tokenlake.synth.truth import Truth, load_truth

# Releases 0.2.114 to 1.0.56: the first ones say what each request cost.
LOGGED_COSTS = SynthOptions(
    total_bytes=8_000_000,
    first_day=date(2025, 5, 10),
    months=2,
    fork_share=0.3,
    duplicate_share=0.3,
    disputed_share=0.2,
    damage_share=0.1,
)
# Releases 2.1.14 to 2.1.41, whose parents repeat their subagents' messages in progress lines.
REPEATED_AGENTS = SynthOptions(first_day=date(2026, 1, 22), months=1)


def digest(root: Path) -> str:
    """Hash the names and bytes of all files below a folder."""
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            whole.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
            whole.update(path.read_bytes())
    return whole.hexdigest()


# One whose context window has a million tokens, one with a fast mode of its own price.
WIDE_MODELS = ("claude-opus-4-8[1m]", "claude-opus-4-7", "claude-haiku-4-5-20251001")


def found(truth: Truth) -> Recount:
    """Put a truth in the form of a recount."""
    raw = asdict(truth)
    priced = {}
    for cell in truth.priced:
        counts = dict(zip(("requests", *KINDS), astuple(cell.counts), strict=True))
        factors = (cell.is_fast, cell.is_us, cell.is_batch)
        logged = {"web_searches": cell.web_searches, "cost_logged_nanodollars": cell.cost_logged_nanodollars}
        priced[cell.day, cell.model, *factors, cell.band, cell.is_logged] = {**counts, **logged}
    return Recount(**{**{name: raw[name] for name in Recount._fields}, "priced": priced})


def test_equal_options_give_equal_bytes(tmp_path: Path) -> None:
    options = SynthOptions(
        total_bytes=3_000_000, seed=11, fork_share=0.3, duplicate_share=0.3, disputed_share=0.1, damage_share=0.01
    )
    first = write_tree(options, tmp_path / "a")
    assert write_tree(options, tmp_path / "b") == first
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_another_process_gives_equal_bytes(tmp_path: Path) -> None:
    """Neither the order of sets nor what was made before in this process counts."""
    write_tree(SynthOptions(total_bytes=1_000_000, disputed_share=0.5, damage_share=0.1), tmp_path / "a")
    program = (
        "import sys; from pathlib import Path; from tokenlake.synth.options import SynthOptions;"
        "from tokenlake.synth.tree import write_tree;"
        "write_tree(SynthOptions(total_bytes=1_000_000, disputed_share=0.5, damage_share=0.1), Path(sys.argv[1]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "b")], check=True, env=env)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_another_seed_gives_another_tree(tmp_path: Path) -> None:
    options = SynthOptions(total_bytes=1_000_000)
    write_tree(options, tmp_path / "a")
    write_tree(replace(options, seed=2), tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")


@pytest.mark.parametrize(
    "options",
    [
        replace(LOGGED_COSTS, seed=12),
        SynthOptions(total_bytes=12_000_000, seed=3, fork_share=0.4),
        replace(REPEATED_AGENTS, total_bytes=6_000_000, seed=4, fork_share=0.3),
        SynthOptions(total_bytes=8_000_000, seed=5, fork_share=0.3, damage_share=0.05),
        replace(REPEATED_AGENTS, total_bytes=4_000_000, seed=6, damage_share=0.5),
        SynthOptions(total_bytes=8_000_000, seed=7, fork_share=0.3, duplicate_share=0.4),
        SynthOptions(total_bytes=12_000_000, seed=8, months=6, first_day=date(2026, 3, 1), models=WIDE_MODELS),
        SynthOptions(total_bytes=8_000_000, seed=9, disputed_share=1.0, fork_share=0.3),
        replace(REPEATED_AGENTS, total_bytes=6_000_000, seed=10, disputed_share=0.5, damage_share=0.2),
        SynthOptions(
            total_bytes=16_000_000,
            seed=11,
            months=4,
            first_day=date(2026, 5, 1),
            models=WIDE_MODELS,
            fork_share=0.5,
            duplicate_share=0.5,
            disputed_share=0.5,
            damage_share=0.3,
        ),
    ],
    ids=[
        *("logged-costs", "year", "agent-progress", "damaged", "half-damaged", "duplicates", "long-contexts"),
        *("all-disputed", "disputed-agent-progress", "everything"),
    ],
)
def test_an_independent_count_finds_the_truth(tmp_path: Path, options: SynthOptions) -> None:
    truth = write_tree(options, tmp_path)
    assert recount(tmp_path / "projects") == found(truth)


def test_a_tree_has_the_cases_that_are_hard_to_count(tmp_path: Path) -> None:
    options = replace(REPEATED_AGENTS, total_bytes=20_000_000, seed=8, fork_share=0.5)
    truth = write_tree(options, tmp_path)
    agents = list((tmp_path / "projects").glob("*/*/subagents/agent-*.jsonl"))
    assert truth.forked_sessions > 0
    assert truth.progress_usage_rows > 0
    assert truth.synthetic_rows > 0
    assert 0 < truth.partial_requests <= truth.total.requests
    assert truth.usage_rows > 1.5 * truth.total.requests
    assert truth.total.cache_write_5m_tokens > 0
    assert truth.total.cache_write_1h_tokens > 0
    assert len(agents) + truth.sessions == truth.files
    for agent in agents[:5]:
        record = json.loads(agent.read_bytes().split(b"\n", 1)[0])
        assert record["isSidechain"] is True
        assert record["sessionId"] == agent.parent.parent.name
        assert record["agentId"] == agent.stem.removeprefix("agent-")


def test_ids_are_unique_but_in_copies(tmp_path: Path) -> None:
    truth = write_tree(SynthOptions(total_bytes=4_000_000, seed=10, fork_share=0.0), tmp_path)
    uuids: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    results: Counter[str] = Counter()
    for path in (tmp_path / "projects").rglob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            record = json.loads(line)
            uuids.update([record["uuid"]] if "uuid" in record else [])
            content = record.get("message", {}).get("content")
            for block in content if isinstance(content, list) else []:
                calls.update([block["id"]] if block["type"] == "tool_use" else [])
                results.update([block["tool_use_id"]] if block["type"] == "tool_result" else [])
    assert truth.forked_sessions == 0
    assert max(uuids.values()) == 1
    assert max(calls.values()) == 1
    assert calls == results


def test_a_tree_has_the_size_asked_for(tmp_path: Path) -> None:
    truth = write_tree(SynthOptions(total_bytes=5_000_000, seed=1), tmp_path)
    on_disk = sum(path.stat().st_size for path in transcripts(tmp_path / "projects"))
    assert truth.bytes == on_disk
    assert 5_000_000 <= on_disk < 5_500_000


def test_a_tree_is_never_written_over_another(tmp_path: Path) -> None:
    write_tree(SynthOptions(total_bytes=100_000), tmp_path)
    with pytest.raises(FileExistsError):
        write_tree(SynthOptions(total_bytes=100_000), tmp_path)


def test_a_saved_truth_reads_back(tmp_path: Path) -> None:
    truth = write_tree(SynthOptions(total_bytes=300_000, damage_share=0.1, disputed_share=0.3), tmp_path)
    assert truth.priced
    assert truth.disputed
    truth.save(tmp_path / "truth.json")
    assert load_truth(tmp_path / "truth.json") == truth


@pytest.mark.parametrize(
    ("text", "size"), [("30MB", 30_000_000), ("1.5g", 1_500_000_000), ("2000000", 2_000_000), ("4 kB", 4000)]
)
def test_sizes_are_read_in_decimal_units(text: str, size: int) -> None:
    assert bytes_from_text(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-3MB", "3MiB", "three"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        bytes_from_text(text)


@pytest.mark.parametrize(
    "options",
    [
        *({"total_bytes": 5}, {"months": 0}, {"months": 10**9}, {"projects": 0}, {"fork_share": 1.5}),
        *({"duplicate_share": -0.1}, {"disputed_share": 2}, {"models": ()}, {"models": ('a"b',)}),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        SynthOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("cost_mode", ["auto", "display"])
def test_ccusage_finds_the_logged_costs(tmp_path: Path, cost_mode: str) -> None:
    """Without the disputed shapes, one of which it passes over."""
    truth = write_tree(replace(LOGGED_COSTS, seed=13, disputed_share=0.0, damage_share=0.0), tmp_path)
    report = ccusage_daily(tmp_path, cost_mode)
    assert truth.logged_requests > 100
    assert report["totals"]["totalCost"] == pytest.approx(float(dollars(truth.priced, cost_mode)), rel=1e-9)


def ccusage_daily(root: Path, cost_mode: str) -> Any:
    program = os.environ.get("CCUSAGE_BIN") or shutil.which("ccusage")
    if program is None:
        pytest.skip("no ccusage: set CCUSAGE_BIN or put it on the PATH")
    command = [program, "claude", "daily", "--json", "--offline", "-m", cost_mode, "-z", "UTC"]
    env = {**os.environ, "CLAUDE_CONFIG_DIR": str(root), "TZ": "UTC"}
    return json.loads(subprocess.run(command, env=env, capture_output=True, check=True, timeout=120).stdout)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ccusage_finds_the_truth(tmp_path: Path, seed: int) -> None:
    options = REPEATED_AGENTS if seed == 3 else SynthOptions()
    options = replace(options, total_bytes=30_000_000, seed=seed, fork_share=0.3, duplicate_share=0.2)
    truth = write_tree(options, tmp_path)
    report = ccusage_daily(tmp_path, "calculate")
    total = truth.total
    assert report["totals"]["inputTokens"] == total.input_tokens
    assert report["totals"]["outputTokens"] == total.output_tokens
    assert report["totals"]["cacheReadTokens"] == total.cache_read_tokens
    written = total.cache_write_5m_tokens + total.cache_write_1h_tokens
    assert report["totals"]["cacheCreationTokens"] == written
    assert report["totals"]["totalCost"] == pytest.approx(float(dollars(truth.priced)), rel=1e-9)
    # ccusage dates a request by its last row, the accounting rules by its first.
    undisputed = set(truth.by_day) - midnight_days(tmp_path / "projects")
    by_day = {day["date"]: (day["outputTokens"], day["cacheReadTokens"]) for day in report["daily"]}
    for day in undisputed:
        assert by_day[day] == (truth.by_day[day].output_tokens, truth.by_day[day].cache_read_tokens)
    assert len(undisputed) > 10
    assert set(by_day) == set(truth.by_day)
