-- Context growth: how the context of each session and subagent grew
-- One row a chain: the main thread of a session, or one of its subagents (thread: main, subagent, advisor).
-- requests           its requests; hours: from the first to the last of them
-- first_, peak_, last_context_tokens   input + cache writes + cache reads of the first, the largest, the last request
-- tokens_per_request slope of context on the number of the request (least squares); null for a single request
-- tokens_per_hour    slope of context on time (least squares); null where all requests have one time
-- growth_tokens      all increases from one request to the next; shrink_tokens: all decreases
-- compactions        times that the conversation was compacted, several between two requests being one
-- With filters, of the requests that pass them; compactions and increases are against the request before, whether it
-- passes or not.
--
-- $thread text = 'all' {all|main|subagent|advisor}: which chains
-- $min_requests integer = 1 {1..1000000000000}: leave out chains with fewer requests
-- example: tokenlake context growth --thread main --min-requests 10

with chosen_requests as (
    select
        session_id,
        case when origin = 'advisor' then 'advisor' when is_sidechain then 'subagent' else 'main' end as thread,
        agent_id,
        ts,
        chain_request,
        context_tokens,
        prev_context_tokens,
        compacted_before
    from selected_chains
),

-- Hours are counted from the chain's first request here: small numbers keep the slope exact.
chain_times as (
    select
        chosen_requests.*,
        (epoch_us(ts) - min(epoch_us(ts)) over (partition by session_id, thread, agent_id)) / 3600000000 as hours
    from chosen_requests
    where $thread = 'all' or thread = $thread
),

chain_sums as (
    select
        session_id,
        thread,
        agent_id,
        min(ts) as first_ts,
        count(*) as requests,
        max(hours) as hours,
        -- chain_request orders a chain totally.
        arg_min(context_tokens, chain_request) as first_context_tokens,
        arg_max(context_tokens, chain_request) as last_context_tokens,
        max(context_tokens) as peak_context_tokens,
        -- In one order, for the last digits hang on it.
        covar_pop(context_tokens, chain_request order by chain_request)
            / nullif(var_pop(chain_request order by chain_request), 0) as tokens_per_request,
        covar_pop(context_tokens, hours order by chain_request)
            / nullif(var_pop(hours order by chain_request), 0) as tokens_per_hour,
        coalesce(sum(greatest(context_tokens - prev_context_tokens, 0)), 0) as growth_tokens,
        coalesce(sum(greatest(prev_context_tokens - context_tokens, 0)), 0) as shrink_tokens,
        count(*) filter (compacted_before) as compactions
    from chain_times
    group by session_id, thread, agent_id
)

select
    session_id,
    thread,
    agent_id,
    first_ts,
    requests,
    hours,
    first_context_tokens,
    peak_context_tokens,
    last_context_tokens,
    tokens_per_request,
    tokens_per_hour,
    growth_tokens,
    shrink_tokens,
    compactions
from chain_sums
where requests >= $min_requests
order by first_ts, session_id, thread, agent_id
