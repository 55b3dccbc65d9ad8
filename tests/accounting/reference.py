"""Accounting rules 7 to 18 in plain dicts and loops: the oracle that the lake is compared with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accounting.reference_reading import Record, Reject, instant, is_transcript, read

TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
)
NOT_TYPED = (
    "<local-command-caveat>",
    "<local-command-stdout>",
    "<bash-stdout>",
    "<system-reminder>",
    "<ide_opened_file>",
    "<ide_selection>",
    "Caveat:",
    "This session is being continued",
)
KINDS = {
    "<command-name>": "slash",
    "<command-message>": "slash",
    "<bash-input>": "bash",
    "<task-notification>": "task-notification",
    "[Request interrupted by user": "interrupt",
}


@dataclass(slots=True)
class Reference:
    """What a tree of transcripts amounts to."""

    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By key; every column of `requests` that rules 8 to 17 define, under the same name."""
    usage_rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    pending: dict[str, int] = field(default_factory=dict)
    odd_fields: dict[str, int] = field(default_factory=dict)
    records: int = 0
    prompts: Counter[str] = field(default_factory=Counter)
    tool_calls: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    synthetic: int = 0

    def totals(self, mode: str = "max") -> dict[str, int]:
        """Requests and tokens by kind under a dedup mode of rule 13."""
        return total(select(self.usage_rows, mode))

    def grouped(self, name: str) -> dict[Any, dict[str, int]]:
        """Totals by the value of one field of the requests; `day` is the UTC day of ts."""
        groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for request in self.requests.values():
            ts = request["ts"]
            groups[str(ts.date()) if name == "day" and ts else request.get(name)].append(request)
        return {value: total(rows) for value, rows in groups.items()}


def count(tree: Mapping[str, bytes], host: str = "h") -> Reference:
    """Counts the transcripts of a tree (relative path to bytes)."""
    result = Reference()
    records: list[Record] = []
    for path in sorted(filter(is_transcript, tree)):
        transcript = read(path, tree[path])
        if transcript.kind != "transcript":
            result.refused.append(path)
            continue
        records += transcript.records
        result.rejects += transcript.rejects
        if transcript.pending_bytes:
            result.pending[path] = transcript.pending_bytes
    result.records = len(records)

    started: dict[str, datetime] = {}
    searches: dict[str, int] = {}
    odd: Counter[str] = Counter()
    prompts: dict[str, str] = {}
    for record in records:
        body, where = record.body, f"{record.path}:{record.offset}"
        session = body.get("sessionId")
        own = instant(body.get("timestamp"))
        if session and own and (session not in started or own < started[session]):
            started[session] = own
        odd[record.path] += record.bad_time
        result.usage_rows += usage_rows(record, odd)
        kind = prompt_kind(body)
        if kind:
            prompts[str(body.get("uuid") or where)] = kind
        message = api_message(body)
        for index, block in enumerate(blocks(message)):
            if block.get("type") == "tool_use" and is_assistant(body):
                result.tool_calls.add(block["id"])
            if (
                block.get("type") == "text"
                and body.get("type") == "assistant"
                and message.get("model") != "<synthetic>"
            ):
                result.texts.add(f"{body.get('uuid') or where}/{index}")
            outcome = body.get("toolUseResult")
            if block.get("type") == "tool_result" and isinstance(outcome, dict):
                searches[block["tool_use_id"]] = int(outcome.get("searchCount") or 0)
    result.prompts.update(prompts.values())
    result.synthetic = sum(row["model"] == "<synthetic>" for row in result.usage_rows)
    result.odd_fields = {path: fields for path, fields in odd.items() if fields}

    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in result.usage_rows:
        if row["model"] != "<synthetic>":
            groups[row["key"]].append(row)
    for key, rows in groups.items():
        result.requests[key] = request(key, rows, started, searches) | {"host": host}
    return result


def is_assistant(body: Mapping[str, Any]) -> bool:
    """Whether the record is an assistant's, its own or inside an agent_progress record."""
    return body.get("type") == "assistant" or (progress_message(body) or {}).get("type") == "assistant"


def progress_message(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The subagent's record that an agent_progress record carries."""
    data = body.get("data")
    if body.get("type") != "progress" or not isinstance(data, dict) or data.get("type") != "agent_progress":
        return None
    return data["message"] if isinstance(data.get("message"), dict) else None


def api_message(body: Mapping[str, Any]) -> dict[str, Any]:
    """The API message of a record, empty where it has none."""
    message = (progress_message(body) or body).get("message")
    return message if isinstance(message, dict) else {}


def blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content blocks of a message; content may also be a string (rule 4)."""
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def tokens(value: object, odd: Counter[str], path: str) -> int:
    """Rule 14: a count, or 0 and an odd field; absent is just 0."""
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    odd[path] += 1
    return 0


def counts(usage: Mapping[str, Any], odd: Counter[str], path: str) -> dict[str, int]:
    """Rule 14: the five token counts of a usage object."""
    split = usage.get("cache_creation")
    if split is not None and not isinstance(split, dict):
        odd[path] += 1
    split = split if isinstance(split, dict) else {}
    w5 = tokens(split.get("ephemeral_5m_input_tokens"), odd, path)
    w1 = tokens(split.get("ephemeral_1h_input_tokens"), odd, path)
    flat = tokens(usage.get("cache_creation_input_tokens"), odd, path)
    return {
        "input_tokens": tokens(usage.get("input_tokens"), odd, path),
        "output_tokens": tokens(usage.get("output_tokens"), odd, path),
        "cache_write_5m_tokens": w5 + max(0, flat - w5 - w1),
        "cache_write_1h_tokens": w1,
        "cache_read_tokens": tokens(usage.get("cache_read_input_tokens"), odd, path),
    }


def usage_rows(record: Record, odd: Counter[str]) -> list[dict[str, Any]]:
    """Rules 7 and 8: the usage rows of a record, none for most."""
    body, inner = record.body, progress_message(record.body)
    source = inner or body
    message = api_message(body)
    usage = message.get("usage")
    if source.get("type") != "assistant" or not isinstance(usage, dict):
        return []
    key = message.get("id") or source.get("uuid") or f"{record.path}:{record.offset}"
    forked = body.get("forkedFrom")
    searched = usage.get("server_tool_use")
    row = {
        "key": key,
        "origin": "agent_progress" if inner else "assistant",
        "place": (record.path, record.offset),
        "ts": (instant(inner.get("timestamp")) if inner else None) or record.ts,
        "uuid": source.get("uuid"),
        "session_id": body.get("sessionId"),
        "forked_from": forked.get("sessionId") if isinstance(forked, dict) else None,
        "agent_id": body.get("agentId") or (body["data"].get("agentId") if inner else None),
        "version": body.get("version"),
        "project": body.get("cwd"),
        "model": message.get("model"),
        "stop_reason": message.get("stop_reason"),
        "web": searched.get("web_search_requests") or 0 if isinstance(searched, dict) else 0,
        "searches": [block["id"] for block in blocks(message) if block.get("name") == "WebSearch"],
        **counts(usage, odd, record.path),
    }
    rows = [row]
    for index, entry in enumerate(usage.get("iterations") or []):
        if isinstance(entry, dict) and entry.get("type") == "advisor_message":
            own = {"key": f"{key}#{index}", "origin": "advisor", "model": entry.get("model"), "web": 0}
            rows.append({**row, **own, "searches": [], **counts(entry, odd, record.path)})
    return rows


def order(row: Mapping[str, Any]) -> tuple[float, tuple[str, int]]:
    """Time, then path and offset; a row without time comes first."""
    return (row["ts"].timestamp() if row["ts"] else float("-inf"), row["place"])


def candidates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rule 9: rows of progress records count only where there are no others."""
    return [row for row in rows if row["origin"] != "agent_progress"] or rows


def select(rows: Iterable[dict[str, Any]], mode: str) -> list[dict[str, Any]]:
    """Rule 13: the rows that a dedup mode counts."""
    real = [row for row in rows if row["model"] != "<synthetic>"]
    if mode == "none":
        return [row for row in real if row["origin"] == "assistant"]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in real:
        groups[row["key"]].append(row)
    if mode == "first":
        return [min(candidates(group), key=order) for group in groups.values()]
    if mode == "last":
        return [max(candidates(group), key=order) for group in groups.values()]
    return [max(candidates(group), key=lambda row: (row["output_tokens"], *order(row))) for group in groups.values()]


def request(
    key: str, rows: list[dict[str, Any]], started: Mapping[str, datetime], searches: Mapping[str, int]
) -> dict[str, Any]:
    """Rules 9, 11, 15, 16 and 17: the request that these rows of one key make."""
    kept = select(rows, "max")[0]
    times = [row["ts"] for row in rows if row["ts"]]
    owners = {row["forked_from"] for row in rows if row["forked_from"]} or {row["session_id"] for row in rows} - {None}
    owner = min(owners, key=lambda s: (s not in started, started.get(s), s), default=None)
    # Copies are stamped anew with their own directory: the owner's row tells where the request was made.
    own = [row for row in rows if row["session_id"] == owner] if len(owners | {kept["session_id"]}) > 1 else []
    place = max(candidates(own), key=lambda row: (row["output_tokens"], *order(row))) if own else kept
    calls = {call for row in rows for call in row["searches"]}
    small = all(row["output_tokens"] <= 10 for row in rows)
    return {
        **{name: kept[name] for name in (*TOKENS, "model", "origin", "agent_id", "version")},
        "project": place["project"],
        "ts": min(times, default=None),
        "last_ts": max(times, default=None),
        "session_id": owner,
        "context_tokens": sum(kept[name] for name in TOKENS if name != "output_tokens"),
        "web_searches": kept["web"] or sum(searches.get(call, 0) for call in calls),
        "output_is_partial": not any(row["stop_reason"] for row in rows) or (is_old(kept["version"]) and small),
        "n_rows": len(rows),
        "n_sessions": len({row["session_id"] for row in rows} - {None}),
    } | {"key": key}


def is_old(version: str | None) -> bool:
    """Whether output counts of this version may be placeholders (rule 16)."""
    return version is not None and tuple(int(part) for part in version.split(".")[:3]) < (2, 1, 97)


def prompt_kind(body: Mapping[str, Any]) -> str | None:
    """What human act a record is, if one."""
    attachment = body.get("attachment")
    if body.get("type") == "attachment" and isinstance(attachment, dict) and attachment.get("type") == "queued_command":
        return "task-notification" if attachment.get("commandMode") == "task-notification" else "queued"
    message = body.get("message")
    if (
        body.get("type") != "user"
        or not isinstance(message, dict)
        or body.get("isMeta")
        or body.get("isCompactSummary")
    ):
        return None
    content = message.get("content")
    if any(block.get("type") == "tool_result" for block in blocks(message)):
        return None
    text = (
        content if isinstance(content, str) else "".join(b["text"] for b in blocks(message) if b.get("type") == "text")
    )
    if not text or text.startswith(NOT_TYPED):
        return None
    if body.get("isSidechain"):
        return None  # written by the main thread, not by a human
    return next((kind for mark, kind in KINDS.items() if text.startswith(mark)), "typed")


def total(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Requests and tokens by kind."""
    listed = list(rows)
    return {"requests": len(listed), **{name: sum(row[name] for row in listed) for name in TOKENS}}
