"""The lines of the disputed trees: an assistant record of one project, with its usage."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

SONNET = "claude-sonnet-4-5-20250929"
SESSION = "5e551044-0001-4000-8000-000000000000"
FORK = "5e551044-0002-4000-8000-000000000000"
PROJECT = "projects/-home-ada-disputed"
MAIN = f"{PROJECT}/{SESSION}.jsonl"


def make_usage(sent: int, answered: int, write_5m: int, write_1h: int, read: int, **other: Any) -> dict[str, Any]:
    """A usage object whose split agrees with its flat count of writes."""
    usage = {
        "input_tokens": sent,
        "cache_creation_input_tokens": write_5m + write_1h,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": write_5m, "ephemeral_1h_input_tokens": write_1h},
        "output_tokens": answered,
        "service_tier": "standard",
    }
    return {**usage, **other}


def make_record(
    number: int,
    usage: Mapping[str, Any],
    *,
    key: int | None = None,
    model: str = SONNET,
    text: str = "Done.",
    message: Mapping[str, Any] | None = None,
    timestamp: str | None = None,
    without: Sequence[str] = (),
    **fields: Any,
) -> dict[str, Any]:
    """An assistant record, the `number`th of its file; `key` numbers its message where that is another."""
    key = number if key is None else key
    record = {
        "parentUuid": None,
        "isSidechain": False,
        "userType": "external",
        "cwd": "/home/ada/disputed",
        "sessionId": SESSION,
        "version": "2.1.101",
        "gitBranch": "main",
        "message": {
            "model": model,
            "id": f"msg_01Disputed{key:04d}",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": usage,
            **(message or {}),
        },
        "requestId": f"req_011Disputed{key:04d}",
        "type": "assistant",
        "uuid": f"d15b07ed-{number:04d}-4000-8000-000000000000",
        "timestamp": timestamp or f"2026-03-02T10:{number:02d}:00.000Z",
        **fields,
    }
    return {name: value for name, value in record.items() if name not in without}


def as_line(record: Mapping[str, Any]) -> bytes:
    """A record as it is logged, without its newline."""
    return json.dumps(record, separators=(",", ":")).encode()


def as_file(*records: Mapping[str, Any]) -> bytes:
    """Records, each on a line of its own."""
    return b"".join(as_line(record) + b"\n" for record in records)
