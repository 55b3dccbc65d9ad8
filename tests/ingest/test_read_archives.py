"""Reading archives: the lines of what they hold, and what can be had of a damaged one."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pyarrow as pa
import pytest
from accounting.transcripts import jsonl, user
from ingest.lines import lines_of, write

from tokenlake import Lake
from tokenlake.ingest.archive import PIECE_BYTES, Archive
from tokenlake.ingest.read import Reader


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


PLAIN = b'{"a":1}\n\n' + b"x" * 50 + b'\n{"text":"' + b"y" * 300 + b'"}'
ARCHIVES = {
    "gz": (".jsonl.gz", gzip.compress(PLAIN)),
    "gz in two members": (".jsonl.gz", gzip.compress(PLAIN[:20]) + gzip.compress(PLAIN[20:])),
    "zst": (".jsonl.zst", zstd(PLAIN)),
    "zst in two frames": (".jsonl.zst", zstd(PLAIN[:20]) + zstd(PLAIN[20:])),
}


@pytest.mark.parametrize("archive", ARCHIVES)
@pytest.mark.parametrize("batch_bytes", [7, 1000])
def test_an_archive_has_the_lines_of_what_it_holds(tmp_path: Path, archive: str, batch_bytes: int) -> None:
    suffix, data = ARCHIVES[archive]
    reader = Reader(write(tmp_path, [data], suffix), 1, batch_bytes)
    assert lines_of(reader) == [
        (0, 1, 0, b'{"a":1}'),
        (0, 2, 8, b""),
        (0, 3, 9, b"x" * 50),
        (0, 4, 60, b'{"text":"' + b"y" * 300 + b'"}'),
    ]
    assert (reader.progress[0].ingested_bytes, reader.progress[0].pending_bytes) == (len(PLAIN), 0)


def test_an_empty_archive_has_no_lines(tmp_path: Path) -> None:
    for suffix, data in ((".jsonl.gz", b""), (".jsonl.gz", gzip.compress(b"")), (".jsonl.zst", zstd(b""))):
        reader = Reader(write(tmp_path, [data], suffix), 1, 10)
        assert lines_of(reader) == []
        assert reader.progress[0].error is None


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_a_file_that_is_no_archive_says_so_and_the_others_are_read(tmp_path: Path, suffix: str) -> None:
    (damaged,) = write(tmp_path, [b"no archive"], suffix)
    fine = write(tmp_path, [b"", b"fine\n"])[1]
    reader = Reader([damaged, fine], 1, 9)
    assert lines_of(reader) == [(1, 1, 0, b"fine")]
    assert (bool(reader.progress[0].error), reader.progress[0].ingested_bytes) == (True, 0)
    assert reader.progress[1].error is None


def test_an_archive_that_was_cut_off_keeps_what_was_read_of_it(tmp_path: Path) -> None:
    lines = [hashlib.sha256(bytes([n])).hexdigest().encode() for n in range(200)]
    data = gzip.compress(b"".join(line + b"\n" for line in lines))
    reader = Reader(write(tmp_path, [data[: len(data) // 2]], ".jsonl.gz"), 1, 100)
    found = lines_of(reader)
    # Hexadecimal digits take half a byte each: half of the archive holds about a hundred lines.
    assert 80 <= len(found) < 110
    assert found == [(0, n + 1, 65 * n, lines[n]) for n in range(len(found))]
    assert reader.progress[0].error
    assert reader.progress[0].ingested_bytes == 65 * len(found)


@pytest.mark.parametrize("left_bytes", [0, 1000])
def test_an_archive_that_becomes_shorter_while_it_is_read_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_bytes: int
) -> None:
    """It is damaged, and cut further before it is opened again."""
    data = gzip.compress(b"".join(hashlib.sha256(bytes([n % 251, n // 251])).digest() for n in range(10_000)))
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(data[: len(data) // 2])
    archive = Archive(str(path))
    opened = archive._opened

    def cut_and_opened() -> object:
        path.write_bytes(data[:left_bytes])
        return opened()

    monkeypatch.setattr(archive, "_opened", cut_and_opened)
    with archive:
        assert len(archive.read(1 << 20)) >= PIECE_BYTES
        for _ in range(2):
            with pytest.raises(OSError, match=r"."):
                archive.read(1 << 20)


DIGESTS = b"".join(hashlib.sha256(n.to_bytes(2)).hexdigest().encode() + b"\n" for n in range(3000))


@pytest.mark.parametrize(
    ("behind", "error"),
    [(bytes(512), None), (bytes(9) + gzip.compress(b"more\n", mtime=0), None), (b"garbage", "Not a gzipped file")],
    ids=["padding", "another member", "garbage"],
)
def test_what_stands_behind_the_end_of_a_gz_adds_nothing(tmp_path: Path, behind: bytes, error: str | None) -> None:
    """Zeros fill up a tape's block; another member goes on."""
    reader = Reader(write(tmp_path, [gzip.compress(DIGESTS) + behind], ".jsonl.gz"), 1, 1 << 20)
    found = b"".join(line + b"\n" for *_, line in lines_of(reader))
    assert found == DIGESTS + (b"more\n" if len(behind) != 512 and error is None else b"")
    assert (reader.progress[0].error or "").startswith(error or "")
    assert bool(reader.progress[0].error) is (error is not None)


def test_a_gz_with_a_wrong_checksum_is_read_to_its_end(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(DIGESTS))
    data[-6] ^= 1
    reader = Reader(write(tmp_path, [bytes(data)], ".jsonl.gz"), 1, 1000)
    assert b"".join(line + b"\n" for *_, line in lines_of(reader)) == DIGESTS
    assert (reader.progress[0].error or "").startswith("CRC check failed")


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_damaged_archive_ends(tmp_path: Path, suffix: str, tenth: int) -> None:
    """It never gives more than it held, and all before the damage."""
    data = bytearray(gzip.compress(DIGESTS) if suffix == ".jsonl.gz" else zstd(DIGESTS))
    place = len(data) * tenth // 10
    data[place] ^= 0x55
    data[place + 1] ^= 0x33
    (tmp_path / f"a{suffix}").write_bytes(data)
    read, damaged = bytearray(), False
    with Archive(str(tmp_path / f"a{suffix}")) as archive:
        try:
            while part := archive.read(1 << 16):
                read += part
        except OSError:
            damaged = True
            with pytest.raises(OSError, match=r"."):
                archive.read(1)
    assert damaged or suffix == ".jsonl.zst"  # which has no checksum here
    assert len(read) < len(DIGESTS) + 1000
    assert read.startswith(DIGESTS[: len(DIGESTS) * (tenth - 1) // 10]) or suffix == ".jsonl.zst"


def test_where_an_archive_is_damaged_stands_in_rejects_once(tmp_path: Path) -> None:
    lines = [jsonl(user(hashlib.sha256(bytes([n])).hexdigest(), uuid=str(n))) for n in range(100)]
    packed = gzip.compress(b"".join(lines))
    root = tmp_path / "logs"
    root.mkdir()
    (root / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (root / "none.jsonl.gz").write_bytes(b"not packed")
    lake = Lake(tmp_path / "lake")
    first, second = lake.refresh([root], host="h"), lake.refresh([root], host="h")
    assert (first.rejects, first.files_read, second.rejects, second.files_unchanged) == (2, 2, 0, 2)
    cut, none = lake.sql('select line, "offset", bytes, reason from rejects order by file').to_pylist()
    assert cut["line"] == first.records + 1
    assert cut["offset"] == sum(map(len, lines[: first.records]))
    assert cut["reason"].startswith("damaged archive: Compressed file ended")
    assert (none["line"], none["offset"], none["bytes"]) == (1, 0, 0)
    (root / "cut.jsonl.gz").write_bytes(packed)
    (root / "none.jsonl.gz").write_bytes(packed)
    assert lake.refresh([root], host="h").rejects == 0
    assert lake.sql("select count(*) as n from rejects").to_pylist() == [{"n": 0}]
