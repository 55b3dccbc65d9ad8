"""Ingests of a changing tree that are killed at random moments."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.crash_child import STAGES
from benchmarks.crash_lakes import difference, missing, rows_of, tables
from benchmarks.crash_places import LostError, ingest, places
from benchmarks.crash_trees import ChangingTree, Sources
from benchmarks.crash_worker import Outcome, Worker

_IN_A_ROW: Final = 4
_MAY_BE_NEW: Final = {**dict.fromkeys(STAGES, (False,)), STAGES[-2]: (False, True), STAGES[-1]: (True,)}
"""Whether the lake may be the new one after a kill in a stage; of the moment of the commit itself both are true."""


@dataclass(slots=True)
class Kills:
    """What came of killing: kills by the stage they hit and by how the lake read; the changes they came after."""

    by_stage: Counter[str] = field(default_factory=Counter)
    by_reading: Counter[str] = field(default_factory=Counter)
    by_change: Counter[str] = field(default_factory=Counter)
    came_too_late: int = 0
    ingests: int = 0
    rows_compared: int = 0
    rows_at_the_end: int = 0
    rows_lost: int = 0

    @property
    def count(self) -> int:
        """All kills."""
        return self.by_stage.total()


def kill_at_random(kills: int, seed: int, sources: Sources, tell: Callable[[int], object] = int) -> Kills:
    """Kill that many ingests of a changing tree, each in a stage and at a moment of it that are drawn from `seed`.

    After each, the lake must hold exactly what it held before, or what an undisturbed lake holds after; then the
    tree changes and the next ingest starts; at the latest the one after four kills in a row is left alone.
    `tell` is told after each kill how many there were. Raises LostError where a lake holds anything else.
    """
    draws = random.Random(seed)
    done = Kills()
    with places() as where, Worker() as worker:
        tree = ChangingTree(where.logs, sources, draws)
        lasts = ingest(worker, where, where.undisturbed)
        before, expected = tables(where.lake), tables(where.undisturbed)
        level, in_a_row = False, 0
        while done.count < kills or not level:
            if level or draws.random() < 0.5:
                # What vanished before it was ever read is in no lake: while the lake lags behind, files grow only.
                done.by_change[tree.change() if level else tree.grow()] += 1
                lasts = ingest(worker, where, where.undisturbed)
                done.ingests += 1
                expected = tables(where.undisturbed)
            spare = done.count >= kills or in_a_row == _IN_A_ROW
            stage = draws.choice(STAGES)
            what: dict[str, Any] = {}
            if not spare:
                what = {"kill_stage": stage, "kill_after_s": draws.random() * _duration(lasts, stage)}
            outcome = worker.run(where.order(**what))
            done.ingests += 1
            found = tables(where.lake)
            done.rows_compared += rows_of(found)
            level = difference(found, expected) is None
            done.rows_lost += missing(found, expected if level else before)
            if outcome.killed and not outcome.hung:
                in_a_row += 1
                tell(done.count + 1)
                done.by_stage[outcome.stage] += 1
                done.by_reading["after" if level else "before"] += 1
                if not level and (wrong := difference(found, before)):
                    raise LostError(f"killed {outcome.stage} (kill {done.count}, seed {seed}): {wrong}")
                if level not in _MAY_BE_NEW[outcome.stage] and difference(before, expected):
                    raise LostError(f"killed {outcome.stage}, and the lake is {'not ' * (not level)}the new one")
            else:
                in_a_row = 0
                done.came_too_late += not spare
                if outcome.status or not level:
                    wrong = difference(found, expected)
                    raise LostError(f"status {outcome.status}, {outcome.said.strip()}; kill {done.count}: {wrong}")
            before = found
        done.rows_at_the_end = rows_of(before)
    return done


def _duration(outcome: Outcome, stage: str) -> float:
    """How long a stage lasts, going by an ingest before."""
    began = outcome.began_s.get(stage)
    if began is None:
        return 0.1
    later = [start for start in outcome.began_s.values() if start > began]
    return max(min([*later, outcome.seconds]) - began, 0.002)
