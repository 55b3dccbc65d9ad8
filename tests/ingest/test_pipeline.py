"""Whole ingests: the numbers of the summary, the options, and what others do to the files meanwhile."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from accounting.transcripts import S1, S2, S3, assistant, jsonl, line, usage, user

from tokenlake.ingest import merge, pipeline, segment
from tokenlake.lake import Lake
from tokenlake.store import lock

DUMP = b'{"type":"result","session_id":"x"}\n'


def rows(lake: Lake) -> dict[str, list[str]]:
    """Every row of the lake as text, by table, whichever data files they lie in."""
    snapshot = lake.snapshot()
    found = {
        table: sorted(
            str(row) for path in snapshot.paths(table) for row in pq.read_table(path, partitioning=None).to_pylist()
        )
        for table in snapshot.files
    }
    return {table: listed for table, listed in found.items() if listed}


# --- the summary --------------------------------------------------------------------------------------------------


def test_the_summary_counts_what_was_done(tmp_path: Path) -> None:
    usages = (usage(10, fresh=1, w5=20, w1=30, read=400), usage(11, fresh=2, w1=5), usage(99, fresh=3, read=600))
    one, two, three = (assistant(f"msg_{n}", counts, f"09:0{n}") for n, counts in enumerate(usages, 1))
    # Six records: the second request twice, one with an odd field, one in a damaged line; a reject; a pending line.
    first = jsonl(user(), one, two, assistant("msg_2", usage(4), "09:02:30", uuid="again"))
    first += jsonl(user("Odd.", cwd=5)) + b"rubbish " + line(three) + b"\n" + b'{"type":"user","cut'
    second = gzip.compress(jsonl(user(session=S2)))
    logs = tmp_path / "logs"
    logs.mkdir()
    for name, data in {f"{S1}.jsonl": first, f"{S2}.jsonl.gz": second, "dump.jsonl": DUMP}.items():
        (logs / name).write_bytes(data)
    lake = Lake(tmp_path / "lake")
    summary = lake.refresh([logs], host="h")
    counted = {name: getattr(summary, name) for name in summary.__slots__}
    assert counted.pop("seconds") > 0
    assert counted.pop("warnings") == (
        f"{logs}/dump.jsonl: output of --output-format stream-json, not a transcript; not read",
    )
    assert counted == {
        "files_found": 3,
        "files_read": 2,
        "files_unchanged": 0,
        "files_departed": 0,
        "files_refused": 1,
        "bytes_read": len(first) + len(gzip.decompress(second)),
        "lines": 6 + 1,
        "records": 6 + 1,
        "rejects": 1,
        "odd_fields": 1,
        "pending_bytes": 19,
        "requests": 3,
        "input_tokens": 1 + 2 + 3,
        "output_tokens": 10 + 11 + 99,
        "cache_write_5m_tokens": 20,
        "cache_write_1h_tokens": 30 + 5,
        "cache_read_tokens": 400 + 600,
    }
    (logs / "dump.jsonl").unlink()
    again = lake.refresh([logs], host="h", totals=False)
    told = (again.files_found, again.files_read, again.files_unchanged, again.files_departed, again.files_refused)
    assert told == (2, 0, 2, 1, 0)
    assert (again.lines, again.records, again.rejects, again.bytes_read, again.requests) == (0, 0, 0, 0, 0)


def test_progress_goes_from_nothing_to_everything(ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "BATCH_BYTES", 1 << 20)
    data = {f"-p/{n}.jsonl": jsonl(user("x" * 900_000, uuid=str(n))) for n in range(16)}
    told: list[tuple[int, int]] = []
    ingest(data, progress=lambda done, total: told.append((done, total)))
    total = sum(map(len, data.values()))
    assert {of for _, of in told} == {total}
    done = [bytes_done for bytes_done, _ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    # More batches than are read ahead: not only the beginning and the end are shown.
    assert len(set(done)) > 2


# --- options ------------------------------------------------------------------------------------------------------


def test_without_text_the_rest_is_the_same(ingest) -> None:
    content = [{"type": "text", "text": "Aye, aye."}, {"type": "text", "text": "Ho."}]
    lake = ingest({f"-p/{S1}.jsonl": jsonl(user("Ahoy."), assistant(content=content))}, keep_text=False)
    for table, chars in (("texts", [3, 9]), ("prompts", [5])):
        found = lake.sql(f"select chars, text from {table} order by chars").to_pylist()
        assert found == [{"chars": count, "text": None} for count in chars]
    assert lake.sql("select text_chars from requests").to_pylist() == [{"text_chars": 12}]
    everything = str(rows(lake))
    assert "Aye" not in everything
    assert "Ahoy" not in everything


def test_kept_records_are_the_lines_byte_for_byte(ingest, logs: Path) -> None:
    lines = [
        line(user()),
        b"",
        b"  " + line(assistant()) + b"\r",
        b"rubbish \xff\xfe\x80",
        b"\0\0" + line(user("\u2028\x85 \ud7ff", uuid="n")) + b"\0",
        b"\xef\xbb\xbf" + line(user(uuid="bom")),
        b'{"type":"user","lone":"\\ud83d"}',
        line(user(uuid="last")),
    ]
    names = [f"-p/{name}" for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl")]
    plain = b"\n".join(lines) + b"\n"
    # The last line of `c` has no newline yet, what stands behind that of `a` is not complete.
    contents = [plain + b'{"pending', gzip.compress(plain), plain[:-1]]
    lake = ingest(dict(zip(names, contents, strict=True)), keep_raw=True)
    found = lake.sql(
        'select path, line, r."offset", raw, r.host from records r join files using (file_id) order by path, line'
    ).to_pylist()
    wanted, offset = [], 0
    for number, raw in enumerate(lines, 1):
        wanted.append({"line": number, "offset": offset, "raw": raw, "host": "h"})
        offset += len(raw) + 1
    assert found == [{"path": f"{logs}/projects/{name}", **row} for name in names for row in wanted]
    # A tail is added, the lake remembers; told otherwise nothing is added, and nothing is taken away.
    ingest({names[0]: plain + b'{"pending":1}\n'})
    ingest({names[0]: plain + b'{"pending":1}\n' + plain}, keep_raw=False)
    kept = lake.sql('select line, "offset", raw from records').to_pylist()
    assert len(kept) == 3 * len(lines) + 1
    assert {"line": 9, "offset": len(plain), "raw": b'{"pending":1}'} in kept


def test_any_number_of_jobs_and_segments_gives_the_same_tables(
    ingest, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "BATCH_BYTES", 1 << 20)
    padding = "x" * 2000
    tree = {}
    for n, session in enumerate((S1, S2, S3)):
        # Requests of which every session holds another row, in another month.
        records = [
            assistant(f"msg_{i}", usage(i + n), f"2026-0{4 + (i + n) % 3}-01T00:00:{i % 60:02}Z", session=session)
            for i in range(100)
        ]
        tree[f"-p/{session}.jsonl"] = jsonl(*records, *(user(padding, uuid=f"{n}-{i}") for i in range(400)))
    alone = rows(ingest(tree, jobs=1))
    assert len(alone["requests"]) == 100
    assert len(alone["usage_rows"]) == 300
    monkeypatch.setattr(pipeline, "SEGMENT_BYTES", 1)
    others = Lake(logs.parent / "others")
    others.refresh([logs], host="h", jobs=2)
    assert rows(others) == alone


def test_the_same_path_on_two_hosts_is_two_transcripts(ingest, logs: Path) -> None:
    """Logs of two machines that are copied to the same place, one after the other."""
    ingest({f"-p/{S1}.jsonl": jsonl(assistant("msg_1", usage(5)))}, host="laptop")
    lake = ingest({f"-p/{S1}.jsonl": jsonl(assistant("msg_2", usage(7), session=S2))}, host="o'brien's desktop")
    found = lake.sql("select host, sum(output_tokens)::bigint as output from requests group by host order by host")
    assert found.to_pylist() == [{"host": "laptop", "output": 5}, {"host": "o'brien's desktop", "output": 7}]
    files = lake.sql("select host, path, departed_at from files order by host").to_pylist()
    assert [tuple(row.values()) for row in files] == [
        (host, f"{logs}/projects/-p/{S1}.jsonl", None) for host in ("laptop", "o'brien's desktop")
    ]
    assert lake.refresh([logs], host="o'brien's desktop").files_unchanged == 1


# --- meanwhile ----------------------------------------------------------------------------------------------------


def test_what_another_process_ingested_meanwhile_is_not_ingested_twice(
    ingest, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, others = lock.writer, []

    @contextmanager
    def writer(root: Path, *args: Any, **kwargs: Any) -> Iterator[None]:
        if not others:  # while this one waits for the lock, another ingests the same
            others.append(Lake(root))
            others[0].refresh([logs], host="h")
        with real(root, *args, **kwargs):
            yield

    monkeypatch.setattr(lock, "writer", writer)
    lake = ingest({f"-p/{S1}.jsonl": jsonl(user(), assistant())})
    assert others
    counts = "select (select count(*) from usage_rows) as rows, (select count(*) from files) as files, n_rows"
    assert lake.sql(f"{counts} from requests").to_pylist() == [{"rows": 1, "files": 1, "n_rows": 1}]


def test_what_is_appended_meanwhile_is_read_by_the_next_ingest(ingest, logs: Path) -> None:
    path = logs / "projects" / "-p" / "a.jsonl"
    first, more = jsonl(assistant("msg_1", usage(5))), jsonl(assistant("msg_2", usage(7), "09:02"))

    def append(done: int, _: int) -> None:
        if done == 0:
            with path.open("ab") as file:
                file.write(more)

    lake = ingest({"-p/a.jsonl": first}, progress=append)
    summary = lake.refresh([logs], host="h")
    assert (summary.bytes_read, summary.requests, summary.output_tokens) == (len(more), 2, 12)


def test_a_transcript_that_vanishes_once_it_was_read_keeps_its_rows(ingest, logs: Path) -> None:
    """The agent removes old transcripts whenever it starts, also during an ingest."""
    path = logs / "projects" / "-p" / "a.jsonl"

    def remove(done: int, total: int) -> None:
        if done == total:
            path.unlink(missing_ok=True)

    lake = ingest({"-p/a.jsonl": jsonl(assistant()), "-p/b.jsonl": jsonl(user())}, progress=remove)
    assert not path.exists()
    assert lake.sql("select count(*) as n from requests").to_pylist() == [{"n": 1}]
    noon = datetime(2026, 5, 5, 12, tzinfo=UTC)
    lake.refresh([logs], host="h", now=noon)
    assert lake.sql("select departed_at from files order by path").to_pylist() == [
        {"departed_at": noon},
        {"departed_at": None},
    ]


def test_a_name_that_is_not_text_stops_nothing(ingest, logs: Path) -> None:
    folder = os.fsencode(logs / "projects" / "-p")
    os.makedirs(folder)
    try:
        with open(folder + b"/caf\xe9.jsonl", "wb") as file:
            file.write(jsonl(assistant("msg_1", usage(5))))
    except OSError:
        pytest.skip("this file system takes no such names")
    lake = ingest({"-p/b.jsonl": jsonl(assistant("msg_2", usage(7)))})
    assert lake.sql("select sum(output_tokens)::bigint as output from requests").to_pylist() == [{"output": 12}]
    assert lake.refresh([logs], host="h").files_unchanged == 2


def test_no_step_goes_on_behind_one_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is free once the error is out: a thread that still wrote would write into the next writer's files."""
    failed, ended = threading.Event(), threading.Event()
    merge_requests = merge.Merger._merge_requests

    def fail(self: merge.Merger, con: object) -> None:
        failed.set()
        raise RuntimeError("the tide is out")

    def late(self: merge.Merger, con: Any) -> None:
        failed.wait()
        merge_requests(self, con)
        ended.set()

    monkeypatch.setattr(merge.Merger, "_merge_others", fail)
    monkeypatch.setattr(merge.Merger, "_merge_requests", late)
    (tmp_path / "a.jsonl").write_bytes(jsonl(assistant()))
    with pytest.raises(RuntimeError, match="the tide is out"):
        Lake(tmp_path / "lake").refresh([tmp_path / "a.jsonl"], host="h")
    assert ended.is_set()
