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

-- Requests by themselves, for groupings that look at each; with the columns of view cost_sums that are summed up.
-- Of the two numbers one is asked for, and of the other there are none.
single_requests as (
    select
        coalesce(context_deciles.place, numbered_requests.place) as place,
        1 as requests,
        case when output_is_partial then 1 else 0 end as partial_requests,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        cost_api_pico,
        cost_cache_write_pico,
        cost_cache_read_pico,
        case when is_calculated then cost_pico end as cost_calculated_pico,
        cost_pico,
        case
            when is_calculated
                then input_pico + output_pico + cache_write_5m_tokens * input_price_pico
                    + cache_write_1h_tokens * input_price_pico + cache_read_tokens * input_price_pico + web_search_pico
        end as no_cache_pico,
        case when is_priced then 0 else 1 end as unpriced_requests,
        case when is_priced then 0 else selected_costs.context_tokens::decimal(20, 0) + output_tokens end
            as unpriced_tokens
    from selected_costs
    left join context_deciles on selected_costs.context_tokens = context_deciles.context_tokens
    left join numbered_requests
        on selected_costs.key = numbered_requests.key
        and selected_costs.file_id = numbered_requests.file_id
        and selected_costs."offset" = numbered_requests."offset"
    where $by in ('context-decile', 'turn')
),

-- Each branch of this union is empty unless its grouping is asked for, so that only one is computed.
grouped as (
    select
        *,
        -- Zones are whole quarter hours off UTC since 2012, before any log: these are moved to local time, not each
        -- request. They are rounded down, also before 1970.
        case
            when $by in ('hour', 'day', 'week', 'month')
                then epoch_us(first_ts) // 900000000 - case when epoch_us(first_ts) % 900000000 < 0 then 1 else 0 end
        end as quarter_hour,
        case $by
            when 'project' then project
            when 'session' then session_id
            when 'model' then model
            when 'version' then version
            when 'host' then host
            when 'thread' then case when is_sidechain then 'subagent' else 'main' end
        end as name
    from selected_cost_sums
    where $by not in ('context-decile', 'turn')
    union all by name
    select *
    from single_requests
),

quarter_hours as (
    select
        place,
        quarter_hour,
        name,
        min(first_ts) as any_ts,
        sum(requests) as requests,
        sum(partial_requests) as partial_requests,
        sum(unpriced_requests) as unpriced_requests,
        sum(unpriced_tokens) as unpriced_tokens,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cost_api_pico) as cost_api_pico,
        sum(cost_cache_write_pico) as cost_cache_write_pico,
        sum(cost_cache_read_pico) as cost_cache_read_pico,
        sum(cost_calculated_pico) as cost_calculated_pico,
        sum(cost_pico) as cost_pico,
        sum(no_cache_pico) as no_cache_pico
    from grouped
    group by place, quarter_hour, name
),

-- Groups stay typed here and are worded at the end: a text per request would cost more than all the sums.
periods as (
    select
        quarter_hours.*,
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
    from quarter_hours
),

sums as (
    select
        place,
        period,
        name,
        sum(requests) as requests,
        sum(partial_requests) as partial_requests,
        sum(unpriced_requests) as unpriced_requests,
        sum(unpriced_tokens) as unpriced_tokens,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(input_tokens + output_tokens) as io_tokens,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_write_5m_tokens + cache_write_1h_tokens) as write_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens)
            as total_tokens,
        (sum(cost_api_pico) * 0.000000000001)::decimal(38, 12) as cost_api,
        (sum(cost_cache_write_pico) * 0.000000000001)::decimal(38, 12) as cost_cache_write,
        (sum(cost_cache_read_pico) * 0.000000000001)::decimal(38, 12) as cost_cache_read,
        (sum(cost_calculated_pico) * 0.000000000001)::decimal(38, 12) as cost_calculated,
        (sum(cost_pico) * 0.000000000001)::decimal(38, 12) as cost,
        (sum(no_cache_pico) * 0.000000000001)::decimal(38, 12) as no_cache_cost
    from periods
    group by place, period, name
),

-- The largest context of each session, in a pass of its own: one with the sums would keep every sum by session.
session_quarter_hours as (
    select
        case
            when $by in ('hour', 'day', 'week', 'month')
                then epoch_us(first_ts) // 900000000 - case when epoch_us(first_ts) % 900000000 < 0 then 1 else 0 end
        end as quarter_hour,
        case $by
            when 'project' then project
            when 'session' then session_id
            when 'model' then model
            when 'version' then version
            when 'host' then host
            when 'thread' then case when is_sidechain then 'subagent' else 'main' end
        end as name,
        session_id,
        min(first_ts) as any_ts,
        max(max_context_tokens) as largest_context_tokens
    from selected_sums
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
        sum(largest_context_tokens) as largest_context_tokens
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
