"""Claude Code transcripts: which files they are, the shape of their records, and what each record means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from tokenlake.sources import ccusage, claude_types

AGENT = "claude-code"

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""A transcript's name ends with one of these; the last two are archives."""

SKIPPED_NAMES = frozenset({"journal.jsonl", "sessions-index.json", "history.jsonl", "quota-samples.jsonl"})
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
    return kind in ("stream_event", "result", "rate_limit_event") or "session_id" in first_record


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
_BLOCK = {**_SAID, **_RESULT}
_MESSAGE = {
    "id": "VARCHAR",
    "model": "VARCHAR",
    "stop_reason": "VARCHAR",
    "usage": _USAGE,
    "content": [_SAID],
}
_ASSISTANT = {
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
_OTHER = {
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
_DETAILS = {
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
    "message": {**_MESSAGE, "content": [_BLOCK]},
}
_TRUTHS = {"isMeta": "JSON", "isCompactSummary": "JSON"}
_SAID_PLAINLY = {**_TRUTHS, "message": {"content": "VARCHAR"}}
_SAID_IN_BLOCKS = {**_TRUTHS, "message": {"content": [_BLOCK]}}
_QUEUED = {"attachment": {"prompt": "VARCHAR", "commandMode": "VARCHAR"}}
_QUEUED_IN_BLOCKS = {"attachment": {"prompt": [_BLOCK]}}
_PROGRESS = {
    "version": "VARCHAR",
    "gitBranch": "VARCHAR",
    "entrypoint": "VARCHAR",
    "data": {"agentId": "VARCHAR", "message": _EMBEDDED},
}


def projected(record: dict[str, Any]) -> dict[str, Any]:
    """The record with nothing in it but what the lake reads."""
    mine = (_ASSISTANT,) if record.get("type") == "assistant" else (_OTHER, _QUEUED, _QUEUED_IN_BLOCKS, _PROGRESS)
    found: dict[str, Any] = claude_types.projected(record, *mine, _SAID_IN_BLOCKS, _DETAILS)
    return found


_USAGE_COUNTS = (
    *("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
    *("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
)


def _structure(shape: Mapping[str, Any] | list[Any]) -> str:
    return "'" + json.dumps(shape) + "'"


# --- parsing a batch, as SQL -------------------------------------------------------------------------------------
# Lines are a relation (row, file_id, line, offset, odd, salvaged, raw); `salvaged` is null for lines as logged. The
# parsing queries must stay free of short-circuiting expressions (CASE, COALESCE, AND): the optimiser would parse each
# line again inside every branch.

MACROS = (
    """
create or replace macro token_count(x) as
  case when regexp_full_match(x, '"?[0-9]{1,19}"?') then try_cast(trim(x, '"') as bigint) end;
-- Absurd counts are counted as far as the type goes.
create or replace macro bounded(x) as least(x, 9223372036854775807)::bigint;
create or replace macro not_a_count(x) as x is not null and token_count(x) is null;
create or replace macro not_a_truth(x) as x is not null and x not in ('true', 'false');
-- Text that JSON did not quote: a number, a truth value, an object or a list where a string belongs. It may hit a
-- true string too ("12" as a branch name): such lines are only looked at more closely.
create or replace macro maybe_unquoted(x) as
  (x >= '-' and x < ':' and not starts_with(x, '/')
    and regexp_full_match(x, '-?([0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?|(?i:nan|inf(inity)?))'))
  or (x >= '[' and x < '\\') or (x >= '{' and x < '|') or x = 'true' or x = 'false'
  or (strlen(x) in (3, 8) and regexp_full_match(x, '(?i)nan|inf(inity)?'));
-- The same for what is nearly always an identifier of 36 characters with dashes, as no number or truth value is.
create or replace macro maybe_unquoted_id(x) as
  (strlen(x) <> 36 or x >= '[' and x < '\\' or x >= '{' or not contains(x, '-')) and (maybe_unquoted(x));
create or replace macro not_a_time(logged, ts) as
  logged is not null and (ts is null or ts < 'FIRST'::timestamptz or ts >= 'LAST'::timestamptz
    or (logged not like '____-__-__T__:__:__.___Z' and not regexp_full_match(logged, 'PATTERN')));
""".replace("FIRST", claude_types.FIRST_TIME.isoformat())
    .replace("LAST", claude_types.LAST_TIME.isoformat())
    .replace("PATTERN", claude_types.TIME_PATTERN)
)

HEAD_BYTES = 640
LOOKS_LIKE_ASSISTANT = """
-- A guess, from the first bytes of a line, at what it is parsed as; where it is wrong, the line is parsed again.
select contains(head, ':"assistant"') and not contains(head, ':"progress"') as as_assistant from heads
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
  {r}.message.usage.server_tool_use is not null as has_tool_counts,
  {r}.message.usage.iterations as iterations,
  {r}.message.usage is not null as has_usage,
  len({r}.message.content) as n_blocks
"""

# The first of these fields says what a tool is used on; the value as JSON wrote it, between its quotes.
_TARGET = (
    r'"(?:file_path|notebook_path|command|url|query|pattern|path|skill|subagent_type|description)":'
    r'"((?:[^"\\]|\\.)*)'
)

_SAID_COLUMNS = """
  {b}.type as block_type,
  {b}.text as text,
  length({b}.thinking) as thinking_chars,
  {b}.id as tool_use_id,
  {b}.name as name,
  regexp_extract(left({b}.input, 2000), '{target}', 1) as target_json,
  strlen({b}.input) as input_bytes
"""

_RESULT_COLUMNS = """
  strlen({b}.content) as result_bytes,
  -- Added up, not OR: see above.
  starts_with({b}.content, 'The user doesn''t want to')::int
    + starts_with({b}.content, 'Permission to use')::int as refusals,
  {b}.is_error::varchar as is_error
"""

# Anywhere in the line, as ccusage looks for them.
_CCUSAGE_COLUMNS = f"""
  contains(raw, '{ccusage.MARK.decode()}') as has_usage_bytes,
  regexp_extract(raw, '{ccusage.NULL_PATTERN}', 1) as null_field
"""

_RECORD_COLUMNS = """
  "row", file_id, line, "offset", bytes, odd, salvaged,
  r is null as refused,
  r.type as type,
  r.uuid as uuid,
  r.timestamp as timestamp,
  try_cast(r.timestamp as timestamptz) as ts,
  r.sessionId as session_id,
  r.cwd as cwd,
  r.isSidechain::varchar as is_sidechain,
  r.agentId as agent_id
"""

_ASSISTANTS = f"""
select
  {_RECORD_COLUMNS},
  r.requestId as request_id,
  r.gitBranch as git_branch,
  r.version as version,
  r.entrypoint as entrypoint,
  r.effort as effort,
  r.forkedFrom as forked_from,
  r.costUSD::varchar as cost_logged,
  {_CCUSAGE_COLUMNS},
  {_MESSAGE_COLUMNS.format(r="r")},
  {_SAID_COLUMNS.format(target=_TARGET, b="r.message.content[1]")},
  -- What tells whether these are of another type.
  left(r.message.content[1].thinking, 40) as thinking_head,
  left(r.message.content[1].input, 1) as input_head
from (select *, json_transform(raw, {_structure(_ASSISTANT)}) as r from RELATION)
"""

_OTHERS = f"""
select
  {_RECORD_COLUMNS},
  r.promptId as prompt_id,
  r.toolDenialKind as denial,
  r.toolUseResult.searchCount::varchar as search_count,
  r.subtype as subtype,
  r.attachment.type as attachment_type,
  r.attachment is not null as has_attachment,
  r.data.type as data_type,
  r.data is not null as has_data,
  len(r.message.content) as n_blocks,
  r.message.content[1].type as block_type,
  r.message.content[1].tool_use_id as tool_use_id,
  {_RESULT_COLUMNS.format(b="r.message.content[1]")}
from (select *, json_transform(raw, {_structure(_OTHER)}) as r from RELATION)
"""


def assistants(relation: str, *, may_refuse: bool = True) -> str:
    """The query that parses the lines of `relation` as assistant records.

    A line that is no JSON makes a row of nulls, which takes a copy of every value; unless it `may_refuse`, an error.
    """
    return _parsing(_ASSISTANTS, relation, may_refuse)


def others(relation: str, *, may_refuse: bool = True) -> str:
    """The query that parses the lines of `relation` as any other record, in the same way."""
    return _parsing(_OTHERS, relation, may_refuse)


def _parsing(query: str, relation: str, may_refuse: bool) -> str:
    if may_refuse:
        query = re.sub(r"json_transform\(.*\)(?= as r from)", r"try(\g<0>)", query)
    return query.replace("RELATION", relation)


def _any(macro: str, *columns: str) -> str:
    return " or ".join(f"{macro}({column})" for column in columns)


def _some(macro: str, *columns: str) -> str:
    """The same, planned faster and computed slower: for few rows."""
    return f"len(list_filter([{', '.join(columns)}], lambda x: {macro}(x))) > 0"


_SUSPECT = f"""
  refused or (type is null) or not_a_time(timestamp, ts) or not_a_truth(is_sidechain)
  or {_any("maybe_unquoted_id", "uuid", "session_id")} or {_any("maybe_unquoted", "cwd", "agent_id")}
"""
_ADVISOR_COUNTS = "|".join(sorted(_USAGE_COUNTS))
_MESSAGE_TEXTS = ("message_id", "model", "stop_reason", "service_tier", "speed", "inference_geo")
_MESSAGE_COUNTS = ("input_tokens", "output_tokens", "cache_write_flat", "cache_read_tokens", "web_searches")
_SUSPECT_MESSAGE = f"""
  n_blocks is null or output_tokens is null or (has_tool_counts and web_searches is null)
  or (cache_split is not null and not regexp_full_match(cache_split,
      '\\{{"ephemeral_(1h|5m)_input_tokens":[0-9]{{1,18}},"ephemeral_(1h|5m)_input_tokens":[0-9]{{1,18}}\\}}'))
  or (iterations is not null and not starts_with(iterations, '['))
  or (contains(iterations, 'advisor_message') and regexp_matches(iterations,
      '"(({_ADVISOR_COUNTS})":([^0-9]|[0-9]+[.eE]|[0-9]{{19}})|cache_creation":[^{{]|(model|type)":[^"])'))
"""
_SUSPECT_BLOCK = f"""
  {_any("maybe_unquoted", "block_type", "tool_use_id", "name", "thinking_head")}
  or (input_head <> '{{')
"""
SUSPECT_ASSISTANTS = f"""
-- Lines to be repaired by hand: refused by the engine, or with a value that may be of the wrong type.
select "row", refused from assistants
where salvaged is null and (
  {_SUSPECT}
  or {_any("maybe_unquoted", "request_id", "git_branch", "version", "entrypoint", "effort")}
  or {_any("maybe_unquoted", *_MESSAGE_TEXTS)} or {_any("not_a_count", *_MESSAGE_COUNTS)}
  or {_SUSPECT_MESSAGE}
  or {_SUSPECT_BLOCK}
  or (n_blocks > 0 and block_type is null)
  or (cost_logged is not null and (try_cast(cost_logged as decimal(18, 9)) is null or starts_with(cost_logged, '-')
    or starts_with(cost_logged, '"')))
  or (forked_from is not null and json_type(forked_from, '$.sessionId') is distinct from 'VARCHAR')
)
"""
SPOKEN_JSON = """
-- Texts that are JSON by themselves, as models say them at times: strings, nearly all of them.
select "row" from assistants where salvaged is null and (maybe_unquoted(text)) and (json_valid(text))
"""
SUSPECT_SPOKEN = """
select "row" from spoken where json_type(raw, '$.message.content[0].text') <> 'VARCHAR'
"""
SUSPECT_OTHERS = f"""
select "row", refused from others
where salvaged is null and (
  {_SUSPECT}
  or {_any("maybe_unquoted", "type", "subtype", "denial", "attachment_type", "data_type", "block_type", "tool_use_id")}
  or maybe_unquoted_id(prompt_id) or not_a_count(search_count) or not_a_truth(is_error)
  or (type = 'user' and n_blocks > 0 and block_type is null)
  or (has_attachment and attachment_type is null) or (has_data and data_type is null)
)
"""

# A second look at a record finds more: what is parsed, and what is kept of it. Which look a record gets is told by
# LOOKS_TAKEN; a query is planned for those only that some record gets.
_TRUTHS_KEPT = "r.isMeta::varchar as is_meta, r.isCompactSummary::varchar as is_compact_summary"
LOOKS: dict[str, tuple[Mapping[str, Any], str]] = {
    "said": (_SAID_PLAINLY, f"{_TRUTHS_KEPT}, r.message.content as said"),
    "blocks": (_SAID_IN_BLOCKS, f"{_TRUTHS_KEPT}, r.message.content as blocks"),
    "queued": (
        _QUEUED,
        "r.attachment.prompt as said, r.attachment.commandMode as command_mode,"
        f" try(json_transform(raw, {_structure(_QUEUED_IN_BLOCKS)})).attachment.prompt as blocks",
    ),
    "progress": (
        _PROGRESS,
        f"r.version as version, r.gitBranch as git_branch, r.entrypoint as entrypoint, r.data as data,"
        f" {_CCUSAGE_COLUMNS}",
    ),
    "details": (_DETAILS, "r as details"),
}
_LOOKED = '"row", file_id, "offset", line, type, salvaged'
LOOKS_TAKEN = f"""
select {_LOOKED},
  case
    when type = 'user' then case when n_blocks is null then 'said'
      when block_type is distinct from 'tool_result' or n_blocks > 1 then 'blocks' end
    when type = 'attachment' then case when attachment_type = 'queued_command' then 'queued' end
    when type = 'progress' then case when data_type = 'agent_progress' then 'progress' end
    when type <> 'file-history-snapshot' then 'details' end as look
from others where look is not null
union all
select {_LOOKED}, 'blocks' from assistants where n_blocks > 1
union all
select {_LOOKED}, 'details' from assistants where model = '<synthetic>'
"""
LOOKED_AT = """
-- These with their lines: as logged or as repaired.
select looks.*, raw
from looks join (select "row", raw from lines union all select "row", raw from repaired) using ("row")
"""


def _type_of(shape: Any) -> str:
    """The type of what the JSON engine makes of a shape."""
    if isinstance(shape, list):
        return f"{_type_of(shape[0])}[]"
    if isinstance(shape, Mapping):
        return "struct(" + ", ".join(f'"{name}" {_type_of(inner)}' for name, inner in shape.items()) + ")"
    return str(shape)


_NO_LOOK = f"""
select null::bigint as file_id, null::bigint as "offset", null::bigint as line, null::varchar as type,
  null::varchar as salvaged, null::varchar as is_meta, null::varchar as is_compact_summary, null::varchar as said,
  null::{_type_of([_BLOCK])} as blocks, null::varchar as command_mode, null::varchar as version,
  null::varchar as git_branch, null::varchar as entrypoint, null::{_type_of(_PROGRESS["data"])} as data,
  null::boolean as has_usage_bytes, null::varchar as null_field, null::{_type_of(_DETAILS)} as details
limit 0
"""


def second_look(looks: Iterable[str]) -> str:
    """The query that makes these looks at the lines in `looked_at`; its columns are those of all of them."""
    parts = [
        f"""
select file_id, "offset", line, type, salvaged, {LOOKS[look][1]}
from (select *, try(json_transform(raw, {_structure(LOOKS[look][0])})) as r from looked_at where look = '{look}')"""
        for look in LOOKS
        if look in looks
    ]
    return " union all by name ".join(f"({part})" for part in (_NO_LOOK, *parts))


_ODD_BLOCKS = f"""
  len(list_filter(blocks, lambda b: b.type is null  -- also where it is no object
    or {_some("maybe_unquoted", "b.type", "b.tool_use_id", "b.id", "b.name", "left(b.thinking, 40)")}
    or coalesce(left(b.input, 1) <> '{{', false) or not_a_truth(b.is_error)
    or (maybe_unquoted(b.text) and json_valid(b.text)))) > 0
"""
_DOUBTS = {
    "said": """
  not_a_truth(is_meta) or not_a_truth(is_compact_summary) or (said is null)
  or (maybe_unquoted(said) and json_valid(said))
""",
    "blocks": f"""
  not_a_truth(is_meta) or not_a_truth(is_compact_summary) or (blocks is not null and {_ODD_BLOCKS})
""",
    "queued": f"""
  maybe_unquoted(command_mode) or (blocks is null and maybe_unquoted(said) and json_valid(said))
  or (blocks is not null and {_ODD_BLOCKS})
""",
    "progress": _some("maybe_unquoted", "version", "git_branch", "entrypoint", "data.agentId"),
    "details": _some("maybe_unquoted", "details.customTitle", "details.aiTitle", "details.agentName"),
}
_LOOKED_BY = {
    "said": "type = 'user' and blocks is null",
    "blocks": "blocks is not null and type <> 'attachment'",
    "queued": "type = 'attachment'",
    "progress": "data is not null",
    "details": "details is not null",
}
_DOUBTED_MESSAGES = f"""
select file_id, "offset" from (
  select file_id, "offset", e.type as type, e.timestamp as timestamp, try_cast(e.timestamp as timestamptz) as ts,
    e.uuid as uuid, e.requestId as request_id, e.message.content as blocks, {_MESSAGE_COLUMNS.format(r="e")}
  from (select file_id, "offset", data.message as e from second_look where salvaged is null and data is not null)
)
where type is null or not_a_time(timestamp, ts) or {_some("maybe_unquoted", "type", "uuid", "request_id")}
  or (type = 'assistant' and ({_SUSPECT_MESSAGE}))
  or (type = 'assistant' and ({_some("maybe_unquoted", *_MESSAGE_TEXTS)} or {_some("not_a_count", *_MESSAGE_COUNTS)}))
  or (type in ('assistant', 'user') and (n_blocks is null or {_ODD_BLOCKS}))
"""


def suspect_looks(looks: Iterable[str]) -> str:
    """Of these looks, the lines to be repaired by hand: they find more fields, and so more wrong types."""
    doubts = [
        f'select file_id, "offset" from second_look where salvaged is null and {_LOOKED_BY[look]} and ({doubt})'
        for look, doubt in _DOUBTS.items()
        if look in looks
    ]
    doubts += [_DOUBTED_MESSAGES] if "progress" in looks else []
    return f"""
select distinct looked_at."row", false as refused
from ({" union all ".join(f"({doubt})" for doubt in doubts)}) odd join looked_at using (file_id, "offset")
"""


# --- what records mean: the rows that a segment adds to each table -------------------------------------------------
# These read `assistants`, `others`, `second_look` and `embedded` of a whole segment, and the variables host and
# keep_text. `times` and `turns` (file_id, offset, and ts or prompt_id) hold what a record lacks that takes it from
# another before it.

EMBEDDED = f"""
-- Messages of subagents inside the parent's progress records.
select
  o.file_id, o.line, o."offset", o.odd, o.salvaged, e.type as type, e.uuid as uuid,
  coalesce(try_cast(e.timestamp as timestamptz), o.ts) as ts, o.session_id, o.cwd, 'true' as is_sidechain,
  s.data.agentId as agent_id, e.requestId as request_id, s.git_branch, s.version,
  s.entrypoint, o.search_count, o.denial, s.has_usage_bytes, s.null_field, e.timestamp as timestamp,
  {_MESSAGE_COLUMNS.format(r="e")},
  e.message.content as blocks
from (select *, data.message as e from second_look where data is not null) s join others o using (file_id, "offset")
"""

RECORD_LOG = """
-- One narrow row a record.
select file_id, "offset", bytes, ts, odd, null::varchar as prompt_id from assistants
union all
select file_id, "offset", bytes, ts, odd, case when type = 'user' then prompt_id end from others
"""

TIMES = """
-- A record without a time takes its file's previous one (accounting rule 26).
select missing.file_id, missing."offset", known.ts
from (select file_id, "offset" from record_log where ts is null) missing
asof join (
  select file_id, "offset", ts from record_log where ts is not null
  union all
  select file_id, -1, ts from resume where ts is not null
) known on missing.file_id = known.file_id and missing."offset" >= known."offset"
"""

TURNS = """
-- Only user records carry promptId; a request answers the last one before it in its transcript.
with known as (
  select file_id, "offset", prompt_id from record_log where prompt_id is not null
  union all
  select file_id, -1, prompt_id from resume where prompt_id is not null
)
select asked.file_id, asked."offset", known.prompt_id
from (
  select file_id, "offset" from (
    select file_id, "offset" from assistants union all select file_id, "offset" from embedded
  ) semi join known using (file_id)
) asked
asof join known on asked.file_id = known.file_id and asked."offset" >= known."offset"
"""

_MORE_BLOCKS = """
  select file_id, "offset", unnest(blocks) as b, generate_subscripts(blocks, 1) as block
  from second_look where type in ('user', 'assistant') and blocks is not null
"""

SAID = f"""
-- Every content block of assistant records, with its record.
with more as ({_MORE_BLOCKS}),
embedded_blocks as (
  select file_id, "offset", unnest(blocks) as b, generate_subscripts(blocks, 1) as block
  from embedded where type = 'assistant'
)
select file_id, "offset", line, 'assistant' as origin, uuid, ts, session_id, agent_id, is_sidechain, message_id, model,
  1 as block, block_type, text, thinking_chars, tool_use_id, name, target_json, input_bytes
from assistants where n_blocks > 0
union all
select a.file_id, a."offset", line, 'assistant', uuid, ts, session_id, agent_id, is_sidechain, message_id, model,
  block, {_SAID_COLUMNS.format(target=_TARGET, b="b")}
from more join assistants a using (file_id, "offset") where block > 1
union all
select e.file_id, e."offset", line, 'agent_progress', uuid, ts, session_id, agent_id, is_sidechain, message_id, model,
  block, {_SAID_COLUMNS.format(target=_TARGET, b="b")}
from embedded_blocks join embedded e using (file_id, "offset")
"""

RESULTS = f"""
-- Every tool result, with its record.
with more as ({_MORE_BLOCKS}),
embedded_blocks as (
  select file_id, "offset", unnest(blocks) as b, generate_subscripts(blocks, 1) as block
  from embedded where type = 'user'
)
select file_id, "offset", 'assistant' as origin, ts, session_id, agent_id, is_sidechain, denial, search_count,
  1 as block, tool_use_id, result_bytes, refusals, is_error
from others where type = 'user' and block_type = 'tool_result'
union all
select o.file_id, o."offset", 'assistant', ts, session_id, agent_id, is_sidechain, denial, search_count,
  block, b.tool_use_id, {_RESULT_COLUMNS.format(b="b")}
from more join others o using (file_id, "offset")
where o.type = 'user' and block > 1 and b.type = 'tool_result'
union all
select e.file_id, e."offset", 'agent_progress', ts, session_id, agent_id, is_sidechain, denial, search_count,
  block, b.tool_use_id, {_RESULT_COLUMNS.format(b="b")}
from embedded_blocks join embedded e using (file_id, "offset")
where b.type = 'tool_result'
"""

_KEY = "coalesce(nullif(message_id, ''), nullif(uuid, ''), file_id || ':' || \"offset\")"

# Why ccusage leaves a record out (dedup = ccusage, accounting rule 13); of repaired lines salvage knows it.
_CCUSAGE_SKIPS = f"""
      when salvaged = 'checked' then null
      when salvaged is not null then salvaged
      when not has_usage_bytes then '{ccusage.NO_MARK}'
      when null_field <> '' then 'null in ' || null_field
      when input_tokens is null then 'no input_tokens'
      when output_tokens is null then 'no output_tokens'
      when starts_with(input_tokens, '"') or starts_with(output_tokens, '"') or starts_with(cache_write_flat, '"')
        or starts_with(cache_read_tokens, '"') then 'count written as text'
      when not regexp_full_match(
        concat_ws('', input_tokens, output_tokens, cache_write_flat, cache_read_tokens), '[0-9]+'
      ) then 'count is no whole number'
      when timestamp is null then 'no timestamp'
      when not regexp_full_match(timestamp, '{ccusage.TIME_PATTERN}')
        then case when regexp_full_match(timestamp, '{ccusage.ZONED_PATTERN}') then 'timestamp in another form'
          else 'timestamp without zone' end
      when session_id = '' then 'empty sessionId'
      when request_id = '' then 'empty requestId'
      when message_id = '' then 'empty id'
      when model = '' then 'empty model'
      when speed not in ('standard', 'fast') then 'speed is neither standard nor fast'
"""

USAGE_ROWS = f"""
with content as (
  -- Records of one block, nearly all, have it beside them.
  select file_id, "offset",
    sum(length(text)) filter (block_type = 'text') as text_chars,
    sum(thinking_chars) as thinking_chars,
    count(*) filter (block_type = 'tool_use') as tool_calls
  from said
  where origin = 'agent_progress'
    or (file_id, "offset") in (select (file_id, "offset") from assistants where n_blocks > 1)
  group by all
),
logged as (
  select *, 'assistant' as origin,
    case
{_CCUSAGE_SKIPS}
      when not regexp_full_match(version, '{ccusage.VERSION_PATTERN}') then 'version is not semver'
    end as ccusage_skips
  from assistants where type = 'assistant'
  union all by name
  select * exclude (blocks), 'agent_progress' as origin,
    case
{_CCUSAGE_SKIPS}
    end as ccusage_skips
  from embedded where type = 'assistant'
),
usage as (
  select logged.* exclude (thinking_chars),
    {_KEY} as key,
    coalesce(token_count(cache_write_flat), 0) as flat,
    coalesce(token_count(json_extract_string(cache_split, '$.ephemeral_5m_input_tokens')), 0) as split_5m,
    coalesce(token_count(json_extract_string(cache_split, '$.ephemeral_1h_input_tokens')), 0) as split_1h,
    coalesce(content.text_chars, case when block_type = 'text' then length(text) end, 0) as text_chars,
    coalesce(content.thinking_chars, logged.thinking_chars, 0) as thinking_chars,
    coalesce(content.tool_calls, (block_type = 'tool_use')::bigint, 0) as tool_calls
  from logged left join content using (file_id, "offset")
  where has_usage
),
rows as (
  select
    key, message_id, request_id, uuid, origin, session_id,
    json_extract_string(forked_from, '$.sessionId') as forked_from,
    agent_id, coalesce(is_sidechain = 'true', false) as is_sidechain,
    ts, cwd, git_branch, version, entrypoint, model,
    coalesce(token_count(input_tokens), 0) as input_tokens,
    coalesce(token_count(output_tokens), 0) as output_tokens,
    -- A write count beyond the split belongs to the 5-minute cache (accounting rule 14).
    bounded(split_5m + greatest(flat::hugeint - split_5m - split_1h, 0)) as cache_write_5m_tokens,
    split_1h as cache_write_1h_tokens,
    coalesce(token_count(cache_read_tokens), 0) as cache_read_tokens,
    token_count(cache_write_flat) as cache_write_flat_tokens,
    cache_split is not null as cache_split_present,
    greatest(flat::hugeint - split_5m - split_1h, 0)::bigint as cache_write_unsplit_tokens,
    token_count(web_searches) as web_searches,
    service_tier, speed, inference_geo, effort, stop_reason, text_chars, thinking_chars, tool_calls,
    try_cast(cost_logged as decimal(18, 9)) as cost_logged,
    ccusage_skips, file_id, "offset", line, iterations
  from usage
),
advisors as (
  -- Calls of an advisor model are listed inside the usage of the request that made them (accounting rule 7).
  select *, entry_number - 1 as entry_index,
    token_count(json_extract_string(entry, '$.cache_creation_input_tokens')) as flat_logged,
    coalesce(flat_logged, 0) as flat,
    coalesce(token_count(json_extract_string(entry, '$.cache_creation.ephemeral_5m_input_tokens')), 0) as split_5m,
    coalesce(token_count(json_extract_string(entry, '$.cache_creation.ephemeral_1h_input_tokens')), 0) as split_1h
  from (
    select *, unnest(json_extract(iterations, '$[*]')) as entry,
      generate_subscripts(json_extract(iterations, '$[*]'), 1) as entry_number
    from rows where contains(iterations, 'advisor_message')
  )
  where json_extract_string(entry, '$.type') = 'advisor_message'
),
advisor_rows as (
  select * exclude (iterations, entry, entry_number, entry_index, flat_logged, flat, split_5m, split_1h) replace (
    key || ':advisor:' || entry_index as key,
    'advisor' as origin,
    json_extract_string(entry, '$.model') as model,
    coalesce(token_count(json_extract_string(entry, '$.input_tokens')), 0) as input_tokens,
    coalesce(token_count(json_extract_string(entry, '$.output_tokens')), 0) as output_tokens,
    bounded(split_5m + greatest(flat::hugeint - split_5m - split_1h, 0)) as cache_write_5m_tokens,
    split_1h as cache_write_1h_tokens,
    coalesce(token_count(json_extract_string(entry, '$.cache_read_input_tokens')), 0) as cache_read_tokens,
    flat_logged as cache_write_flat_tokens,
    json_exists(entry, '$.cache_creation') as cache_split_present,
    greatest(flat::hugeint - split_5m - split_1h, 0)::bigint as cache_write_unsplit_tokens,
    null as web_searches, 0 as text_chars, 0 as thinking_chars, 0 as tool_calls, null as cost_logged)
  from advisors
),
all_rows as (
  select * exclude (iterations) from rows union all by name select * from advisor_rows
)
select all_rows.* replace (coalesce(all_rows.ts, times.ts) as ts), turns.prompt_id, getvariable('host') as host
from all_rows
left join times using (file_id, "offset")
left join turns using (file_id, "offset")
"""

TOOL_ROWS = f"""
with sides as (
  select coalesce(tool_use_id, file_id || ':' || "offset" || ':' || block) as tool_use_id, 'use' as side, origin,
    {_KEY} as key, session_id, agent_id, is_sidechain, ts, name,
    case when contains(target_json, chr(92))
      then coalesce(try(json_extract_string('"' || target_json || '"', '$')), target_json)  -- may be cut in an escape
      else nullif(target_json, '') end as target,
    input_bytes, null::bigint as result_bytes,
    null::boolean as is_error, null::boolean as denied, null::bigint as search_count, file_id, "offset"
  from said where block_type = 'tool_use'
  union all
  select coalesce(tool_use_id, file_id || ':' || "offset" || ':' || block), 'result', origin,
    null, session_id, agent_id, is_sidechain, ts, null, null, null, coalesce(result_bytes, 0),
    coalesce(is_error = 'true', false),
    denial is not null or (coalesce(is_error = 'true', false) and coalesce(refusals, 0) > 0),
    token_count(search_count), file_id, "offset"
  from results
)
select sides.* replace (
    coalesce(sides.ts, times.ts) as ts, coalesce(is_sidechain = 'true', false) as is_sidechain),
  getvariable('host') as host
from sides left join times using (file_id, "offset")
"""

TEXTS = f"""
select
  coalesce(nullif(uuid, ''), file_id || ':' || "offset") || ':' || block as id,
  {_KEY} as key,
  session_id, agent_id, coalesce(is_sidechain = 'true', false) as is_sidechain,
  coalesce(said.ts, times.ts) as ts, length(text) as chars,
  case when getvariable('keep_text') then text end as text,
  getvariable('host') as host, file_id, "offset", line
from said left join times using (file_id, "offset")
where origin = 'assistant' and block_type = 'text' and text is not null and model is distinct from '<synthetic>'
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
    f"    when starts_with(text, '{start}') then {repr(kind) if kind else 'null'}"
    for start, kind in _PROMPT_KINDS.items()
)

PROMPTS = f"""
with said_by_user as materialized (
  -- The text of a user record: a string, or its text blocks. Made once: it may be large.
  select file_id, "offset",
    case when type = 'user' then 'typed' when command_mode = 'task-notification' then 'task-notification'
      else 'queued' end as plain_kind,
    case when blocks is null then said
      else array_to_string([b.text for b in blocks if b.text is not null], chr(10)) end as text
  from second_look
  where type in ('user', 'attachment')
    and coalesce(is_meta, 'false') = 'false' and coalesce(is_compact_summary, 'false') = 'false'
    and not coalesce(list_contains([b.type for b in blocks], 'tool_result'), false)
),
acts as (
  select others.*, text,
    case
{_KIND}
    else plain_kind end as kind
  from said_by_user join others using (file_id, "offset")
  where coalesce(is_sidechain, 'false') = 'false' and text <> ''
)
select
  coalesce(nullif(uuid, ''), file_id || ':' || "offset") as id, uuid, session_id, prompt_id,
  coalesce(acts.ts, times.ts) as ts, kind, length(text) as chars,
  case when getvariable('keep_text') then text end as text, cwd as project,
  getvariable('host') as host, file_id, "offset"
from acts left join times using (file_id, "offset")
where kind is not null
"""

_DETAIL_FIELDS = [name for name in _DETAILS if name not in {"content", "lastPrompt"}]

EVENTS = f"""
with parts as materialized (
  select file_id, "offset",
    json_merge_patch('{{}}', to_json({{
      {", ".join(f"'{name}': details.{name}" for name in _DETAIL_FIELDS)}
    }}))::varchar as short,
    -- These may be long: put behind the others without parsing them once more.
    case when getvariable('keep_text') then concat_ws(',',
      '"content":' || to_json(details.content)::varchar, '"lastPrompt":' || to_json(details.lastPrompt)::varchar)
      else '' end as long,
    details.isApiErrorMessage = 'true' or details.error is not null as is_error
  from second_look where details is not null
),
described as (
  select file_id, "offset", is_error,
    case when long = '' then nullif(short, '{{}}') when short = '{{}}' then '{{' || long || '}}'
      else short[:-2] || ',' || long || '}}' end as detail
  from parts
),
happenings as (
  -- Of progress and attachments only the kind is kept: they repeat what other records say.
  select file_id, "offset", uuid, type, coalesce(subtype, data_type, attachment_type) as subtype, session_id, agent_id,
    is_sidechain, ts, detail
  from others left join described using (file_id, "offset")
  where type is distinct from 'user' and data_type is distinct from 'agent_progress'
  union all
  select file_id, "offset", uuid, type,
    case when contains(lower(text), 'limit') then 'limit' when is_error then 'api_error' else 'synthetic' end,
    session_id, agent_id, is_sidechain, ts,
    -- What a synthetic message says (a limit, an error) is the program's own text: kept also without user text.
    json_merge_patch(coalesce(detail, '{{}}')::json, json_object('text', text))::varchar
  from assistants left join described using (file_id, "offset")
  where model = '<synthetic>'
)
select
  coalesce(nullif(uuid, ''), file_id || ':' || "offset") as id,
  coalesce(type, 'unknown') as type, subtype, session_id, agent_id,
  coalesce(is_sidechain = 'true', false) as is_sidechain, coalesce(happenings.ts, times.ts) as ts, detail,
  getvariable('host') as host, file_id, "offset"
from happenings left join times using (file_id, "offset")
"""

SESSION_FILES = """
with titled as (
  select file_id, "offset", coalesce(details.customTitle, details.aiTitle, details.agentName) as title,
    case when details.customTitle is not null then 3 when details.aiTitle is not null then 2 else 1 end
      * (1::bigint << 48) + "offset" as title_order
  from second_look
  where type <> 'assistant' and coalesce(details.customTitle, details.aiTitle, details.agentName) is not null
),
stamped as (
  select session_id, file_id, "offset", ts, cwd, json_extract_string(forked_from, '$.sessionId') as parent
  from assistants
  union all
  select session_id, file_id, "offset", ts, cwd, null from others
)
select
  session_id, file_id, getvariable('host') as host,
  min(ts) as first_ts, max(ts) as last_ts, count(*) as records,
  arg_min(cwd, "offset") as project, min("offset") filter (cwd is not null) as project_offset,
  arg_max(title, title_order) as title, max(title_order) as title_order, min(parent) as parent
from stamped left join titled using (file_id, "offset")
where session_id is not null
group by session_id, file_id
"""
