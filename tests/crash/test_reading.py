"""Transcripts that fail or change while they are read, folders that cannot be listed: none is lost or taken twice."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from accounting.transcripts import S2, assistant, line, usage
from benchmarks.crash_lakes import difference, tables
from benchmarks.crash_places import Places
from benchmarks.crash_worker import Worker
from crash.trees import FOUR, ONE, THREE, TWO, keys, same_as_undisturbed, write

from tokenlake.ingest import discover, pipeline, read
from tokenlake.lake import Lake


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
    said = "Compressed file ended before" if suffix == "gz" else "Truncated compressed stream; read up to byte"
    assert f"{path}: {said}" in outcome.said
    unchanged = worker.run(where.order())
    assert (json.loads(unchanged.printed)[0]["files_unchanged"], unchanged.said) == (1, "")
    path.write_bytes(whole)
    assert worker.run(where.order()).said == ""
    assert len(keys(where.lake)) == 3000
    # While an archive is being written again, less of it can be read than was read before.
    path.write_bytes(whole[: len(whole) // 3])
    assert f"{path}: cut off, or being written; what was read of it before is kept" in worker.run(where.order()).said
    assert len(keys(where.lake)) == 3000


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
