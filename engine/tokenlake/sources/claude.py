"""Claude Code transcripts: which files they are, the shape of their records, and what each record means."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

AGENT = "claude-code"

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""A transcript's name ends with one of these; the last two are archives."""

SKIPPED_NAMES = frozenset({"journal.jsonl", "sessions-index.json", "history.jsonl"})
SKIPPED_FOLDERS = frozenset({"memory"})


def kind_of(path: PurePath) -> str | None:
    """What sort of transcript a path is, or None where it is none (accounting rule 6).

    Returns main, agent (a subagent's), compaction (the compaction request itself) or workflow.
    """
    name = path.name
    if name in SKIPPED_NAMES or not name.endswith(SUFFIXES) or SKIPPED_FOLDERS.intersection(path.parts):
        return None
    if "workflows" in path.parts:
        return "workflow"
    if name.startswith("agent-acompact-"):
        return "compaction"
    return "agent" if name.startswith("agent-") else "main"


def is_stream_dump(first_record: Mapping[str, Any]) -> bool:
    """Whether a file that starts with this record is output of `--output-format stream-json` (accounting rule 6).

    Such a dump has the snake_case `session_id` alone; transcripts since 2.1.231 carry both spellings.
    """
    if "sessionId" in first_record or "leafUuid" in first_record or "snapshot" in first_record:
        return False
    kind = first_record.get("type")
    return kind in {"stream_event", "result", "rate_limit_event"} or "session_id" in first_record


# --- records in damaged lines ---------------------------------------------------------------------------------

RESUME_POINT = re.compile(rb'\{"(?:parentUuid|type)"')
"""Where reading resumes behind a record that was cut off by the next one (accounting rule 2)."""

SESSIONLESS_TYPES = frozenset({"summary", "file-history-snapshot", "file-history-delta"})


def looks_like_record(value: object) -> bool:
    """Whether a JSON value found inside a damaged line is a whole record, not a block of a lost one."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return "sessionId" in value or value["type"] in SESSIONLESS_TYPES


# --- the shape of a record -------------------------------------------------------------------------------------
# What the JSON engine extracts from every line. Scalars are read as text, so that a value of another type than
# expected is seen (accounting rule 4) instead of becoming null silently. A list read as JSON is parsed later,
# on the few rows that have one.

_USAGE = {
    "input_tokens": "VARCHAR",
    "output_tokens": "VARCHAR",
    "cache_creation_input_tokens": "VARCHAR",
    "cache_read_input_tokens": "VARCHAR",
    "cache_creation": "JSON",
    "service_tier": "VARCHAR",
    "speed": "VARCHAR",
    "inference_geo": "VARCHAR",
    "server_tool_use": {"web_search_requests": "VARCHAR"},
    "iterations": "JSON",
}
_BLOCK = {
    "type": "VARCHAR",
    "text": "VARCHAR",
    "thinking": "VARCHAR",
    "id": "VARCHAR",
    "name": "VARCHAR",
    "input": "JSON",
    "tool_use_id": "VARCHAR",
    "is_error": "VARCHAR",
    "content": "VARCHAR",
}
_MESSAGE = {
    "id": "VARCHAR",
    "model": "VARCHAR",
    "stop_reason": "VARCHAR",
    "usage": _USAGE,
    "content": [_BLOCK],
}
_RECORD = {
    "type": "VARCHAR",
    "subtype": "VARCHAR",
    "uuid": "VARCHAR",
    "timestamp": "VARCHAR",
    "sessionId": "VARCHAR",
    "requestId": "VARCHAR",
    "cwd": "VARCHAR",
    "gitBranch": "VARCHAR",
    "version": "VARCHAR",
    "entrypoint": "VARCHAR",
    "isSidechain": "VARCHAR",
    "agentId": "VARCHAR",
    "promptId": "VARCHAR",
    "effort": "VARCHAR",
    "isMeta": "VARCHAR",
    "isCompactSummary": "VARCHAR",
    "forkedFrom": "JSON",
    "costUSD": "VARCHAR",
    "toolDenialKind": "VARCHAR",
    "toolUseResult": {"searchCount": "VARCHAR"},
    "attachment": {"type": "VARCHAR"},
    "data": {"type": "VARCHAR", "agentId": "VARCHAR", "message": "JSON"},
    "message": _MESSAGE,
}
# A second look at the few lines that need more than the first: events, prompts that are plain strings, records
# of several content blocks.
_SECOND_LOOK = {
    "message": {"content": "JSON"},
    "attachment": {"prompt": "JSON", "commandMode": "VARCHAR"},
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
    "message": _MESSAGE,
}


def _structure(shape: Mapping[str, Any] | list[Any]) -> str:
    return "'" + json.dumps(shape) + "'"


# --- what is a wrong type (accounting rule 4), exactly: applied to the few lines that Python repairs -------------

_STRING_FIELDS = tuple(
    name
    for name, kind in _RECORD.items()
    if kind == "VARCHAR" and name not in {"isSidechain", "isMeta", "isCompactSummary", "costUSD"}
)
_BOOLEAN_FIELDS = ("isSidechain", "isMeta", "isCompactSummary")
_COUNT_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
_INT64_MAX = 2**63 - 1


def conform(record: dict[str, Any]) -> int:
    """Sets every field of an unexpected type to null, in place, and returns how many there were.

    The record keeps its other fields (accounting rule 4). Only fields that the lake reads are looked at.
    """
    odd = _clear_wrong(record, _STRING_FIELDS, str)
    odd += _clear_wrong(record, _BOOLEAN_FIELDS, bool)
    odd += _clear_wrong(record, ("forkedFrom", "attachment", "data"), dict)
    if isinstance(record.get("costUSD"), bool):
        record["costUSD"] = None
        odd += 1
    odd += _clear_wrong(record, ("costUSD",), (int, float))
    if not _is_time(record.get("timestamp")):
        record["timestamp"] = None
        odd += 1
    if record.get("type") in {"assistant", "user"}:
        odd += _conform_message(record)
    data = record.get("data")
    if isinstance(data, dict) and data.get("type") == "agent_progress":
        odd += _clear_wrong(data, ("agentId",), str) + _clear_wrong(data, ("message",), dict)
        inner = data.get("message")
        if isinstance(inner, dict):
            odd += _clear_wrong(inner, ("type", "uuid", "requestId"), str)
            if not _is_time(inner.get("timestamp")):
                inner["timestamp"] = None
                odd += 1
            if inner.get("type") in {"assistant", "user"}:
                odd += _conform_message(inner)
    return odd


_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}(:?\d{2})?)?")


def _is_time(value: object) -> bool:
    return value is None or (isinstance(value, str) and _TIME.fullmatch(value) is not None)


def _clear_wrong(owner: dict[str, Any], names: tuple[str, ...], right: type | tuple[type, ...]) -> int:
    wrong = [name for name in names if owner.get(name) is not None and not isinstance(owner[name], right)]
    for name in wrong:
        owner[name] = None
    return len(wrong)


def _conform_message(record: dict[str, Any]) -> int:
    odd = _clear_wrong(record, ("message",), dict)
    message = record.get("message")
    if not isinstance(message, dict):
        return odd
    odd += _clear_wrong(message, ("id", "model", "stop_reason"), str)
    odd += _clear_wrong(message, ("usage",), dict) + _clear_wrong(message, ("content",), (str, list))
    usage = message.get("usage")
    if isinstance(usage, dict):
        odd += _clear_wrong(usage, ("service_tier", "speed", "inference_geo"), str)
        odd += _clear_wrong(usage, ("cache_creation", "server_tool_use"), dict)
        odd += _clear_wrong(usage, ("iterations",), list) + _clear_counts(usage, _COUNT_FIELDS)
        split, tools = usage.get("cache_creation"), usage.get("server_tool_use")
        if isinstance(split, dict):
            odd += _clear_counts(split, ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"))
        if isinstance(tools, dict):
            odd += _clear_counts(tools, ("web_search_requests",))
        # A usage object makes the record a usage row whatever it holds (accounting rule 7).
        usage["output_tokens"] = usage.get("output_tokens") or 0
    content = message.get("content")
    if isinstance(content, list):
        odd += sum(not isinstance(block, dict) for block in content)
        message["content"] = blocks = [block for block in content if isinstance(block, dict)]
        for block in blocks:
            odd += _clear_wrong(block, ("type", "text", "thinking", "id", "name", "tool_use_id"), str)
            odd += _clear_wrong(block, ("is_error",), bool)
    return odd


def _clear_counts(owner: dict[str, Any], names: tuple[str, ...]) -> int:
    """A count is a non-negative 64-bit integer, or a string of one (accounting rule 14)."""
    odd = 0
    for name in names:
        value = owner.get(name)
        if value is None:
            continue
        digits = value if isinstance(value, str) else str(value)
        if isinstance(value, bool) or not digits.isdecimal() or not digits.isascii() or int(digits) > _INT64_MAX:
            owner[name] = None
            odd += 1
    return odd


# --- what each record means, as SQL over one batch ---------------------------------------------------------------
# `lines` is a relation (row, file_id, line, offset, odd, salvaged, raw); `salvaged` is null for lines as logged.
# _PARSED must stay free of short-circuiting expressions (CASE, COALESCE, AND): the optimiser would parse each line again inside every branch.

MACROS = """
create or replace macro token_count(x) as
  case when regexp_full_match(x, '[0-9]{1,19}') then try_cast(x as bigint) end;
-- Text that JSON did not quote: a number, a truth value, an object or a list where a string belongs. It may hit a
-- true string too ("12" as a branch name): such lines are only looked at more closely.
create or replace macro maybe_unquoted(x) as
  x in ('true', 'false') or starts_with(x, '{') or starts_with(x, '[')
  or (x < ':' and try_cast(x as double) is not null);
create or replace macro not_a_count(x) as x is not null and token_count(x) is null;
create or replace macro not_a_truth(x) as x is not null and x not in ('true', 'false');
"""

_MESSAGE_COLUMNS = """
  {r}.message.id as message_id,
  {r}.message.model as model,
  {r}.message.stop_reason as stop_reason,
  {r}.message.usage.input_tokens as input_tokens,
  {r}.message.usage.output_tokens as output_tokens,
  {r}.message.usage.cache_creation_input_tokens as cache_write_flat,
  {r}.message.usage.cache_read_input_tokens as cache_read_tokens,
  {r}.message.usage.cache_creation as cache_split,
  {r}.message.usage.service_tier as service_tier,
  {r}.message.usage.speed as speed,
  {r}.message.usage.inference_geo as inference_geo,
  {r}.message.usage.server_tool_use.web_search_requests as web_searches,
  {r}.message.usage.iterations as iterations,
  len({r}.message.content) as n_blocks,
"""

_BLOCK_COLUMNS = """
  {b}.type as block_type,
  {b}.text as text,
  length({b}.thinking) as thinking_chars,
  {b}.id as block_id,
  {b}.tool_use_id as tool_use_id,
  {b}.name as name,
  {b}.input as input,
  strlen({b}.content) as result_bytes,
  -- Added up, not OR: see above.
  starts_with({b}.content, 'The user doesn''t want to')::int
    + starts_with({b}.content, 'Permission to use')::int as refusals,
  {b}.is_error as is_error
"""

_PARSED = f"""
select
  "row", file_id, line, "offset", odd, salvaged,
  r is null as refused,
  r.type as type,
  r.subtype as subtype,
  r.uuid as uuid,
  r.timestamp as timestamp,
  try_cast(r.timestamp as timestamptz) as ts,
  r.sessionId as session_id,
  r.requestId as request_id,
  r.cwd as cwd,
  r.gitBranch as git_branch,
  r.version as version,
  r.entrypoint as entrypoint,
  r.isSidechain as is_sidechain,
  r.agentId as agent_id,
  r.promptId as prompt_id,
  r.effort as effort,
  r.isMeta as is_meta,
  r.isCompactSummary as is_compact_summary,
  r.forkedFrom as forked_from,
  r.costUSD as cost_logged,
  r.toolDenialKind as denial,
  r.toolUseResult.searchCount as search_count,
  r.attachment.type as attachment_type,
  r.data.type as data_type,
  r.data.agentId as data_agent_id,
  r.data.message as embedded,
  {_MESSAGE_COLUMNS.format(r="r")}
  {_BLOCK_COLUMNS.format(b="r.message.content[1]")}
from (select *, try(json_transform(raw, {_structure(_RECORD)})) as r from LINES)
"""


def parsed(lines: str) -> str:
    """The query that parses the relation `lines` (row, file_id, line, offset, odd, salvaged, raw)."""
    return _PARSED.replace("LINES", lines)


SUSPECTS = """
-- Lines to be repaired by hand: refused by the engine, or with a value that may be of the wrong type.
select "row", refused from parsed
where salvaged is null and (
  refused or type is null
  or (timestamp is not null and ts is null)
  or (uuid is not null and strlen(uuid) <> 36 and (maybe_unquoted(uuid)))
  or (session_id is not null and strlen(session_id) <> 36 and (maybe_unquoted(session_id)))
  or (prompt_id is not null and strlen(prompt_id) <> 36 and (maybe_unquoted(prompt_id)))
  or maybe_unquoted(type) or maybe_unquoted(subtype) or maybe_unquoted(request_id) or maybe_unquoted(cwd)
  or maybe_unquoted(git_branch) or maybe_unquoted(version) or maybe_unquoted(entrypoint)
  or maybe_unquoted(agent_id) or maybe_unquoted(effort) or maybe_unquoted(denial)
  or not_a_truth(is_sidechain) or not_a_truth(is_meta) or not_a_truth(is_compact_summary)
  or (cost_logged is not null and (try_cast(cost_logged as double) is null))
  or (forked_from is not null and not starts_with(forked_from, '{'))
  or (type = 'progress' and data_type is null)
  or (type in ('user', 'assistant') and (
    maybe_unquoted(message_id) or maybe_unquoted(model) or maybe_unquoted(stop_reason)
    or maybe_unquoted(service_tier) or maybe_unquoted(speed) or maybe_unquoted(inference_geo)
    or not_a_count(input_tokens) or not_a_count(output_tokens) or not_a_count(cache_write_flat)
    or not_a_count(cache_read_tokens) or not_a_count(web_searches)
    or (cache_split is not null and not regexp_full_match(cache_split,
        '\\{"ephemeral_(1h|5m)_input_tokens":[0-9]{1,18},"ephemeral_(1h|5m)_input_tokens":[0-9]{1,18}\\}'))
    or (iterations is not null and not starts_with(iterations, '['))
    or (n_blocks > 0 and block_type is null)
    or maybe_unquoted(block_type) or maybe_unquoted(block_id) or maybe_unquoted(tool_use_id)
    or maybe_unquoted(name) or not_a_truth(is_error) or maybe_unquoted(text)))
  or (type = 'assistant' and (n_blocks is null or output_tokens is null))
)
"""

SECOND_LOOK_NEEDED = """
select file_id, "offset" from parsed
where not refused and (
  type not in ('user', 'assistant', 'progress', 'file-history-snapshot', 'attachment')
  or (type = 'user' and (n_blocks is null or n_blocks > 1))
  or (type = 'assistant' and (n_blocks > 1 or model = '<synthetic>'))
  or attachment_type = 'queued_command'
)
"""

SECOND_LOOK = f"""
select file_id, "offset", try(json_transform(raw, {_structure(_SECOND_LOOK)})) as r
from lines semi join ({SECOND_LOOK_NEEDED}) using (file_id, "offset")
"""

EMBEDDED = f"""
-- Messages of subagents inside the parent's progress records: rows of the same shape as `parsed`, and their blocks.
select
  p."row", p.file_id, p.line, p."offset", p.odd, p.salvaged,
  e is null as refused,
  e.type as type, p.subtype, e.uuid as uuid,
  coalesce(e.timestamp, p.timestamp) as timestamp,
  coalesce(try_cast(e.timestamp as timestamptz), p.ts) as ts,
  p.session_id, e.requestId as request_id, p.cwd, p.git_branch, p.version, p.entrypoint,
  'true' as is_sidechain, p.data_agent_id as agent_id, p.prompt_id, p.effort,
  p.is_meta, p.is_compact_summary, p.forked_from, null as cost_logged, p.denial, p.search_count,
  p.attachment_type, 'agent_progress' as data_type, p.data_agent_id, null as embedded,
  {_MESSAGE_COLUMNS.format(r="e")}
  {_BLOCK_COLUMNS.format(b="e.message.content[1]")},
  e.message.content as blocks
from (
  select *, try(json_transform(embedded, {_structure(_EMBEDDED)})) as e
  from parsed
  where data_type = 'agent_progress' and embedded is not null
) p
"""

_OF_RECORD = """
  m.file_id, m."offset", m.line, m.type, m.uuid, m.ts, m.session_id, m.agent_id, m.is_sidechain, m.model,
  m.message_id, m.data_type, m.denial, m.search_count
"""
BLOCKS = f"""
-- Every content block with its record: the first comes with `parsed`, the others from the second look.
with others as (
  select file_id, "offset", unnest(blocks) as b, generate_subscripts(blocks, 1) as block
  from (
    select file_id, "offset", try(json_transform(r.message.content, {_structure([_BLOCK])})) as blocks
    from second_look
  )
),
embedded_blocks as (
  select file_id, "offset", unnest(blocks) as b, generate_subscripts(blocks, 1) as block from embedded
)
select {_OF_RECORD},
  block_type, text, thinking_chars, block_id, tool_use_id, name, input, result_bytes, refusals, is_error,
  1 as block
from parsed m where type in ('user', 'assistant') and n_blocks > 0
union all
select {_OF_RECORD}, {_BLOCK_COLUMNS.format(b="o.b")}, o.block
from others o join parsed m using (file_id, "offset")
where o.block > 1 and m.type in ('user', 'assistant')
union all
select {_OF_RECORD}, {_BLOCK_COLUMNS.format(b="o.b")}, o.block
from embedded_blocks o join embedded m using (file_id, "offset")
"""

# --- the rows that a batch adds to each table --------------------------------------------------------------------
# These read `parsed`, `embedded`, `second_look`, `blocks`, `ccusage_skips` and the variables host and keep_text.
# A missing ts or prompt_id is filled when the segment is complete.

RECORD_LOG = """
-- One narrow row a record: what counts of files, missing times and turns are made from when a segment is complete.
select file_id, "offset", ts, odd,
  -- Only user records carry promptId; a request answers the last one before it in its transcript.
  case when type = 'user' then prompt_id end as prompt_id
from parsed
"""

_KEY = "coalesce(nullif(message_id, ''), nullif(uuid, ''), file_id || ':' || \"offset\")"

# Anywhere in the line, as ccusage looks for it.
_NULL_FIELD = (
    '"(id|cwd|model|speed|costUSD|version|sessionId|requestId|isApiErrorMessage|cache_[a-z0-9_]*)"\\s*:\\s*null'
)

CCUSAGE_SKIPS = f"""
-- Why ccusage 20.0.24 leaves a usage record out (dedup = ccusage, accounting rule 13).
with usage as (
  select file_id, "offset", salvaged, version, timestamp from parsed
  where (type = 'assistant' and (output_tokens is not null or input_tokens is not null))
    or (data_type = 'agent_progress' and contains(embedded, '"usage"'))
)
select file_id, "offset",
  case
    when usage.salvaged <> 'checked' then usage.salvaged
    when not contains(raw, '"usage":{{') then 'usage not written as "usage":{{'
    when regexp_matches(raw, '{_NULL_FIELD}') then 'null field'
    when not regexp_full_match(coalesce(version, '0.0.0'), '[0-9]+\.[0-9]+\.[0-9]+.*') then 'version'
    when not regexp_matches(timestamp, '(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$') then 'time without zone'
  end as reason
from lines join usage using (file_id, "offset")
"""

USAGE_ROWS = f"""
with logged as (
  select * exclude (blocks), 'agent_progress' as origin from embedded where type = 'assistant'
  union all
  select *, 'assistant' as origin from parsed where type = 'assistant'
),
usage as (
  select logged.*,
    {_KEY} as key,
    coalesce(token_count(cache_write_flat), 0) as flat,
    coalesce(token_count(json_extract_string(cache_split, '$.ephemeral_5m_input_tokens')), 0) as split_5m,
    coalesce(token_count(json_extract_string(cache_split, '$.ephemeral_1h_input_tokens')), 0) as split_1h
  from logged
  where not refused and (
    input_tokens is not null or output_tokens is not null or cache_read_tokens is not null
    or cache_write_flat is not null or cache_split is not null)
),
content as (
  select file_id, "offset",
    sum(length(text)) filter (block_type = 'text') as text_chars,
    sum(thinking_chars) as thinking_chars,
    count(*) filter (block_type = 'tool_use') as tool_calls
  from blocks where type = 'assistant' group by all
),
top_level as (
  select usage.*,
    content.text_chars as content_text_chars,
    content.thinking_chars as content_thinking_chars,
    content.tool_calls as content_tool_calls
  from usage
  left join content using (file_id, "offset")
),
rows as (
  select
    key, message_id, request_id, uuid, origin, session_id,
    json_extract_string(forked_from, '$.sessionId') as forked_from,
    agent_id, coalesce(is_sidechain = 'true', false) as is_sidechain,
    ts, cwd, git_branch, version, entrypoint, prompt_id, model,
    coalesce(token_count(input_tokens), 0) as input_tokens,
    coalesce(token_count(output_tokens), 0) as output_tokens,
    -- A write count beyond the split belongs to the 5-minute cache (accounting rule 14).
    split_5m + greatest(flat - split_5m - split_1h, 0) as cache_write_5m_tokens,
    split_1h as cache_write_1h_tokens,
    coalesce(token_count(cache_read_tokens), 0) as cache_read_tokens,
    token_count(cache_write_flat) as cache_write_flat_tokens,
    cache_split is not null as cache_split_present,
    token_count(web_searches) as web_searches,
    service_tier, speed, inference_geo, effort, stop_reason,
    coalesce(content_text_chars, 0) as text_chars,
    coalesce(content_thinking_chars, 0) as thinking_chars,
    coalesce(content_tool_calls, 0) as tool_calls,
    try_cast(cost_logged as decimal(18, 9)) as cost_logged,
    file_id, "offset", line, iterations
  from top_level
),
advisors as (
  -- Calls of an advisor model are listed inside the usage of the request that made them (accounting rule 7).
  select rows.*, entry, entry_number - 1 as entry_index
  from (
    select *, unnest(json_extract(iterations, '$[*]')) as entry,
      generate_subscripts(json_extract(iterations, '$[*]'), 1) as entry_number
    from rows where contains(iterations, 'advisor_message')
  ) rows
  where json_extract_string(entry, '$.type') = 'advisor_message'
),
advisor_rows as (
  select
    key || ':advisor:' || entry_index as key, message_id, request_id, uuid, 'advisor' as origin, session_id,
    forked_from, agent_id, is_sidechain, ts, cwd, git_branch, version, entrypoint, prompt_id,
    json_extract_string(entry, '$.model') as model,
    coalesce(token_count(json_extract_string(entry, '$.input_tokens')), 0) as input_tokens,
    coalesce(token_count(json_extract_string(entry, '$.output_tokens')), 0) as output_tokens,
    split_5m + greatest(flat - split_5m - split_1h, 0) as cache_write_5m_tokens,
    split_1h as cache_write_1h_tokens,
    coalesce(token_count(json_extract_string(entry, '$.cache_read_input_tokens')), 0) as cache_read_tokens,
    flat_logged as cache_write_flat_tokens,
    json_exists(entry, '$.cache_creation') as cache_split_present,
    null as web_searches, service_tier, speed, inference_geo, effort, stop_reason,
    0 as text_chars, 0 as thinking_chars, 0 as tool_calls, null as cost_logged, file_id, "offset", line
  from (
    select *,
      token_count(json_extract_string(entry, '$.cache_creation_input_tokens')) as flat_logged,
      coalesce(flat_logged, 0) as flat,
      coalesce(token_count(json_extract_string(entry, '$.cache_creation.ephemeral_5m_input_tokens')), 0) as split_5m,
      coalesce(token_count(json_extract_string(entry, '$.cache_creation.ephemeral_1h_input_tokens')), 0) as split_1h
    from advisors
  )
),
all_rows as (
  select * exclude (iterations) from rows union all by name select * from advisor_rows
)
select all_rows.*, skips.reason as ccusage_skips, getvariable('host') as host
from all_rows
left join ccusage_skips skips using (file_id, "offset")
"""

TOOL_ROWS = f"""
select
  coalesce(case when block_type = 'tool_use' then block_id else tool_use_id end,
    file_id || ':' || "offset" || ':' || block) as tool_use_id,
  case when block_type = 'tool_use' then 'use' else 'result' end as side,
  case when data_type = 'agent_progress' then 'agent_progress' else 'assistant' end as origin,
  case when block_type = 'tool_use' then {_KEY} end as key,
  session_id, agent_id, coalesce(is_sidechain = 'true', false) as is_sidechain,
  ts,
  case when block_type = 'tool_use' then name end as name,
  case when block_type = 'tool_use' then
    list_filter(json_extract_string(input, ['$.file_path', '$.notebook_path', '$.command', '$.url', '$.query',
      '$.pattern', '$.path', '$.skill', '$.subagent_type', '$.description']), lambda x: x is not null)[1]
  end as target,
  case when block_type = 'tool_use' then strlen(input) end as input_bytes,
  case when block_type = 'tool_result' then coalesce(result_bytes, 0) end as result_bytes,
  case when block_type = 'tool_result' then coalesce(is_error = 'true', false) end as is_error,
  case when block_type = 'tool_result' then
    denial is not null or (coalesce(is_error = 'true', false) and coalesce(refusals, 0) > 0)
  end as denied,
  case when block_type = 'tool_result' then token_count(search_count) end as search_count,
  getvariable('host') as host, file_id, "offset"
from blocks
where (block_type = 'tool_use' and type = 'assistant') or (block_type = 'tool_result' and type = 'user')
"""

TEXTS = f"""
select
  coalesce(nullif(uuid, ''), file_id || ':' || "offset") || ':' || block as id,
  {_KEY} as key,
  session_id, agent_id, coalesce(is_sidechain = 'true', false) as is_sidechain,
  ts, length(text) as chars,
  case when getvariable('keep_text') then text end as text,
  getvariable('host') as host, file_id, "offset", line
from blocks
where type = 'assistant' and block_type = 'text' and data_type is null
  and text is not null and model is distinct from '<synthetic>'
"""

# What a user record's text starts with tells what the user did; None: nothing, the program wrote it.
_PROMPT_KINDS = {
    "[Request interrupted by user": "interrupt",
    "<task-notification>": "task-notification",
    "<command-name>": "slash",
    "<command-message>": "slash",
    "<bash-input>": "bash",
    "<bash-stdout>": None,
    "<bash-stderr>": None,
    "<local-command-caveat>": None,
    "<local-command-stdout>": None,
    "<local-command-stderr>": None,
    "<system-reminder>": None,
    "<ide_opened_file>": None,
    "<ide_selection>": None,
    "Caveat:": None,
    "This session is being continued": None,
}
_KIND = "\n".join(
    f"    when starts_with(said.text, '{start}') then {repr(kind) if kind else 'null'}"
    for start, kind in _PROMPT_KINDS.items()
)

PROMPTS = f"""
with said as (
  -- The text of a user record: a string, or its text blocks.
  select file_id, "offset", text, 'typed' as plain_kind from parsed
  where type = 'user' and n_blocks = 1 and block_type = 'text'
  union all
  select file_id, "offset", json_extract_string(r.message.content, '$'), 'typed'
  from second_look where json_type(r.message.content) = 'VARCHAR'
  union all
  select file_id, "offset", string_agg(text, chr(10) order by block), 'typed' from blocks
  where type = 'user' and data_type is null
    and (file_id, "offset") in (select (file_id, "offset") from parsed where type = 'user' and n_blocks > 1)
  group by all
  having count(*) filter (block_type = 'tool_result') = 0 and count(text) > 0
  union all
  select file_id, "offset",
    case json_type(r.attachment.prompt)
      when 'VARCHAR' then json_extract_string(r.attachment.prompt, '$')
      else array_to_string(json_extract_string(r.attachment.prompt, '$[*].text'), chr(10)) end,
    case when r.attachment.commandMode = 'task-notification' then 'task-notification' else 'queued' end
  from second_look where r.attachment.prompt is not null
),
acts as (
  select parsed.*  exclude (text), said.text,
    case
{_KIND}
    else plain_kind end as kind
  from said join parsed using (file_id, "offset")
  where (type = 'user' or attachment_type = 'queued_command')
    and coalesce(is_meta, 'false') = 'false' and coalesce(is_compact_summary, 'false') = 'false'
    and coalesce(is_sidechain, 'false') = 'false' and said.text is not null
)
select
  coalesce(nullif(uuid, ''), file_id || ':' || "offset") as id, uuid, session_id, prompt_id,
  ts, kind, length(text) as chars,
  case when getvariable('keep_text') then text end as text, cwd as project,
  getvariable('host') as host, file_id, "offset"
from acts
where kind is not null
"""

_DETAIL_FIELDS = [name for name in _SECOND_LOOK if name not in {"message", "attachment", "content", "lastPrompt"}]

EVENTS = f"""
with details as (
  select file_id, "offset",
    json_merge_patch('{{}}', to_json({{
      {", ".join(f"'{name}': r.{name}" for name in _DETAIL_FIELDS)},
      'content': case when getvariable('keep_text') then r.content end,
      'lastPrompt': case when getvariable('keep_text') then r.lastPrompt end
    }})) as detail
  from second_look
),
happenings as (
  select parsed.*, details.detail,
    case
      when type <> 'assistant' then coalesce(subtype, data_type, attachment_type)
      when contains(lower(text), 'limit') then 'limit'
      when json_extract_string(details.detail, '$.isApiErrorMessage') = 'true'
        or json_extract_string(details.detail, '$.error') is not null then 'api_error'
      else 'synthetic'
    end as event_subtype
  from parsed left join details using (file_id, "offset")
  where not refused
    and (type not in ('user', 'assistant') or (type = 'assistant' and model = '<synthetic>'))
    and data_type is distinct from 'agent_progress'
)
select
  coalesce(nullif(uuid, ''), file_id || ':' || "offset") as id,
  coalesce(type, 'unknown') as type, event_subtype as subtype, session_id, agent_id,
  coalesce(is_sidechain = 'true', false) as is_sidechain, ts,
  -- What a synthetic message says (a limit, an error) is the program's own text: kept also without user text.
  case when type = 'assistant' then json_merge_patch(coalesce(detail, '{{}}'), json_object('text', text))
    else nullif(detail, '{{}}') end as detail,
  getvariable('host') as host, file_id, "offset"
from happenings
"""

SESSION_FILES = """
with titled as (
  select file_id, "offset", coalesce(r.customTitle, r.aiTitle, r.agentName) as title,
    case when r.customTitle is not null then 3 when r.aiTitle is not null then 2 else 1 end * (1::bigint << 48)
      + "offset" as title_order
  from second_look where coalesce(r.customTitle, r.aiTitle, r.agentName) is not null
)
select
  session_id, file_id, getvariable('host') as host,
  min(ts) as first_ts, max(ts) as last_ts, count(*) as records,
  arg_min(cwd, "offset") as project, min("offset") filter (cwd is not null) as project_offset,
  arg_max(title, title_order) as title, max(title_order) as title_order,
  min(json_extract_string(forked_from, '$.sessionId')) as parent
from parsed left join titled using (file_id, "offset")
where session_id is not null
group by session_id, file_id
"""
