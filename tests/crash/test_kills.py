"""Ingests killed at random moments over a tree that goes on changing: nothing is lost, and nothing is left over."""

from __future__ import annotations

from benchmarks.crash_child import STAGES
from benchmarks.crash_kills import kill_at_random
from benchmarks.crash_lakes import difference, tables
from benchmarks.crash_places import Places
from benchmarks.crash_trees import made_up_sources
from benchmarks.crash_worker import Worker
from crash.leftovers import leftovers


def test_killed_ingests_lose_nothing() -> None:
    """A few here, hundreds by `python -m benchmarks crashes --kills 300`; a LostError would say what was lost."""
    done = kill_at_random(4, 7, made_up_sources(300_000, 7))
    assert done.count >= 4
    assert set(done.by_stage) <= set(STAGES)
    assert done.by_reading.total() == done.count
    assert done.rows_at_the_end > 100


def test_what_a_killed_ingest_left_is_removed_by_the_next_even_if_it_has_nothing_to_do(
    worker: Worker, where: Places
) -> None:
    for name, content in made_up_sources(100_000, 3).items():
        (where.logs / name).parent.mkdir(exist_ok=True)
        (where.logs / name).write_bytes(content)
    assert worker.run(where.order()).status == 0
    whole = tables(where.lake)
    changed = next(where.logs.rglob("*.jsonl"))
    changed.write_bytes(b"".join(changed.read_bytes().splitlines(keepends=True)[:-1]))
    # The new lake is there, and so are the files of the old one.
    outcome = worker.run(where.order(kill_stage="after", kill_after_s=0.0))
    assert outcome.killed
    assert difference(tables(where.lake), whole) is not None
    assert leftovers(where.lake)
    assert worker.run(where.order()).status == 0
    assert leftovers(where.lake) == set()
