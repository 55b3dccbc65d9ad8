-- Rebuilds: requests that paid again for a prefix they could have read
-- A rebuild is a request whose reads fall short of the context of the request before it in its chain (the main thread
-- of a session, or one subagent): rebuilt_tokens = previous context - reads, at least 0 and at most the writes,
-- counted above the two thresholds. The first request of a chain counts with all that it wrote.
-- Subagents without an agent_id, as versions before 2.0 log them, are one chain in each session: where several ran side
-- by side, the start of one may count as prefix-change.
-- cause            the first that holds: cold-start (first request of the chain), compaction (between the two),
--                  model-switch, expired (gap > ttl), else prefix-change
-- gap_ms           time since the request before it in the chain
-- ttl_ms           how long the cache keeps what that request had: 1 hour where it was written as such, else 5 minutes
-- rebuilt_share    rebuilt_tokens / prev_context_tokens
-- cost_rebuilt     dollars paid for the rebuilt tokens as writes; empty where the model has no price
-- cost_if_read     dollars they would have cost as reads
-- cost_extra       the difference
--
-- $cause text = 'any' {any|cold-start|compaction|model-switch|expired|prefix-change}: only rebuilds of this cause
-- $min_tokens integer = 10000 {0..1000000000000}: a rebuild is more rebuilt tokens than this
-- $min_share number = 0.05 {0..1}: and more than this share of the context before it
-- example: tokenlake cache rebuilds --cause expired --since 7d
with rebuilds as (
    select
        ts,
        key,
        file_id,
        "offset",
        project,
        session_id,
        agent_id,
        model,
        chain_request,
        rebuild_cause,
        gap_us,
        prev_ttl_us,
        prev_context_tokens,
        cache_read_tokens,
        cache_write_5m_tokens::decimal(38, 0) + cache_write_1h_tokens as cache_write_tokens,
        rebuilt_tokens,
        (rebuild_pico * 0.000000000001)::decimal(38, 12) as cost_rebuilt,
        (rebuild_read_pico * 0.000000000001)::decimal(38, 12) as cost_if_read
    from selected_chains
    where rebuilt_tokens > $min_tokens
        and rebuilt_tokens > $min_share * coalesce(prev_context_tokens, 0)
        and $cause in ('any', rebuild_cause)
)

select
    ts,
    project,
    session_id,
    agent_id,
    model,
    chain_request,
    rebuild_cause as cause,
    gap_us // 1000 as gap_ms,
    prev_ttl_us // 1000 as ttl_ms,
    prev_context_tokens,
    cache_read_tokens,
    cache_write_tokens,
    rebuilt_tokens,
    rebuilt_tokens::double / nullif(prev_context_tokens, 0) as rebuilt_share,
    cost_rebuilt,
    cost_if_read,
    (cost_rebuilt - cost_if_read)::decimal(38, 12) as cost_extra
from rebuilds
order by ts, key, file_id, "offset"
