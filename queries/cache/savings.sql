-- Savings: what the prompt cache saved, against the same requests without it
-- Without a cache all of the context would be paid as input; output and web searches stay as they are.
-- context_tokens     input + cache writes + cache reads
-- hit_ratio          cache reads / context
-- reads_per_write    cache reads / cache writes: a write to the 5-minute cache has to be read once, one to the 1-hour
--                    cache twice, before it is cheaper than plain input
-- cost               dollars
-- no_cache_cost      dollars without a cache: context at the input price + output + web searches
-- cost_saved         no_cache_cost - cost
-- saved              1 - cost / no_cache_cost; all three without what was logged as one figure (--cost-mode)
-- unpriced_requests  requests that have no price, and unpriced_tokens their tokens: no dollars of the row hold them
--
-- $by text = 'none' {none|day|week|month|project|session|model|version|host|thread}: rows of the result
-- $week_start text = 'monday' {monday|sunday}: first day of a week
-- example: tokenlake cache savings --by project --since 30d

-- Zones are whole quarter hours off UTC since 2012, before any log: these are moved to local days, not each request.
-- They are rounded down, also before 1970.
with quarter_hours as (
    select
        case
            when $by in ('day', 'week', 'month')
                then epoch_us(ts) // 900000000 - case when epoch_us(ts) % 900000000 < 0 then 1 else 0 end
        end as quarter_hour,
        case $by
            when 'project' then project
            when 'session' then session_id
            when 'model' then model
            when 'version' then version
            when 'host' then host
            when 'thread' then case when is_sidechain then 'subagent' else 'main' end
        end as name,
        min(ts) as any_ts,
        count(*) as requests,
        -- Not the sum of contexts: that of one request goes as far as its type.
        sum(input_tokens) + sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens) + sum(cache_read_tokens)
            as context_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens) as cache_write_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cost_pico)::decimal(25, 0) as cost_pico,
        sum(case when is_calculated then cost_pico end)::decimal(25, 0) as calculated_pico,
        sum(case when is_calculated then context_tokens * input_price_pico + output_pico + web_search_pico end)
            ::decimal(25, 0) as no_cache_pico,
        count(*) filter (not is_priced) as unpriced_requests,
        coalesce(
            sum(
                case
                    when not is_priced
                        then input_tokens::decimal(38, 0) + output_tokens + cache_write_5m_tokens
                            + cache_write_1h_tokens + cache_read_tokens
                end
            ),
            0
        ) as unpriced_tokens
    from selected_costs
    group by 1, 2
),

periods as (
    select
        quarter_hours.*,
        case $by
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
        period,
        name,
        sum(requests)::bigint as requests,
        sum(context_tokens) as context_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        (sum(cost_pico)::decimal(25, 0) * 0.000000000001)::decimal(38, 12) as cost,
        (sum(calculated_pico)::decimal(25, 0) * 0.000000000001)::decimal(38, 12) as cost_calculated,
        (sum(no_cache_pico)::decimal(25, 0) * 0.000000000001)::decimal(38, 12) as no_cache_cost,
        sum(unpriced_requests)::bigint as unpriced_requests,
        sum(unpriced_tokens) as unpriced_tokens
    from periods
    group by period, name
)

select
    case
        when $by = 'none' then 'all'
        when $by = 'month' then strftime(period, '%Y-%m')
        when $by in ('day', 'week') then strftime(period, '%Y-%m-%d')
        else coalesce(name, '(none)')
    end as "by",
    requests,
    context_tokens,
    output_tokens,
    cache_write_tokens,
    cache_read_tokens,
    cache_read_tokens::double / nullif(context_tokens, 0) as hit_ratio,
    cache_read_tokens::double / nullif(cache_write_tokens, 0) as reads_per_write,
    cost,
    no_cache_cost,
    (no_cache_cost - cost_calculated)::decimal(38, 12) as cost_saved,
    1 - cost_calculated::double / nullif(no_cache_cost::double, 0) as saved,
    unpriced_requests,
    unpriced_tokens
from sums
order by
    period,
    case
        when $by in ('project', 'session', 'model', 'version', 'host', 'thread') then -(context_tokens + output_tokens)
    end,
    "by"
