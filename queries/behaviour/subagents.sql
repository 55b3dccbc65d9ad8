-- Subagents: their share of requests and cost, their kinds, their cold starts
-- subagent_requests, subagent_cost   the part that subagents made; subagent_cost_share is its share of the row's cost
-- cost_share          the row's cost / the cost of all rows: with --by agent, of all subagents
-- agents              subagents with requests in the row; those without an id (before 2.0) count once a session
-- cold_starts         first requests of subagents, which find little of their prefix in the cache
-- cold_write_tokens   cache writes of these, cold_write_cost their cost in dollars; median_cold_write_tokens of one
-- cost columns        dollars; they leave out unpriced_requests
-- --by kind: main is the main thread, agent a subagent with a transcript of its own, workflow one of a workflow,
-- compaction the request that sums a conversation up, in-main one logged inside the main transcript (1.0), progress one
-- of which only the parent's progress records are left; other kinds go by the name in the agent's id (side_question).
-- The type that a subagent was started as (general-purpose, Explore ...) is in no table of the lake.
--
-- $by text = 'kind' {none|kind|agent|day|session|project|model|version}: what a row of the result stands for
-- example: tokenlake behaviour subagents --since 30d
-- example: tokenlake behaviour subagents --by agent --limit 20

with requests_by_kind as (
    select
        chains.ts,
        chains.session_id,
        chains.agent_id,
        chains.project,
        chains.model,
        chains.version,
        chains.is_sidechain,
        case
            when not chains.is_sidechain then 'main'
            when files.kind in ('workflow', 'compaction') then files.kind
            when chains.agent_id like 'acompact-%' then 'compaction'
            when regexp_matches(chains.agent_id, '^a[a-z_]+-') then regexp_extract(chains.agent_id, '^a([a-z_]+)-', 1)
            when chains.origin = 'agent_progress' then 'progress'
            when files.kind = 'main' then 'in-main'
            else 'agent'
        end as kind,
        chains.is_sidechain and chains.chain_request = 1 and chains.origin <> 'advisor' as is_cold_start,
        chains.input_tokens::decimal(38, 0) + chains.output_tokens + chains.cache_write_5m_tokens
            + chains.cache_write_1h_tokens + chains.cache_read_tokens as total_tokens,
        chains.cache_write_5m_tokens::decimal(38, 0) + chains.cache_write_1h_tokens as cache_write_tokens,
        chains.cost_cache_write,
        chains.cost,
        chains.is_priced
    from selected_chains as chains
    left join files on chains.file_id = files.file_id
),

grouped_requests as (
    select
        case $by
            when 'none' then 'all'
            when 'kind' then kind
            when 'agent' then
                coalesce(session_id, '(none)') || case when is_sidechain then ' ' || coalesce(agent_id, '') else '' end
            when 'session' then coalesce(session_id, '(none)')
            when 'project' then coalesce(project, '(none)')
            when 'model' then coalesce(model, '(none)')
            when 'version' then coalesce(version, '(none)')
        end as name,
        case when $by = 'day' then (ts at time zone $tz)::date end as day,
        case when is_sidechain then coalesce(session_id, '') || ' ' || coalesce(agent_id, '') end as agent,
        is_sidechain,
        is_cold_start,
        total_tokens,
        cache_write_tokens,
        cost_cache_write,
        cost,
        is_priced
    from requests_by_kind
    -- A main thread is no subagent.
    where $by <> 'agent' or is_sidechain
),

groups as (
    select
        name,
        day,
        count(*) as requests,
        count(*) filter (is_sidechain) as subagent_requests,
        count(distinct agent) as agents,
        sum(total_tokens) as total_tokens,
        coalesce(sum(total_tokens) filter (is_sidechain), 0) as subagent_tokens,
        count(*) filter (is_cold_start) as cold_starts,
        coalesce(sum(cache_write_tokens) filter (is_cold_start), 0) as cold_write_tokens,
        quantile_cont(case when is_cold_start then cache_write_tokens end::double, 0.5) as median_cold_write_tokens,
        sum(case when is_cold_start then cost_cache_write end) as cold_write_cost,
        sum(cost) as cost,
        sum(case when is_sidechain then cost end) as subagent_cost,
        count(*) filter (not is_priced) as unpriced_requests
    from grouped_requests
    group by name, day
)

select
    case when $by = 'day' then strftime(day, '%Y-%m-%d') else name end as "by",
    requests,
    subagent_requests,
    agents,
    total_tokens,
    subagent_tokens,
    cost,
    case when subagent_requests = 0 then 0 else subagent_cost end as subagent_cost,
    cost::double / nullif(sum(cost) over (), 0)::double as cost_share,
    (case when subagent_requests = 0 then 0 else subagent_cost end)::double / nullif(cost, 0)::double
        as subagent_cost_share,
    cold_starts,
    cold_write_tokens,
    median_cold_write_tokens,
    case when cold_starts = 0 then 0 else cold_write_cost end as cold_write_cost,
    unpriced_requests
from groups
-- Days in their order, the others by cost.
order by day, cost desc nulls last, requests desc, "by"
