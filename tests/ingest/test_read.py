"""Reading lines: the same lines, offsets and numbers whatever the batches, and nothing read or lost beyond them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ingest.lines import OBJECTS, expected, lines_of, write

from tokenlake.ingest import read
from tokenlake.ingest.read import Reader, is_whole_record
from tokenlake.ingest.transcript import Task

PIECES = st.sampled_from(
    (b"\n", b"\n", b"\n\n", *OBJECTS, b'{"cut', b"\0\0\0", b"  ", b"\r\n", b"\xef\xbb\xbf", b"\xff\xe2\x80\xa8", b"}{")
)
CONTENTS = st.lists(st.lists(PIECES, max_size=12).map(b"".join), min_size=1, max_size=3)


# --- any bytes in any batches -------------------------------------------------------------------------------------


@given(CONTENTS, st.integers(1, 200))
@example([b"x" * 20 + b"\n" + b"y" * 30 + b"\nz\n"], 8)
@example([b"x" * 9 + b"\n", b"y" * 40 + b"\n" + b"z" * 40 + b"\n"], 4)
@example([b"", b"\n", b""], 1)
def test_any_bytes_in_any_batches_are_the_same_lines(contents: list[bytes], batch_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(write(folder, contents), 1, batch_bytes)
        found = lines_of(reader)
    wanted = [expected(n, data) for n, data in enumerate(contents)]
    assert found == [line for lines, _ in wanted for line in lines]
    for n, (data, (lines, pending)) in enumerate(zip(contents, wanted, strict=True)):
        progress = reader.progress[n]
        assert (progress.lines, progress.pending_bytes, progress.error) == (len(lines), pending, None)
        assert progress.ingested_bytes == len(data) - pending
    assert reader.bytes_read == sum(map(len, contents))
    assert reader.rejects == []


@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(1, 60), st.data())
def test_reading_on_from_any_line_gives_the_rest(data: bytes, batch_bytes: int, draw: st.DataObject) -> None:
    lines, _ = expected(0, data)
    starts = [(0, 1)] + [(offset + len(line) + 1, number + 1) for _, number, offset, line in lines]
    start, number = draw.draw(st.sampled_from([pair for pair in starts if pair[0] <= len(data)]))
    with tempfile.TemporaryDirectory() as folder:
        (whole,) = write(folder, [data])
        reader = Reader([Task(0, whole.path, len(data), start, number)], 1, batch_bytes)
        assert lines_of(reader) == [line for line in lines if line[2] >= start]
    assert reader.bytes_read == len(data) - start
    assert reader.progress[0].lines == len(lines)


# --- by hand ------------------------------------------------------------------------------------------------------


def test_lines_across_batches_and_files_by_hand(tmp_path: Path) -> None:
    tasks = write(tmp_path, [b"ab\ncdefgh\n\nij", b"", b'{"a":1}'])
    reader = Reader(tasks, 1, 4)
    assert lines_of(reader) == [
        (0, 1, 0, b"ab"),
        (0, 2, 3, b"cdefgh"),
        (0, 3, 10, b""),
        (2, 1, 0, b'{"a":1}'),
    ]
    ends = {n: (p.ingested_bytes, p.lines, p.pending_bytes) for n, p in reader.progress.items()}
    assert ends == {0: (11, 3, 2), 1: (0, 0, 0), 2: (7, 1, 0)}


@pytest.mark.parametrize(
    ("tail", "taken", "pending"),
    [
        (b'{"b":2}', b'{"b":2}', 0),
        (b'{"b":2}\0\0\0\0', b'{"b":2}', 4),
        (b'{"b":2} \t\r', b'{"b":2}', 3),
        (b'\0\xef\xbb\xbf{"b":2}', b'\0\xef\xbb\xbf{"b":2}', 0),
        (b'{"b":2', None, 6),
        (b'{"b":2}}', None, 8),
        (b'{"b":2}{"c":3}', None, 14),
        (b"[1]", None, 3),
        (b"\0" * 50, None, 50),
        (b" ", None, 1),
        (b"", None, 0),
    ],
)
def test_a_last_line_without_newline_is_taken_if_it_is_one_record(
    tmp_path: Path, tail: bytes, taken: bytes | None, pending: int
) -> None:
    reader = Reader(write(tmp_path, [b'{"a":1}\n' + tail]), 1, 5)
    assert [line for *_, line in lines_of(reader)] == [b'{"a":1}', *([taken] if taken else [])]
    progress = reader.progress[0]
    assert (progress.ingested_bytes, progress.pending_bytes) == (8 + len(tail) - pending, pending)


def test_whole_records_are_objects_alone() -> None:
    assert is_whole_record(b'{"a":"\xff"}')
    assert is_whole_record(b'\xef\xbb\xbf {"a":{}}\r')
    for line in (b"", b"{", b"{}}", b'"{}"', b"1", b'{"a":1}x', b"{" * 100_000 + b"}"):
        assert not is_whole_record(line)


def test_only_the_bytes_that_were_planned_are_read(tmp_path: Path) -> None:
    """What is appended while an ingest runs belongs to the next one."""
    write(tmp_path, [b"one\ntwo\nthree\n"])
    reader = Reader([Task(0, str(tmp_path / "0.jsonl"), 6)], 1, 100)
    assert lines_of(reader) == [(0, 1, 0, b"one")]
    assert (reader.bytes_read, reader.progress[0].pending_bytes) == (6, 2)


def test_arrow_holds_the_same_bytes(tmp_path: Path) -> None:
    data = [b"", b"a", b"x" * 12, b"y" * 13, b"\0\xff" * 40, b"z"]
    (batch,) = Reader(write(tmp_path, [b"\n".join(data) + b"\n"])).batches()
    table = batch.to_arrow()
    assert table["raw"].cast(pa.binary_view()).to_pylist() == data
    assert table["offset"].to_pylist() == [0, 1, 3, 16, 30, 111]
    assert (table["line"].to_pylist(), table["row"].to_pylist()) == ([1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5])
    chosen = batch.to_arrow(np.array([False, True, False, True, False, False]))
    assert chosen["raw"].cast(pa.binary_view()).to_pylist() == [b"a", b"y" * 13]
    assert (chosen["line"].to_pylist(), chosen["row"].to_pylist()) == ([2, 4], [1, 3])
    heads = batch.heads(5)["head"].cast(pa.binary_view()).to_pylist()
    assert [head[:5].removesuffix(b"\n") for head in heads] == [line[:5] for line in data]


# --- too long, missing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_bytes", [16, 61])
@pytest.mark.parametrize(
    "rest", [b"", b"three\n", b"three\nfour\n", b"three\nfour\n" + b"v" * 90 + b"\nsix\n"], ids=["0", "1", "2", "4"]
)
def test_a_line_that_is_too_long_is_rejected_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_bytes: int, rest: bytes
) -> None:
    monkeypatch.setattr(read, "MAX_LINE_BYTES", 64)
    for first in (b"one\n", b""):
        data = first + b"w" * 100 + b"\n" + rest
        reader = Reader(write(tmp_path, [data]), 1, batch_bytes)
        wanted, _ = expected(0, data)
        assert lines_of(reader) == [line for line in wanted if len(line[3]) <= 64]
        lost = [(reject.line, reject.offset, reject.length) for reject in reader.rejects]
        assert lost == [(number, offset, len(line)) for _, number, offset, line in wanted if len(line) > 64]
        assert reader.rejects[0].head[:60] == b"w" * 60
        assert reader.rejects[0].reason.startswith("line longer than")
        progress = reader.progress[0]
        assert (progress.ingested_bytes, progress.lines, progress.pending_bytes) == (len(data), len(wanted), 0)


def test_a_line_that_is_too_long_and_unfinished_is_pending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_LINE_BYTES", 64)
    reader = Reader(write(tmp_path, [b"one\n" + b"w" * 100, b"two\n"]), 1, 16)
    assert lines_of(reader) == [(0, 1, 0, b"one"), (1, 1, 0, b"two")]
    assert reader.rejects == []
    progress = reader.progress[0]
    assert (progress.ingested_bytes, progress.lines, progress.pending_bytes) == (4, 1, 100)


def test_a_file_that_vanished_says_so_and_the_others_are_read(tmp_path: Path) -> None:
    gone, fine = write(tmp_path, [b"gone\n", b"fine\n"])
    Path(gone.path).unlink()
    reader = Reader([gone, fine], 1, 100)
    assert lines_of(reader) == [(1, 1, 0, b"fine")]
    assert reader.progress[0].error == "No such file or directory"
    assert reader.progress[0].ingested_bytes == 0


def test_a_consumer_that_stops_early_stops_the_reader(tmp_path: Path) -> None:
    reader = Reader(write(tmp_path, [b"line\n" * 1000]), 1, 10)
    batches = reader.batches()
    first = next(batches)
    assert first.line(0) == b"line"
    batches.close()
    assert reader.bytes_read < 5000
