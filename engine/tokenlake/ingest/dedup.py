"""Which rows count: requests, tool calls, sessions and single copies, made from rows as logged (rules 8 to 17).

Each query is a definition. It reads these relations, limited to the keys at hand: `starts` (session_id, started,
is_fork), `paths` (file_id, path), `usage` (like usage_rows), `tool_rows_now` (like tool_rows), `tool_uses` and
`tool_results` (those of web searches), `candidates` (rows of one text table), `session_parts` (like session_files).
"""

from __future__ import annotations

MACROS = """
-- 2.1.96 < 2.1.97 < 2.2.0; null for a version that is not three numbers.
create or replace macro version_number(version) as
  case when regexp_matches(version, '^[0-9]{1,9}[.][0-9]{1,9}[.][0-9]{1,9}([^0-9]|$)') then
    lpad(split_part(version, '.', 1), 9, '0') || lpad(split_part(version, '.', 2), 9, '0')
      || lpad(regexp_extract(split_part(version, '.', 3), '^[0-9]+'), 9, '0') end;
"""

STARTS = """
-- When each session started: what decides who owns a record that several sessions hold (rule 11).
select session_id, min(first_ts) as started, bool_or(parent is not null and parent <> session_id) as is_fork
from session_parts group by session_id
"""

SEARCHES = """
-- Searches of the WebSearch tool, reported with its result, by the request that called it (rule 17).
select key, bounded(sum(searches)) as searches
from (
  select tool_use_id, min(uses.key) as key, max(results.search_count) as searches
  from tool_results results join tool_uses uses using (tool_use_id)
  where results.search_count > 0 and uses.name = 'WebSearch'
  group by tool_use_id
)
group by key
"""

REQUESTS = """
-- The wide rows stay where they are until it is known which of them count: up to `facts`, rows are numbers.
with ordered_paths as (
  select file_id, dense_rank() over (order by path) as path_rank from paths
),
located as (
  -- Synthetic rows are not requests (rule 10).
  select usage.rowid as row_number, key, session_id, forked_from, origin, ts, output_tokens, stop_reason,
    text_chars, thinking_chars, tool_calls, coalesce(uuid, file_id || ':' || "offset") as record,
    -- Of the rows of a request the greatest counts: the most output tokens; then the later time; then the greater
    -- (path, offset) (rule 9). Two hosts may have one path: file_ids are of both, and the same in every lake.
    struct_pack(a := output_tokens, b := coalesce(ts, '-infinity'::timestamptz), c := path_rank, d := "offset",
      e := file_id) as standing
  from usage join ordered_paths using (file_id)
  where model is distinct from '<synthetic>'
),
seen as (
  select key, count(*) as n_rows, count(distinct session_id) as n_sessions, min(ts) as ts, max(ts) as last_ts,
    max(stop_reason) as any_stop_reason, max(output_tokens) as most_output_tokens,
    count(forked_from) > 0 as is_forked, count(session_id) < count(*) as has_stray,
    bool_or(origin <> 'agent_progress') as has_own_row
  from located group by key
),
counted as (
  -- A row of agent_progress is only a fallback (rule 9).
  select located.* from located join seen using (key)
  where origin <> 'agent_progress' or not has_own_row
),
kept as (
  select key, arg_max(row_number, standing) as row_number from counted group by key
),
sums as (
  -- What the rows of a request hold together; copies of a record are one record.
  select key, sum(text_chars)::bigint as text_chars, sum(thinking_chars)::bigint as thinking_chars,
    sum(tool_calls)::bigint as tool_calls
  from (
    select key, max(text_chars) as text_chars, max(thinking_chars) as thinking_chars, max(tool_calls) as tool_calls
    from counted group by key, record
  )
  group by key
),
shared as (
  select located.*, starts.started
  from located join seen using (key) left join starts using (session_id)
  where n_sessions > 1 or is_forked or (n_sessions = 1 and has_stray)  -- a row may lack its session
),
owners as (
  -- Where a copy says what it was forked from, that session owns it; else the one that started first (rule 11).
  select key,
    coalesce(
      arg_min(forked_from, struct_pack(a := coalesce(parents.started, 'infinity'::timestamptz), b := forked_from))
        filter (forked_from is not null),
      arg_min(shared.session_id,
        struct_pack(a := coalesce(shared.started, 'infinity'::timestamptz), b := shared.session_id))
    ) as session_id
  from shared left join (select session_id, started from starts) parents on forked_from = parents.session_id
  group by key
),
places as (
  -- A copy is stamped anew with its own place: the owner's copy tells where the request was made.
  select key, cwd, git_branch, host
  from usage join (
    select arg_max(row_number, struct_pack(a := origin <> 'agent_progress', b := standing)) as rowid
    from shared join owners using (key, session_id) group by key
  ) using (rowid)
),
facts as (
  select kept.row_number, seen.*, sums.* exclude (key), owners.session_id as owner,
    places.key is not null as has_place, places.cwd as own_cwd, places.git_branch as own_branch,
    places.host as own_host, searches
  from kept
  join seen using (key)
  join sums using (key)
  left join owners using (key)
  left join places using (key)
  left join searches using (key)
)
select
  facts.key, facts.ts, facts.last_ts, coalesce(owner, session_id) as session_id,
  case when has_place then own_cwd else cwd end as project,
  case when has_place then own_branch else git_branch end as git_branch,
  case when has_place then own_host else host end as host,
  'claude-code' as agent, version, entrypoint, model, origin, is_sidechain, agent_id, prompt_id,
  input_tokens, output_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens,
  bounded(input_tokens::hugeint + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens)
    as context_tokens,
  coalesce(nullif(web_searches, 0), searches, 0) as web_searches,
  service_tier, speed, inference_geo, effort, coalesce(stop_reason, any_stop_reason) as stop_reason,
  -- Between 2.1.0 and 2.1.96 the streaming placeholder of at most 10 tokens was often never replaced (rule 16).
  any_stop_reason is null
    or case when most_output_tokens <= 10
      then coalesce(version_number(version) < version_number('2.1.97'), false) else false end as output_is_partial,
  n_rows, n_sessions, facts.text_chars, facts.thinking_chars, facts.tool_calls, cost_logged,
  file_id, "offset"
from usage join facts on usage.rowid = facts.row_number
"""

TOOL_CALLS = """
with copied as (
  -- Of several copies of a call or a result, the one in the session that started first.
  select tool_use_id, side from tool_rows_now group by tool_use_id, side having count(*) > 1
),
first_copies as (
  select tool_rows_now.*
  from tool_rows_now semi join copied using (tool_use_id, side)
  left join starts using (session_id) join paths using (file_id)
  qualify row_number() over (
    partition by tool_use_id, side
    order by origin = 'agent_progress', started nulls last, is_fork, session_id, path, "offset", file_id) = 1
),
single as (
  select * from tool_rows_now anti join copied using (tool_use_id, side)
  union all
  select * from first_copies
)
select
  uses.tool_use_id, uses.key, uses.session_id, uses.agent_id, uses.is_sidechain, uses.ts, results.ts as result_ts,
  uses.name, uses.target, uses.input_bytes, results.result_bytes, results.is_error, results.denied,
  uses.host, uses.file_id, uses."offset"
from single uses
left join single results on results.tool_use_id = uses.tool_use_id and results.side = 'result'
where uses.side = 'use'
"""

RANKED_COPIES = """
-- Copies of one record in several files: the first is kept.
select candidates.*,
  row_number() over (
    partition by id order by started nulls last, is_fork, session_id, path, "offset", file_id) as copy
from candidates left join starts using (session_id) join paths using (file_id)
"""

SESSIONS = """
with parts as (
  select session_id, min(first_ts) as first_ts, max(last_ts) as last_ts, count(*) as files,
    arg_min(project, struct_pack(a := coalesce(first_ts, 'infinity'::timestamptz), b := path, c := file_id))
      filter (project is not null) as project,
    arg_max(title, struct_pack(a := title_order, b := path, c := file_id)) filter (title is not null) as title,
    arg_min(host, struct_pack(a := coalesce(first_ts, 'infinity'::timestamptz), b := path, c := file_id)) as host,
    min(parent) filter (parent <> session_id) as parent
  from session_parts join paths using (file_id)
  group by session_id
),
owned as (
  select session_id, count(*) as requests, count(distinct agent_id) as agents,
    min(ts) as first_ts, max(last_ts) as last_ts, arg_min(project, struct_pack(a := ts, b := key)) as project,
    arg_min(host, struct_pack(a := ts, b := key)) as host
  from all_requests where session_id is not null group by session_id
),
acts as (
  select session_id, count(*) as prompts from all_prompts where session_id is not null group by session_id
)
-- An owner may be known only from the copies that name it (rule 11).
select
  coalesce(parts.session_id, owned.session_id) as session_id,
  coalesce(parts.first_ts, owned.first_ts) as first_ts,
  coalesce(parts.last_ts, owned.last_ts) as last_ts,
  coalesce(parts.project, owned.project) as project, title,
  coalesce(parts.host, owned.host) as host,
  coalesce(files, 0) as files, coalesce(agents, 0) as agents, coalesce(requests, 0) as requests,
  coalesce(prompts, 0) as prompts, parent
from parts full join owned on parts.session_id = owned.session_id
left join acts on acts.session_id = coalesce(parts.session_id, owned.session_id)
"""
