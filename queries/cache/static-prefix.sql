-- Static prefix: what the part of the prompt that never changes costs
-- System prompt, tools and CLAUDE.md head every request; the logs do not say how long they are. Three estimates,
-- and with --tokens any size of your own, each priced on your own requests:
-- F1 median, F1 least  context of the first request of each session's main thread: their median and their least
-- F2                   the most common reads of the main thread's rebuilds (`cache rebuilds`): the head still cached
-- F3                   what subagents wrote with their first request: the median
-- thread               requests that it is priced on: main, subagent, or all
-- observations         sessions, rebuilds or subagents behind the estimate
-- warm_requests        requests that read at least that many tokens; cold_requests all others: they count as writing it
-- read_tokens          prefix_tokens x warm_requests; written_tokens = prefix_tokens x cold_requests
-- share_of_reads       prefix_tokens x requests / all cache reads of the thread
-- cost                 read_tokens at the read price + written_tokens at the write price of each request
-- cost_all_read        dollars if every request had read it
-- unpriced_requests    requests under models without a price, which no dollars of the row hold
--
-- $tokens integer = null {1..1000000000000}: price a prefix of this many tokens as well
-- $by text = 'none' {none|project|version}: estimate and price apart for each
-- $min_tokens integer = 10000 {0..1000000000000}: F2: a rebuild is more rebuilt tokens than this
-- $min_share number = 0.05 {0..1}: F2: and more than this share of the context before it
-- example: tokenlake cache static-prefix --tokens 15000
with placed_requests as (
    select
        case $by
            when 'project' then coalesce(project, '(none)')
            when 'version' then coalesce(version, '(none)')
            else 'all'
        end as name,
        case when is_sidechain then 'subagent' else 'main' end as thread,
        chain_request,
        context_tokens,
        cache_read_tokens,
        cache_write_5m_tokens::decimal(38, 0) + cache_write_1h_tokens as cache_write_tokens,
        rebuilt_tokens > $min_tokens and rebuilt_tokens > $min_share * coalesce(prev_context_tokens, 0) as is_rebuild,
        cache_read_price_pico,
        case when cache_write_1h_tokens > 0 then cache_write_1h_price_pico else cache_write_5m_price_pico end
            as cache_write_price_pico
    from selected_chains
    where origin <> 'advisor'
),

-- Of reads that are equally common, the fewest tokens.
rebuild_reads as (
    select
        name,
        cache_read_tokens,
        count(*) as observations,
        row_number() over (partition by name order by count(*) desc, cache_read_tokens) as place
    from placed_requests
    where is_rebuild and thread = 'main' and cache_read_tokens > 0
    group by name, cache_read_tokens
),

estimates as (
    select
        name,
        1 as place,
        'F1 median' as estimator,
        'main' as thread,
        round(quantile_cont(context_tokens, 0.5))::decimal(38, 0) as prefix_tokens,
        count(*) as observations
    from placed_requests
    where thread = 'main' and chain_request = 1
    group by name
    union all
    select name, 2, 'F1 least', 'main', min(context_tokens), count(*)
    from placed_requests
    where thread = 'main' and chain_request = 1
    group by name
    union all
    select name, 3, 'F2', 'main', cache_read_tokens, observations
    from rebuild_reads
    where place = 1
    union all
    select name, 4, 'F3', 'subagent', round(quantile_cont(cache_write_tokens::double, 0.5))::decimal(38, 0), count(*)
    from placed_requests
    where thread = 'subagent' and chain_request = 1
    group by name
    union all
    select distinct name, 0, 'given', 'all', $tokens::decimal(38, 0), null::bigint
    from placed_requests
    where $tokens is not null
),

prefix_sums as (
    select
        estimates.name,
        estimates.place,
        estimates.estimator,
        estimates.thread,
        estimates.prefix_tokens,
        estimates.observations,
        count(*) as requests,
        count(*) filter (cache_read_tokens >= prefix_tokens) as warm_requests,
        count(*) filter (cache_read_tokens < prefix_tokens) as cold_requests,
        count(*) filter (cache_read_price_pico is null) as unpriced_requests,
        sum(cache_read_tokens) as cache_read_tokens,
        -- The prices of all requests in a row, to be multiplied once.
        sum(case when cache_read_tokens >= prefix_tokens then cache_read_price_pico else cache_write_price_pico end)
            as prices_pico,
        sum(cache_read_price_pico) as read_prices_pico
    from estimates
    inner join placed_requests
        on placed_requests.name = estimates.name
        and estimates.thread in ('all', placed_requests.thread)
    group by
        estimates.name,
        estimates.place,
        estimates.estimator,
        estimates.thread,
        estimates.prefix_tokens,
        estimates.observations
)

select
    name as "by",
    estimator,
    thread,
    prefix_tokens,
    observations,
    requests,
    warm_requests,
    cold_requests,
    prefix_tokens * warm_requests as read_tokens,
    prefix_tokens * cold_requests as written_tokens,
    (prefix_tokens * requests)::double / nullif(cache_read_tokens, 0) as share_of_reads,
    (prefix_tokens::decimal(19, 0) * (prices_pico * 0.000000000001)::decimal(18, 12))::decimal(38, 12) as cost,
    (prefix_tokens::decimal(19, 0) * (read_prices_pico * 0.000000000001)::decimal(18, 12))::decimal(38, 12)
        as cost_all_read,
    unpriced_requests
from prefix_sums
order by name, place
