"""What type every field of a Claude Code record has that the lake reads, exactly (accounting rules 4 and 14).

Applied to the few lines that Python repairs; the doubts of doubts.py and second_look.py must reach every record that
has something wrong here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Record = dict[str, Any]

_TEXTS = ("uuid", "sessionId", "cwd", "agentId")
_ASSISTANT_TEXTS = (*_TEXTS, "requestId", "gitBranch", "version", "entrypoint", "effort")
_OTHER_TEXTS = (*_TEXTS, "promptId", "toolDenialKind", "subtype")
_TITLES = ("customTitle", "aiTitle", "agentName")
_COUNTS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_SPLIT = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_NO_EVENTS = frozenset({"user", "progress", "attachment", "file-history-snapshot"})
_INT64_MAX = 2**63 - 1
_MOST_DOLLARS = 10**9


def conform(record: Record) -> int:
    """Sets every field of an unexpected type to null, in place, and returns how many there were.

    The record keeps its other fields (accounting rule 4). Only fields that the lake reads are looked at.
    """
    odd = _clear(record, ("type",), str) + _clear(record, ("isSidechain",), bool) + _clear_time(record)
    kind = record.get("type")
    if kind == "assistant":
        return odd + _conform_assistant(record)
    odd += _clear(record, _OTHER_TEXTS, str)
    outcome, attachment, data = record.get("toolUseResult"), record.get("attachment"), record.get("data")
    if isinstance(outcome, dict):
        odd += _clear_counts(outcome, ("searchCount",))
    for name, value in (("attachment", attachment), ("data", data)):
        if isinstance(value, dict):
            odd += _clear(value, ("type",), str)
        elif value is not None:
            record[name] = None
            odd += 1
    if kind == "user":
        odd += _conform_user(record)
    if kind == "attachment" and isinstance(attachment, dict) and attachment.get("type") == "queued_command":
        odd += _clear(attachment, ("commandMode",), str) + _clear(attachment, ("prompt",), (str, list))
        odd += _conform_blocks(attachment, "prompt", ("type", "text"))
    if kind == "progress" and isinstance(data, dict) and data.get("type") == "agent_progress":
        odd += _clear(record, ("version", "gitBranch", "entrypoint"), str) + _conform_embedded(data)
    if kind not in _NO_EVENTS:
        odd += _clear(record, _TITLES, str)
    return odd


def _conform_assistant(record: Record) -> int:
    odd = _clear(record, _ASSISTANT_TEXTS, str) + _clear(record, ("forkedFrom",), dict)
    forked, cost = record.get("forkedFrom"), record.get("costUSD")
    if isinstance(forked, dict):
        odd += _clear(forked, ("sessionId",), str)
    if cost is not None and not (
        isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < _MOST_DOLLARS
    ):
        record["costUSD"] = None
        odd += 1
    return odd + _conform_message(record)


def _conform_user(record: Record) -> int:
    odd = _clear(record, ("message",), dict)
    message = record.get("message")
    if not isinstance(message, dict):
        return odd + _clear(record, ("isMeta", "isCompactSummary"), bool)
    content = message.get("content")
    if isinstance(content, list) and len(content) == 1 and _is_result(content[0]):
        return odd + _conform_results(message)  # nothing else of it is read
    odd += _conform_results(message) + _conform_blocks(message, "content", ("text",))
    return odd + _clear(record, ("isMeta", "isCompactSummary"), bool)


def _is_result(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_result"


def _conform_results(message: Record) -> int:
    """The content of a user's message: of a result, what call it answers and whether it failed."""
    odd = _clear(message, ("content",), (str, list)) + _conform_blocks(message, "content", ("type", "tool_use_id"))
    content = message.get("content")
    return odd + sum(_clear(block, ("is_error",), bool) for block in (content if isinstance(content, list) else ()))


def _conform_embedded(data: Record) -> int:
    """The message of a subagent inside its parent's progress record."""
    odd = _clear(data, ("agentId",), str) + _clear(data, ("message",), dict)
    inner = data.get("message")
    if not isinstance(inner, dict):
        return odd
    odd += _clear(inner, ("type", "uuid", "requestId"), str) + _clear_time(inner)
    if inner.get("type") == "assistant":
        return odd + _conform_message(inner)
    if inner.get("type") != "user":
        return odd
    odd += _clear(inner, ("message",), dict)
    message = inner.get("message")
    if not isinstance(message, dict):
        return odd
    return odd + _conform_results(message)


def _conform_message(record: Record) -> int:
    """An API message of the assistant: its ids, usage and content blocks."""
    odd = _clear(record, ("message",), dict)
    message = record.get("message")
    if not isinstance(message, dict):
        return odd
    odd += _clear(message, ("id", "model", "stop_reason"), str)
    odd += _clear(message, ("usage",), dict) + _clear(message, ("content",), (str, list))
    odd += _conform_blocks(message, "content", ("type", "text", "thinking", "id", "name"))
    content, usage = message.get("content"), message.get("usage")
    if isinstance(content, list):
        odd += sum(_clear(block, ("input",), dict) for block in content)
    if not isinstance(usage, dict):
        return odd
    odd += _conform_counts(usage) + _clear(usage, ("service_tier", "speed", "inference_geo"), str)
    odd += _clear(usage, ("server_tool_use",), dict) + _clear(usage, ("iterations",), list)
    tools = usage.get("server_tool_use")
    if isinstance(tools, dict):
        odd += _clear_counts(tools, ("web_search_requests",))
    for entry in usage.get("iterations") or ():
        if isinstance(entry, dict) and entry.get("type") == "advisor_message":
            odd += _clear(entry, ("model",), str) + _conform_counts(entry)
    return odd


def _conform_counts(usage: Record) -> int:
    odd = _clear_counts(usage, _COUNTS) + _clear(usage, ("cache_creation",), dict)
    split = usage.get("cache_creation")
    return odd + (_clear_counts(split, _SPLIT) if isinstance(split, dict) else 0)


def _conform_blocks(owner: Record, name: str, texts: tuple[str, ...]) -> int:
    """Takes out of a list what is no object; the fields `texts` of what is one are strings."""
    blocks = owner.get(name)
    if not isinstance(blocks, list):
        return 0
    owner[name] = [block for block in blocks if isinstance(block, dict)]
    odd = len(blocks) - len(owner[name])
    return odd + sum(_clear(block, texts, str) for block in owner[name])


def _clear(owner: Record, names: tuple[str, ...], right: type | tuple[type, ...]) -> int:
    """Sets those of the fields to null that are of another type, and counts them."""
    wrong = [name for name in names if owner.get(name) is not None and not isinstance(owner[name], right)]
    for name in wrong:
        owner[name] = None
    return len(wrong)


def _clear_counts(owner: Record, names: tuple[str, ...]) -> int:
    """A count is a non-negative 64-bit integer, or a string of one of up to 19 digits (accounting rule 14)."""
    odd = 0
    for name in names:
        value = owner.get(name)
        if value is None:
            continue
        if isinstance(value, str) and len(value) <= 19 and value.isdecimal() and value.isascii():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _INT64_MAX:
            owner[name] = None
            odd += 1
    return odd


TIME_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
    r"(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?"
)
"""How a time is written; one without a zone is UTC."""

_TIME = re.compile(TIME_PATTERN)
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?$")
FIRST_TIME, LAST_TIME = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Times before the first, and from the last on, are taken for mistakes."""


def _clear_time(owner: Record) -> int:
    if owner.get("timestamp") is None or _is_time(owner["timestamp"]):
        return 0
    owner["timestamp"] = None
    return 1


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    hours, minutes, seconds = int(value[11:13]), int(value[14:16]), 0
    rest = value[16:]
    if rest.startswith(":"):
        seconds, rest = int(rest[1:3]), rest[3:]
    fraction = re.match(r"[.]([0-9]+)", rest)
    ends_day = hours == 24 and minutes == seconds == 0 and not (fraction and fraction[1].strip("0"))
    if not (hours < 24 or ends_day) or minutes > 59 or seconds > 59:
        return False
    try:
        instant = datetime.fromisoformat(value[:10]).replace(tzinfo=UTC)
        instant += timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if offset := _OFFSET.search(rest):
            east = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
            instant += -east if offset[1] == "+" else east
    except (ValueError, OverflowError):
        return False
    return FIRST_TIME <= instant < LAST_TIME


def projected(value: Any, *shapes: Any) -> Any:
    """The value with nothing in it but what one of the shapes names, as they are given to the JSON engine."""
    if isinstance(value, dict):
        known = [shape for shape in shapes if isinstance(shape, Mapping)]
        if not known:
            return value
        return {
            name: projected(item, *(shape[name] for shape in known if name in shape))
            for name, item in value.items()
            if any(name in shape for shape in known)
        }
    if isinstance(value, list):
        items = [shape[0] for shape in shapes if isinstance(shape, list)]
        return [projected(item, *items) for item in value] if items else value
    return value


def shorten(record: Record, most_chars: int) -> int:
    """Sets the longest texts to null, in place, until all have no more characters than these; how many there were."""
    held: list[tuple[Any, Any]] = []  # where each text is: in what, under which name or number
    waiting: list[Any] = [record]
    chars = 0
    while waiting:
        holder = waiting.pop()
        for place, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(value, dict | list):
                waiting.append(value)
            elif isinstance(value, str):
                chars += len(value)
                held.append((holder, place))
    gone = 0
    for holder, place in sorted(held, key=lambda at: len(at[0][at[1]]), reverse=True):
        if chars <= most_chars:
            break
        chars -= len(holder[place])
        holder[place] = None
        gone += 1
    return gone
