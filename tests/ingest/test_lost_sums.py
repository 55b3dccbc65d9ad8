"""Sums of requests that are lost: the next ingest that writes makes them again, and none before it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from accounting.transcripts import S1, S2, assistant, jsonl, usage

from tokenlake.errors import LakeDamagedError
from tokenlake.ingest.pipeline import ingest as run
from tokenlake.lake import Lake
from tokenlake.store.checksums import checksum

MAY = jsonl(assistant("m1", usage(5), "2026-05-10T09:00:00Z"), assistant("m2", usage(7), "2026-05-10T09:01:00Z"))
JUNE = jsonl(assistant("j1", usage(3), "2026-06-10T09:00:00Z", session=S2))


def test_the_next_ingest_with_news_makes_them_again(ingest, logs: Path) -> None:
    lake = ingest({f"-p/{S1}.jsonl": MAY})
    snapshot = lake.snapshot()
    (path,) = map(Path, snapshot.paths("request_sums"))
    before = pq.ParquetFile(path).read()
    assert before["requests"].to_pylist() == [2]
    path.unlink()
    lake.refresh([logs], host="h")
    assert not path.exists()
    assert lake.snapshot().commit == snapshot.commit

    ingest({f"-p/{S2}.jsonl": JUNE})
    assert pq.ParquetFile(path).read().equals(before)
    after = lake.snapshot()
    assert len(after.files["request_sums"]) == len(after.files["requests"]) == 2
    with path.open("rb") as file:
        assert after.checksums[path.relative_to(lake.path).as_posix()] == checksum(file)
    assert path.stat().st_mode & 0o777 == 0o600


def test_sums_of_a_file_that_is_written_anew_may_be_lost(ingest, logs: Path) -> None:
    lake = ingest({f"-p/{S1}.jsonl": MAY})
    (path,) = map(Path, lake.snapshot().paths("request_sums"))
    path.unlink()
    ingest({f"-p/{S1}.jsonl": MAY + jsonl(assistant("m1", usage(50), "2026-05-10T09:02:00Z"))})
    rows = lake.sql(
        "select sum(requests) as requests, sum(output_tokens) as output_tokens from request_sums"
    ).to_pylist()
    assert (
        rows == lake.sql("select count(*) as requests, sum(output_tokens) as output_tokens from requests").to_pylist()
    )
    assert all(map(Path.exists, map(Path, lake.snapshot().paths("request_sums"))))


def test_damaged_requests_are_told_by_the_totals(ingest, logs: Path) -> None:
    """An ingest without news reads the requests for its totals alone."""
    lake = ingest({f"-p/{S1}.jsonl": MAY})
    (path,) = map(Path, lake.snapshot().paths("requests"))
    data = bytearray(path.read_bytes())
    data[4:3000] = b"\xff" * 2996
    path.write_bytes(data)
    with pytest.raises(LakeDamagedError, match="restore the file, or ingest into a new --lake"):
        run(lake.path, [logs], host="h")


def test_a_lake_that_lost_some_is_merged_as_it_was(ingest, logs: Path, tmp_path: Path) -> None:
    lake = ingest({f"-p/{S1}.jsonl": MAY})
    for path in map(Path, lake.snapshot().paths("request_sums")):
        path.unlink()
    into = Lake(tmp_path / "into")
    into.merge(lake.path)
    assert into.sql("select sum(requests) as requests from request_sums").to_pylist() == [{"requests": 2}]
