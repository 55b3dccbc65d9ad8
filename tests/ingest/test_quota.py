"""Samples of quotas: where their files lie, how they are read, and that reading again changes nothing."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenlake.ingest import quota
from tokenlake.ingest.beside import look
from tokenlake.ingest.told import read
from tokenlake.lake import Lake
from tokenlake.store.catalog import SAMPLES_NAME

RESET = 1_772_456_400  # 2026-03-02 13:00 UTC


def line(ts: str, five_hour: float | None = None, seven_day: float | None = None, **more: Any) -> str:
    limits = {"five_hour": five_hour, "seven_day": seven_day}
    states = {name: {"used_percentage": used, "resets_at": RESET} for name, used in limits.items() if used is not None}
    return json.dumps({"timestamp": ts, "rate_limits": states, **more}) + "\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "logs" / "projects").mkdir(parents=True)
    return tmp_path / "logs"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def held(lake: Lake) -> list[tuple[str, str, str, float]]:
    rows = lake.sql('select ts, host, "window" as w, used_percentage as used from quota_samples order by ts, w, host')
    return [(f"{row['ts']:%d %H:%M}", row["host"], row["w"], row["used"]) for row in rows.to_pylist()]


def test_a_sample_is_a_row_for_each_window(root: Path, lake: Lake) -> None:
    (root / SAMPLES_NAME).write_text(line("2026-03-02T10:00:00Z", 3, 10.5) + line("2026-03-02T11:30:00+01:00", 4))
    lake.refresh([root], host="h")
    assert held(lake) == [
        ("02 10:00", "h", "five_hour", 3),
        ("02 10:00", "h", "seven_day", 10.5),
        ("02 10:30", "h", "five_hour", 4),
    ]
    (reset,) = lake.sql("select distinct resets_at from quota_samples").to_pylist()
    assert reset["resets_at"].isoformat() == "2026-03-02T13:00:00+00:00"


def test_reading_again_changes_nothing_and_what_was_appended_is_added(root: Path, lake: Lake) -> None:
    path = root / SAMPLES_NAME
    path.write_text(line("2026-03-02T10:00:00Z", 3) + "{half")
    lake.refresh([root], host="h")
    commit = lake.snapshot().commit
    summary = lake.refresh([root], host="h")
    assert (lake.snapshot().commit, summary.warnings) == (commit, (f"{root.resolve()}: no transcripts there",))
    # What was the beginning of a line becomes one, and is none.
    with path.open("a") as file:
        file.write("\n" + line("2026-03-31T23:59:59Z", 9) + line("2026-04-01T00:00:00Z", 8))
    summary = lake.refresh([root], host="h")
    assert [row[0] for row in held(lake)] == ["02 10:00", "31 23:59", "01 00:00"]
    assert any("1 part could not be read, the first at byte" in text for text in summary.warnings)
    (reject,) = lake.run("lake/rejects").to_pylist()
    assert (reject["line"], reject["bytes"], reject["head"]) == (2, 5, "{half")
    files = lake.snapshot().files["quota_samples"]
    assert [name.split("/")[1] for name in files] == ["month=2026-03", "month=2026-04"]


def test_a_file_that_was_begun_anew_keeps_what_it_had(root: Path, lake: Lake) -> None:
    path = root / SAMPLES_NAME
    path.write_text(line("2026-03-02T10:00:00Z", 3) + line("2026-03-02T10:10:00Z", 4))
    lake.refresh([root], host="h")
    path.write_text(line("2026-03-02T10:20:00Z", 5) + line("2026-03-02T10:30:00Z", 6) + line("2026-03-02T10:40:00Z", 7))
    lake.refresh([root], host="h")
    path.unlink()
    lake.refresh([root], host="h")
    assert [row[3] for row in held(lake)] == [3, 4, 5, 6, 7]


def test_it_lies_beside_projects_and_in_the_lakes_folder(root: Path, lake: Lake) -> None:
    """The folder of a lake may hold samples before there is a lake; they are this machine's unless a line says."""
    (root / SAMPLES_NAME).write_text(line("2026-03-02T10:00:00Z", 3))
    lake.path.mkdir()
    own = line("2026-03-02T11:00:00Z", 5) + line("2026-03-02T12:00:00Z", 6, host="server")
    (lake.path / SAMPLES_NAME).write_text(own)
    lake.refresh([root / "projects"], host="h")
    assert [row[:2] for row in held(lake)] == [
        ("02 10:00", "h"),
        ("02 11:00", socket.gethostname()),
        ("02 12:00", "server"),
    ]
    assert (lake.path / SAMPLES_NAME).read_text() == own
    lake.refresh([root / "projects"], host="h")
    assert (lake.path / SAMPLES_NAME).read_text() == own


def test_a_samples_file_is_no_transcript_and_a_link_is_not_followed(root: Path, lake: Lake, tmp_path: Path) -> None:
    (root / "projects" / SAMPLES_NAME).write_text(line("2026-03-02T10:00:00Z", 3))
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text(line("2026-03-02T10:00:00Z", 3))
    (root / SAMPLES_NAME).symlink_to(elsewhere)
    summary = lake.refresh([root], host="h")
    assert (summary.files_found, lake.path.exists()) == (0, False)


BAD = [
    "garbage",
    "[1, 2]",
    "{}",
    '{"timestamp": 5, "rate_limits": {}}',
    '{"timestamp": "yesterday", "rate_limits": {}}',
    '{"timestamp": "0001-01-01T00:00:00+14:00", "rate_limits": {}}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": [1]}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": 3}}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": {"used_percentage": "3", "resets_at": 1}}}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": {"used_percentage": true, "resets_at": 1}}}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": {"used_percentage": -1, "resets_at": 1}}}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": {"used_percentage": 900, "resets_at": 1}}}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": {"used_percentage": 100.1, "resets_at": 1}}}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": {"used_percentage": NaN, "resets_at": 1}}}',
    '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": {"used_percentage": 1, "resets_at": 1e300}}}',
    "[" * 100_000,
]


def test_lines_that_are_none_are_counted_and_the_others_read(root: Path, lake: Lake) -> None:
    nothing = '{"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": null}}\n\n'
    path = root / SAMPLES_NAME
    path.write_text("\n".join(BAD) + "\n" + nothing + line("2026-03-02T10:00:00Z", 3))
    summary = lake.refresh([root], host="h")
    assert [row[3] for row in held(lake)] == [3]
    told = f"{path.resolve()}: {len(BAD)} parts could not be read, the first at byte 0; see tokenlake lake rejects"
    assert told in summary.warnings
    rejects = lake.run("lake/rejects").to_pylist()
    assert [row["head"] for row in rejects] == [text[:200] for text in BAD]
    assert [row["line"] for row in rejects] == list(range(1, len(BAD) + 1))
    assert rejects[2]["reason"] == "no quota sample: no timestamp"
    (row,) = lake.run("lake/bytes").to_pylist()
    assert (row["kind"], row["bytes"], row["unaccounted_bytes"]) == ("quota-samples", path.stat().st_size, 0)


def test_a_window_that_is_odd_takes_no_other_with_it(root: Path, lake: Lake) -> None:
    (root / SAMPLES_NAME).write_text(line("2026-03-02T10:00:00Z", 3).replace("}}}", '}, "seven_day": 4}}'))
    summary = lake.refresh([root], host="h")
    assert (held(lake), summary.odd_fields, summary.rejects) == ([("02 10:00", "h", "five_hour", 3)], 1, 0)


@given(data=st.binary(max_size=200))
def test_no_bytes_are_too_odd(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("odd") / SAMPLES_NAME
    good = line("2026-03-02T10:00:00Z", 3).encode()
    path.write_bytes(data + b"\n" + good)
    (found,) = look(quota.KIND, {str(path): "h"}, {})
    told = read(found)
    assert told.rows[-1][3] == 3
    (stats,) = told.stats.to_pylist()
    (seen,) = told.seen.to_pylist()
    accounted = (
        stats["record_bytes"] + stats["blank_bytes"] + seen["newline_bytes"] + sum(told.lost["bytes"].to_pylist())
    )
    assert accounted == seen["ingested_bytes"] == path.stat().st_size


def test_two_copies_of_a_sample_are_one(root: Path, lake: Lake, tmp_path: Path) -> None:
    other = tmp_path / "copy"
    (other / "projects").mkdir(parents=True)
    text = line("2026-03-02T10:00:00Z", 3) + line("2026-03-02T10:10:00Z", 4)
    for folder in (root, other):
        (folder / SAMPLES_NAME).write_text(text)
    lake.refresh([root, other], host="h")
    commit = lake.snapshot().commit
    lake.refresh([other, root], host="h")
    assert ([row[3] for row in held(lake)], lake.snapshot().commit) == ([3, 4], commit)


def test_lone_surrogates_are_replaced(root: Path, lake: Lake) -> None:
    state = {"used_percentage": 3, "resets_at": RESET}
    record = {"timestamp": "2026-03-02T10:00:00Z", "host": "a\ud800", "rate_limits": {"w\udfff": state}}
    (root / SAMPLES_NAME).write_text(json.dumps(record) + "\n")
    for _ in range(2):
        lake.refresh([root], host="h")
        assert held(lake) == [("02 10:00", "a\ufffd", "w\ufffd", 3)]
    assert lake.snapshot().commit == 1
