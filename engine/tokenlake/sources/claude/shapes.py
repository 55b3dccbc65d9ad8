"""The shape of a record: the fields that the JSON engine is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenlake.sources.claude import types

# What the JSON engine extracts. Scalars are read as text, so that a value of another type than expected is seen
# (accounting rule 4) instead of becoming null silently. Parsing costs by the field: assistant records, which carry
# usage, are asked for everything; the others, mostly tool results, for little, and the few that are something else
# are looked at a second time.

_USAGE = {
    # As JSON, a count that was written as text keeps its quotes.
    "input_tokens": "JSON",
    "output_tokens": "JSON",
    "cache_creation_input_tokens": "JSON",
    "cache_read_input_tokens": "JSON",
    "cache_creation": "JSON",
    "service_tier": "VARCHAR",
    "speed": "VARCHAR",
    "inference_geo": "VARCHAR",
    "server_tool_use": {"web_search_requests": "JSON"},
    "iterations": "JSON",
}
_SAID = {
    "type": "VARCHAR",
    "text": "VARCHAR",
    "thinking": "VARCHAR",
    "id": "VARCHAR",
    "name": "VARCHAR",
    "input": "JSON",
}
_RESULT = {"type": "VARCHAR", "tool_use_id": "VARCHAR", "is_error": "JSON", "content": "VARCHAR"}
BLOCK = {**_SAID, **_RESULT}
_MESSAGE = {
    "id": "VARCHAR",
    "model": "VARCHAR",
    "stop_reason": "VARCHAR",
    "usage": _USAGE,
    "content": [_SAID],
}
ASSISTANT = {
    "type": "VARCHAR",
    "uuid": "VARCHAR",
    "timestamp": "VARCHAR",
    "sessionId": "VARCHAR",
    "requestId": "VARCHAR",
    "cwd": "VARCHAR",
    "gitBranch": "VARCHAR",
    "version": "VARCHAR",
    "entrypoint": "VARCHAR",
    "isSidechain": "JSON",
    "agentId": "VARCHAR",
    "effort": "VARCHAR",
    "forkedFrom": "JSON",
    "costUSD": "JSON",
    "message": _MESSAGE,
}
OTHER = {
    "type": "VARCHAR",
    "uuid": "VARCHAR",
    "timestamp": "VARCHAR",
    "sessionId": "VARCHAR",
    "cwd": "VARCHAR",
    "isSidechain": "JSON",
    "agentId": "VARCHAR",
    "promptId": "VARCHAR",
    "toolDenialKind": "VARCHAR",
    "subtype": "VARCHAR",
    "toolUseResult": {"searchCount": "JSON"},
    "attachment": {"type": "VARCHAR"},
    "data": {"type": "VARCHAR"},
    "message": {"content": [_RESULT]},
}
# What an event is described by, besides.
DETAILS = {
    **dict.fromkeys(
        (
            *("content", "level", "summary", "leafUuid", "customTitle", "aiTitle", "agentName", "lastPrompt"),
            *("mode", "permissionMode", "operation", "prNumber", "prUrl", "prRepository", "frameUrl", "path"),
            *("title", "durationMs", "messageCount", "retryInMs", "retryAttempt", "maxRetries", "apiErrorStatus"),
            *("isApiErrorMessage", "originalModel", "fallbackModel", "trigger", "stopReason", "hookCount"),
            *("preventedContinuation", "url", "isVisibleInTranscriptOnly"),
        ),
        "VARCHAR",
    ),
    **dict.fromkeys(("error", "cause", "compactMetadata", "microcompactMetadata", "apiRefusalCategory"), "JSON"),
}
# The message of a subagent as embedded in the parent's progress records.
_EMBEDDED = {
    "type": "VARCHAR",
    "uuid": "VARCHAR",
    "timestamp": "VARCHAR",
    "requestId": "VARCHAR",
    "message": {**_MESSAGE, "content": [BLOCK]},
}
_TRUTHS = {"isMeta": "JSON", "isCompactSummary": "JSON"}
SAID_PLAINLY = {**_TRUTHS, "message": {"content": "VARCHAR"}}
SAID_IN_BLOCKS = {**_TRUTHS, "message": {"content": [BLOCK]}}
QUEUED = {"attachment": {"prompt": "VARCHAR", "commandMode": "VARCHAR"}}
QUEUED_IN_BLOCKS = {"attachment": {"prompt": [BLOCK]}}
PROGRESS = {
    "version": "VARCHAR",
    "gitBranch": "VARCHAR",
    "entrypoint": "VARCHAR",
    "data": {"agentId": "VARCHAR", "message": _EMBEDDED},
}


def projected(record: dict[str, Any]) -> dict[str, Any]:
    """The record with nothing in it but what the lake reads."""
    mine = (ASSISTANT,) if record.get("type") == "assistant" else (OTHER, QUEUED, QUEUED_IN_BLOCKS, PROGRESS)
    found: dict[str, Any] = types.projected(record, *mine, SAID_IN_BLOCKS, DETAILS)
    return found


USAGE_COUNTS = (
    *("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
    *("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
)


def structure(shape: Mapping[str, Any] | list[Any]) -> str:
    """The shape as an SQL literal, as json_transform takes it."""
    return "'" + json.dumps(shape) + "'"
