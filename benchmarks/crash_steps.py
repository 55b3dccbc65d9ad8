"""Ingests, merges and rebuilds of which one step fails: every step, in every way."""

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.crash_child import DIE, DIED, Order
from benchmarks.crash_lakes import Tables, difference, forget, leftovers, missing, rows_of, state, tables
from benchmarks.crash_places import LostError, Places, ingest, ingest_other, places, undisturbed
from benchmarks.crash_trees import ChangingTree, Sources
from benchmarks.crash_worker import Worker

_UNWRITABLE: Final = 4  # exit code of a LakeError


@dataclass(slots=True)
class Steps:
    """What came of failures at every step: how many steps there are, failures by kind, and how the lake read."""

    steps: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    by_failure: Counter[str] = field(default_factory=Counter)
    by_reading: Counter[str] = field(default_factory=Counter)
    rows_compared: int = 0
    rows_lost: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """A lake that an operation has something to do for, and what it holds before and after it."""

    where: Places
    operation: str
    before: Tables
    after: Tables
    steps: tuple[str, ...]

    def copy(self, lake: Path) -> None:
        """Copy the lake as it is before."""
        shutil.copytree(self.where.lake, lake)

    def order(self, lake: Path, **what: Any) -> Order:
        """The operation on a copy of the lake."""
        return self.where.order(lake, self.operation, **what)

    def reading(self, lake: Path) -> str:
        """Whether a lake reads as before or after. Raises LostError where it is neither."""
        found = tables(lake)
        if difference(found, self.after) is None:
            return "after"
        if wrong := difference(found, self.before):
            raise LostError(f"neither before nor after: {wrong}")
        return "before"


def make_scene(worker: Worker, where: Places, sources: Sources, seed: int, operation: str = "ingest") -> Scene:
    """Fill a lake, then let transcripts grow, shrink, be edited, rewritten and vanish.

    For a merge, another lake is filled too: with another machine's transcripts, and with those as they are now. For a
    rebuild, the lake loses tables, and is to have them again.
    """
    draws = random.Random(seed)
    tree = ChangingTree(where.logs, sources, draws)
    ingest(worker, where, where.lake)
    for change in (tree.rewrite, tree.grow, tree.shrink, tree.edit, tree.vanish, tree.grow):
        change()
    if operation == "merge":
        ChangingTree(where.other_logs, sources, draws)
        ingest_other(worker, where)
        ingest_other(worker, where, own=False)
    elif operation == "rebuild":
        ingest(worker, where, where.lake)
    whole = tables(where.lake)
    if operation == "rebuild":
        forget(where.lake, draws)
    shutil.copytree(where.lake, where.undisturbed)
    outcome = undisturbed(worker, where.order(where.undisturbed, operation, counted=True))
    scene = Scene(where, operation, tables(where.lake), tables(where.undisturbed), outcome.steps)
    if operation == "rebuild" and (wrong := difference(scene.after, whole)):
        raise LostError(f"a rebuilt lake is not what it was: {wrong}")
    if difference(scene.before, scene.after) is None:
        raise LostError(f"nothing to do for {operation}: before and after are alike")
    return scene


def fail_at_step(worker: Worker, scene: Scene, step: int, failure: str, done: Steps) -> None:
    """Let one step of one command fail; then the lake must read as before or after, and a next run end as usual.

    Raises LostError where it does not, where something is left over or the other lake of a merge was touched, and
    where what the failed command said is not true.
    """
    lake = scene.where.folder / "failing"
    other = state(scene.where.other)
    scene.copy(lake)
    try:
        outcome = worker.run(scene.order(lake, fail_step=step, failure=failure))
        reading = scene.reading(lake)
        told = {DIED: {"before", "after"}, _UNWRITABLE: {"before"}, 0: {"after"}}.get(outcome.status, set())
        if failure == DIE and len(outcome.steps) >= step and outcome.status != DIED:
            raise LostError(f"status {outcome.status}: it should have died")
        lines = outcome.said.strip().splitlines()
        if outcome.status == 0:
            lines = [line for line in lines if not line.startswith("tokenlake: warning: ")]
        if reading not in told or "Traceback" in outcome.said or len(lines) > (outcome.status != 0):
            raise LostError(f"status {outcome.status}, the lake reads as {reading}: {outcome.said.strip()}")
        undisturbed(worker, scene.order(lake))
        final = tables(lake)
        done.rows_lost += missing(final, scene.after)
        if wrong := difference(final, scene.after):
            raise LostError(f"after the next run: {wrong}")
        if over := leftovers(lake):
            raise LostError(f"left over: {', '.join(sorted(over))}")
        if state(scene.where.other) != other:
            raise LostError("the other lake was touched")
    except LostError as error:
        name = outcome.steps[step - 1 : step]
        raise LostError(f"{scene.operation}, {failure} at step {step} ({name}): {error}") from None
    finally:
        shutil.rmtree(lake)
    done.kinds.update(name.split(" ", maxsplit=1)[0] for name in outcome.steps[step - 1 : step])
    done.by_failure[failure] += 1
    done.by_reading[reading] += 1
    done.rows_compared += 2 * rows_of(scene.after)


def fail_at_every_step(
    operation: str, seed: int, sources: Sources, every: int = 1, failures: Sequence[str] = (DIE, "ENOSPC", "EIO")
) -> Steps:
    """Let each step of an operation, or `every` so many, fail in each way, one run for each."""
    done = Steps()
    with places() as where, Worker() as worker:
        scene = make_scene(worker, where, sources, seed, operation)
        done.steps = len(scene.steps)
        for number, failure in enumerate(failures):
            for step in range(1 + number * every // len(failures), done.steps + 1, every):
                fail_at_step(worker, scene, step, failure, done)
    return done
