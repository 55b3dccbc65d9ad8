"""The lake made of data-samples, against the answers worked out by hand."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from accounting import ccusage
from accounting.lakes import TOKENS, Row, rows, total

if TYPE_CHECKING:
    from tokenlake.lake import Lake

DATA = Path(__file__).resolve().parents[2] / "data-samples"
ANSWERS = json.loads((DATA / "answers.json").read_text("utf-8"))
QUIRKS = list(ANSWERS["quirks"])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of all samples."""
    from tokenlake.lake import Lake

    made = Lake(tmp_path_factory.mktemp("samples") / "lake")
    made.refresh([DATA / "logs"], host="h")
    return made


def of(quirk: str, row: Row) -> bool:
    """Whether a row belongs to a quirk: sessions are numbered by it."""
    return str(row["session_id"]).startswith(f"{QUIRKS.index(quirk) + 1:08d}-")


def folder(path: str) -> str:
    """The project folder of a file's path."""
    return Path(path).relative_to(DATA / "logs" / "projects").parts[0]


def in_words(value: object) -> object:
    """A value as the answers write it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return format(value.normalize(), "f") if isinstance(value, Decimal) else value


@pytest.mark.parametrize("quirk", QUIRKS)
def test_requests_are_those_of_the_answer(lake: Lake, quirk: str) -> None:
    """Every request of the quirk, with every field that the answer names."""
    left = [row for row in rows(lake, "requests", "ts, key") if of(quirk, row)]
    for wanted in ANSWERS["quirks"][quirk]["request_rows"]:
        hits = [
            row
            for row in left
            if all(in_words(row[name]) == value for name, value in wanted.items() if (name, value) != ("key", None))
        ]
        assert hits, (wanted, left)
        left.remove(hits[0])
    assert left == []


@pytest.mark.parametrize("quirk", QUIRKS)
def test_files_rejects_and_odd_fields_are_those_of_the_answer(lake: Lake, quirk: str) -> None:
    """Records counted, bytes lost or pending named, other formats refused."""
    answer = ANSWERS["quirks"][quirk]
    logs = DATA / "logs"
    files = {row["path"]: row for row in rows(lake, "files") if folder(row["path"]) in answer["folders"]}
    assert sorted(Path(path).relative_to(logs).as_posix() for path in files) == sorted(
        answer["files"] + answer["refused"]
    )
    refused = [Path(path).relative_to(logs).as_posix() for path, row in files.items() if row["kind"] == "stream-json"]
    assert refused == answer["refused"]
    assert sum(row["records"] for row in files.values()) == answer["records"]
    assert sum(row["odd_fields"] for row in files.values()) == answer["odd_fields"]
    assert sum(row["pending_bytes"] for row in files.values()) == sum(answer["pending"].values())
    lost = [
        {
            "file": Path(row["file"]).relative_to(logs).as_posix(),
            **{name: row[name] for name in ("line", "offset", "bytes")},
        }
        for row in rows(lake, "rejects", 'file, "offset"')
        if row["file"] in files
    ]
    assert lost == answer["rejects"]


@pytest.mark.parametrize("quirk", QUIRKS)
def test_prompts_tool_calls_texts_and_events_are_those_of_the_answer(lake: Lake, quirk: str) -> None:
    """Counts of what the quirk is about."""
    answer = ANSWERS["quirks"][quirk]
    assert Counter(row["kind"] for row in rows(lake, "prompts") if of(quirk, row)) == answer["prompts"]
    calls = [row for row in rows(lake, "tool_calls") if of(quirk, row)]
    assert len(calls) == answer["tool_calls"]
    assert sum(bool(row["is_error"]) for row in calls) == answer.get("tool_errors", 0)
    assert sum(bool(row["denied"]) for row in calls) == answer.get("tool_denied", 0)
    texts = [row for row in rows(lake, "texts") if of(quirk, row)]
    assert len(texts) == answer.get("texts", len(texts))
    said = {row["key"]: row["text"] for row in texts}
    assert {key: said[key] for key in answer.get("text_of", {})} == answer.get("text_of", {})
    events = Counter(f"{row['type']}/{row['subtype'] or ''}" for row in rows(lake, "events") if of(quirk, row))
    assert {kind: events[kind] for kind in answer.get("events", {})} == answer.get("events", {})


def test_totals_are_those_of_the_answers(lake: Lake) -> None:
    """Of the whole tree, by UTC day, by month and by model."""
    answer: dict[str, Any] = ANSWERS["totals"]
    names = ("requests", *TOKENS)
    assert total(lake) == tuple(answer[name] for name in names)
    for by in ("day", "month", "model"):
        found = {row["by"]: row for row in lake.run("cache/overhead", by=by, tz="UTC").to_pylist()}
        assert {key: {name: row[name] for name in names} for key, row in found.items()} == answer[f"by_{by}"]
    assert len(rows(lake, "rejects")) == answer["rejects"]
    assert sum(row["bytes"] for row in rows(lake, "rejects")) == answer["rejected_bytes"]
    assert Counter(row["kind"] for row in rows(lake, "prompts")) == answer["prompts"]


def test_days_in_new_york_follow_the_change_of_the_clock(lake: Lake) -> None:
    """The sample daylight-saving, by local day."""
    wanted = ANSWERS["quirks"]["daylight-saving"]["days_in_new_york"]
    found = {
        row["by"]: row["requests"] for row in lake.run("cache/overhead", by="day", tz="America/New_York").to_pylist()
    }
    assert {day: found[day] for day in wanted} == wanted


def test_the_ccusage_mode_equals_ccusage(lake: Lake) -> None:
    """On every quirk, but for the two whose point is a file that ccusage reads and we skip (rule 6)."""
    said = ccusage.daily(DATA / "logs")
    found = ccusage.as_ccusage(lake.run("cache/overhead", by="day", tz="UTC", dedup="ccusage").to_pylist())
    skipped = {
        row["ts"][:10]
        for quirk in ("skipped-files", "subagent-folder")
        for row in ANSWERS["quirks"][quirk]["request_rows"]
    }
    days = (said.keys() | found.keys()) - skipped
    assert {day: found.get(day) for day in days} == {day: said.get(day) for day in days}
