"""Results on paper: a markdown table on standard output and a JSON file beside the earlier ones."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.corpus import Corpus
from benchmarks.rounds import Outcome, paired_ratio

RESULTS = Path(__file__).parent / "results"


def markdown(title: str, outcomes: Sequence[Outcome], corpus: Corpus | None) -> str:
    """Make a table of medians; ratios are of wall time to the last contender that ran, run by run."""
    lines = [f"### {title}", ""]
    if corpus is not None:
        truth = corpus.truth
        lines += [
            f"{truth.bytes:,} bytes, {truth.files:,} files, {truth.lines:,} lines, "
            f"{truth.total.requests:,} requests (seed {corpus.seed}); medians of "
            f"{max(len(outcome.measurements) for outcome in outcomes)} runs in turn.",
            "",
        ]
    lines += [
        "| command | wall s | CPU s | peak MB | MB/s | wall ratio (min-max) | totals |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    base = _base(outcomes)
    for outcome in outcomes:
        if base is None or outcome.has_failed:
            lines.append(f"| {outcome.name} | | | | | | {outcome.wrong[0].splitlines()[0]} |")
            continue
        middle = outcome.median
        rate = f"{corpus.truth.bytes / 1e6 / middle.wall_s:,.0f}" if corpus is not None else ""
        ratio, least, most = paired_ratio(outcome, base)
        compared = "1" if outcome is base else f"{ratio:.2f} ({least:.2f}-{most:.2f})"
        totals = ("wrong: " + "; ".join(outcome.wrong) if outcome.wrong else "right") if outcome.checked else ""
        lines.append(
            f"| {outcome.name} | {middle.wall_s:.3f} | {middle.cpu_s:.3f} | "
            f"{middle.peak_rss_bytes / 1e6:,.0f} | {rate} | {compared} | {totals} |"
        )
    return "\n".join(lines) + "\n"


def _base(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Give the last contender that ran."""
    return next((outcome for outcome in reversed(outcomes) if not outcome.has_failed), None)


def save(
    folder: Path,
    scenario: str,
    outcomes: Sequence[Outcome],
    corpus: Corpus | None,
    versions: dict[str, str],
) -> Path:
    """Write `<scenario>[-<size>].json` into a folder and give its path."""
    tree: dict[str, Any] | None = None
    name = scenario
    if corpus is not None:
        name += f"-{corpus.total_bytes // 10**6}MB"
        tree = {
            "seed": corpus.seed,
            "bytes": corpus.truth.bytes,
            "files": corpus.truth.files,
            "lines": corpus.truth.lines,
            "requests": corpus.truth.total.requests,
        }
    base = _base(outcomes)
    content = {
        "tree": tree,
        "contenders": [
            {
                "name": outcome.name,
                "median": None if outcome.has_failed else asdict(outcome.median),
                "runs": [asdict(measurement) for measurement in outcome.measurements],
                "wall_ratio_to_last": None
                if base is None or outcome.has_failed
                else dict(zip(("median", "min", "max"), paired_ratio(outcome, base), strict=True)),
                "totals_checked": outcome.checked,
                "totals_wrong": outcome.wrong,
            }
            for outcome in outcomes
        ],
    }
    return save_content(folder, name, versions, content, scenario)


def save_content(
    folder: Path, name: str, versions: dict[str, str], content: dict[str, Any], scenario: str = "queries"
) -> Path:
    """Write results into a folder as `<name>.json`, with the machine and the versions, and give its path."""
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    whole = {"scenario": scenario, "machine": machine, "versions": versions, **content}
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return path
