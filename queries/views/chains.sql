-- Every request with what came before it in its chain, and what of its prefix it had to write again.
-- A chain is the requests of a session's main thread, or of one of its subagents, in the order they were made. It is
-- made of all requests, so that no filter cuts it. Requests of one instant, which resumed sessions of old versions
-- hold by the dozen, stand as in the log.
--
-- chain_request     number of the request in its chain, from 1
-- prev_*            what the request before it in the chain had; null for the first
-- prev_ttl_us       how long the cache keeps what that request had: 1 hour where the last request up to it that wrote
--                   to the cache wrote 1h tokens, else 5 minutes
-- written_ttl_us    the same for what this request has; null where no request up to it wrote to the cache
-- gap_us            time since that request, in microseconds
-- compacted_before  the conversation was compacted between the two
-- rebuilt_tokens    context of the request before it that was written again, not read: previous context - reads, at
--                   least 0, at most the writes. The first request of a chain finds nothing of its own: all it writes
-- rebuild_cause     the first that holds: cold-start (first of its chain), compaction (compacted_before), model-switch,
--                   expired (gap > ttl), else prefix-change. It is told of every request: how many rebuilt tokens make
--                   a rebuild is the query's to say
-- rebuild_pico, rebuild_read_pico   picodollars that the rebuilt tokens cost as written, and would have cost as read
-- next_*            what the request after it in the chain had; null for the last
--
-- Subagents that the logs give no id (before 2.0) share a chain of their session, apart from its main thread.
-- An advisor's call has a context of its own: it does not stand between two requests of the thread that asked.
with placed_requests as (
    select
        costs.*,
        row_number() over chain as chain_request,
        lag(ts) over chain as prev_ts,
        lag(key) over chain as prev_key,
        lag(model) over chain as prev_model,
        lag(context_tokens) over chain as prev_context_tokens,
        lag(cache_write_5m_tokens) over chain as prev_cache_write_5m_tokens,
        lag(cache_write_1h_tokens) over chain as prev_cache_write_1h_tokens,
        -- A request that only reads leaves the cache as the last one that wrote made it.
        last_value(
            case
                when cache_write_1h_tokens > 0 then 3600000000
                when cache_write_5m_tokens > 0 then 300000000
            end
            ignore nulls
        ) over (
            partition by session_id, is_sidechain, agent_id, origin = 'advisor'
            order by ts, file_id, "offset", key
            rows between unbounded preceding and 1 preceding
        ) as written_ttl_us
    from costs
    window chain as (
        partition by session_id, is_sidechain, agent_id, origin = 'advisor'
        order by ts, file_id, "offset", key
    )
),

-- Each compaction with the time for which it is the last one of its chain.
compactions as (
    select
        session_id,
        coalesce(is_sidechain, false) as is_sidechain,
        coalesce(agent_id, '') as agent_id,
        ts as last_compaction_ts,
        lead(ts) over (
            partition by session_id, coalesce(is_sidechain, false), agent_id
            order by ts, id
        ) as next_compaction_ts
    from events
    where subtype in ('compact_boundary', 'microcompact_boundary')
),

measured_requests as (
    select
        placed_requests.*,
        case when chain_request > 1 then coalesce(written_ttl_us, 300000000) end as prev_ttl_us,
        epoch_us(placed_requests.ts) - epoch_us(prev_ts) as gap_us,
        coalesce(compactions.last_compaction_ts > prev_ts, false) as compacted_before,
        case
            -- As far as the type goes: the context of no request is more, either.
            when chain_request = 1
                then least(cache_write_5m_tokens::decimal(38, 0) + cache_write_1h_tokens, 9223372036854775807)::bigint
            else
                least(
                    greatest(prev_context_tokens - cache_read_tokens, 0),
                    cache_write_5m_tokens::decimal(38, 0) + cache_write_1h_tokens
                )::bigint
        end as rebuilt_tokens
    from placed_requests
    left join compactions
        on compactions.session_id = placed_requests.session_id
        and compactions.is_sidechain = coalesce(placed_requests.is_sidechain, false)
        and compactions.agent_id = coalesce(placed_requests.agent_id, '')
        and compactions.last_compaction_ts <= placed_requests.ts
        and (compactions.next_compaction_ts > placed_requests.ts or compactions.next_compaction_ts is null)
),

classified_requests as (
    select
        measured_requests.*,
        case
            when chain_request = 1 then 'cold-start'
            when compacted_before then 'compaction'
            when model is distinct from prev_model then 'model-switch'
            when gap_us > prev_ttl_us then 'expired'
            else 'prefix-change'
        end as rebuild_cause
    from measured_requests
)

select
    classified_requests.*,
    -- In a prompt the 1h parts stand before the 5m ones, and what is rebuilt is the head of what was written.
    least(rebuilt_tokens, cache_write_1h_tokens) * cache_write_1h_price_pico
        + greatest(rebuilt_tokens - cache_write_1h_tokens, 0) * cache_write_5m_price_pico as rebuild_pico,
    rebuilt_tokens * cache_read_price_pico as rebuild_read_pico,
    lead(cache_read_tokens) over rest_of_chain as next_cache_read_tokens,
    lead(rebuild_cause) over rest_of_chain as next_rebuild_cause
from classified_requests
window rest_of_chain as (
    partition by session_id, is_sidechain, agent_id, origin = 'advisor'
    order by chain_request
)
