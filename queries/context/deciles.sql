-- Deciles: what requests cost, read and get wrong as contexts and sessions grow
-- Ten groups of equally many requests: 1 holds the smallest contexts (--by context), or the earliest requests of their
-- sessions and subagents (--by request). Fewer than ten requests make a group each.
-- least_, largest_context_tokens   range of contexts (input + cache writes + cache reads) in the group
-- first_, last_chain_request       range of the requests' numbers in their session's main thread, or in their subagent
-- context_per_request, reads_per_request   mean tokens of context, and of cache reads
-- hit_ratio            cache reads / context
-- cost_per_request     dollars a priced request: cost / (requests - unpriced_requests)
-- tool_errors, denied_calls, interruptions, corrections, repeats   of the requests that they are about, as in
--                      behaviour degradation; the last two are proxies, found in English texts only, and 0 without texts (--no-text)
-- *_per_100            per 100 requests
-- A subagent's requests have small contexts and no user: --thread main leaves them out.
--
-- note: select 'no prompt in this lake has its text (--no-text): corrections and repeats are not known, and stand as 0' from prompts having count(*) > 0 and count(text) = 0
-- $by text = 'context' {context|request}: what the groups are ordered by
-- $thread text = 'all' {all|main|subagent}: whose requests
-- example: tokenlake context deciles --by request --thread main

with chosen_requests as (
    select
        key,
        file_id,
        "offset",
        chain_request,
        case $by when 'context' then context_tokens when 'request' then chain_request end as size,
        context_tokens,
        cache_read_tokens,
        tool_calls,
        is_priced,
        cost_pico
    from selected_chains
    where $thread = 'all' or is_sidechain = ($thread = 'subagent')
),

placed_requests as (
    select
        chosen_requests.*,
        ntile(10) over (order by size, key, file_id, "offset") as decile
    from chosen_requests
),

sums as (
    select
        placed_requests.decile,
        count(*) as requests,
        min(placed_requests.context_tokens) as least_context_tokens,
        max(placed_requests.context_tokens) as largest_context_tokens,
        min(placed_requests.chain_request) as first_chain_request,
        max(placed_requests.chain_request) as last_chain_request,
        sum(placed_requests.context_tokens) as context_tokens,
        sum(placed_requests.cache_read_tokens) as cache_read_tokens,
        (sum(placed_requests.cost_pico) * 0.000000000001)::decimal(38, 12) as cost,
        count(*) filter (not placed_requests.is_priced) as unpriced_requests,
        coalesce(sum(placed_requests.tool_calls), 0)::bigint as tool_calls,
        coalesce(sum(request_signals.tool_errors), 0)::bigint as tool_errors,
        coalesce(sum(request_signals.denied_calls), 0)::bigint as denied_calls,
        coalesce(sum(request_signals.interruptions), 0)::bigint as interruptions,
        coalesce(sum(request_signals.corrections), 0)::bigint as corrections,
        coalesce(sum(request_signals.repeats), 0)::bigint as repeats
    from placed_requests
    left join request_signals
        on placed_requests.key = request_signals.key
        and placed_requests.file_id = request_signals.file_id
        and placed_requests."offset" = request_signals."offset"
    group by placed_requests.decile
)

select
    decile,
    requests,
    least_context_tokens,
    largest_context_tokens,
    first_chain_request,
    last_chain_request,
    context_tokens::double / nullif(requests, 0) as context_per_request,
    cache_read_tokens::double / nullif(requests, 0) as reads_per_request,
    cache_read_tokens::double / nullif(context_tokens, 0) as hit_ratio,
    cost,
    cost::double / nullif(requests - unpriced_requests, 0) as cost_per_request,
    unpriced_requests,
    tool_calls,
    tool_errors,
    denied_calls,
    interruptions,
    corrections,
    repeats,
    100.0::double * tool_errors / nullif(requests, 0) as tool_errors_per_100,
    100.0::double * denied_calls / nullif(requests, 0) as denied_calls_per_100,
    100.0::double * interruptions / nullif(requests, 0) as interruptions_per_100,
    100.0::double * corrections / nullif(requests, 0) as corrections_per_100,
    100.0::double * repeats / nullif(requests, 0) as repeats_per_100
from sums
order by decile
