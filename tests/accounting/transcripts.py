"""Records as the agent writes them, one function a type; every field that a rule speaks of can be given."""

from __future__ import annotations

import json
from typing import Any

S1 = "5e550000-0001-4000-8000-000000000000"
S2 = "5e550000-0002-4000-8000-000000000000"
S3 = "5e550000-0003-4000-8000-000000000000"
MODEL = "claude-sonnet-4-6"
DAY = "2026-05-04"

Record = dict[str, Any]


def at(time: str) -> str:
    """A timestamp: of 09:00 on the usual day for "09:00", else as given."""
    if "T" in time:
        return time
    return f"{DAY}T{time}:00.000Z" if len(time) == 5 else f"{DAY}T{time}Z"


def usage(
    output: object = 10, *, fresh: object = 2, w5: int = 0, w1: int = 0, read: object = 0, **more: object
) -> Record:
    """A usage object with a split that agrees with its flat count; a field given as None is left out."""
    whole = {
        "input_tokens": fresh,
        "cache_creation_input_tokens": w5 + w1,
        "cache_read_input_tokens": read,
        "output_tokens": output,
        "cache_creation": {"ephemeral_5m_input_tokens": w5, "ephemeral_1h_input_tokens": w1},
        **more,
    }
    return {name: value for name, value in whole.items() if value is not None}


def common(kind: str, uuid: str, time: str | None, session: str, version: str, **more: object) -> Record:
    """The fields that user, assistant, system, progress and attachment records share."""
    record: Record = {
        "parentUuid": None,
        "isSidechain": False,
        "userType": "external",
        "cwd": "/home/ada/harbour",
        "sessionId": session,
        "version": version,
        "gitBranch": "main",
        "type": kind,
        "uuid": uuid,
    }
    if time is not None:
        record["timestamp"] = at(time)
    record.update(more)
    return record


def message(
    name: str | None,
    counts: object,
    model: str = MODEL,
    stop: str | None = "end_turn",
    content: object = None,
) -> Record:
    """An API message of the assistant."""
    body: Record = {
        "model": model,
        "id": name,
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Aye."}] if content is None else content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": counts,
    }
    if name is None:
        del body["id"]
    if counts is None:
        del body["usage"]
    return body


def assistant(
    name: str | None = "msg_1",
    counts: object = None,
    time: str | None = "09:00",
    *,
    uuid: str | None = None,
    session: str = S1,
    version: str = "2.1.120",
    model: str = MODEL,
    stop: str | None = "end_turn",
    content: object = None,
    request_id: str | None = None,
    **more: object,
) -> Record:
    """An assistant record; without a uuid given it has one made of its name, session and time."""
    record = common("assistant", uuid or f"uuid-{name}-{session[:13]}-{time}", time, session, version)
    record["message"] = message(name, usage() if counts is None else counts, model, stop, content)
    if request_id:
        record["requestId"] = request_id
    record.update(more)
    return record


def user(
    content: object = "Ahoy.",
    time: str | None = "08:59",
    *,
    uuid: str | None = None,
    session: str = S1,
    version: str = "2.1.120",
    **more: object,
) -> Record:
    """A user record."""
    record = common("user", uuid or f"uuid-user-{session[:13]}-{time}", time, session, version)
    return {**record, "message": {"role": "user", "content": content}, **more}


def tool_use(call: str, name: str = "Bash", **arguments: object) -> Record:
    """A tool_use block."""
    return {"type": "tool_use", "id": call, "name": name, "input": arguments}


def tool_result(call: str, outcome: object = None, time: str = "09:01", error: bool = False, **more: Any) -> Record:
    """A user record that holds the result of a tool call."""
    block = {"tool_use_id": call, "type": "tool_result", "content": "done", "is_error": error}
    record = user([block], time, uuid=f"uuid-result-{call}-{time}", **more)
    return record if outcome is None else {**record, "toolUseResult": outcome}


def agent_progress(
    name: str,
    counts: Record,
    time: str = "09:00",
    *,
    uuid: str | None = None,
    model: str = MODEL,
    **more: Any,
) -> Record:
    """A progress record of the main thread that carries a whole record of a subagent."""
    session, version = more.pop("session", S1), more.pop("version", "2.1.39")
    record = common("progress", f"uuid-progress-{name}-{time}", time, session, version)
    inner = {
        "type": "assistant",
        "timestamp": at(time),
        "message": message(name, counts, model, None, more.pop("content", [])),
        "requestId": f"req_{name}",
        "uuid": uuid or f"uuid-inner-{name}-{time}",
    }
    data = {
        "message": inner,
        "normalizedMessages": [],
        "type": "agent_progress",
        "prompt": "Go.",
        "agentId": "a1b2c3d",
    }
    return {**record, "data": data, "toolUseID": "agent_1", "parentToolUseID": "toolu_task", **more}


def line(record: Record) -> bytes:
    """A record as the agent writes it, without its newline."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def jsonl(*records: Record) -> bytes:
    """Records, each on a line of its own."""
    return b"".join(line(record) + b"\n" for record in records)
