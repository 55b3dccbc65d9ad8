-- Payback: cache writes that were never read back, and why
-- A request of a chain (the main thread of a session, or one subagent) reads what the one before it left in the cache.
-- Of the writes of each request, those are read back that the next request of its chain read: its reads - the reads of
-- the request that wrote, at least 0, at most the writes. Other sessions may have read them too: a log does not tell.
-- outcome               read-back, or why not: end-of-chain (no request followed), compaction, model-switch, expired
--                       (the next request came after the TTL), else prefix-change
-- requests              requests whose writes, or a part of them, came to this
-- share                 cache writes of the row / all cache writes
-- cost_cache_write      dollars paid for these writes, and unpriced_tokens the writes under models without a price
-- cost_as_input         dollars that the same tokens would have cost as plain input; a write to the 5-minute cache has
--                       to be read once, one to the 1-hour cache twice, before it is cheaper than that
--
-- example: tokenlake cache payback --since 30d
with writes as (
    select
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_write_5m_price_pico,
        cache_write_1h_price_pico,
        input_price_pico,
        next_rebuild_cause,
        greatest(
            least(
                coalesce(next_cache_read_tokens, 0) - cache_read_tokens,
                cache_write_5m_tokens::decimal(38, 0) + cache_write_1h_tokens
            ),
            0
        )::bigint as read_back_tokens
    from selected_chains
    where cache_write_5m_tokens > 0 or cache_write_1h_tokens > 0
),

-- In a prompt the 1h parts stand before the 5m ones, so they are the first to be read back.
outcomes as (
    select
        'read-back' as outcome,
        read_back_tokens - least(read_back_tokens, cache_write_1h_tokens) as cache_write_5m_tokens,
        least(read_back_tokens, cache_write_1h_tokens) as cache_write_1h_tokens,
        cache_write_5m_price_pico,
        cache_write_1h_price_pico,
        input_price_pico
    from writes
    where read_back_tokens > 0
    union all
    select
        coalesce(next_rebuild_cause, 'end-of-chain') as outcome,
        cache_write_5m_tokens - (read_back_tokens - least(read_back_tokens, cache_write_1h_tokens))
            as cache_write_5m_tokens,
        cache_write_1h_tokens - least(read_back_tokens, cache_write_1h_tokens) as cache_write_1h_tokens,
        cache_write_5m_price_pico,
        cache_write_1h_price_pico,
        input_price_pico
    from writes
    where read_back_tokens - cache_write_1h_tokens < cache_write_5m_tokens
),

outcome_sums as (
    select
        outcome,
        count(*) as requests,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens) as cache_write_tokens,
        sum(
            (cache_write_5m_tokens * cache_write_5m_price_pico + cache_write_1h_tokens * cache_write_1h_price_pico)
            * 0.000000000001
        )::decimal(38, 12) as cost_cache_write,
        sum((cache_write_5m_tokens * input_price_pico + cache_write_1h_tokens * input_price_pico) * 0.000000000001)
            ::decimal(38, 12) as cost_as_input,
        coalesce(
            sum(cache_write_5m_tokens) filter (input_price_pico is null)
            + sum(cache_write_1h_tokens) filter (input_price_pico is null),
            0
        ) as unpriced_tokens
    from outcomes
    group by outcome
)

select
    outcome,
    requests,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    cache_write_tokens::double / nullif(sum(cache_write_tokens) over (), 0) as share,
    cost_cache_write,
    cost_as_input,
    unpriced_tokens
from outcome_sums
order by cache_write_tokens desc, outcome
