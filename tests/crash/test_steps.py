"""Failures at the steps of an ingest, merge or rebuild: the lake reads as before or after, the next run is as usual."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.crash_child import DIE
from benchmarks.crash_lakes import difference, tables
from benchmarks.crash_places import OPERATIONS, Places
from benchmarks.crash_steps import Scene, Steps, fail_at_step, make_scene
from benchmarks.crash_trees import made_up_sources
from benchmarks.crash_worker import Worker

from tokenlake.store import catalog


@pytest.fixture(scope="module", params=OPERATIONS)
def scene(worker: Worker, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Scene:
    where = Places(tmp_path_factory.mktemp("steps"))
    return make_scene(worker, where, made_up_sources(300_000, 3), 3, request.param)


def test_the_steps_are_those_of_a_whole_commit(scene: Scene) -> None:
    """Were one kind missing, a failure of it would go untried."""
    kinds = {step.split(" ")[0] for step in scene.steps}
    assert kinds == {"mkdir", "write", "half", "open", "chmod", "fsync", "replace", "unlink", "rmdir"}
    assert "replace tokenlake.json.new" in scene.steps
    assert difference(scene.before, scene.after) is not None
    assert len(scene.steps) > 100


def sizes_of_data_files(lake: Path) -> dict[str, int]:
    """The data files that the lake's catalog names."""
    names = [name for names in catalog.read(lake).files.values() for name in names]
    return {name: (lake / name).stat().st_size for name in names}


def test_at_every_step_a_kill_would_leave_the_lake_as_before_or_after(
    worker: Worker, scene: Scene, tmp_path: Path
) -> None:
    """The lake is copied as it is before each step: that is what a process killed there leaves."""
    lake, photographs = tmp_path / "lake", tmp_path / "photographs"
    scene.copy(lake)
    outcome = worker.run(scene.order(lake, photographs=str(photographs)))
    assert outcome.status == 0, outcome.said
    seen: dict[bytes, tuple[str, dict[str, int]]] = {}
    readings = []
    for photograph in sorted(photographs.iterdir()):
        content = (photograph / "tokenlake.json").read_bytes()
        sizes = sizes_of_data_files(photograph)
        # The same catalog names the same files: these are read once, and looked for every time.
        if content not in seen:
            seen[content] = scene.reading(photograph), sizes
        assert sizes == seen[content][1], photograph.name
        readings.append(seen[content][0])
    assert len(readings) == len(outcome.steps)
    turn = outcome.steps.index("replace tokenlake.json.new") + 1
    assert readings == ["before"] * turn + ["after"] * (len(readings) - turn)


@pytest.mark.parametrize(("failure", "share"), [(DIE, 0.9), ("ENOSPC", 0.3), ("EIO", 0.6)])
def test_a_failing_step_loses_nothing(worker: Worker, scene: Scene, failure: str, share: float) -> None:
    """A step of each third here, each of them in each way by `python -m benchmarks crashes`."""
    done = Steps()
    fail_at_step(worker, scene, int(share * len(scene.steps)), failure, done)
    assert done.by_reading.total() == done.by_failure[failure] == 1
    assert tables(scene.where.lake).keys() == scene.before.keys()


def test_what_failed_is_said_in_a_line_and_the_lake_is_as_it_was(worker: Worker, scene: Scene, tmp_path: Path) -> None:
    scene.copy(tmp_path / "lake")
    step = next(number for number, step in enumerate(scene.steps, 1) if step.startswith("write "))
    outcome = worker.run(scene.order(tmp_path / "lake", fail_step=step, failure="ENOSPC"))
    said = f"{tmp_path}/lake: cannot be written: No space left on device; the lake is as it was before"
    assert (outcome.status, outcome.said.split(": ", 1)[1].strip()) == (4, said)
    assert scene.reading(tmp_path / "lake") == "before"
