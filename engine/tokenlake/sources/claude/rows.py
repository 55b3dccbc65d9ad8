"""What records mean, as SQL: the rows that a segment adds to each table."""

from __future__ import annotations

from tokenlake.sources import ccusage
from tokenlake.sources.claude.columns import MESSAGE_COLUMNS, RESULT_COLUMNS, SAID_COLUMNS, TARGET
from tokenlake.sources.claude.shapes import DETAILS

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
  {MESSAGE_COLUMNS.format(r="e")},
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
  block, {SAID_COLUMNS.format(target=TARGET, b="b")}
from more join assistants a using (file_id, "offset") where block > 1
union all
select e.file_id, e."offset", line, 'agent_progress', uuid, ts, session_id, agent_id, is_sidechain, message_id, model,
  block, {SAID_COLUMNS.format(target=TARGET, b="b")}
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
  block, b.tool_use_id, {RESULT_COLUMNS.format(b="b")}
from more join others o using (file_id, "offset")
where o.type = 'user' and block > 1 and b.type = 'tool_result'
union all
select e.file_id, e."offset", 'agent_progress', ts, session_id, agent_id, is_sidechain, denial, search_count,
  block, b.tool_use_id, {RESULT_COLUMNS.format(b="b")}
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

_DETAIL_FIELDS = [name for name in DETAILS if name not in {"content", "lastPrompt"}]

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
