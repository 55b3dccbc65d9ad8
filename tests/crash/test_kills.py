"""What writes a lake killed at random moments, over trees that go on changing: nothing is lost or left over."""

from __future__ import annotations

import pytest
from benchmarks.crash_child import STAGES
from benchmarks.crash_kills import kill_at_random
from benchmarks.crash_lakes import leftovers
from benchmarks.crash_places import OPERATIONS, Places
from benchmarks.crash_steps import make_scene
from benchmarks.crash_trees import made_up_sources
from benchmarks.crash_worker import Worker

from tokenlake.store import catalog


def test_killed_commands_lose_nothing() -> None:
    """A few here, hundreds by `python -m benchmarks crashes --kills 300`; a LostError would say what was lost."""
    done = kill_at_random(6, 7, made_up_sources(100_000, 7))
    assert done.count >= 6
    assert set(done.by_stage) <= set(STAGES)
    assert len(done.by_operation) > 1
    assert done.by_reading.total() == done.by_operation.total() == done.count
    assert done.rows_at_the_end > 100


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_killed_command_left_is_removed_by_the_next_even_if_it_has_nothing_to_do(
    worker: Worker, where: Places, operation: str
) -> None:
    scene = make_scene(worker, where, made_up_sources(300_000, 3), 3, operation)
    # The new lake is there, and so are the files of the old one.
    outcome = worker.run(scene.order(where.lake, kill_stage="after", kill_after_s=0.0))
    assert outcome.killed
    assert scene.reading(where.lake) == "after"
    assert leftovers(where.lake)
    commit = catalog.read(where.lake).commit
    assert worker.run(scene.order(where.lake)).status == 0
    assert leftovers(where.lake) == set()
    assert scene.reading(where.lake) == "after"
    # A rebuild is always done; the others had nothing to do.
    assert (catalog.read(where.lake).commit > commit) == (operation == "rebuild")
