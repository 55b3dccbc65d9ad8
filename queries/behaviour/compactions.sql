-- Compactions: context before and after, the next request's price, what went wrong
-- kind                    full (compact_boundary) or micro (microcompact_boundary); trigger: auto or manual, as logged
-- pre_tokens, post_tokens context before and after as logged (the latter since 2.1.217), duration_ms how long it took
-- context_before, context_after   context of the last request of the chain before it, and of the first one after it
-- dropped_share           1 - context_after / context_before
-- next_read_tokens, next_write_tokens, next_cost   cache reads, cache writes and dollars of that first one after it
-- requests_before, requests_after   requests of the chain looked at on each side, --window of them where there are
-- errors_*, interruptions_*, corrections_*   what went wrong in these, as in `behaviour degradation`; corrections are
--                         a proxy
-- Two compactions without a request between them share the requests before and after. Versions before 2.0.65 wrote no
-- record of a compaction, so theirs are not listed.
--
-- $window integer = 20 {1..1000000000000}: requests looked at before and after
-- example: tokenlake behaviour compactions --since 30d

with compactions as (
    select
        id,
        ts,
        session_id,
        coalesce(is_sidechain, false) as is_sidechain,
        coalesce(agent_id, '') as agent_id,
        host,
        case when subtype = 'compact_boundary' then 'full' else 'micro' end as kind,
        -- An object inside `detail` is JSON written as text.
        coalesce(
            json_extract_string(detail, '$.compactMetadata'),
            json_extract_string(detail, '$.microcompactMetadata')
        ) as metadata
    from selected_events
    where subtype in ('compact_boundary', 'microcompact_boundary')
),

-- Numbered as in the view `chains`, of the sessions that were compacted only.
chain_requests as (
    select
        key,
        file_id,
        "offset",
        ts,
        session_id,
        coalesce(is_sidechain, false) as is_sidechain,
        coalesce(agent_id, '') as agent_id,
        project,
        context_tokens,
        cache_read_tokens,
        cache_write_5m_tokens + cache_write_1h_tokens as cache_write_tokens,
        cost_pico,
        row_number() over (
            partition by session_id, coalesce(is_sidechain, false), coalesce(agent_id, '')
            order by ts, file_id, "offset", key
        ) as chain_request
    from costs
    where origin <> 'advisor' and session_id in (select session_id from compactions)
),

-- Requests and compactions of a chain in one order: the number of the request before each compaction.
conversation as (
    select
        session_id,
        is_sidechain,
        agent_id,
        ts,
        1 as place,
        chain_request,
        null as compaction_id
    from chain_requests
    union all
    select
        session_id,
        is_sidechain,
        agent_id,
        ts,
        0 as place,
        null as chain_request,
        id as compaction_id
    from compactions
),

placed as (
    select
        session_id,
        is_sidechain,
        agent_id,
        compaction_id,
        coalesce(
            last_value(chain_request ignore nulls) over (
                partition by session_id, is_sidechain, agent_id
                order by ts, place, chain_request, compaction_id
                rows between unbounded preceding and current row
            ),
            0
        ) as last_before
    from conversation
),

-- The stretches of --window requests of a chain that a compaction may look at: three hold twice --window. To join it with
-- every request of its chain would make a hundred times as many pairs.
stretches as (
    select
        placed.session_id,
        placed.is_sidechain,
        placed.agent_id,
        placed.compaction_id,
        placed.last_before,
        greatest(placed.last_before - $window + 1, 1) // greatest($window, 1) + steps.step as stretch
    from placed
    cross join (values (0), (1), (2)) as steps (step)
    where placed.compaction_id is not null
),

surroundings as (
    select
        stretches.compaction_id as id,
        min(chain_requests.project) filter (chain_requests.chain_request = stretches.last_before + 1) as project_after,
        min(chain_requests.project) filter (chain_requests.chain_request = stretches.last_before) as project_before,
        sum(chain_requests.context_tokens) filter (chain_requests.chain_request = stretches.last_before)::bigint
            as context_before,
        sum(chain_requests.context_tokens) filter (chain_requests.chain_request = stretches.last_before + 1)::bigint
            as context_after,
        sum(chain_requests.cache_read_tokens) filter (chain_requests.chain_request = stretches.last_before + 1)::bigint
            as next_read_tokens,
        sum(chain_requests.cache_write_tokens) filter (chain_requests.chain_request = stretches.last_before + 1)::bigint
            as next_write_tokens,
        sum(chain_requests.cost_pico) filter (chain_requests.chain_request = stretches.last_before + 1)::bigint
            as next_cost_pico,
        count(*) filter (chain_requests.chain_request <= stretches.last_before) as requests_before,
        count(*) filter (chain_requests.chain_request > stretches.last_before) as requests_after,
        sum(request_signals.tool_errors) filter (chain_requests.chain_request <= stretches.last_before)::bigint
            as errors_before,
        sum(request_signals.tool_errors) filter (chain_requests.chain_request > stretches.last_before)::bigint
            as errors_after,
        sum(request_signals.interruptions) filter (chain_requests.chain_request <= stretches.last_before)::bigint
            as interruptions_before,
        sum(request_signals.interruptions) filter (chain_requests.chain_request > stretches.last_before)::bigint
            as interruptions_after,
        sum(request_signals.corrections) filter (chain_requests.chain_request <= stretches.last_before)::bigint
            as corrections_before,
        sum(request_signals.corrections) filter (chain_requests.chain_request > stretches.last_before)::bigint
            as corrections_after
    from stretches
    inner join chain_requests
        on stretches.session_id = chain_requests.session_id
        and stretches.is_sidechain = chain_requests.is_sidechain
        and stretches.agent_id = chain_requests.agent_id
        and chain_requests.chain_request // greatest($window, 1) = stretches.stretch
        and chain_requests.chain_request > stretches.last_before - $window
        and chain_requests.chain_request <= stretches.last_before + $window
    left join request_signals
        on chain_requests.key = request_signals.key
        and chain_requests.file_id = request_signals.file_id
        and chain_requests."offset" = request_signals."offset"
    group by stretches.compaction_id
)

select
    compactions.ts,
    compactions.session_id,
    nullif(compactions.agent_id, '') as agent_id,
    coalesce(surroundings.project_after, surroundings.project_before) as project,
    compactions.kind,
    json_extract_string(compactions.metadata, '$.trigger') as trigger,
    try_cast(json_extract_string(compactions.metadata, '$.preTokens') as bigint) as pre_tokens,
    try_cast(json_extract_string(compactions.metadata, '$.postTokens') as bigint) as post_tokens,
    try_cast(json_extract_string(compactions.metadata, '$.durationMs') as bigint) as duration_ms,
    surroundings.context_before,
    surroundings.context_after,
    1 - surroundings.context_after::double / nullif(surroundings.context_before, 0) as dropped_share,
    surroundings.next_read_tokens,
    surroundings.next_write_tokens,
    (surroundings.next_cost_pico * 0.000000000001)::decimal(38, 12) as next_cost,
    coalesce(surroundings.requests_before, 0) as requests_before,
    coalesce(surroundings.requests_after, 0) as requests_after,
    coalesce(surroundings.errors_before, 0) as errors_before,
    coalesce(surroundings.errors_after, 0) as errors_after,
    coalesce(surroundings.interruptions_before, 0) as interruptions_before,
    coalesce(surroundings.interruptions_after, 0) as interruptions_after,
    coalesce(surroundings.corrections_before, 0) as corrections_before,
    coalesce(surroundings.corrections_after, 0) as corrections_after
from compactions
left join surroundings on compactions.id = surroundings.id
order by compactions.ts, compactions.session_id, compactions.id
