"""history.jsonl: which sessions were prompted when, read bit by bit, never as usage, never with a prompt's text."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from accounting.lakes import rows
from accounting.transcripts import S1, S2, assistant, jsonl

from tokenlake.ingest import history
from tokenlake.lake import Lake

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
    assert (summary.requests, summary.files_found, summary.files_read) == (1, 1, 1)
    assert len(rows(lake, "files")) == len(rows(lake, "usage_rows")) == 1
    assert rows(lake, "prompts") == rows(lake, "rejects") == []


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
    seen: list[bytes] = []
    parse = history._prompt
    monkeypatch.setattr(history, "_prompt", lambda line, *place: (seen.append(line), parse(line, *place))[1])
    lake.refresh([home], host="h")
    # Nothing new: one line shows that the file is still the one that was read, and nothing is written.
    assert (seen, lake.snapshot().commit) == ([prompt(1)], commit)
    with path.open("ab") as file:
        file.write(prompt(2) + prompt(3)[:20])
    lake.refresh([home], host="h")
    assert seen[1:] == [prompt(1), prompt(2)]
    with path.open("ab") as file:
        file.write(prompt(3)[20:])
    lake.refresh([home], host="h")
    assert known(lake) == [(minute(n), S1) for n in range(4)]


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


def test_bad_lines_lose_no_other(home: Path, lake: Lake) -> None:
    good = [prompt(number) for number in range(len(BAD))]
    (home / "history.jsonl").write_bytes(b"".join(line + bad for line, bad in zip(good, BAD.values(), strict=True)))
    summary = lake.refresh([home], host="h")
    assert summary.warnings == (
        f"{home}/history.jsonl: 13 lines are no prompt with a time, the first at byte {len(good[0])}; left out",
    )
    assert known(lake) == [(minute(n), S1) for n in range(len(BAD))]


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
    assert lake.refresh([home], host="h").warnings == ()
    assert known(lake) == [(minute(n), S1 if n > 1 else None) for n in range(6)]
    projects = [row["project"] for row in rows(lake, "known_prompts", "ts")]
    assert projects[1] is None
    assert projects[4:] == ["/home/ada/har\ufffdbour"] * 2


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
