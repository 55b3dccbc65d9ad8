"""history.jsonl: which sessions were prompted when, read bit by bit, never as usage, never with a prompt's text."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from accounting.lakes import rows
from accounting.transcripts import S1, S2, assistant, jsonl
from reconcile import peer

from tokenlake.doctor.examination import examine
from tokenlake.doctor.findings import Status
from tokenlake.ingest import history
from tokenlake.lake import Lake
from tokenlake.reconcile import reconcile

NOON = 1_777_896_000_000  # 2026-05-04T12:00:00Z, in ms


def prompt(minutes: int = 0, session: str | None = S1, project: str = "/home/ada/harbour", **more: Any) -> bytes:
    record = {
        "display": "The secret of the lighthouse.",
        "pastedContents": {"1": {"content": "more of it"}},
        "timestamp": NOON + minutes * 60_000,
        "project": project,
    }
    if session is not None:
        record["sessionId"] = session
    return json.dumps({**record, **more}, ensure_ascii=False).encode() + b"\n"


def minute(number: int) -> datetime:
    return datetime(2026, 5, 4, 12, number, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The agent's folder, with one transcript in it."""
    folder = tmp_path / "claude"
    (folder / "projects" / "-p").mkdir(parents=True)
    (folder / "projects" / "-p" / f"{S1}.jsonl").write_bytes(jsonl(assistant()))
    return folder


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def known(lake: Lake) -> list[tuple[datetime, str | None]]:
    return [(row["ts"], row["session_id"]) for row in rows(lake, "known_prompts", "ts, session_id")]


@pytest.mark.parametrize("root", [".", "projects", ".."], ids=["the agent's folder", "projects", "a backup around it"])
def test_it_is_found_beside_projects_whatever_the_root(home: Path, lake: Lake, root: str) -> None:
    (home / "history.jsonl").write_bytes(prompt(0) + prompt(5, S2))
    lake.refresh([home / root], host="laptop")
    assert known(lake) == [(minute(0), S1), (minute(5), S2)]
    (first, _) = rows(lake, "known_prompts", "ts")
    assert (first["host"], first["project"], first["offset"]) == ("laptop", "/home/ada/harbour", 0)


def test_it_is_never_usage_and_no_transcript(home: Path, lake: Lake) -> None:
    (home / "history.jsonl").write_bytes(prompt(0) + jsonl(assistant("msg_9")))
    summary = lake.refresh([home], host="h")
    assert (summary.requests, summary.files_found, summary.files_read, summary.rejects) == (1, 1, 1, 1)
    assert [row["kind"] for row in rows(lake, "files", "kind")] == ["history", "main"]
    assert (len(rows(lake, "usage_rows")), rows(lake, "prompts")) == (1, [])


def test_no_text_of_it_is_kept(home: Path, lake: Lake) -> None:
    (home / "history.jsonl").write_bytes(prompt(0))
    lake.refresh([home], host="h", keep_raw=True)
    stored = b"".join(path.read_bytes() for path in lake.path.rglob("*") if path.is_file())
    assert S1.encode() in stored
    assert b"lighthouse" not in stored
    for table in ("known_prompts", "records", "events", "texts"):
        assert not any("lighthouse" in repr(row) for row in rows(lake, table))


def test_only_what_was_appended_is_read(home: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "history.jsonl"
    path.write_bytes(prompt(0) + prompt(1))
    lake.refresh([home], host="h")
    commit = lake.snapshot().commit
    seen: list[int] = []
    rows_of = history.KIND.rows_of
    noting = replace(history.KIND, rows_of=lambda *given: (seen.append(given[-1]), rows_of(*given))[1])
    monkeypatch.setattr(history, "KIND", noting)
    lake.refresh([home], host="h")
    assert (seen, lake.snapshot().commit) == ([], commit)
    with path.open("ab") as file:
        file.write(prompt(2) + prompt(3)[:20])
    lake.refresh([home], host="h")
    assert seen == [2 * len(prompt())]
    with path.open("ab") as file:
        file.write(prompt(3)[20:])
    lake.refresh([home], host="h")
    assert seen == [2 * len(prompt()), 3 * len(prompt())]
    assert known(lake) == [(minute(n), S1) for n in range(4)]
    in_ledger(lake, path)


def test_what_was_known_stays_known(home: Path, lake: Lake) -> None:
    """A history that is cut at its head, written anew, or removed takes nothing back."""
    path = home / "history.jsonl"
    path.write_bytes(prompt(0) + prompt(1) + prompt(2))
    lake.refresh([home], host="h")
    for rest in (prompt(2) + prompt(3), prompt(4, project="/p"), b""):
        path.write_bytes(rest)
        lake.refresh([home], host="h")
    path.unlink()
    lake.refresh([home], host="h")
    assert known(lake) == [(minute(n), S1) for n in range(5)]


def test_a_prompt_counts_once_whichever_history_names_it(home: Path, lake: Lake, tmp_path: Path) -> None:
    """The same machine's backup names most of it again; another machine's history is its own."""
    (home / "history.jsonl").write_bytes(prompt(0) + prompt(0) + prompt(1))
    backup = tmp_path / "backup"
    (backup / "projects").mkdir(parents=True)
    (backup / "history.jsonl").write_bytes(prompt(0))
    lake.refresh([home], host="h")
    lake.refresh([backup], host="h")
    assert known(lake) == [(minute(0), S1), (minute(1), S1)]
    lake.refresh([backup], host="other")
    assert len(known(lake)) == 3


BAD = {
    "not JSON": b"core dumped\n",
    "cut": prompt(9)[:30] + b"\n",
    "a list": b"[1]\n",
    "no time": b'{"sessionId":"s"}\n',
    "a time of text": prompt(9, timestamp="2026-05-04T12:09:00Z"),
    "a truth": prompt(9, timestamp=True),
    "before 1970": prompt(9, timestamp=-1),
    "after all years": prompt(9, timestamp=10**18),
    "no number": prompt(9).replace(b"1777896540000", b"NaN"),
    "endless": prompt(9).replace(b"1777896540000", b"1e999"),
    "too many digits": prompt(9).replace(b"1777896540000", b"1" * 5000),
    "too deep": b"[" * 100_000 + b"\n",
    "bytes": b"\xff\xfe\x00\x01\n",
}


def in_ledger(lake: Lake, path: Path) -> dict[str, Any]:
    """The ledger's row of the history: its sums are those of its rejects and of its bytes."""
    (row,) = [row for row in rows(lake, "files") if row["path"] == str(path)]
    lost = [reject for reject in rows(lake, "rejects") if reject["file_id"] == row["file_id"]]
    assert (row["rejects"], row["rejected_bytes"]) == (len(lost), sum(reject["bytes"] for reject in lost))
    (bytes_,) = [found for found in lake.run("lake/bytes").to_pylist() if found["file"] == str(path)]
    assert (bytes_["unaccounted_bytes"], bytes_["bytes"]) == (0, path.stat().st_size)
    return row


def test_bad_lines_lose_no_other_and_are_rejected(home: Path, lake: Lake) -> None:
    good = [prompt(number) for number in range(len(BAD))]
    path = home / "history.jsonl"
    path.write_bytes(b"".join(line + bad for line, bad in zip(good, BAD.values(), strict=True)))
    summary = lake.refresh([home], host="h")
    assert summary.warnings == (
        f"{path}: 13 parts could not be read, the first at byte {len(good[0])}; see tokenlake lake rejects",
    )
    assert summary.rejects == 13
    assert known(lake) == [(minute(n), S1) for n in range(len(BAD))]
    listed = lake.run("lake/rejects").to_pylist()
    assert [row["line"] for row in listed] == [2 * n + 2 for n in range(13)]
    data = path.read_bytes()
    for row, bad in zip(listed, BAD.values(), strict=True):
        lost = data[row["offset"] : row["offset"] + row["bytes"]]
        assert lost == bad.strip(b"\0\n")
        assert (row["file"], row["head"]) == (str(path), lost[:200].decode("utf-8", "replace"))
    reasons = {name: row["reason"] for name, row in zip(BAD, listed, strict=True)}
    assert reasons["not JSON"] == reasons["a list"] == "not a JSON object"
    assert reasons["cut"] == "cut off"
    assert reasons["a time of text"] == reasons["no time"] == "no prompt with a time"
    assert (in_ledger(lake, path)["records"], in_ledger(lake, path)["lines"]) == (13, 26)


def test_bytes_that_were_rejected_are_so_once(home: Path, lake: Lake) -> None:
    """However often the file is read: when it grew, when it was touched, when it was written anew, when it is gone."""
    path = home / "history.jsonl"
    path.write_bytes(prompt(0) + b"rubbish\n")
    lake.refresh([home], host="h")
    with path.open("ab") as file:
        file.write(b"more\n" + prompt(1))
    assert lake.refresh([home], host="h").rejects == 1
    assert [row["head"] for row in rows(lake, "rejects", '"offset"')] == ["rubbish", "more"]
    commit = lake.snapshot().commit
    assert (lake.refresh([home], host="h").rejects, lake.snapshot().commit) == (0, commit)
    os.utime(path, (0, 0))
    lake.refresh([home], host="h")
    assert in_ledger(lake, path)["rejects"] == 2
    path.write_bytes(b"rubbish\n" + prompt(2))
    lake.refresh([home], host="h")
    assert [(row["offset"], row["head"]) for row in rows(lake, "rejects")] == [(0, "rubbish")]
    assert (in_ledger(lake, path)["records"], len(known(lake))) == (1, 3)
    path.unlink()
    lake.refresh([home], host="h")
    assert [row["departed_at"] is None for row in rows(lake, "files", "kind")] == [False, True]
    assert len(rows(lake, "rejects")) == 1


def test_prompts_on_one_line_and_behind_a_torn_one_are_read(home: Path, lake: Lake) -> None:
    torn = prompt(7)[:60]
    assert b'"timestamp"' not in torn
    path = home / "history.jsonl"
    path.write_bytes(prompt(0)[:-1] + b"\0\0" + prompt(1) + torn + prompt(2) + prompt(3)[:-1] + b" oops \n")
    lake.refresh([home], host="h")
    assert known(lake) == [(minute(n), S1) for n in range(4)]
    found = [(row["line"], row["bytes"], row["reason"]) for row in rows(lake, "rejects", '"offset"')]
    assert found == [(2, 60, "cut off by the next record"), (3, 4, "not a JSON object")]
    row = in_ledger(lake, path)
    assert (row["records"], row["blank_bytes"], row["lines"]) == (4, 4, 3)


def test_a_line_too_long_to_be_read_is_rejected(home: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenlake.ingest.read.MAX_LINE_BYTES", 1 << 20)
    monkeypatch.setattr("tokenlake.ingest.told.BATCH_BYTES", 1 << 19)
    path = home / "history.jsonl"
    giant = prompt(5, display="x" * (3 << 20))
    path.write_bytes(prompt(0) + giant + prompt(1))
    lake.refresh([home], host="h")
    assert known(lake) == [(minute(0), S1), (minute(1), S1)]
    (reject,) = rows(lake, "rejects")
    assert (reject["line"], reject["offset"], reject["bytes"]) == (2, len(prompt()), len(giant) - 1)
    assert in_ledger(lake, path)["rejects"] == 1


def test_doctor_and_reconcile_do_not_take_it_for_a_transcript(home: Path, lake: Lake) -> None:
    """Also where the lake's own quota samples are of another machine than the transcripts."""
    (home / "history.jsonl").write_bytes(prompt(0) + b"rubbish\n")
    lake.path.mkdir(mode=0o700)
    (lake.path / "quota-samples.jsonl").write_bytes(b"{}\n")
    lake.refresh([home], host="laptop")
    assert sorted(row["kind"] for row in rows(lake, "files")) == ["history", "main", "quota-samples"]
    found = {finding.check: finding for finding in examine(lake.path, [home], host="laptop")}
    fine = ("ledger", "rejects of the ledger", "usage rows of the ledger", "unique keys", "retention", "other files")
    assert [(name, found[name].found) for name in fine if found[name].status is not Status.OK] == []
    assert found["rejects"].status is Status.WARNING
    assert "1 part (7 bytes) of 1 file: not a JSON object" in found["rejects"].found
    for named in (None, "laptop"):
        told = reconcile(lake.snapshot(), roots=[home], host=named, tz="UTC", report=peer.report(home))
        with closing(told.connection):
            assert told.unexplained_tokens == 0
            assert not [note for note in told.notes if "does not" in note or "read now" in note]


def test_reports_over_transcripts_do_not_count_it(home: Path, lake: Lake) -> None:
    (home / "history.jsonl").write_bytes(prompt(0) + b"rubbish\n")
    lake.refresh([home], host="h", keep_raw=True)
    (row,) = lake.run("lake/coverage", tz="UTC").to_pylist()
    names = ("files", "refused_files", "records", "rejects", "known_sessions", "held_sessions")
    assert [row[name] for name in names] == [1, 0, 1, 0, 1, 1]
    assert len(rows(lake, "rejects")) == 1
    (home / "history.jsonl").unlink()
    lake.refresh([home], host="h")
    assert [row["departed_files"] for row in lake.run("lake/coverage", tz="UTC").to_pylist()] == [0]


def test_odd_fields_are_unknown(home: Path, lake: Lake) -> None:
    """Blank lines, marks and NULs are nothing; a time may be written as text or with decimals."""
    lines = [
        b"\xef\xbb\xbf" + prompt(0, session=None),
        b"\0\0\n \n",
        prompt(1, session=7, project=["x"]),
        prompt(2, timestamp=str(NOON + 120_000)),
        prompt(3, timestamp=NOON + 180_000.75),
        prompt(4).replace(b"harbour", b"har\\ud83dbour"),
        prompt(5).replace(b"harbour", b"har\xffbour"),
    ]
    (home / "history.jsonl").write_bytes(b"".join(lines))
    summary = lake.refresh([home], host="h")
    assert (summary.warnings, summary.rejects, summary.odd_fields) == ((), 0, 2)
    assert known(lake) == [(minute(n), S1 if n > 1 else None) for n in range(6)]
    in_ledger(lake, home / "history.jsonl")
    projects = [row["project"] for row in rows(lake, "known_prompts", "ts")]
    assert projects[1] is None
    assert projects[4:] == ["/home/ada/har\ufffdbour"] * 2


def test_one_that_may_not_be_read_is_named_and_read_when_it_may_be(
    home: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "history.jsonl"
    path.write_bytes(prompt(0))
    opened = open

    def refusing(file: Any, *rest: Any, **more: Any) -> Any:
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied", file)
        return opened(file, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", refusing)
        for _ in range(2):
            assert lake.refresh([home], host="h").warnings == (f"{path}: Permission denied; not read",)
    assert (known(lake), lake.snapshot().commit) == ([], 1)
    assert lake.refresh([home], host="h").warnings == ()
    assert known(lake) == [(minute(0), S1)]


def test_links_and_folders_of_the_name_are_not_read(home: Path, lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(prompt(0))
    (home / "history.jsonl").symlink_to(tmp_path / "elsewhere")
    lake.refresh([home], host="h")
    (home / "history.jsonl").unlink()
    (home / "history.jsonl").mkdir()
    lake.refresh([home], host="h")
    assert known(lake) == []


def test_only_the_history_is_opened_of_what_lies_beside_projects(
    home: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials and settings are as if they were not there."""
    for name in (".credentials.json", "settings.json", "stats-cache.json", ".claude.json"):
        (home / name).write_text("secret")
    (home / "history.jsonl").write_bytes(prompt(0))
    opened: list[str] = []
    true_open = open

    def noting(file: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(os.fspath(file) if not isinstance(file, int) else "")
        return true_open(file, *arguments, **options)

    monkeypatch.setattr("builtins.open", noting)
    lake.refresh([home / "projects"], host="h")
    beside = {Path(path).name for path in opened if Path(path).parent == home}
    assert beside == {"history.jsonl"}


def test_sessions_without_transcripts_are_shown_as_missing(home: Path, lake: Lake) -> None:
    (home / "history.jsonl").write_bytes(prompt(0) + prompt(60 * 24, S2))
    lake.refresh([home], host="h")
    (row,) = lake.run("lake/coverage", tz="UTC").to_pylist()
    names = ("known_sessions", "held_sessions", "departed_sessions", "missing_sessions", "known_days", "missing_days")
    assert [row[name] for name in names] == [2, 1, 0, 1, 2, 1]
    (home / "projects" / "-p" / f"{S1}.jsonl").unlink()
    lake.refresh([home], host="h")
    (row,) = lake.run("lake/coverage", tz="UTC").to_pylist()
    assert [row[name] for name in names] == [2, 0, 1, 1, 2, 1]
    assert row["departed_days"] == 1


def test_many_small_appends_make_few_data_files(home: Path, lake: Lake) -> None:
    for number in range(9):
        with (home / "history.jsonl").open("ab") as file:
            file.write(prompt(number))
        lake.refresh([home], host="h", totals=False)
    assert known(lake) == [(minute(n), S1) for n in range(9)]
    assert len(lake.snapshot().paths("known_prompts")) == 2
