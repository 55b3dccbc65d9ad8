"""`python -m benchmarks crashes`: what writes a lake, killed at any moment or failing at any step; the rows lost."""

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Final

from benchmarks.crash_child import STAGES
from benchmarks.crash_kills import Kills, kill_at_random
from benchmarks.crash_places import OPERATIONS, LostError
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
        sources = made_up_sources(TREE_BYTES // 10, options.seed)
        steps = {}
        for operation in OPERATIONS:
            steps[operation] = fail_at_every_step(operation, options.seed, sources, options.every)
            print(f"steps of {operation} failed as told", file=sys.stderr)
        print(_steps_table(steps, options.every))
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
            "by_operation": {operation: kills.by_operation[operation] for operation in OPERATIONS},
            "by_stage": {stage: kills.by_stage[stage] for stage in STAGES},
            "lake_read_as": dict(kills.by_reading),
            "after_changes": dict(kills.by_change),
            "came_after_the_end": kills.came_too_late,
            "commands": kills.commands,
            "rows_compared": kills.rows_compared,
            "rows_at_the_end": kills.rows_at_the_end,
        },
        "every_nth_step": options.every,
        "steps": {
            operation: {
                "steps": done.steps,
                "failures": dict(done.by_failure),
                "by_call": dict(done.kinds),
                "lake_read_as": dict(done.by_reading),
                "rows_lost": done.rows_lost,
                "rows_compared": done.rows_compared,
            }
            for operation, done in steps.items()
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
    lines.append(", ".join(f"{kills.by_operation[operation]:,} of {operation}" for operation in OPERATIONS) + ".")
    lines.append(
        f"After them the lake read as before {kills.by_reading['before']:,} times and as after"
        f" {kills.by_reading['after']:,} times;"
        f" {kills.rows_compared:,} rows compared, {kills.rows_lost or 'none'} lost."
    )
    return "\n".join(lines) + "\n"


def _steps_table(steps: Mapping[str, Steps], every: int) -> str:
    which = "every step" if every == 1 else f"one step of {every}"
    title = f"### crashes: a failure at {which} of a command"
    lines = [title, "", "| command | steps | failures | read as before | as after | rows lost |", "|---|" + "---:|" * 5]
    for operation, done in steps.items():
        counts = (done.steps, done.by_failure.total(), done.by_reading["before"], done.by_reading["after"])
        lines.append(f"| {operation} | {' | '.join(f'{count:,}' for count in counts)} | {done.rows_lost or 'none'} |")
    compared = sum(done.rows_compared for done in steps.values())
    failures = ", ".join(next(iter(steps.values())).by_failure)
    return (
        "\n".join([*lines, "", f"Such a step fails in each of these ways: {failures}; {compared:,} rows compared."])
        + "\n"
    )
