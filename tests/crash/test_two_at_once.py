"""Two commands on one lake at once end as one after the other."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from benchmarks.crash_lakes import difference, leftovers, state, tables
from benchmarks.crash_places import Places, ingest_other
from benchmarks.crash_steps import make_scene
from benchmarks.crash_trees import made_up_sources
from benchmarks.crash_worker import KILLED, Worker
from crash.trees import ONE, keys, same_as_undisturbed, write


@pytest.mark.parametrize("commands", [("merge", "merge"), ("merge", "ingest")])
def test_two_commands_at_once_end_as_one_after_the_other(
    worker: Worker, where: Places, tmp_path: Path, commands: tuple[str, str]
) -> None:
    """Also where the first of two merges is killed; the other lake stays as it is."""
    make_scene(worker, where, made_up_sources(100_000, 9), 9, "merge")
    for command in commands:
        assert worker.run(where.order(where.undisturbed, command)).status == 0
    expected, other = tables(where.undisturbed), state(where.other)
    with Worker() as second_worker:
        kills = ({}, {"kill_stage": "merging", "kill_after_s": 0.05}) if commands == ("merge", "merge") else ({},)
        for number, kill in enumerate(kills):
            lake = tmp_path / f"lake-{number}"
            shutil.copytree(where.lake, lake)
            worker.start(where.order(lake, commands[0], **kill))
            second_worker.start(where.order(lake, commands[1]))
            first, second = worker.result(), second_worker.result()
            assert (first.status, second.status) == (KILLED if kill and first.killed else 0, 0), (
                first.said + second.said
            )
            assert worker.run(where.order(lake, commands[0])).status == 0
            assert difference(tables(lake), expected) is None
            assert (leftovers(lake), state(where.other)) == (set(), other)


def test_a_lake_that_is_written_while_it_is_merged_is_read_whole_or_not_at_all(worker: Worker, where: Places) -> None:
    scene = make_scene(worker, where, made_up_sources(100_000, 4), 4, "merge")
    with Worker() as writer:
        write(where, one=ONE)
        worker.start(scene.order(where.lake))
        ingest_other(writer, where, own=False)
        outcome = worker.result()
    if outcome.status:
        assert (outcome.status, outcome.said.count("\n")) == (4, 1)
        assert "merge it again" in outcome.said
        assert scene.reading(where.lake) == "before"
    assert worker.run(scene.order(where.lake)).status == 0
    assert "msg_1" in keys(where.lake)
    assert leftovers(where.lake) == set()


def test_two_ingests_at_once_end_as_one(worker: Worker, where: Places) -> None:
    """Also where one of them is killed, and where files grow in between."""
    sources = made_up_sources(300_000, 9)
    ends = {signal.SIGKILL: 0, 0: 0}
    with Worker() as other:
        for turn, share in enumerate((0.3, 0.6, 1.0)):
            for name, content in sources.items():
                (where.logs / name).parent.mkdir(exist_ok=True)
                (where.logs / name).write_bytes(content[: int(len(content) * share)])
            kill = {"kill_stage": "merging", "kill_after_s": 0.1} if turn == 1 else {}
            worker.start(where.order(**kill))
            other.start(where.order())
            first, second = worker.result(), other.result()
            assert second.status == 0, second.said
            assert first.status == (KILLED if kill and first.killed else 0), first.said
            ends[-first.status] += 1
            assert same_as_undisturbed(worker, where)
    assert ends[0] >= 2
