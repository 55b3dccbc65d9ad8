"""The trees of extreme sizes, made small: an ingest finds just what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import sizes
from benchmarks.answers import mismatches

from tokenlake import Lake


@pytest.mark.parametrize(
    ("make", "size", "requests"), [("_one_file", 20_000, 4), ("_giant_line", 200_000, 2), ("_many_files", 7, 7)]
)
def test_an_ingest_finds_what_was_made(make: str, size: int, requests: int, tmp_path: Path) -> None:
    answer = getattr(sizes, make)(tmp_path / "tree", size)
    assert answer.counts.requests == requests
    summary = Lake(tmp_path / "lake").refresh([tmp_path / "tree"])
    found = {
        name: getattr(summary, name)
        for name in (
            "requests",
            "input_tokens",
            "output_tokens",
            "cache_write_5m_tokens",
            "cache_write_1h_tokens",
            "cache_read_tokens",
        )
    }
    assert mismatches(found, answer) == []
    assert summary.rejects == 0
