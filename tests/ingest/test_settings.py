"""What an ingest was told once holds for the later ones of the same lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenlake import Lake
from tokenlake.errors import LakeError, SourceError

LINE = (
    '{"type":"assistant","uuid":"%s","sessionId":"s","timestamp":"2026-05-01T09:00:0%d.000Z","message":'
    '{"id":"%s","model":"m","role":"assistant","content":[{"type":"text","text":"Aye."}],'
    '"usage":{"input_tokens":1,"output_tokens":2}}}\n'
)


def append(root: Path, number: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "a.jsonl", "a", encoding="utf-8") as file:
        file.write(LINE % (f"u{number}", number, f"msg_{number}"))


def test_text_left_out_once_stays_out(tmp_path: Path) -> None:
    lake, root = Lake(tmp_path / "lake"), tmp_path / "logs"
    append(root, 1)
    lake.refresh([root], host="h", keep_text=False)
    append(root, 2)
    lake.refresh([root], host="h")
    assert lake.sql("select count(*) as n, count(text) as texts from texts").to_pylist() == [{"n": 2, "texts": 0}]


def test_raw_lines_kept_once_are_kept_on(tmp_path: Path) -> None:
    lake, root = Lake(tmp_path / "lake"), tmp_path / "logs"
    append(root, 1)
    lake.refresh([root], host="h", keep_raw=True)
    append(root, 2)
    lake.refresh([root], host="h")
    kept = lake.sql('select raw from records order by "offset"').to_pylist()
    assert b"".join(row["raw"] + b"\n" for row in kept) == (root / "a.jsonl").read_bytes()


def test_named_roots_are_read_again_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, root = Lake(tmp_path / "lake"), tmp_path / "logs"
    append(root, 1)
    append(tmp_path / "claude" / "projects", 3)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    lake.refresh([root], host="h")
    append(root, 2)
    lake.refresh(host="h")
    assert lake.sql("select key from requests order by key").to_pylist() == [{"key": "msg_1"}, {"key": "msg_2"}]


def test_a_folder_named_beside_the_agents_own_does_not_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, own, archive = Lake(tmp_path / "lake"), tmp_path / "claude" / "projects", tmp_path / "archive"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    append(own, 1)
    append(archive, 2)
    lake.refresh(host="h")
    lake.refresh([archive], host="h")
    append(own, 3)
    append(archive, 4)
    lake.refresh(host="h")
    assert lake.sql("select count(*) as n from requests").to_pylist() == [{"n": 4}]


def test_a_root_that_holds_nothing_new_is_remembered(tmp_path: Path) -> None:
    lake, root = Lake(tmp_path / "lake"), tmp_path / "logs"
    append(root / "p", 1)
    lake.refresh([root / "p"], host="h")
    lake.refresh([root], host="h")
    append(root / "q", 2)
    assert lake.refresh(host="h").files_read == 1
    (tmp_path / "empty").mkdir()
    lake.refresh([tmp_path / "empty"], host="h")
    assert lake.snapshot().settings.roots["h"] == (str(root), str(root / "p"))


def test_where_every_remembered_root_is_gone_no_other_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, root = Lake(tmp_path / "lake"), tmp_path / "logs"
    append(root, 1)
    lake.refresh([root], host="h")
    append(tmp_path / "claude" / "projects", 2)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match=r"logs: no longer there; name a folder with --root"):
        lake.refresh(host="h")
    assert lake.sql("select key from requests").to_pylist() == [{"key": "msg_1"}]


def test_a_lake_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="there is no lake at"):
        Lake(tmp_path / "nowhere").run("cache/overhead")


def test_texts_turned_on_or_off_later_are_not_those_of_before(tmp_path: Path) -> None:
    lake, root = Lake(tmp_path / "lake"), tmp_path / "logs"
    append(root, 1)
    assert lake.refresh(root, host="h", keep_text=False).warnings == ()
    assert lake.refresh(host="h", keep_text=False).warnings == ()
    (warning,) = lake.refresh(host="h", keep_text=True).warnings
    assert warning.startswith("texts are kept from now on")
    (warning,) = lake.refresh(host="h", keep_text=False).warnings
    assert warning.startswith("texts are left out from now on")
