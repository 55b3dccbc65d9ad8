-- Compactions: context before and after, the next request's price, what went wrong
-- kind                    full (compact_boundary) or micro (microcompact_boundary); trigger: auto or manual, as logged
-- pre_tokens, post_tokens context before and after as logged (the latter since 2.1.217), duration_ms how long it took
-- context_before, context_after   context of the last request of the chain before it, and of the first one after it
-- dropped_share           1 - context_after / context_before
-- next_read_tokens, next_write_tokens, next_cost   cache reads, cache writes and dollars of that first one after it
-- requests_before, requests_after   requests of the chain looked at on each side, --window of them where there are
-- errors_*, interruptions_*, corrections_*   what went wrong in these, as in `behaviour degradation`; corrections are
--                         a proxy
-- --project and --model choose compactions of sessions that worked there, or with such a model.
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

-- The chains that were compacted: a number to tell them by is sorted faster than three texts.
compacted_chains as (
    select
        session_id,
        is_sidechain,
        agent_id,
        row_number() over (order by session_id, is_sidechain, agent_id) as chain
    from (select distinct session_id, is_sidechain, agent_id from compactions) as compacted
),

-- Their requests and compactions in one order; a compaction of the very instant of a request comes before it.
conversations as (
    select
        compacted_chains.chain,
        deduped.ts,
        1 as place,
        deduped.file_id,
        deduped."offset",
        deduped.key,
        null as compaction_id
    from deduped
    inner join compacted_chains
        on deduped.session_id = compacted_chains.session_id
        and coalesce(deduped.is_sidechain, false) = compacted_chains.is_sidechain
        and coalesce(deduped.agent_id, '') = compacted_chains.agent_id
    where deduped.origin <> 'advisor'
    union all
    select
        compacted_chains.chain,
        compactions.ts,
        0 as place,
        null as file_id,
        null as "offset",
        null as key,
        compactions.id as compaction_id
    from compactions
    inner join compacted_chains
        on compactions.session_id = compacted_chains.session_id
        and compactions.is_sidechain = compacted_chains.is_sidechain
        and compactions.agent_id = compacted_chains.agent_id
),

-- Requests are numbered as in the view `chains`; a compaction has the number of the request before it.
numbered as (
    select
        chain,
        place,
        file_id,
        "offset",
        key,
        compaction_id,
        sum(place) over (
            partition by chain
            order by ts, place, file_id, "offset", key
            rows between unbounded preceding and current row
        ) as chain_request
    from conversations
),

-- The stretches of --window requests of a chain that a compaction may look at: three hold twice --window. To join it with
-- every request of its chain would make a hundred times as many pairs.
stretches as (
    select
        numbered.chain,
        numbered.compaction_id,
        numbered.chain_request as last_before,
        greatest(numbered.chain_request - $window + 1, 1) // greatest($window, 1) + steps.step as stretch
    from numbered
    cross join (values (0), (1), (2)) as steps (step)
    where numbered.place = 0
),

near_requests as (
    select
        stretches.compaction_id,
        chain_requests.chain_request - stretches.last_before as distance,
        chain_requests.file_id,
        chain_requests."offset",
        chain_requests.key
    from stretches
    inner join numbered as chain_requests
        on chain_requests.place = 1
        and stretches.chain = chain_requests.chain
        and chain_requests.chain_request // greatest($window, 1) = stretches.stretch
        and chain_requests.chain_request > stretches.last_before - $window
        and chain_requests.chain_request <= stretches.last_before + $window
),

surroundings as (
    select
        near_requests.compaction_id,
        count(*) filter (distance <= 0) as requests_before,
        count(*) filter (distance > 0) as requests_after,
        sum(request_signals.tool_errors) filter (distance <= 0) as errors_before,
        sum(request_signals.tool_errors) filter (distance > 0) as errors_after,
        sum(request_signals.interruptions) filter (distance <= 0) as interruptions_before,
        sum(request_signals.interruptions) filter (distance > 0) as interruptions_after,
        sum(request_signals.corrections) filter (distance <= 0) as corrections_before,
        sum(request_signals.corrections) filter (distance > 0) as corrections_after
    from near_requests
    left join request_signals
        on near_requests.key = request_signals.key
        and near_requests.file_id = request_signals.file_id
        and near_requests."offset" = request_signals."offset"
    group by near_requests.compaction_id
),

neighbours as (
    select
        near_requests.compaction_id,
        near_requests.distance,
        costs.project,
        costs.context_tokens,
        costs.cache_read_tokens,
        costs.cache_write_5m_tokens::decimal(38, 0) + costs.cache_write_1h_tokens as cache_write_tokens,
        costs.cost
    from near_requests
    inner join costs
        on near_requests.key = costs.key
        and near_requests.file_id = costs.file_id
        and near_requests."offset" = costs."offset"
    where near_requests.distance in (0, 1)
)

select
    compactions.ts,
    compactions.session_id,
    nullif(compactions.agent_id, '') as agent_id,
    coalesce(following.project, preceding.project) as project,
    compactions.kind,
    json_extract_string(compactions.metadata, '$.trigger') as trigger,
    try_cast(json_extract_string(compactions.metadata, '$.preTokens') as bigint) as pre_tokens,
    try_cast(json_extract_string(compactions.metadata, '$.postTokens') as bigint) as post_tokens,
    try_cast(json_extract_string(compactions.metadata, '$.durationMs') as bigint) as duration_ms,
    preceding.context_tokens as context_before,
    following.context_tokens as context_after,
    1 - following.context_tokens::double / nullif(preceding.context_tokens, 0) as dropped_share,
    following.cache_read_tokens as next_read_tokens,
    following.cache_write_tokens as next_write_tokens,
    following.cost as next_cost,
    coalesce(surroundings.requests_before, 0) as requests_before,
    coalesce(surroundings.requests_after, 0) as requests_after,
    coalesce(surroundings.errors_before, 0) as errors_before,
    coalesce(surroundings.errors_after, 0) as errors_after,
    coalesce(surroundings.interruptions_before, 0) as interruptions_before,
    coalesce(surroundings.interruptions_after, 0) as interruptions_after,
    coalesce(surroundings.corrections_before, 0) as corrections_before,
    coalesce(surroundings.corrections_after, 0) as corrections_after
from compactions
left join surroundings on compactions.id = surroundings.compaction_id
left join neighbours as preceding on compactions.id = preceding.compaction_id and preceding.distance = 0
left join neighbours as following on compactions.id = following.compaction_id and following.distance = 1
order by compactions.ts, compactions.session_id, compactions.id
