"""Rules 4 and 14: what type each field has that the lake reads, as shapes; what has another is odd, and null."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

Record = dict[str, Any]
Shape = Any
"""A test of a value; or what the fields of an object are; or of each object in a list, [fields]; or several."""

TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:Z|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?", re.ASCII
)


def instant(value: object) -> datetime | None:
    """A time with or without a zone (then UTC) as a UTC instant, from 1970 to 9998; else None."""
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return None
    hour, minute, second = (int(found[part] or 0) for part in (2, 3, 4))
    micros = int((found[5] or "0")[:6].ljust(6, "0"))
    is_midnight = (hour, minute, second) == (24, 0, 0) and not (found[5] or "").strip("0")
    if minute > 59 or second > 59 or (hour > 23 and not is_midnight):
        return None
    try:
        midnight = datetime.strptime(found[1], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    behind = timedelta(hours=int(found[7] or 0), minutes=int(found[8] or 0))
    east = found[6] == "+"
    try:
        when = midnight + timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micros)
        when += -behind if east else behind
    except OverflowError:
        return None
    return when if datetime(1970, 1, 1, tzinfo=UTC) <= when < datetime(9999, 1, 1, tzinfo=UTC) else None


def whole_count(value: object) -> int | None:
    """A count of tokens, calls or searches: a non-negative 64-bit integer, or up to 19 digits of one as a string."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def text(value: object) -> bool:
    return isinstance(value, str)


def truth(value: object) -> bool:
    return isinstance(value, bool)


def count(value: object) -> bool:
    return whole_count(value) is not None


def time(value: object) -> bool:
    return instant(value) is not None


def dollars(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1_000_000_000


COUNTS = dict.fromkeys(
    ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"), count
)
SPLIT = dict.fromkeys(("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"), count)
ADVISOR = {"model": text, **COUNTS, "cache_creation": SPLIT}
USAGE = {
    **COUNTS,
    "cache_creation": SPLIT,
    "server_tool_use": {"web_search_requests": count},
    **dict.fromkeys(("service_tier", "speed", "inference_geo"), text),
}
SAID = {**dict.fromkeys(("type", "text", "thinking", "id", "name"), text), "input": {}}
RESULT = {"type": text, "tool_use_id": text, "is_error": truth}
ANSWER = {"id": text, "model": text, "stop_reason": text, "usage": USAGE, "content": (text, [SAID])}
COMMON = {
    **dict.fromkeys(("type", "uuid", "sessionId", "cwd", "agentId"), text),
    "isSidechain": truth,
    "timestamp": time,
}
PLACE = dict.fromkeys(("version", "gitBranch", "entrypoint"), text)
ASSISTANT = {
    **COMMON,
    **PLACE,
    "requestId": text,
    "effort": text,
    "forkedFrom": {"sessionId": text},
    "costUSD": dollars,
    "message": ANSWER,
}
OTHER = {
    **COMMON,
    **dict.fromkeys(("promptId", "toolDenialKind", "subtype"), text),
    "attachment": {"type": text},
    "data": {"type": text},
}
ONE_RESULT = {**OTHER, "message": {"content": (text, [RESULT])}}
USER = {
    **OTHER,
    "message": {"content": (text, [{**RESULT, "text": text}])},
    "isMeta": truth,
    "isCompactSummary": truth,
}
QUEUED = {
    **OTHER,
    "attachment": {"type": text, "commandMode": text, "prompt": (text, [{"type": text, "text": text}])},
}
EMBEDDED = {"type": text, "uuid": text, "requestId": text, "timestamp": time}
TITLED = {**OTHER, **dict.fromkeys(("customTitle", "aiTitle", "agentName"), text)}


def inside(value: object, *names: str) -> Any:
    """What lies at a path in nested objects, None where there is nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def shape_of(record: Record) -> Shape:
    """What the fields of a record are that are read."""
    kind = record.get("type")
    if kind == "assistant":
        return ASSISTANT
    if kind == "user":
        content = inside(record, "message", "content")
        single = isinstance(content, list) and len(content) == 1 and inside(content[0], "type") == "tool_result"
        return ONE_RESULT if single else USER
    if kind == "attachment":
        return QUEUED if inside(record, "attachment", "type") == "queued_command" else OTHER
    if kind == "progress" and inside(record, "data", "type") == "agent_progress":
        said = inside(record, "data", "message", "type")
        inner = {"assistant": {"message": ANSWER}, "user": {"message": {"content": (text, [RESULT])}}}
        message = {**EMBEDDED, **(inner.get(said, {}) if isinstance(said, str) else {})}
        return {**OTHER, **PLACE, "data": {"type": text, "agentId": text, "message": message}}
    if kind in ("progress", "file-history-snapshot"):
        return OTHER
    return TITLED


def tidy(record: Record) -> tuple[Record, int]:
    """The record with null for every field of another type, and how many there were."""
    shape = shape_of(record)
    found, odd = fitted(record, shape)
    outcome = found.get("toolUseResult")
    if shape is not ASSISTANT and isinstance(outcome, dict):  # else a string or a list
        found["toolUseResult"], more = fitted(outcome, {"searchCount": count})
        odd += more
    answer = found if shape is ASSISTANT else inside(found, "data", "message")
    usage = inside(answer, "message", "usage")
    if (shape is ASSISTANT or shape["data"].get("message", {}).get("message") is ANSWER) and isinstance(usage, dict):
        usage["iterations"], more = advised(usage.get("iterations"))
        odd += more
    return found, odd


def advised(iterations: object) -> tuple[Any, int]:
    """The list of a request's iterations: of those that are an advisor's, what is counted."""
    if iterations is None or not isinstance(iterations, list):
        return None, int(iterations is not None)
    entries = [
        fitted(entry, ADVISOR) if inside(entry, "type") == "advisor_message" else (entry, 0) for entry in iterations
    ]
    return [entry for entry, _ in entries], sum(odd for _, odd in entries)


def fitted(value: Any, shape: Shape) -> tuple[Any, int]:
    """The value as far as it fits the shape, and how many parts did not."""
    if value is None:
        return None, 0
    shapes = shape if isinstance(shape, tuple) else (shape,)
    for one in shapes:
        if isinstance(one, dict) and isinstance(value, dict):
            parts = {name: fitted(item, one[name]) if name in one else (item, 0) for name, item in value.items()}
            return {name: part for name, (part, _) in parts.items()}, sum(odd for _, odd in parts.values())
        if isinstance(one, list) and isinstance(value, list):
            whole = [fitted(item, one[0]) for item in value if isinstance(item, dict)]
            odd = len(value) - len(whole) + sum(odd for _, odd in whole)
            return [item for item, _ in whole], odd
        if callable(one) and one(value):
            return value, 0
    return None, 1
