"""A lake rebuilt from the lines that it kept is the lake that it was; what cannot be rebuilt is said, and kept."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from accounting.lakes import requests, rows, total
from accounting.test_laws import folder, schedules, tables
from accounting.transcripts import S2, assistant, jsonl, line, usage, user
from accounting.trees import Tree, trees
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenlake.errors import LakeDamagedError, LakeError
from tokenlake.ingest import commit, kept, read, segment
from tokenlake.lake import Lake

FEW = max(2, (settings.default.max_examples if settings.default else 0) // 5)
"""Each example makes several lakes."""


def contents(lake: Lake) -> dict[str, list[str]]:
    """Every table, its rows sorted, every column; but sums, which are by data file (tests/accounting compares them)."""
    return {name: sorted(map(repr, listed)) for name, listed in tables(lake).items() if name != "request_sums"}


def write(root: Path, files: dict[str, bytes], mode: str = "ab") -> None:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        with open(root / path, mode) as out:
            out.write(data)


@settings(max_examples=FEW)
@given(trees(), st.data())
def test_a_rebuilt_lake_equals_the_original(tree: Tree, data: st.DataObject) -> None:
    """Of two machines, read bit by bit, some transcripts rewritten, one gone; nothing is read but the lake."""
    steps = data.draw(schedules(tree))
    rewritten, gone = (data.draw(st.sampled_from(sorted(tree))) for _ in range(2))
    with folder() as base:
        lake = Lake(base / "lake")
        write(
            base / "logs-b", {"projects/-p/b.jsonl": jsonl(user(session=S2), assistant("msg_1", usage(99), session=S2))}
        )
        write(base / "logs-b", {"history.jsonl": b'{"display":"Go.","timestamp":1777000000000,"sessionId":"s"}\n'})
        lake.refresh([base / "logs-b"], host="b", keep_raw=True)
        for step in steps:
            write(base / "logs-a", step)
            if step:
                lake.refresh([base / "logs-a"], host="a")
        write(base / "logs-a", {rewritten: jsonl(assistant("msg_new")) + tree[rewritten]}, "wb")
        lake.refresh([base / "logs-a"], host="a")
        (base / "logs-a" / gone).unlink()
        lake.refresh([base / "logs-a"], host="a", now=datetime(2026, 6, 1, tzinfo=UTC))
        before = contents(lake)
        shutil.rmtree(base / "logs-a")
        shutil.rmtree(base / "logs-b")
        summary = lake.rebuild()
        assert (summary.files, summary.files_taken_over) == (len(tree) + 1, 0)
        assert contents(lake) == before


# --- by hand ------------------------------------------------------------------------------------------------------


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_every_sample_survives_a_rebuild(samples: Path, lake: Lake) -> None:
    """Archives, NULs, invalid bytes, marks at the beginning, pending and unterminated last lines, refused files."""
    lake.refresh([samples / "logs"], host="h", keep_raw=True)
    before = contents(lake)
    summary = lake.rebuild()
    assert contents(lake) == before
    assert (summary.lake.requests, summary.rejects) == (total(lake)[0], len(rows(lake, "rejects")))
    assert summary.records == sum(row["records"] for row in rows(lake, "files"))
    assert summary.bytes_read == sum(len(row["raw"]) + 1 for row in rows(lake, "records"))


def test_small_batches_and_segments_make_the_same_lake(
    samples: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.refresh([samples / "logs"], host="h", keep_raw=True)
    before = contents(lake)
    monkeypatch.setattr(kept, "BATCH_BYTES", 30_000)
    monkeypatch.setattr("tokenlake.ingest.rebuild.SEGMENT_BYTES", 60_000)
    told: list[tuple[int, int]] = []
    lake.rebuild(progress=lambda done, of: told.append((done, of)))
    assert contents(lake) == before
    assert len({done for done, _ in told}) > 3
    assert told[-1][0] == told[-1][1]


def test_a_line_too_long_to_be_read_stays_rejected(logs: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it was kept, but it was never read either: the rest can be rebuilt."""
    monkeypatch.setattr(read, "MAX_LINE_BYTES", 1 << 20)
    monkeypatch.setattr(segment, "BATCH_BYTES", 1 << 19)
    giant = user("x" * (3 << 20))
    (logs / "a.jsonl").write_bytes(jsonl(assistant("msg_1"), giant, assistant("msg_2")))
    lake.refresh([logs], host="h", keep_raw=True)
    (reject,) = rows(lake, "rejects")
    assert (reject["line"], reject["bytes"]) == (2, len(line(giant)))
    before = contents(lake)
    assert lake.rebuild().rejects == 1
    assert contents(lake) == before


def test_what_lies_beside_transcripts_is_taken_over(tmp_path: Path, lake: Lake) -> None:
    """Nothing of a history was kept, nor is it needed: its ledger, rejects and prompts stay as they are."""
    root = tmp_path / "claude"
    (root / "projects").mkdir(parents=True)
    (root / "projects" / "a.jsonl").write_bytes(jsonl(assistant("msg_1")) + b"[1]\n")
    (root / "history.jsonl").write_bytes(b'{"display":"x","timestamp":1777000000000}\nrubbish\n')
    (root / "quota-samples.jsonl").write_bytes(b"{}\n")
    lake.refresh([root], host="h", keep_raw=True)
    before = contents(lake)
    assert [len(before[name]) for name in ("files", "rejects", "known_prompts")] == [3, 3, 1]
    summary = lake.rebuild()
    assert (summary.files, summary.files_taken_over, summary.rejects) == (1, 0, 1)
    assert contents(lake) == before
    commit = lake.snapshot().commit
    assert (lake.refresh([root], host="h").rejects, lake.snapshot().commit) == (0, commit)


def test_a_lake_that_kept_no_lines_is_left_alone(logs: Path, lake: Lake) -> None:
    (logs / "a.jsonl").write_bytes(jsonl(assistant("msg_1")))
    lake.refresh([logs], host="h")
    before = lake.snapshot()
    with pytest.raises(LakeError, match=rf"1 transcripts were not all kept.*: {logs}/a\.jsonl;.*--keep-others"):
        lake.rebuild()
    assert lake.snapshot() == before


@pytest.fixture
def partly(logs: Path, lake: Lake) -> Lake:
    """Kept of old.jsonl: nothing; of grown.jsonl: only what came later; of new.jsonl: everything."""
    (logs / "old.jsonl").write_bytes(jsonl(user(), assistant("msg_1", usage(5))) + b"rubbish\n")
    (logs / "grown.jsonl").write_bytes(jsonl(assistant("msg_2", usage(1), uuid="first")))
    lake.refresh([logs], host="h")
    write(logs, {"grown.jsonl": jsonl(assistant("msg_2", usage(7), uuid="second"))})
    write(logs, {"new.jsonl": jsonl(assistant("msg_1", usage(90), session=S2), assistant("msg_3")) + b"[1]\n"})
    lake.refresh([logs], host="h", keep_raw=True)
    return lake


def test_what_was_kept_in_part_is_not_rebuilt_from_that_part(partly: Lake, logs: Path) -> None:
    before = contents(partly)
    with pytest.raises(LakeError, match=rf"2 transcripts .*: {logs}/grown\.jsonl, {logs}/old\.jsonl;"):
        partly.rebuild()
    assert contents(partly) == before


def test_with_keep_others_the_rest_is_rebuilt_and_nothing_is_lost(partly: Lake, logs: Path) -> None:
    before = contents(partly)
    summary = partly.rebuild(keep_others=True)
    assert (summary.files, summary.files_taken_over) == (1, 2)
    assert contents(partly) == before
    found = requests(partly)
    assert (found["msg_1"]["output_tokens"], found["msg_1"]["n_rows"], found["msg_2"]["n_rows"]) == (90, 2, 2)
    # It goes on from there as from any lake.
    write(logs, {"grown.jsonl": jsonl(assistant("msg_4"))})
    assert partly.refresh([logs], host="h").bytes_read == len(jsonl(assistant("msg_4")))


def test_a_kept_line_that_is_missing_in_the_middle_is_noticed(logs: Path, lake: Lake) -> None:
    (logs / "a.jsonl").write_bytes(jsonl(*(assistant(f"msg_{n}") for n in range(3))))
    lake.refresh([logs], host="h", keep_raw=True)
    (path,) = lake.snapshot().paths("records")
    lines = pq.read_table(path, partitioning=None)
    for keep in ([0, 2], [0, 1], [1, 2]):
        pq.write_table(lines.take(keep), path)
        with pytest.raises(LakeError, match=r"1 transcripts were not all kept"):
            lake.rebuild()


@pytest.mark.parametrize(
    ("table", "damage"), [("requests", "missing"), ("usage_rows", "cut"), ("session_files", "cut")]
)
def test_damaged_tables_are_made_anew(logs: Path, lake: Lake, table: str, damage: str) -> None:
    (logs / "a.jsonl").write_bytes(jsonl(user(), assistant("msg_1")))
    lake.refresh([logs], host="h", keep_raw=True)
    before = contents(lake)
    (name,) = lake.snapshot().paths(table)
    Path(name).write_bytes(Path(name).read_bytes()[:100])
    if damage == "missing":
        Path(name).unlink()
    lake.rebuild()
    assert contents(lake) == before


@pytest.mark.parametrize("table", ["files", "records"])
def test_what_a_rebuild_needs_must_be_there(logs: Path, lake: Lake, table: str) -> None:
    (logs / "a.jsonl").write_bytes(jsonl(assistant("msg_1")))
    lake.refresh([logs], host="h", keep_raw=True)
    (path,) = lake.snapshot().paths(table)
    Path(path).unlink()
    with pytest.raises(LakeDamagedError, match=rf"{lake.path}: cannot be read .*restore it from a backup"):
        lake.rebuild()


def test_without_a_lake_there_is_nothing_to_rebuild(lake: Lake) -> None:
    with pytest.raises(LakeError, match=f"there is no lake at {lake.path}"):
        lake.rebuild()
    assert not lake.path.exists()


class Killed(BaseException):
    """Stands for a process that ends here."""


def test_a_rebuild_that_is_killed_leaves_the_old_tables(
    logs: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "a.jsonl").write_bytes(jsonl(user(), assistant("msg_1")))
    lake.refresh([logs], host="h", keep_raw=True)
    before, snapshot = contents(lake), lake.snapshot()

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("tokenlake.store.catalog.publish", die)
        with pytest.raises(Killed):
            lake.rebuild()
    assert lake.snapshot() == snapshot
    assert contents(lake) == before
    lake.rebuild()
    assert contents(lake) == before
    assert not (lake.path / commit.STAGING_NAME).exists()
