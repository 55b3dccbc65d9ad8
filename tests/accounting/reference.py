"""Accounting rules 7 to 18 in plain dicts and loops: the oracle that the lake is compared with."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accounting.reference_reading import Record, Reject, is_transcript, read
from accounting.reference_types import instant, whole_count

TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
)
LARGEST = 2**63 - 1
"""What absurd counts are counted as at the most."""

KINDS = {
    **dict.fromkeys(("<command-name>", "<command-message>"), "slash"),
    "<bash-input>": "bash",
    "<task-notification>": "task-notification",
    "[Request interrupted by user": "interrupt",
    **dict.fromkeys(("<local-command-caveat>", "<local-command-stdout>", "<local-command-stderr>")),
    **dict.fromkeys(("<bash-stdout>", "<bash-stderr>", "<system-reminder>", "<ide_opened_file>", "<ide_selection>")),
    **dict.fromkeys(("Caveat:", "This session is being continued")),
}
"""What act a text is, by how it starts; None where the program wrote it."""


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
    bytes: dict[str, dict[str, int]] = field(default_factory=dict)
    """By file: bytes of records, of rejects, newlines, other blank ones; with what is pending they are the file's."""
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
        result.bytes[path] = {
            "record_bytes": sum(record.length for record in transcript.records),
            "rejected_bytes": sum(reject.length for reject in transcript.rejects),
            "newline_bytes": transcript.newlines,
            "blank_bytes": transcript.blank_bytes,
        }
    result.records = len(records)

    started: dict[str, datetime] = {}
    forks: set[str] = set()
    searches: dict[str, int] = {}
    searchers: dict[str, str] = {}
    odd: Counter[str] = Counter()
    acts: list[tuple[Record, str]] = []
    for record in records:
        body, where = record.body, f"{record.path}:{record.offset}"
        session = body.get("sessionId")
        own = instant(body.get("timestamp"))
        if session is not None and own and (session not in started or own < started[session]):
            started[session] = own
        if body.get("type") == "assistant" and (body.get("forkedFrom") or {}).get("sessionId") not in (None, session):
            forks.add(session)
        odd[record.path] += record.odd
        result.usage_rows += usage_rows(record)
        kind = prompt_kind(body)
        if kind:
            acts.append((record, kind))
        source, message = progress_message(body) or body, api_message(body)
        outcome = body.get("toolUseResult")
        for index, block in enumerate(blocks(message)):
            call = block.get("id") if block.get("id") is not None else f"{where}/{index}"
            if source.get("type") == "assistant" and block.get("type") == "tool_use":
                result.tool_calls.add(call)
                if block.get("name") == "WebSearch":
                    key = message.get("id") or source.get("uuid") or where
                    searchers[call] = min(key, searchers.get(call, key))
            is_text = block.get("type") == "text" and block.get("text") is not None
            if is_text and body.get("type") == "assistant" and message.get("model") != "<synthetic>":
                result.texts.add(f"{body.get('uuid') or where}/{index}")
            if source.get("type") == "user" and block.get("type") == "tool_result" and isinstance(outcome, dict):
                found = whole_count(outcome.get("searchCount")) or 0
                answered = block.get("tool_use_id")
                searches[answered] = max(found, searches.get(answered, 0))
    result.prompts.update(prompts_of(acts, started, forks).values())
    result.synthetic = sum(row["model"] == "<synthetic>" for row in result.usage_rows)
    result.odd_fields = {path: fields for path, fields in odd.items() if fields}

    found_by_key: Counter[str] = Counter()
    for call, key in searchers.items():
        found_by_key[key] += searches.get(call, 0)
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in result.usage_rows:
        if row["model"] != "<synthetic>":
            groups[row["key"]].append(row)
    for key, rows in groups.items():
        result.requests[key] = request(key, rows, started, found_by_key[key]) | {"host": host}
    return result


def prompts_of(acts: Iterable[tuple[Record, str]], started: Mapping[str, datetime], forks: set[str]) -> dict[str, str]:
    """Human acts by id; of copies of a record, the one in the session that started first."""

    def earliness(record: Record) -> tuple[Any, ...]:
        session = record.body.get("sessionId")
        start = started.get(session)
        known = (session not in started, start.timestamp() if start else 0.0, session in forks)
        return (*known, session is None, session or "", record.path, record.offset)

    kept: dict[str, tuple[tuple[Any, ...], str]] = {}
    for record, kind in acts:
        name = record.body.get("uuid") or f"{record.path}:{record.offset}"
        ranked = (earliness(record), kind)
        kept[name] = min(ranked, kept.get(name, ranked))
    return {name: kind for name, (_, kind) in kept.items()}


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


def counts(usage: Mapping[str, Any]) -> dict[str, int]:
    """Rule 14: the five token counts of a usage object; what is absent or odd is 0."""
    split = usage.get("cache_creation") or {}
    w5 = whole_count(split.get("ephemeral_5m_input_tokens")) or 0
    w1 = whole_count(split.get("ephemeral_1h_input_tokens")) or 0
    flat = whole_count(usage.get("cache_creation_input_tokens")) or 0
    return {
        "input_tokens": whole_count(usage.get("input_tokens")) or 0,
        "output_tokens": whole_count(usage.get("output_tokens")) or 0,
        "cache_write_5m_tokens": min(w5 + max(0, flat - w5 - w1), LARGEST),
        "cache_write_1h_tokens": w1,
        "cache_read_tokens": whole_count(usage.get("cache_read_input_tokens")) or 0,
    }


def usage_rows(record: Record) -> list[dict[str, Any]]:
    """Rules 7 and 8: the usage rows of a record, none for most."""
    body, inner = record.body, progress_message(record.body)
    source = inner or body
    message = api_message(body)
    usage = message.get("usage")
    if source.get("type") != "assistant" or not isinstance(usage, dict):
        return []
    key = message.get("id") or source.get("uuid") or f"{record.path}:{record.offset}"
    forked = body.get("forkedFrom")
    row = {
        "key": key,
        "origin": "agent_progress" if inner else "assistant",
        "place": (record.path, record.offset),
        "ts": (instant(inner.get("timestamp")) if inner else None) or record.ts,
        "uuid": source.get("uuid"),
        "session_id": body.get("sessionId"),
        "forked_from": forked.get("sessionId") if isinstance(forked, dict) else None,
        "agent_id": body["data"].get("agentId") if inner else body.get("agentId"),
        "version": body.get("version"),
        "project": body.get("cwd"),
        "model": message.get("model"),
        "stop_reason": message.get("stop_reason"),
        "web": whole_count((usage.get("server_tool_use") or {}).get("web_search_requests")) or 0,
        **counts(usage),
    }
    rows = [row]
    for index, entry in enumerate(usage.get("iterations") or []):
        if isinstance(entry, dict) and entry.get("type") == "advisor_message":
            own = {"key": f"{key}#{index}", "origin": "advisor", "model": entry.get("model"), "web": 0}
            rows.append({**row, **own, **counts(entry)})
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


def request(key: str, rows: list[dict[str, Any]], started: Mapping[str, datetime], searches: int) -> dict[str, Any]:
    """Rules 9, 11, 15, 16 and 17: the request that these rows of one key make."""
    kept = select(rows, "max")[0]
    times = [row["ts"] for row in rows if row["ts"]]
    owners = {row["forked_from"] for row in rows} - {None} or {row["session_id"] for row in rows} - {None}
    owner = min(owners, key=lambda s: (s not in started, started.get(s), s), default=None)
    # Copies are stamped anew with their own directory: the owner's row tells where the request was made.
    own = [row for row in rows if row["session_id"] == owner] if len(owners | {kept["session_id"]}) > 1 else []
    place = max(candidates(own), key=lambda row: (row["output_tokens"], *order(row))) if own else kept
    small = all(row["output_tokens"] <= 10 for row in rows)
    return {
        **{name: kept[name] for name in (*TOKENS, "model", "origin", "agent_id", "version")},
        "project": place["project"],
        "ts": min(times, default=None),
        "last_ts": max(times, default=None),
        "session_id": owner,
        "context_tokens": min(sum(kept[name] for name in TOKENS if name != "output_tokens"), LARGEST),
        "web_searches": kept["web"] or min(searches, LARGEST),
        "output_is_partial": all(row["stop_reason"] is None for row in rows) or (is_old(kept["version"]) and small),
        "n_rows": len(rows),
        "n_sessions": len({row["session_id"] for row in rows} - {None}),
    } | {"key": key}


def is_old(version: str | None) -> bool:
    """Whether output counts of this version may be placeholders (rule 16); a version is three numbers, or unknown."""
    found = re.match(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(?![0-9])", version or "")
    return found is not None and tuple(map(int, found.groups())) < (2, 1, 97)


def prompt_kind(body: Mapping[str, Any]) -> str | None:
    """What human act a record is, if one."""
    message, attachment = body.get("message") or {}, body.get("attachment") or {}
    if body.get("type") == "attachment" and attachment.get("type") == "queued_command":
        plain = "task-notification" if attachment.get("commandMode") == "task-notification" else "queued"
        said = attachment.get("prompt")
    elif body.get("type") == "user" and not body.get("isMeta") and not body.get("isCompactSummary"):
        plain, said = "typed", message.get("content")
    else:
        return None
    listed = said if isinstance(said, list) else []
    if body.get("isSidechain") or any(block.get("type") == "tool_result" for block in listed):
        return None  # written by the main thread, or by a tool
    text = "\n".join(block["text"] for block in listed if block.get("text") is not None) if listed else said or ""
    if not text:
        return None
    return next((kind for mark, kind in KINDS.items() if text.startswith(mark)), plain)


def total(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Requests and tokens by kind."""
    listed = list(rows)
    return {"requests": len(listed), **{name: sum(row[name] for row in listed) for name in TOKENS}}
