"""Whole trees: the samples with all their quirks, real transcripts, made-up ones with damage and disputed rows."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, settings
from reconcile import peer
from reconcile.conftest import amounts, reconciled, write

from tokenlake.lake import Lake
from tokenlake.reconcile import totals

if TYPE_CHECKING:
    from tokenlake.reconcile import Reconciliation


@pytest.fixture(scope="module")
def sample_lake(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("samples") / "lake")
    lake.refresh([samples / "logs"], host="h")
    return lake


@pytest.fixture(scope="module")
def disputed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two megabytes with every disputed shape and with damage."""
    from tokenlake.synth.options import SynthOptions
    from tokenlake.synth.tree import write_tree

    models = ("claude-opus-4-6[1m]", "claude-sonnet-4-20250514[1m]", "claude-opus-4-8", "claude-sonnet-5-5")
    out = tmp_path_factory.mktemp("disputed") / "logs"
    options = SynthOptions(
        total_bytes=2_000_000, seed=5, models=models, duplicate_share=0.2, disputed_share=0.5, damage_share=0.03
    )
    write_tree(options, out)
    return out


def is_explained(found: Reconciliation) -> bool:
    with closing(found.connection):
        assert (found.unexplained_tokens, found.unexplained_cost) == (0, 0.0)
        return found.is_explained


# The requests of data-samples that ccusage has not: what they hold is in the answers, worked out by hand.
LEFT_OUT = {
    "left out: NUL bytes": ("msg_01NulBefore", "msg_01NulAfter"),
    "left out: byte order mark": ("msg_01Bom",),
    "left out: control character in a text": ("msg_01Separators",),
    "left out: count is no whole number": ("msg_01OddA", "msg_01OddB"),
    "left out: count written as text": ("chatcmpl-7b1", "msg_01OddC"),
    "left out: invalid UTF-8": ("msg_01BadUtf8",),
    "left out: lone surrogate": ("msg_01Surrogate",),
    "left out: no timestamp": ("msg_01Timeless",),
    "left out: null in speed": ("msg_01Batch",),
    "left out: several records on a line": ("msg_01SplicedA", "msg_01JoinedA", "msg_01JoinedB"),
    'left out: usage not written as "usage":{': ("msg_01Spaced",),
    "not seen: archive": ("msg_01Gzip", "msg_01Zstd"),
}
# Rows as they stand in the files.
OTHERS = {
    "another day": (0, 0),
    "not held: no transcript by its name": (2, 2 * 3_996),
    "row kept: agent_progress": (0, 15),
    "split of cache writes": (0, -1_000_000 - 200),
    "synthetic": (8, 0),
    "twice: another requestId": (1, 1_073),
    "twice: no message id": (1, 534),
    "twice: no requestId": (2, 963 + 1_002),
    "US inference": (0, 0),
    "web searches": (0, 0),
}


@pytest.fixture(scope="module")
def wanted(samples: Path) -> dict[str, tuple[int, int]]:
    """What each rule amounts to on the samples: requests and tokens."""
    quirks = json.loads((samples / "answers.json").read_text("utf-8"))["quirks"].values()
    tokens = {
        row["key"]: sum(count for name, count in row.items() if name.endswith("_tokens"))
        for quirk in quirks
        for row in quirk["request_rows"]
    }
    left_out = {rule: (-len(keys), -sum(tokens[key] for key in keys)) for rule, keys in LEFT_OUT.items()}
    return OTHERS | left_out


def test_the_samples_are_explained(
    sample_lake: Lake, samples: Path, wanted: dict[str, tuple[int, int]], by: str | None
) -> None:
    """Every quirk, with the program and with a report of the model."""
    found = reconciled(sample_lake, samples / "logs", by)
    assert amounts(found) == wanted
    assert is_explained(found)


def test_a_zone_moves_what_lies_at_midnight(
    sample_lake: Lake, samples: Path, wanted: dict[str, tuple[int, int]], program: str
) -> None:
    """In New York the request that straddles midnight UTC is of one day."""
    found = reconciled(sample_lake, samples / "logs", program, "America/New_York")
    assert amounts(found) == {rule: amount for rule, amount in wanted.items() if rule != "another day"}
    assert is_explained(found)


def test_days_are_cut_out_whole(sample_lake: Lake, samples: Path, program: str) -> None:
    """Of the samples' days only those asked for, on both sides and in the rules."""
    first, last = dt.date(2026, 7, 13), dt.date(2026, 7, 20)
    found = reconciled(sample_lake, samples / "logs", program, first_day=first, last_day=last)
    assert {row["day"] for row in found.table("day").to_pylist()} == {first, last}
    assert amounts(found) == {"left out: no timestamp": (-1, -958), "web searches": (0, 0)}
    assert is_explained(found)


def test_days_are_those_of_the_zone(sample_lake: Lake, samples: Path, program: str) -> None:
    found = reconciled(sample_lake, samples / "logs", program, "Asia/Kathmandu")
    ours = sample_lake.run("cache/overhead", by="day", tz="Asia/Kathmandu").to_pylist()
    listed = {str(row["day"]): row["requests"] for row in found.table("day").to_pylist() if row["requests"]}
    assert listed == {row["by"]: row["requests"] for row in ours}
    assert is_explained(found)


def test_totals_are_those_of_the_reports(sample_lake: Lake, samples: Path, program: str) -> None:
    """Ours are what `cost model` says, theirs what the program printed."""
    found = reconciled(sample_lake, samples / "logs", program)
    rows = {row["model"]: row for row in found.table("model").to_pylist()}
    for row in sample_lake.run("cost/model", tz="UTC").to_pylist():
        assert (rows[row["model"]]["requests"], rows[row["model"]]["cost"]) == (row["requests"], row["cost"] or 0)
    said = totals.read(peer.report(samples / "logs"), "model")
    theirs: dict[str | None, int] = defaultdict(int)
    for total in said:
        # Fast mode is told by the name there, and is of the model here.
        theirs[total.model and total.model.removesuffix("-fast")] += sum(counts(total))
    assert {model: row["ccusage_tokens"] for model, row in rows.items() if row["ccusage_tokens"]} == theirs
    assert is_explained(found)


def test_the_real_logs_are_explained(real_logs: Path, program: str, tmp_path: Path) -> None:
    """Only synthetic rows, and the prices of long contexts of Sonnet 4, differ."""
    lake = Lake(tmp_path / "lake")
    lake.refresh([real_logs], host="h")
    found = reconciled(lake, real_logs, program)
    assert set(amounts(found)) == {"synthetic", "long context"}
    assert amounts(found)["synthetic"] == (2, 0)
    assert is_explained(found)


def test_disputed_and_damaged_trees_are_explained(disputed: Path, tmp_path: Path, by: str | None) -> None:
    lake = Lake(tmp_path / "lake")
    lake.refresh([disputed], host="h")
    found = reconciled(lake, disputed, by)
    assert len(amounts(found)) > 10
    assert is_explained(found)


def test_the_model_is_the_program(disputed: Path, samples: Path, program: str) -> None:
    """What machines without the program test against is what it says."""
    from tokenlake.reconcile.program import needed

    for root in (disputed, samples / "logs"):
        true = {(row.day, row.model): row for row in totals.read(needed(program).daily([root], "UTC"), "program")}
        made = {(row.day, row.model): row for row in totals.read(peer.report(root), "model")}
        assert made.keys() == true.keys()
        for key, row in true.items():
            assert made[key].cost == pytest.approx(row.cost, abs=1e-9)
            assert counts(made[key]) == counts(row)


def counts(total: totals.Total) -> tuple[int, ...]:
    return total.input_tokens, total.output_tokens, total.cache_write_tokens, total.cache_read_tokens


def test_trees_of_accidents_are_explained(program: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Forks, copies, subagents, partial rows, odd counts, spliced and cut lines, in any combination."""
    from accounting.trees import trees

    @settings(phases=(Phase.generate,), max_examples=settings.default.max_examples // 2)
    @given(trees())
    def law(tree: dict[str, bytes]) -> None:
        folder = tmp_path_factory.mktemp("tree")
        write(folder / "logs", tree)
        lake = Lake(folder / "lake")
        lake.refresh([folder / "logs"], host="h")
        assert is_explained(reconciled(lake, folder / "logs", program))

    law()
