"""`python -m benchmarks crashes`: ingests killed at any moment or failing at any step, and the rows that were lost."""

import argparse
import sys
import time
from typing import Final

from benchmarks.crash_child import STAGES
from benchmarks.crash_kills import Kills, kill_at_random
from benchmarks.crash_places import LostError
from benchmarks.crash_steps import Steps, fail_at_every_step
from benchmarks.crash_trees import made_up_sources
from benchmarks.report import save_content
from tokenlake import __version__

TREE_BYTES: Final = 2_000_000


def run(options: argparse.Namespace) -> int:
    """`python -m benchmarks crashes`: print what came of it and keep the figures; 1 when anything was lost."""
    started = time.monotonic()
    try:
        kills = kill_at_random(options.kills, options.seed, made_up_sources(TREE_BYTES, options.seed), _tell)
        print(_kills_table(kills), flush=True)
        steps = fail_at_every_step(options.seed, made_up_sources(TREE_BYTES // 10, options.seed))
        print(_steps_table(steps))
    except LostError as error:
        print(f"lost: {error}", file=sys.stderr)
        return 1
    versions = {"tokenlake": __version__}
    content = {
        "seed": options.seed,
        "seconds": round(time.monotonic() - started),
        "kills": {
            "survived": kills.count,
            "rows_lost": kills.rows_lost,
            "by_stage": {stage: kills.by_stage[stage] for stage in STAGES},
            "lake_read_as": dict(kills.by_reading),
            "after_changes": dict(kills.by_change),
            "came_after_the_end": kills.came_too_late,
            "ingests": kills.ingests,
            "rows_compared": kills.rows_compared,
            "rows_at_the_end": kills.rows_at_the_end,
        },
        "steps": {
            "steps_of_an_ingest": steps.steps,
            "failures": dict(steps.by_failure),
            "by_call": dict(steps.kinds),
            "lake_read_as": dict(steps.by_reading),
            "rows_lost": steps.rows_lost,
            "rows_compared": steps.rows_compared,
        },
    }
    print(f"written: {save_content(options.results, 'crashes', versions, content, 'crashes')}", file=sys.stderr)
    return 0


def _tell(kills: int) -> None:
    if kills % 50 == 0:
        print(f"{kills:,} kills survived", file=sys.stderr)


def _kills_table(kills: Kills) -> str:
    lines = ["### crashes: SIGKILL at random moments", "", "| stage that was hit | kills |", "|---|---:|"]
    lines += [f"| {stage} | {kills.by_stage[stage]:,} |" for stage in STAGES]
    lines += [f"| all | {kills.count:,} |", ""]
    lines.append(
        f"After them the lake read as before {kills.by_reading['before']:,} times and as after"
        f" {kills.by_reading['after']:,} times;"
        f" {kills.rows_compared:,} rows compared, {kills.rows_lost or 'none'} lost."
    )
    return "\n".join(lines) + "\n"


def _steps_table(steps: Steps) -> str:
    lines = ["### crashes: a failure at every step of an ingest", "", "| failure | ingests |", "|---|---:|"]
    lines += [f"| {failure} | {count:,} |" for failure, count in steps.by_failure.items()]
    lines.append("")
    lines.append(
        f"{steps.steps:,} steps; the lake read as before {steps.by_reading['before']:,} times and as after"
        f" {steps.by_reading['after']:,} times;"
        f" {steps.rows_compared:,} rows compared, {steps.rows_lost or 'none'} lost."
    )
    return "\n".join(lines) + "\n"
