"""Ingests of which one step fails: every step, in every way."""

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.crash_child import DIE, DIED
from benchmarks.crash_lakes import Tables, difference, missing, rows_of, tables
from benchmarks.crash_places import LostError, Places, ingest, places
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
    """A tree that changed since its lake was filled, and what the lake holds before and after the next ingest."""

    where: Places
    before: Tables
    after: Tables
    steps: tuple[str, ...]

    def copy(self, lake: Path) -> None:
        """Copy the lake as it is before."""
        shutil.copytree(self.where.lake, lake)

    def reading(self, lake: Path) -> str:
        """Whether a lake reads as before or after. Raises LostError where it is neither."""
        found = tables(lake)
        if difference(found, self.after) is None:
            return "after"
        if wrong := difference(found, self.before):
            raise LostError(f"neither before nor after: {wrong}")
        return "before"


def make_scene(worker: Worker, where: Places, sources: Sources, seed: int) -> Scene:
    """Fill a lake, then let transcripts grow, shrink, be edited, rewritten and vanish."""
    tree = ChangingTree(where.logs, sources, random.Random(seed))
    ingest(worker, where, where.lake)
    for change in (tree.rewrite, tree.grow, tree.shrink, tree.edit, tree.vanish, tree.grow):
        change()
    shutil.copytree(where.lake, where.undisturbed)
    outcome = worker.run(where.order(where.undisturbed, counted=True))
    if outcome.status:
        raise LostError(f"an undisturbed ingest ended with status {outcome.status}: {outcome.said.strip()}")
    return Scene(where, tables(where.lake), tables(where.undisturbed), outcome.steps)


def fail_at_step(worker: Worker, scene: Scene, step: int, failure: str, done: Steps) -> None:
    """Let one step of one ingest fail; then the lake must read as before or after, and a next ingest end as usual.

    Raises LostError where it does not, or where what the failed ingest said is not true.
    """
    lake = scene.where.folder / "failing"
    scene.copy(lake)
    try:
        outcome = worker.run(scene.where.order(lake, fail_step=step, failure=failure))
        reading = scene.reading(lake)
        told = {DIED: {"before", "after"}, _UNWRITABLE: {"before"}, 0: {"after"}}.get(outcome.status, set())
        if failure == DIE and len(outcome.steps) >= step and outcome.status != DIED:
            raise LostError(f"status {outcome.status}: it should have died")
        if reading not in told or "Traceback" in outcome.said or outcome.said.strip().count("\n"):
            raise LostError(f"status {outcome.status}, the lake reads as {reading}: {outcome.said.strip()}")
        ingest(worker, scene.where, lake)
        final = tables(lake)
        done.rows_lost += missing(final, scene.after)
        if wrong := difference(final, scene.after):
            raise LostError(f"after the next ingest: {wrong}")
    except LostError as error:
        raise LostError(f"{failure} at step {step} ({outcome.steps[step - 1 : step]}): {error}") from None
    finally:
        shutil.rmtree(lake)
    done.kinds[outcome.steps[step - 1].split(" ", maxsplit=1)[0]] += step <= len(outcome.steps)
    done.by_failure[failure] += 1
    done.by_reading[reading] += 1
    done.rows_compared += 2 * rows_of(scene.after)


def fail_at_every_step(seed: int, sources: Sources, failures: Sequence[str] = (DIE, "ENOSPC", "EIO")) -> Steps:
    """Let each step of an ingest fail in each way, one ingest for each."""
    done = Steps()
    with places() as where, Worker() as worker:
        scene = make_scene(worker, where, sources, seed)
        done.steps = len(scene.steps)
        for failure in failures:
            for step in range(1, done.steps + 1):
                fail_at_step(worker, scene, step, failure, done)
    return done
