-- Cache overhead: cache traffic beside the work itself, in tokens and dollars
-- io = input + output; writes = 5m + 1h cache writes; context = input + writes + reads; total = io + writes + reads.
-- reads_per_io             reads / io
-- overhead_per_io          (reads + writes) / io
-- cache_token_share        (reads + writes) / total
-- reads_per_total          reads / total
-- reads_per_reads_and_io   reads / (reads + io)
-- hit_ratio                reads / context
-- rewrite_factor           writes / the sum of each session's largest context in the row; 1.0 is ideal. Not for
--                          --by context-decile and turn, whose rows hold scattered requests of a session
-- cost_api                 dollars for input and output; cost = cost_api + cache writes + cache reads + web searches
-- total_per_api_cost       cost / cost_api; this and cache_cost_share leave out costs from the log (--cost-mode)
-- cache_cost_share         (cost_cache_read + cost_cache_write) / cost
-- no_cache_cost            dollars without a cache: context at the input price + output + web searches
-- saved                    1 - cost / no_cache_cost, both without what was logged as one figure (--cost-mode)
-- unpriced_requests        requests that have no price, and unpriced_tokens their tokens: no dollars here hold them
-- partial_output_share     share of requests whose output was never finalised: there, output is a lower bound
-- --by context-decile: ten groups of requests by context, 1 the smallest; requests of equal context stay together, in
-- the tenth of the first of them. --by turn: number of the request in its session.
--
-- $by text = 'none' {none|day|week|month|hour|project|session|model|version|host|thread|context-decile|turn}: rows
-- $week_start text = 'monday' {monday|sunday}: first day of a week
-- example: tokenlake cache overhead --by day --since 30d

-- Requests of each context, smallest first: a few hundred thousand rows to sort, however many requests there are.
with context_counts as (
    select
        context_tokens,
        count(*) as requests
    from selected
    where $by = 'context-decile'
    group by context_tokens
),

context_deciles as (
    select
        context_tokens,
        1 + 10 * (sum(requests) over (order by context_tokens rows unbounded preceding) - requests)::bigint
            // (sum(requests) over ())::bigint as place
    from context_counts
),

-- Numbered over whole sessions: a filter must not change the number of a request.
numbered_requests as (
    select
        key,
        file_id,
        "offset",
        row_number() over (partition by session_id order by ts, file_id, "offset", key) as place
    from deduped
    where $by = 'turn'
),

-- Each branch of this union is empty unless its grouping is asked for, so that only one is computed.
placed_requests as (
    select selected_of_mode.*, null::bigint as place
    from selected_of_mode
    where $by not in ('context-decile', 'turn')
    union all
    select selected_of_mode.*, context_deciles.place
    from selected_of_mode
    inner join context_deciles on selected_of_mode.context_tokens = context_deciles.context_tokens
    where $by = 'context-decile'
    union all
    select selected_of_mode.*, numbered_requests.place
    from selected_of_mode
    inner join numbered_requests
        on selected_of_mode.key = numbered_requests.key
        and selected_of_mode.file_id = numbered_requests.file_id
        and selected_of_mode."offset" = numbered_requests."offset"
    where $by = 'turn'
),

-- Cost is tokens times price: the tokens of requests that share a price are summed first, and a few rows are priced
-- then, which gives exactly the sum of the costs in view `costs`. To price each request would cost more than all sums.
-- Zones are whole quarter hours off UTC: these are moved to local time, not each request.
sums_by_price as (
    select
        place,
        case when $by in ('hour', 'day', 'week', 'month') then epoch_us(ts) // 900000000 end as quarter_hour,
        case $by
            when 'project' then project
            when 'session' then session_id
            when 'model' then model
            when 'version' then version
            when 'host' then host
            when 'thread' then case when is_sidechain then 'subagent' else 'main' end
        end as name,
        model,
        case when speed = 'fast' then 1 else 0 end
            + case when inference_geo = 'us' then 2 else 0 end
            + case when service_tier = 'batch' then 4 else 0 end as factors,
        -- The context, and the instant, that stand for all between the same two steps; beyond the steps that have a
        -- name, each context and each UTC day by itself. A request without a time is priced as of 1970.
        case
            when context_tokens < step_1_tokens then 0
            when context_tokens < step_2_tokens then step_1_tokens
            when context_tokens < step_3_tokens then step_2_tokens
            when context_tokens < step_4_tokens then step_3_tokens
            else context_tokens
        end as like_context_tokens,
        case
            when epoch_us(ts) is null then 0
            when epoch_us(ts) < step_1_us then step_1_us - 1
            when epoch_us(ts) < step_2_us then step_1_us
            when epoch_us(ts) < step_3_us then step_2_us
            when epoch_us(ts) < step_4_us then step_3_us
            else epoch_us(ts) // 86400000000 * 86400000000
        end as like_us,
        -- Where the cost is from: 0 nowhere, 1 the log, 2 the prices, 3 the prices, that of searches too.
        case
            when not is_calculated and logged_pico is null then 0
            when not is_calculated then 1
            -- As in view priced.
            when output_tokens >= 1000000000 or web_searches >= 1000000 then 0
            when searches_may_be_unpriced and web_searches > 0 then 3
            else 2
        end as cost_is_from,
        min(ts) as any_ts,
        count(*) as requests,
        count(*) filter (output_is_partial) as partial_requests,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
        sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        coalesce(sum(web_searches), 0)::bigint as web_searches,
        sum(logged_pico)::bigint as logged_pico
    from placed_requests
    cross join price_steps
    group by all
),

priced_sums as (
    select
        sums.place,
        sums.quarter_hour,
        sums.name,
        sums.any_ts,
        sums.requests,
        sums.partial_requests,
        sums.input_tokens,
        sums.output_tokens,
        sums.cache_write_5m_tokens,
        sums.cache_write_1h_tokens,
        sums.cache_read_tokens,
        sums.cost_is_from,
        (sums.logged_pico * 0.000000000001)::decimal(38, 12) as cost_logged,
        -- Tokens of up to 19 digits times dollars a token.
        sums.input_tokens::decimal(19, 0) * (price_rates.input_price_pico * 0.000000000001)::decimal(18, 12)
            + sums.output_tokens::decimal(19, 0) * (price_rates.output_price_pico * 0.000000000001)::decimal(18, 12)
            as cost_api,
        sums.cache_write_5m_tokens::decimal(19, 0)
            * (price_rates.cache_write_5m_price_pico * 0.000000000001)::decimal(18, 12)
            + sums.cache_write_1h_tokens::decimal(19, 0)
            * (price_rates.cache_write_1h_price_pico * 0.000000000001)::decimal(18, 12) as cost_cache_write,
        sums.cache_read_tokens::decimal(19, 0)
            * (price_rates.cache_read_price_pico * 0.000000000001)::decimal(18, 12) as cost_cache_read,
        case
            when price_rates.price_id is null then null
            -- Searches that did not take place need no price.
            when sums.web_searches = 0 then 0::decimal(37, 12)
            else sums.web_searches::decimal(19, 0)
                * (price_rates.web_search_price_pico * 0.000000000001)::decimal(18, 12)
        end as cost_web_search,
        (sums.cache_write_5m_tokens + sums.cache_write_1h_tokens + sums.cache_read_tokens)::decimal(19, 0)
            * (price_rates.input_price_pico * 0.000000000001)::decimal(18, 12) as cost_cached_as_input
    from sums_by_price as sums
    left join price_rates
        on sums.cost_is_from >= 2
        and sums.model = price_rates.model
        and sums.factors
            = case when price_rates.is_fast then 1 else 0 end
            + case when price_rates.is_us then 2 else 0 end
            + case when price_rates.is_batch then 4 else 0 end
        and sums.like_us >= price_rates.from_us
        and sums.like_us < price_rates.to_us
        and sums.like_context_tokens >= price_rates.from_tokens
        and sums.like_context_tokens < price_rates.to_tokens
),

costs_in_all as (
    select
        priced_sums.*,
        cost_api + cost_cache_write + cost_cache_read + cost_web_search as cost_calculated,
        case
            when cost_is_from = 1 then cost_logged
            else cost_api + cost_cache_write + cost_cache_read + cost_web_search
        end as cost,
        input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
            as total_tokens
    from priced_sums
),

-- Groups stay typed here and are worded at the end: a text per request would cost more than all the sums.
periods as (
    select
        costs_in_all.*,
        case $by
            when 'hour' then date_trunc('hour', any_ts at time zone $tz)
            when 'day' then date_trunc('day', any_ts at time zone $tz)
            when 'month' then date_trunc('month', any_ts at time zone $tz)
            when 'week' then
                case
                    when $week_start = 'monday' then date_trunc('week', any_ts at time zone $tz)
                    else date_trunc('week', (any_ts at time zone $tz) + interval 1 day) - interval 1 day
                end
        end as period
    from costs_in_all
),

sums as (
    select
        place,
        period,
        name,
        sum(requests)::bigint as requests,
        sum(partial_requests)::bigint as partial_requests,
        sum(case when cost is null then requests else 0 end)::bigint as unpriced_requests,
        sum(case when cost is null then total_tokens else 0 end)::bigint as unpriced_tokens,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(input_tokens + output_tokens)::bigint as io_tokens,
        sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
        sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
        sum(cache_write_5m_tokens + cache_write_1h_tokens)::bigint as write_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        sum(total_tokens)::bigint as total_tokens,
        sum(cost_api)::decimal(38, 12) as cost_api,
        sum(cost_cache_write)::decimal(38, 12) as cost_cache_write,
        sum(cost_cache_read)::decimal(38, 12) as cost_cache_read,
        sum(cost)::decimal(38, 12) as cost,
        sum(cost_calculated)::decimal(38, 12) as cost_calculated,
        sum(cost_api + cost_cached_as_input + cost_web_search)::decimal(38, 12) as no_cache_cost
    from periods
    group by place, period, name
),

-- The largest context of each session, in a pass of its own: one with the sums would keep every sum by session.
session_quarter_hours as (
    select
        case when $by in ('hour', 'day', 'week', 'month') then epoch_us(ts) // 900000000 end as quarter_hour,
        case $by
            when 'project' then project
            when 'session' then session_id
            when 'model' then model
            when 'version' then version
            when 'host' then host
            when 'thread' then case when is_sidechain then 'subagent' else 'main' end
        end as name,
        session_id,
        min(ts) as any_ts,
        max(context_tokens) as largest_context_tokens
    from selected
    where $by not in ('context-decile', 'turn')
    group by 1, 2, 3
),

session_periods as (
    select
        case $by
            when 'hour' then date_trunc('hour', any_ts at time zone $tz)
            when 'day' then date_trunc('day', any_ts at time zone $tz)
            when 'month' then date_trunc('month', any_ts at time zone $tz)
            when 'week' then
                case
                    when $week_start = 'monday' then date_trunc('week', any_ts at time zone $tz)
                    else date_trunc('week', (any_ts at time zone $tz) + interval 1 day) - interval 1 day
                end
        end as period,
        name,
        session_id,
        max(largest_context_tokens) as largest_context_tokens
    from session_quarter_hours
    group by 1, 2, 3
),

largest_contexts as (
    select
        period,
        name,
        sum(largest_context_tokens)::bigint as largest_context_tokens
    from session_periods
    group by period, name
)

select
    case
        when $by = 'none' then 'all'
        when $by = 'hour' then strftime(sums.period, '%Y-%m-%d %H:00')
        when $by = 'month' then strftime(sums.period, '%Y-%m')
        when $by in ('day', 'week') then strftime(sums.period, '%Y-%m-%d')
        when $by in ('context-decile', 'turn') then sums.place::varchar
        else coalesce(sums.name, '(none)')
    end as "by",
    requests,
    input_tokens,
    output_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    cache_read_tokens,
    total_tokens,
    cache_read_tokens::double / nullif(io_tokens, 0) as reads_per_io,
    (cache_read_tokens + write_tokens)::double / nullif(io_tokens, 0) as overhead_per_io,
    (cache_read_tokens + write_tokens)::double / nullif(total_tokens, 0) as cache_token_share,
    cache_read_tokens::double / nullif(total_tokens, 0) as reads_per_total,
    cache_read_tokens::double / nullif(cache_read_tokens + io_tokens, 0) as reads_per_reads_and_io,
    cache_read_tokens::double / nullif(total_tokens - output_tokens, 0) as hit_ratio,
    write_tokens::double / nullif(largest_contexts.largest_context_tokens, 0) as rewrite_factor,
    cost_api,
    cost_cache_write,
    cost_cache_read,
    cost,
    cost_calculated::double / nullif(cost_api::double, 0) as total_per_api_cost,
    (cost_cache_write + cost_cache_read)::double / nullif(cost_calculated::double, 0) as cache_cost_share,
    no_cache_cost,
    1 - cost_calculated::double / nullif(no_cache_cost::double, 0) as saved,
    unpriced_requests,
    unpriced_tokens,
    partial_requests::double / nullif(requests, 0) as partial_output_share
from sums
left join largest_contexts
    on sums.period is not distinct from largest_contexts.period
    and sums.name is not distinct from largest_contexts.name
-- Periods and places in their order, names by size.
order by
    sums.period,
    sums.place,
    case when $by in ('project', 'session', 'model', 'version', 'host', 'thread') then -total_tokens end,
    "by"
