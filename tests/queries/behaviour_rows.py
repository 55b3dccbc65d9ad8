"""Rows of the tables that the queries of behaviour read: tool calls, prompts, texts, events and sessions."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.query import lakes

from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

Row = dict[str, Any]

START = lakes.instant("2026-05-04T09:00:00")


def at(seconds: float) -> dt.datetime:
    """The instant that many seconds after a Monday's nine o'clock, UTC."""
    return START + dt.timedelta(seconds=seconds)


def request(
    key: str, seconds: float, counts: tuple[int, int, int, int, int] = (1, 1, 0, 0, 100), **columns: Any
) -> Row:
    """A request `seconds` after the start; it makes no tool calls unless `tool_calls` says so."""
    return lakes.request(key, at(seconds).isoformat(), counts, **{"tool_calls": 0, **columns})


def tool_call(
    id_: str, key: str, seconds: float, name: str | None = "Bash", target: str | None = None, **columns: Any
) -> Row:
    """A call that is answered after one second with 100 bytes."""
    return {
        "tool_use_id": id_,
        "key": key,
        "session_id": "s1",
        "is_sidechain": False,
        "ts": at(seconds),
        "result_ts": at(seconds + 1),
        "name": name,
        "target": target,
        "input_bytes": 10,
        "result_bytes": 100,
        "is_error": False,
        "denied": False,
        "host": "laptop",
        "file_id": 1,
        "offset": int(seconds),
        **columns,
    }


def prompt(id_: str, seconds: float, text: str | None, kind: str = "typed", **columns: Any) -> Row:
    """Something that the user said."""
    return {
        "id": id_,
        "uuid": id_,
        "session_id": "s1",
        "ts": at(seconds),
        "kind": kind,
        "chars": len(text or ""),
        "text": text,
        "project": "/home/ada/alpha",
        "host": "laptop",
        "file_id": 1,
        "offset": int(seconds),
        **columns,
    }


def said(id_: str, key: str, seconds: float, text: str | None, **columns: Any) -> Row:
    """A text of the assistant, on the line of its second."""
    return {
        "id": id_,
        "key": key,
        "session_id": "s1",
        "is_sidechain": False,
        "ts": at(seconds),
        "chars": len(text or ""),
        "text": text,
        "host": "laptop",
        "file_id": 1,
        "offset": int(seconds),
        "line": int(seconds),
        **columns,
    }


def event(id_: str, seconds: float, subtype: str, detail: Mapping[str, Any] | None = None, **columns: Any) -> Row:
    """A system record; objects inside its detail are JSON written as text, as in the lake."""
    texts = {
        name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in (detail or {}).items()
    }
    return {
        "id": id_,
        "type": "system",
        "subtype": subtype,
        "session_id": "s1",
        "is_sidechain": False,
        "ts": at(seconds),
        "detail": json.dumps(texts),
        "host": "laptop",
        "file_id": 1,
        "offset": int(seconds),
        **columns,
    }


def session(id_: str = "s1", seconds: float = 0, **columns: Any) -> Row:
    """A session that starts so many seconds after the start."""
    return {"session_id": id_, "first_ts": at(seconds), "last_ts": at(seconds + 9), "host": "laptop", **columns}


def publish(root: Path, **tables: Iterable[Mapping[str, Any]]) -> Snapshot:
    """A lake of these tables and one transcript."""
    return lakes.publish(root / "lake", {"files": [lakes.transcript(1, "/logs/s1.jsonl")], **tables})


def answer(lake: Snapshot, name: str, **params: Any) -> list[Row]:
    """The rows of `behaviour/<name>` in UTC."""
    return run(lake, f"behaviour/{name}", {"tz": "UTC", **params}).to_pylist()
