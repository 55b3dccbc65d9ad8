"""Which rows ccusage keeps: the view against a plain walk through them, and against the program itself."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import assistant, jsonl, usage
from reconcile import peer
from reconcile.conftest import write
from tests.query import lakes

from tokenlake.query.connect import connect
from tokenlake.reconcile import program as peer_program
from tokenlake.reconcile import totals

Row = dict[str, Any]
TIMES = ("2026-03-01T10:00:00.000Z", "2026-03-01T10:00:01.000Z")


def groups(seed: int, count: int = 250) -> list[list[Row]]:
    """Messages of a few rows, in the order of files: ids, sessions and threads mixed as no agent would."""
    rnd = random.Random(seed)
    found = []
    for number in range(count):
        rows = [
            {
                "message": rnd.choice([f"m{number}"] * 8 + [None]),
                "request": rnd.choice([f"r{number}", f"q{number}", f"z{number}", None]),
                "session": rnd.choice(["s1", "s2"]),
                "side": rnd.random() < 0.5,
                # Told apart by powers of ten in the output, of one price whatever the size.
                "size": rnd.choice([100, 200, 300, 400, 500]) * 100_000,
                "time": rnd.choice(TIMES),
                "file": rnd.randrange(3),
            }
            for _ in range(rnd.randint(2, 7))
        ]
        found.append(sorted(rows, key=lambda row: row["file"]))
    return found


def kept_by_walk(rows: list[Row]) -> list[int]:
    """Places of the rows that count."""
    walked = []
    for place, row in enumerate(rows):
        ts = datetime.fromisoformat(row["time"]).astimezone(UTC)
        # The place rides along in the reads; no model, so that of equal rows the first counts.
        counts = (row["size"] - place, 0, 0, 0, place)
        walked.append(peer.Entry(ts, row["session"], row["message"], row["request"], row["side"], None, None, counts))
    # Rows without a message id are no matter here: each counts.
    return sorted(entry.counts[4] for entry in peer.kept(walked))


@pytest.mark.parametrize("seed", range(3))
def test_the_view_keeps_what_a_walk_keeps(tmp_path: Path, seed: int) -> None:
    usage_rows, expected = [], {}
    for number, rows in enumerate(groups(seed)):
        expected[number] = kept_by_walk(rows)
        for place, row in enumerate(rows):
            offset = number * 10 + place
            counts = (row["size"] - place, 0, 0, 0, place)
            own = {"request_id": row["request"], "session_id": row["session"], "is_sidechain": row["side"]}
            key = row["message"] or f"row-{offset}"
            usage_rows.append(
                lakes.usage_row(row["message"], row["time"], counts, offset, file_id=row["file"], model=None, **own)
                | {"key": key}
            )
    files = [lakes.transcript(number, f"/logs/{number}.jsonl") for number in range(3)]
    snapshot = lakes.publish(tmp_path / "lake", {"usage_rows": usage_rows, "files": files})
    found = defaultdict(list)
    with connect(snapshot, only_for="requests_ccusage") as connection:
        for (offset,) in connection.execute('select "offset" from requests_ccusage order by 1').fetchall():
            found[offset // 10].append(offset % 10)
    assert found == expected


def test_the_walk_is_that_of_the_program(program: str, tmp_path: Path) -> None:
    """Rows of one message a day; those that count are told by the bits of their reads."""
    expected, files = {}, defaultdict(bytes)
    for number, rows in enumerate(groups(99, count=300)):
        day = datetime(2020 + number // 300, number % 300 // 25 + 1, number % 25 + 1, tzinfo=UTC).date()
        expected[day] = sum(4**place for place in kept_by_walk(rows))
        for place, row in enumerate(rows):
            record = assistant(
                row["message"],
                usage(0, fresh=row["size"] - 4**place, read=4**place),
                row["time"].replace("2026-03-01", str(day)),
                session=row["session"],
                model="<synthetic>",
                request_id=row["request"],
                isSidechain=row["side"],
            )
            files[f"-p/{row['file']}.jsonl"] += jsonl(record)
    write(tmp_path, files)
    said = totals.read(peer_program.needed(program).daily([tmp_path], "UTC"), "program")
    assert {total.day: total.cache_read_tokens for total in said} == expected
