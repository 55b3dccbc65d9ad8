"""Failures at the steps of an ingest: the lake reads as before or after, and the next ingest ends as usual."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.crash_child import DIE
from benchmarks.crash_lakes import difference, tables
from benchmarks.crash_places import Places
from benchmarks.crash_steps import Scene, Steps, fail_at_step, make_scene
from benchmarks.crash_trees import made_up_sources
from benchmarks.crash_worker import Worker

from tokenlake.store import catalog


@pytest.fixture(scope="module")
def scene(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(worker, Places(tmp_path_factory.mktemp("steps")), made_up_sources(200_000, 1), 1)


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
    outcome = worker.run(scene.where.order(lake, photographs=str(photographs)))
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


@pytest.mark.parametrize(("failure", "first"), [(DIE, 2), ("ENOSPC", 32), ("EIO", 62)])
def test_a_failing_step_loses_nothing(worker: Worker, scene: Scene, failure: str, first: int) -> None:
    """Every 90th step here, each of them in each way by `python -m benchmarks crashes`."""
    done = Steps()
    for step in range(first, len(scene.steps) + 1, 90):
        fail_at_step(worker, scene, step, failure, done)
    assert done.by_reading["before"] >= 1
    assert tables(scene.where.lake).keys() == scene.before.keys()


def test_what_failed_is_said_in_a_line_and_the_lake_is_as_it_was(worker: Worker, scene: Scene, tmp_path: Path) -> None:
    scene.copy(tmp_path / "lake")
    step = next(number for number, step in enumerate(scene.steps, 1) if step.startswith("write "))
    outcome = worker.run(scene.where.order(tmp_path / "lake", fail_step=step, failure="ENOSPC"))
    said = f"{tmp_path}/lake: cannot be written: No space left on device; the lake is as it was before"
    assert (outcome.status, outcome.said.split(": ", 1)[1].strip()) == (4, said)
    assert scene.reading(tmp_path / "lake") == "before"
