-- What-if replays: the logged requests under other habits and cache lifetimes
-- One row a scenario, the first being what happened. In all of them a request keeps its time, its output and its price
-- list; what changes is which part of its context is read, written, or not there. A context lies as the log has it:
-- first what was read, then 1-hour writes, 5-minute writes, uncached input. A chain is the main thread of a session, or
-- one of its subagents.
-- as-it-was       as logged.
-- ttl-5m, ttl-1h  every write has this lifetime and its price. Where the pause since the request before it in the chain
--                 is longer than this lifetime, but not than the logged one, what was read is written. Where it is
--                 longer than the logged one only, what was rebuilt, least(previous context - reads, writes), is
--                 read, unless the model changed or the conversation was compacted meanwhile. All else is as logged:
--                 a log of 5-minute writes is its own ttl-5m. The logged lifetime is that of the latest write in the
--                 chain (5 minutes before the first).
-- fresh-at-gaps   main threads: a fresh session after every pause of more than --ttl minutes.
-- context-cap     main threads: a fresh session when the logged context passes S + H + n * (cap - S - H) from below,
--                 n = 1, 2, ... Its own context then stays below the cap, but for what its first request adds: the cap
--                 may be exceeded by less than that. (A thread that began beyond the cap has one at
--                 its second request.)
-- split-requests  main threads: a fresh session every --requests requests.
-- split-hours     main threads: a fresh session every --hours hours since the thread began.
-- no-caching      the whole context is input.
-- A fresh session writes S + H tokens of the context before it again, then what the request added. S is the static
-- prefix with a first prompt, H what it takes to be at work again. The rest, stale tokens, is absent from then on (less
-- of it, where the logged context falls later), and the price is that of the shorter context. Requests and output that
-- a fresh session may need besides are not guessed. Reads that become writes have the lifetime of the latest write.
-- A context of a billion tokens or more, which no model has, has no price and is as logged in all scenarios.
-- fresh_sessions          times that a thread was started anew
-- rewrites                requests whose reads became writes, by a fresh start or a pause
-- peak_context_tokens     the largest context of a main thread
-- cost                    dollars by the price table, whatever the log says, without the unpriced_requests
-- cost_difference, cost_ratio   cost less as-it-was; cost / as-it-was
-- prefix_tokens, head_tokens    S and H
--
-- $ttl number = null {0..}: minutes of pause after which fresh-at-gaps starts anew; default: the logged 5 or 60
-- $cap integer = 100000 {1..1000000000000}: tokens of context in context-cap
-- $requests integer = 50 {1..1000000000000}: requests of a session in split-requests
-- $hours number = 5 {0.01..87600}: hours of a session in split-hours
-- $prefix_tokens integer = null {0..1000000000000}: S; default: the median context of the first requests of sessions
-- $head_tokens integer = null {0..1000000000000}: H; default: the median of what requests 2 to 5 of a session of five or more write together
-- $kept_tokens integer = 0 {0..1000000000000}: first tokens of a context that other sessions keep cached: read in any case
-- example: tokenlake whatif replay --cap 80000 --requests 30 --since 30d
-- example: tokenlake whatif replay --ttl 30 --hours 2 --kept-tokens 11000

-- Whole chains, also where the filters select a part of them: a request's place in its chain is a fact of the chain.
with requests_in_chains as (
    select
        chains.session_id,
        coalesce(not chains.is_sidechain and chains.agent_id is null and chains.origin <> 'advisor', false) as is_main,
        selected.key is not null as is_selected,
        chains.chain_request,
        coalesce(epoch_us(chains.ts), 0) as ts_us,
        chains.gap_us,
        chains.prev_context_tokens,
        chains.prev_ttl_us,
        chains.rebuild_cause,
        chains.rebuilt_tokens,
        chains.input_tokens,
        chains.output_tokens,
        chains.cache_write_5m_tokens,
        chains.cache_write_1h_tokens,
        chains.cache_read_tokens,
        chains.context_tokens,
        chains.context_tokens >= 1000000000 as is_giant,
        -- Searches without a price leave the request without one.
        case when chains.web_search_pico is not null then chains.price_id end as price_id,
        chains.web_search_pico
    from chains
    left join selected
        on chains.key = selected.key
        and chains.file_id = selected.file_id
        and chains."offset" = selected."offset"
),

session_starts as (
    select
        session_id,
        count(*) as requests,
        min(context_tokens) filter (chain_request = 1) as prefix_tokens,
        sum(cache_write_5m_tokens + cache_write_1h_tokens) filter (chain_request > 1) as head_tokens
    from requests_in_chains
    where is_selected and is_main and not is_giant and chain_request <= 5
    group by session_id
),

sizes as (
    select
        coalesce($prefix_tokens, round(quantile_cont(prefix_tokens, 0.5))::bigint, 0) as prefix_tokens,
        -- Of the sessions that have five requests.
        coalesce(
            $head_tokens, round(quantile_cont(case when requests = 5 then head_tokens end::double, 0.5))::bigint, 0
        ) as head_tokens
    from session_starts
),

logged_requests as (
    select
        requests_in_chains.*,
        prefix_tokens + head_tokens as fresh_tokens,
        cache_write_1h_tokens > 0 or (cache_write_5m_tokens = 0 and coalesce(prev_ttl_us = 3600000000, false))
            as writes_1h
    from requests_in_chains
    cross join sizes
),

thread_starts as (
    select
        session_id,
        min(ts_us) as began_us
    from logged_requests
    where is_main
    group by session_id
),

threads as (
    select
        logged_requests.*,
        ts_us - began_us as age_us,
        -- How often the context has filled what the cap leaves to a session beyond its first S + H tokens. The second
        -- request counts as coming from below: that there is a first one is no choice.
        greatest(context_tokens - fresh_tokens, 0) // greatest($cap - fresh_tokens, 1) as fill,
        greatest(case when chain_request > 2 then prev_context_tokens - fresh_tokens else 0 end, 0)
            // greatest($cap - fresh_tokens, 1) as fill_before
    from logged_requests
    inner join thread_starts on logged_requests.session_id is not distinct from thread_starts.session_id
    where is_main and not is_giant
),

-- The requests of main threads that open a fresh session, by scenario. The first of a thread is no new start.
opened_sessions as (
    select
        threads.*,
        chain_request > 1 and gap_us > coalesce($ttl * 60000000, prev_ttl_us) as opens_at_gap,
        chain_request > 1 and fill > fill_before as opens_at_cap,
        chain_request > 1 and (chain_request - 1) % nullif($requests, 0) = 0 as opens_at_requests,
        chain_request > 1
            and floor(age_us / ($hours * 3600000000))
                > floor((age_us - gap_us) / ($hours * 3600000000)) as opens_at_hours
    from threads
),

numbered_sessions as (
    select
        opened_sessions.*,
        least(prev_context_tokens, context_tokens) as carried_tokens,
        (sum(case when opens_at_gap then 1 else 0 end) over so_far)::bigint as gap_sessions,
        (sum(case when opens_at_cap then 1 else 0 end) over so_far)::bigint as cap_sessions,
        (sum(case when opens_at_requests then 1 else 0 end) over so_far)::bigint as request_sessions,
        (sum(case when opens_at_hours then 1 else 0 end) over so_far)::bigint as hour_sessions
    from opened_sessions
    window so_far as (
        partition by session_id order by chain_request
        rows between unbounded preceding and current row
    )
),

-- The least context since the fresh session began, the one before it included: what lies beyond it came later.
-- One window serves all scenarios, because a later session lies lower by 2^40, more than any context, so that the least
-- value so far is always one of the running session.
least_contexts as (
    select
        numbered_sessions.*,
        min(case when opens_at_gap then carried_tokens else context_tokens end - gap_sessions * 1099511627776)
            over so_far + gap_sessions * 1099511627776 as gap_least_tokens,
        min(case when opens_at_cap then carried_tokens else context_tokens end - cap_sessions * 1099511627776)
            over so_far + cap_sessions * 1099511627776 as cap_least_tokens,
        min(case when opens_at_requests then carried_tokens else context_tokens end - request_sessions * 1099511627776)
            over so_far + request_sessions * 1099511627776 as request_least_tokens,
        min(case when opens_at_hours then carried_tokens else context_tokens end - hour_sessions * 1099511627776)
            over so_far + hour_sessions * 1099511627776 as hour_least_tokens
    from numbered_sessions
    window so_far as (
        partition by session_id order by chain_request
        rows between unbounded preceding and current row
    )
),

habits as (
    select scenario
    from (values ('fresh-at-gaps'), ('context-cap'), ('split-requests'), ('split-hours')) as names (scenario)
),

split_requests as (
    select
        habits.scenario,
        least_contexts.*,
        case scenario
            when 'fresh-at-gaps' then opens_at_gap
            when 'context-cap' then opens_at_cap
            when 'split-requests' then opens_at_requests
            when 'split-hours' then opens_at_hours
        end as is_fresh,
        case
            when scenario = 'fresh-at-gaps' and gap_sessions > 0 then greatest(gap_least_tokens - fresh_tokens, 0)
            when scenario = 'context-cap' and cap_sessions > 0 then greatest(cap_least_tokens - fresh_tokens, 0)
            when scenario = 'split-requests' and request_sessions > 0
                then greatest(request_least_tokens - fresh_tokens, 0)
            when scenario = 'split-hours' and hour_sessions > 0 then greatest(hour_least_tokens - fresh_tokens, 0)
            else 0
        end as stale_tokens
    from least_contexts
    cross join habits
    where is_selected
),

-- What is left of each part of the context, as it lies in the log, without the stale tokens: those that follow S + H.
shortened_requests as (
    select
        split_requests.*,
        cache_read_tokens
            - greatest(least(cache_read_tokens, fresh_tokens + stale_tokens) - fresh_tokens, 0) as left_read_tokens,
        cache_write_1h_tokens - greatest(
            least(cache_read_tokens + cache_write_1h_tokens, fresh_tokens + stale_tokens)
                - greatest(cache_read_tokens, fresh_tokens),
            0
        ) as left_1h_tokens,
        cache_write_5m_tokens - greatest(
            least(context_tokens - input_tokens, fresh_tokens + stale_tokens)
                - greatest(cache_read_tokens + cache_write_1h_tokens, fresh_tokens),
            0
        ) as left_5m_tokens,
        input_tokens - greatest(
            least(context_tokens, fresh_tokens + stale_tokens) - greatest(context_tokens - input_tokens, fresh_tokens),
            0
        ) as left_input_tokens
    from split_requests
),

-- Prices that differ by the size of the context only: a shorter one may fall into a cheaper band.
price_bands as (
    select
        rates.price_id,
        bands.price_id as band_price_id,
        bands.from_us,
        bands.to_us,
        bands.from_tokens,
        bands.to_tokens
    from price_rates as rates
    inner join price_rates as bands
        on rates.model = bands.model
        and rates.is_fast = bands.is_fast
        and rates.is_us = bands.is_us
        and rates.is_batch = bands.is_batch
),

repriced_requests as (
    select
        shortened_requests.*,
        price_bands.band_price_id
    from shortened_requests
    left join price_bands
        on shortened_requests.price_id = price_bands.price_id
        and shortened_requests.ts_us >= price_bands.from_us
        and shortened_requests.ts_us < price_bands.to_us
        and shortened_requests.context_tokens - shortened_requests.stale_tokens >= price_bands.from_tokens
        and shortened_requests.context_tokens - shortened_requests.stale_tokens < price_bands.to_tokens
),

lifetimes as (
    select
        scenario,
        lifetime_us
    from (values ('ttl-5m', 300000000), ('ttl-1h', 3600000000)) as names (scenario, lifetime_us)
),

reread_requests as (
    select
        lifetimes.scenario,
        logged_requests.*,
        cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as cached_tokens,
        case
            when gap_us > lifetime_us and gap_us <= prev_ttl_us then least(cache_read_tokens, $kept_tokens)
            when gap_us <= lifetime_us and rebuild_cause = 'expired' then cache_read_tokens + rebuilt_tokens
            else cache_read_tokens
        end as reread_tokens
    from logged_requests
    cross join lifetimes
    where is_selected and not is_giant
),

-- What each scenario leaves as it was logged.
left_alone as (
    select
        scenario,
        leaves
    from (
        values
            ('as-it-was', 'everything'),
            ('ttl-5m', 'giants'),
            ('ttl-1h', 'giants'),
            ('fresh-at-gaps', 'giants and subagents'),
            ('context-cap', 'giants and subagents'),
            ('split-requests', 'giants and subagents'),
            ('split-hours', 'giants and subagents'),
            ('no-caching', 'giants')
    ) as names (scenario, leaves)
),

replayed_requests as (
    select
        left_alone.scenario,
        is_main,
        false as is_fresh,
        false as is_rewritten,
        input_tokens as input_replayed,
        output_tokens as output_replayed,
        cache_write_5m_tokens as write_5m_replayed,
        cache_write_1h_tokens as write_1h_replayed,
        cache_read_tokens as read_replayed,
        price_id,
        web_search_pico
    from logged_requests
    inner join left_alone
        on leaves = 'everything' or is_giant or (leaves = 'giants and subagents' and not is_main)
    where is_selected
    union all
    select
        scenario,
        is_main,
        false as is_fresh,
        reread_tokens < cache_read_tokens as is_rewritten,
        input_tokens,
        output_tokens,
        case when scenario = 'ttl-5m' then cached_tokens - reread_tokens else 0 end as write_5m_replayed,
        case when scenario = 'ttl-1h' then cached_tokens - reread_tokens else 0 end as write_1h_replayed,
        reread_tokens as read_replayed,
        price_id,
        web_search_pico
    from reread_requests
    union all
    select
        scenario,
        is_main,
        is_fresh,
        is_fresh and left_read_tokens > $kept_tokens as is_rewritten,
        left_input_tokens as input_replayed,
        output_tokens as output_replayed,
        left_5m_tokens
            + case when is_fresh and not writes_1h then greatest(left_read_tokens - $kept_tokens, 0) else 0 end
            as write_5m_replayed,
        left_1h_tokens
            + case when is_fresh and writes_1h then greatest(left_read_tokens - $kept_tokens, 0) else 0 end
            as write_1h_replayed,
        case when is_fresh then least(left_read_tokens, $kept_tokens) else left_read_tokens end as read_replayed,
        band_price_id as price_id,
        web_search_pico
    from repriced_requests
    union all
    select
        'no-caching' as scenario,
        is_main,
        false as is_fresh,
        false as is_rewritten,
        context_tokens as input_replayed,
        output_tokens as output_replayed,
        0 as write_5m_replayed,
        0 as write_1h_replayed,
        0 as read_replayed,
        price_id,
        web_search_pico
    from logged_requests
    where is_selected and not is_giant
),

-- By price first: a few products instead of millions.
sums_by_price as (
    select
        scenario,
        price_id,
        count(*) as requests,
        count(*) filter (is_fresh) as fresh_sessions,
        count(*) filter (is_rewritten) as rewrites,
        max(input_replayed::decimal(38, 0) + write_5m_replayed + write_1h_replayed + read_replayed)
            filter (is_main) as peak_context_tokens,
        sum(input_replayed) as input_tokens,
        sum(output_replayed) as output_tokens,
        sum(write_5m_replayed) as cache_write_5m_tokens,
        sum(write_1h_replayed) as cache_write_1h_tokens,
        sum(read_replayed) as cache_read_tokens,
        sum(web_search_pico) as web_search_pico
    from replayed_requests
    group by scenario, price_id
),

-- Twenty digits of tokens and twelve of price: a decimal, because a product may exceed 64 bits.
priced_sums as (
    select
        sums_by_price.*,
        case
            when price_rates.price_id is not null then
                sums_by_price.input_tokens::decimal(20, 0) * price_rates.input_price_pico::decimal(12, 0)
                + sums_by_price.output_tokens::decimal(20, 0) * price_rates.output_price_pico::decimal(12, 0)
                + sums_by_price.cache_write_5m_tokens::decimal(20, 0)
                    * price_rates.cache_write_5m_price_pico::decimal(12, 0)
                + sums_by_price.cache_write_1h_tokens::decimal(20, 0)
                    * price_rates.cache_write_1h_price_pico::decimal(12, 0)
                + sums_by_price.cache_read_tokens::decimal(20, 0) * price_rates.cache_read_price_pico::decimal(12, 0)
                + sums_by_price.web_search_pico
        end as cost_pico
    from sums_by_price
    left join price_rates on sums_by_price.price_id = price_rates.price_id
),

scenario_sums as (
    select
        scenario,
        sum(requests)::bigint as requests,
        sum(fresh_sessions)::bigint as fresh_sessions,
        sum(rewrites)::bigint as rewrites,
        max(peak_context_tokens) as peak_context_tokens,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        (sum(cost_pico)::decimal(26, 0) * 0.000000000001)::decimal(38, 12) as cost,
        coalesce(sum(requests) filter (price_id is null), 0)::bigint as unpriced_requests
    from priced_sums
    group by scenario
)

select
    scenario_sums.scenario,
    scenario_sums.requests,
    scenario_sums.fresh_sessions,
    scenario_sums.rewrites,
    scenario_sums.peak_context_tokens,
    scenario_sums.input_tokens,
    scenario_sums.output_tokens,
    scenario_sums.cache_write_5m_tokens,
    scenario_sums.cache_write_1h_tokens,
    scenario_sums.cache_read_tokens,
    scenario_sums.cost,
    (scenario_sums.cost - logged.cost)::decimal(38, 12) as cost_difference,
    scenario_sums.cost::double / nullif(logged.cost::double, 0) as cost_ratio,
    scenario_sums.unpriced_requests,
    sizes.prefix_tokens,
    sizes.head_tokens
from scenario_sums
inner join scenario_sums as logged on logged.scenario = 'as-it-was'
cross join sizes
order by case scenario_sums.scenario
    when 'as-it-was' then 1
    when 'ttl-5m' then 2
    when 'ttl-1h' then 3
    when 'fresh-at-gaps' then 4
    when 'context-cap' then 5
    when 'split-requests' then 6
    when 'split-hours' then 7
    when 'no-caching' then 8
end
