"""A disk that is full or cannot be written, files that fail or change while they are read, two commands at once."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from accounting.transcripts import S2, assistant, line, usage
from benchmarks.crash_child import Order
from benchmarks.crash_lakes import difference, leftovers, state, tables
from benchmarks.crash_places import OPERATIONS, Places, ingest_other
from benchmarks.crash_steps import Scene, make_scene
from benchmarks.crash_trees import made_up_sources
from benchmarks.crash_worker import KILLED, Worker

from tokenlake.ingest import discover, pipeline, read
from tokenlake.lake import Lake

ONE, TWO, THREE, FOUR = (line(assistant(f"msg_{n}", usage(n), f"09:0{n}")) + b"\n" for n in (1, 2, 3, 4))


def keys(lake: Path) -> list[str]:
    return sorted(tables(lake)["requests"]["key"].to_pylist())


def write(where: Places, **contents: bytes) -> None:
    """Transcripts by the first letter of their name."""
    for name, content in contents.items():
        (where.logs / f"{name}.jsonl").write_bytes(content)


def same_as_undisturbed(worker: Worker, where: Places) -> bool:
    """Whether the next ingest of the lake ends as one into a lake that nothing ever happened to."""
    assert worker.run(where.order()).status == 0
    shutil.rmtree(where.undisturbed, ignore_errors=True)
    assert worker.run(where.order(where.undisturbed)).status == 0
    assert leftovers(where.lake) == set()
    return difference(tables(where.lake), tables(where.undisturbed)) is None


# --- the disk of the lake -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=OPERATIONS)
def scene(worker: Worker, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Scene:
    where = Places(tmp_path_factory.mktemp("disks"))
    return make_scene(worker, where, made_up_sources(300_000, 6), 6, request.param)


@pytest.mark.parametrize("most_file_bytes", [5_000])
def test_files_that_cannot_grow_leave_the_lake_as_it_was(
    worker: Worker, scene: Scene, tmp_path: Path, most_file_bytes: int
) -> None:
    """The kernel refuses the bytes in the middle of a write, whoever writes: Python, Arrow or the engine."""
    scene.copy(tmp_path / "lake")
    outcome = worker.run(scene.order(tmp_path / "lake", most_file_bytes=most_file_bytes))
    assert outcome.status == 4
    assert outcome.said.strip().count("\n") == 0
    assert "File too large; the lake is as it was before" in outcome.said
    assert scene.reading(tmp_path / "lake") == "before"
    assert leftovers(tmp_path / "lake") == set()


@contextmanager
def disk_of_its_own(folder: Path) -> Iterator[Path]:
    """A disk of 8 MB; skips where none may be mounted."""
    folder.mkdir()
    if shutil.which("mount") is None or mount("-t", "tmpfs", "-o", "size=8m", "none", str(folder)):
        pytest.skip("no disk may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode


def test_a_full_disk_leaves_the_lake_as_it_was(worker: Worker, scene: Scene, tmp_path: Path) -> None:
    with disk_of_its_own(tmp_path / "disk") as disk:
        scene.copy(disk / "lake")
        free = os.statvfs(disk)
        (disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize - 40_000))
        outcome = worker.run(scene.order(disk / "lake"))
        assert (outcome.status, "No space left on device; the lake is as it was" in outcome.said) == (4, True)
        assert scene.reading(disk / "lake") == "before"
        assert outcome.said.strip().count("\n") == 0
        (disk / "ballast").unlink()
        assert worker.run(scene.order(disk / "lake")).status == 0
        assert scene.reading(disk / "lake") == "after"


@contextmanager
def unwritable(folder: Path, scene: Scene) -> Iterator[Path]:
    """The lake of a scene where nothing can be written; root may write anywhere but on a disk that is read-only."""
    if os.getuid() == 0:
        with disk_of_its_own(folder) as disk:
            scene.copy(disk / "lake")
            assert mount("-o", "remount,ro", str(disk)) == 0
            yield disk / "lake"
        return
    scene.copy(folder / "lake")
    paths = [folder / "lake", *(folder / "lake").rglob("*")]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    yield folder / "lake"
    for path in paths:
        path.chmod(0o700)


def test_a_lake_that_cannot_be_written_is_read_all_the_same(worker: Worker, scene: Scene, tmp_path: Path) -> None:
    with unwritable(tmp_path / "disk", scene) as lake:
        outcome = worker.run(scene.order(lake))
        assert (outcome.status, outcome.said.strip().count("\n")) == (4, 0)
        assert f"{lake}: cannot be written: " in outcome.said
        report = ("cost", "daily", "--no-refresh", "--lake", str(lake), "--format", "json")
        answer = worker.run(Order(report, str(lake)))
        assert answer.status == 0, answer.said
        assert (len(json.loads(answer.printed)) > 1) == (scene.operation != "rebuild")
        assert scene.reading(lake) == "before"


# --- transcripts that fail or change while they are read ------------------------------------------------------------


@pytest.mark.parametrize("earlier", [None, ONE + TWO, FOUR + TWO])
def test_a_read_error_in_the_middle_of_a_file_loses_nothing(
    worker: Worker, where: Places, earlier: bytes | None
) -> None:
    """Of a file that is new, has grown, or was rewritten; the other files are read as if nothing had happened."""
    if earlier is not None:
        write(where, a=earlier)
        assert worker.run(where.order()).status == 0
    write(where, a=ONE + TWO + THREE, b=FOUR)
    at = len(ONE + TWO) + 30
    outcome = worker.run(where.order(struck="a.jsonl", struck_at=at))
    assert (outcome.status, outcome.said.count("\n")) == (0, 1 + (earlier is None))
    assert f"a.jsonl: Input/output error; read up to byte {len(ONE + TWO)}" in outcome.said
    assert keys(where.lake) == ["msg_1", "msg_2", "msg_4"]
    if earlier is None:  # it may last
        again = worker.run(where.order(struck="a.jsonl", struck_at=at))
        assert (again.status, keys(where.lake)) == (0, ["msg_1", "msg_2", "msg_4"])
    assert same_as_undisturbed(worker, where)


@pytest.mark.parametrize(("earlier", "cut_to"), [(None, 0), (FOUR, len(ONE) + 40), (ONE, len(ONE + TWO))])
def test_a_file_that_is_cut_back_while_it_is_read(
    worker: Worker, where: Places, earlier: bytes | None, cut_to: int
) -> None:
    if earlier is not None:
        write(where, a=earlier)
        assert worker.run(where.order()).status == 0
    write(where, a=ONE + TWO + THREE, b=FOUR)
    outcome = worker.run(where.order(struck="a.jsonl", struck_at=len(ONE + TWO) + 30, cut_to=cut_to))
    assert (outcome.status, outcome.said.replace(f"tokenlake: a new lake was made at {where.lake}\n", "")) == (0, "")
    assert keys(where.lake) == ["msg_1", "msg_2", "msg_4"]
    with open(where.logs / "a.jsonl", "ab") as file:
        file.write((ONE + TWO + THREE)[cut_to:])
    assert same_as_undisturbed(worker, where)
    assert keys(where.lake) == ["msg_1", "msg_2", "msg_3", "msg_4"]


LONG = line(assistant("msg_1", usage(1), "09:01", content=[{"type": "text", "text": "x" * 9_000}])) + b"\n"


@pytest.mark.parametrize(
    ("moment", "known"), [("after it was read", b""), ("before it is read", LONG), ("after it was read", LONG)]
)
def test_a_file_that_is_rewritten_during_an_ingest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, known: bytes
) -> None:
    """Its fingerprint is that of the bytes that were read, not of those that are there when the ledger is written."""
    logs, lake = tmp_path / "logs", Lake(tmp_path / "lake")
    logs.mkdir()
    path = logs / "a.jsonl"
    if known:
        path.write_bytes(known)
        lake.refresh([logs], host="h")
    path.write_bytes(LONG + TWO)
    rewritten = LONG.replace(b"msg_1", b"msg_4") + TWO

    def rewrite() -> None:
        path.with_suffix(".new").write_bytes(rewritten)
        os.replace(path.with_suffix(".new"), path)

    class Read(read.Reader):
        def batches(self) -> Iterator[read.Batch]:
            if moment == "before it is read":
                rewrite()
            yield from super().batches()
            if moment == "after it was read":
                rewrite()

    with monkeypatch.context() as patched:
        patched.setattr("tokenlake.ingest.segment.Reader", Read)
        lake.refresh([logs], host="h")
    with open(path, "ab") as file:
        file.write(THREE)
    lake.refresh([logs], host="h")
    assert keys(lake.path) == ["msg_2", "msg_3", "msg_4"]
    Lake(tmp_path / "cold").refresh([logs], host="h")
    assert difference(tables(lake.path), tables(tmp_path / "cold")) is None


def test_a_rewritten_file_that_vanishes_before_a_later_segment_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs, lake = tmp_path / "logs", Lake(tmp_path / "lake")
    logs.mkdir()
    filler = b"".join(line(assistant(f"fill_{n}", usage(1), uuid=f"u{n}", session=S2)) + b"\n" for n in range(9000))
    (logs / "z.jsonl").write_bytes(ONE + TWO)
    lake.refresh([logs], host="h")
    (logs / "a.jsonl").write_bytes(filler)
    (logs / "z.jsonl").write_bytes(TWO + ONE)
    opened = read.open_transcript

    def vanishing(path: str) -> Any:
        if path.endswith("z.jsonl"):
            os.unlink(path)
        return opened(path)

    monkeypatch.setattr(read, "open_transcript", vanishing)
    monkeypatch.setattr(pipeline, "SEGMENT_BYTES", 1 << 19)
    monkeypatch.setattr("tokenlake.ingest.segment.BATCH_BYTES", 1 << 19)
    summary = lake.refresh([logs], host="h")
    assert len(filler) > 5 << 20  # the reader is a batch or two ahead
    assert any("z.jsonl" in warning for warning in summary.warnings)
    assert {"msg_1", "msg_2"} <= set(keys(lake.path))


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_what_can_be_had_of_a_truncated_archive_is_read(worker: Worker, where: Places, suffix: str) -> None:
    packed = gzip.compress if suffix == "gz" else zstd
    many = b"".join(line(assistant(f"m{n:05d}", usage(n), uuid=os.urandom(16).hex())) + b"\n" for n in range(3000))
    path = where.logs / f"a.jsonl.{suffix}"
    whole = packed(many)
    path.write_bytes(whole[: len(whole) // 2])
    outcome = worker.run(where.order())
    found = keys(where.lake)
    # Half of an archive of lines that are alike holds about half of them; zstd gives whole blocks of 128 KiB only.
    assert 1200 < len(found) < 1800
    assert found == [f"m{n:05d}" for n in range(len(found))]
    assert f"{path}: Truncated compressed stream; read up to byte" in outcome.said
    unchanged = worker.run(where.order())
    assert (json.loads(unchanged.printed)[0]["files_unchanged"], unchanged.said) == (1, "")
    path.write_bytes(whole)
    assert worker.run(where.order()).said == ""
    assert len(keys(where.lake)) == 3000
    # While an archive is being written again, less of it can be read than was read before.
    path.write_bytes(whole[: len(whole) // 3])
    assert f"{path}: cut off, or being written; what was read of it before is kept" in worker.run(where.order()).said
    assert len(keys(where.lake)) == 3000


# --- folders that cannot be looked at --------------------------------------------------------------------------------


def test_transcripts_of_a_folder_that_cannot_be_listed_are_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs, lake = tmp_path / "logs", Lake(tmp_path / "lake")
    for name in ("-p/a", "-q/b", "-q/deep/c"):
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / f"{name}.jsonl").write_bytes(ONE)
    lake.refresh([logs], host="h")
    (logs / "-p" / "a.jsonl").unlink()
    scandir = os.scandir

    def refusing(folder: str) -> Any:
        if str(folder).endswith("-q"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    with monkeypatch.context() as patched:
        patched.setattr(discover.os, "scandir", refusing)
        summary = lake.refresh([logs], host="h")
    assert (summary.files_departed, summary.warnings) == (
        1,
        (f"{logs}/-q: Permission denied; its transcripts were not read",),
    )
    gone = tables(lake.path)["files"].to_pylist()
    assert {row["path"].removeprefix(f"{logs}/"): row["departed"] for row in gone} == {
        "-p/a.jsonl": True,
        "-q/b.jsonl": False,
        "-q/deep/c.jsonl": False,
    }


# --- two at once ---------------------------------------------------------------------------------------------------


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
