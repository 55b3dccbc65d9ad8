"""Ingests of a changing tree, merges of a changing lake, and rebuilds, that are killed at random moments."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.crash_child import STAGES
from benchmarks.crash_lakes import difference, forget, leftovers, missing, rows_of, state, tables
from benchmarks.crash_places import LostError, Places, ingest, ingest_other, places, undisturbed
from benchmarks.crash_trees import ChangingTree, Sources
from benchmarks.crash_worker import Outcome, Worker

_IN_A_ROW: Final = 4
_OPERATIONS: Final = ("ingest", "ingest", "ingest", "merge", "merge", "rebuild")
_MAY_BE_NEW: Final = {**dict.fromkeys(STAGES, (False,)), STAGES[-2]: (False, True), STAGES[-1]: (True,)}
"""Whether the lake may be the new one after a kill in a stage; of the moment of the commit itself both are true."""


@dataclass(slots=True)
class Kills:
    """What came of killing: kills by stage, operation and how the lake read; the changes they came after."""

    by_stage: Counter[str] = field(default_factory=Counter)
    by_operation: Counter[str] = field(default_factory=Counter)
    by_reading: Counter[str] = field(default_factory=Counter)
    by_change: Counter[str] = field(default_factory=Counter)
    came_too_late: int = 0
    commands: int = 0
    rows_compared: int = 0
    rows_at_the_end: int = 0
    rows_lost: int = 0

    @property
    def count(self) -> int:
        """All kills."""
        return self.by_stage.total()


def kill_at_random(kills: int, seed: int, sources: Sources, tell: Callable[[int], object] = int) -> Kills:
    """Kill that many ingests, merges and rebuilds, each in a stage and at a moment of it that are drawn from `seed`.

    Before each, a tree changes or the lake loses tables. After each, the lake must hold exactly what it held before,
    or what an undisturbed lake holds after; then the same operation is tried again; at the latest the one after four
    kills in a row is left alone, and leaves nothing over. `tell` is told after each kill how many there were.
    Raises LostError where a lake holds anything else, and where the other lake of a merge was touched.
    """
    draws = random.Random(seed)
    done = Kills()
    with places() as where, Worker() as worker:
        trees = Trees(worker, where, sources, draws)
        operation = "ingest"
        lasts = ingest(worker, where, where.undisturbed)
        before, expected = tables(where.lake), tables(where.undisturbed)
        level, in_a_row = False, 0
        while done.count < kills or not level:
            if level:
                operation = draws.choice(_OPERATIONS)
                done.by_change[trees.prepare(operation)] += 1
                before = tables(where.lake)
            elif operation == "ingest" and draws.random() < 0.5:
                # What vanished before it was ever read is in no lake: while the lake lags behind, files grow only.
                done.by_change[trees.own.grow()] += 1
                level = True
            if level:
                lasts = undisturbed(worker, where.order(where.undisturbed, operation))
                done.commands += 1
                expected = tables(where.undisturbed)
            spare = done.count >= kills or in_a_row == _IN_A_ROW
            stage = draws.choice([stage for stage in STAGES if stage in lasts.began_s])
            what: dict[str, Any] = {}
            if not spare:
                what = {"kill_stage": stage, "kill_after_s": draws.random() * _duration(lasts, stage)}
            other = state(where.other)
            outcome = worker.run(where.order(None, operation, **what))
            done.commands += 1
            found = tables(where.lake)
            done.rows_compared += rows_of(found)
            level = difference(found, expected) is None
            done.rows_lost += missing(found, expected if level else before)
            hit = f"{operation}, {outcome.stage} (kill {done.count + 1}, seed {seed})"
            if state(where.other) != other:
                raise LostError(f"{hit}: the other lake was touched")
            if outcome.killed and not outcome.hung:
                in_a_row += 1
                tell(done.count + 1)
                done.by_stage[outcome.stage] += 1
                done.by_operation[operation] += 1
                done.by_reading["after" if level else "before"] += 1
                if not level and (wrong := difference(found, before)):
                    raise LostError(f"killed {hit}: {wrong}")
                if level not in _MAY_BE_NEW[outcome.stage] and difference(before, expected):
                    raise LostError(f"killed {hit}, and the lake is {'not ' * (not level)}the new one")
            else:
                in_a_row = 0
                done.came_too_late += not spare
                if outcome.status or not level:
                    wrong = difference(found, expected)
                    raise LostError(f"{hit}: status {outcome.status}, {outcome.said.strip()}: {wrong}")
                if over := leftovers(where.lake):
                    raise LostError(f"{hit}: left over: {', '.join(sorted(over))}")
            before = found
        done.rows_at_the_end = rows_of(before)
    return done


class Trees:
    """The tree of transcripts, that of another machine, and what happens to them before each operation."""

    def __init__(self, worker: Worker, where: Places, sources: Sources, draws: random.Random) -> None:
        self.worker = worker
        self.where = where
        self.draws = draws
        self.own = ChangingTree(where.logs, sources, draws)
        self.other = ChangingTree(where.other_logs, sources, draws)

    def prepare(self, operation: str) -> str:
        """Give an operation something to do; the name of what happened."""
        if operation == "ingest":
            return self.own.change()
        if operation == "merge":
            own = self.draws.random() < 0.6
            change = (self.other if own else self.own).change()
            ingest_other(self.worker, self.where, own=own)
            return f"{change} in the other lake"
        lost = self.draws.randrange(1 << 32)
        for lake in (self.where.lake, self.where.undisturbed):
            forget(lake, random.Random(lost))
        return "tables lost"


def _duration(outcome: Outcome, stage: str) -> float:
    """How long a stage lasts, going by a command before."""
    began = outcome.began_s.get(stage)
    if began is None:
        return 0.1
    later = [start for start in outcome.began_s.values() if start > began]
    return max(min([*later, outcome.seconds]) - began, 0.002)
