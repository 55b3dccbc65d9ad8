-- Rebuilds by cause and day: what paying again for a prefix cost
-- A rebuild, its cause and its cost are those of `cache rebuilds`. The day is that of the request that rebuilt.
-- rebuilds           rebuilds of the day with this cause
-- rebuilt_tokens     tokens written again
-- cost_rebuilt       dollars paid for them as writes
-- cost_if_read       dollars that they would have cost as reads
-- cost_extra         the difference
-- unpriced_rebuilds  rebuilds under models without a price, and unpriced_tokens their rebuilt tokens: no dollars of
--                    these columns hold them
--
-- $by text = 'day' {none|day|week|month}: what the rows are for
-- $week_start text = 'monday' {monday|sunday}: first day of a week
-- $min_tokens integer = 10000 {0..1000000000000}: a rebuild is more rebuilt tokens than this
-- $min_share number = 0.05 {0..1}: and more than this share of the context before it
-- example: tokenlake cache rebuild-causes --by month

-- Zones are whole quarter hours off UTC since 2012, before any log: these are moved to local days, not each request.
-- They are rounded down, also before 1970.
with quarter_hours as (
    select
        epoch_us(ts) // 900000000 - case when epoch_us(ts) % 900000000 < 0 then 1 else 0 end as quarter_hour,
        rebuild_cause,
        min(ts) as ts,
        count(*) as rebuilds,
        sum(rebuilt_tokens) as rebuilt_tokens,
        sum(rebuild_pico * 0.000000000001)::decimal(38, 12) as cost_rebuilt,
        sum(rebuild_read_pico * 0.000000000001)::decimal(38, 12) as cost_if_read,
        count(*) filter (rebuild_pico is null) as unpriced_rebuilds,
        coalesce(sum(rebuilt_tokens) filter (rebuild_pico is null), 0) as unpriced_tokens
    from selected_chains
    where rebuilt_tokens > $min_tokens
        and rebuilt_tokens > $min_share * coalesce(prev_context_tokens, 0)
    group by 1, 2
),

periods as (
    select
        case $by
            when 'day' then date_trunc('day', ts at time zone $tz)
            when 'month' then date_trunc('month', ts at time zone $tz)
            when 'week' then
                case
                    when $week_start = 'monday' then date_trunc('week', ts at time zone $tz)
                    else date_trunc('week', (ts at time zone $tz) + interval 1 day) - interval 1 day
                end
        end as period,
        rebuild_cause,
        rebuilds,
        rebuilt_tokens,
        cost_rebuilt,
        cost_if_read,
        unpriced_rebuilds,
        unpriced_tokens
    from quarter_hours
),

period_sums as (
    select
        period,
        rebuild_cause,
        sum(rebuilds)::bigint as rebuilds,
        sum(rebuilt_tokens) as rebuilt_tokens,
        sum(cost_rebuilt)::decimal(38, 12) as cost_rebuilt,
        sum(cost_if_read)::decimal(38, 12) as cost_if_read,
        sum(unpriced_rebuilds)::bigint as unpriced_rebuilds,
        sum(unpriced_tokens) as unpriced_tokens
    from periods
    group by period, rebuild_cause
)

select
    case
        when $by = 'none' then 'all'
        when $by = 'month' then strftime(period, '%Y-%m')
        else strftime(period, '%Y-%m-%d')
    end as "by",
    rebuild_cause as cause,
    rebuilds,
    rebuilt_tokens,
    cost_rebuilt,
    cost_if_read,
    (cost_rebuilt - cost_if_read)::decimal(38, 12) as cost_extra,
    unpriced_rebuilds,
    unpriced_tokens
from period_sums
order by period, rebuilt_tokens desc, cause
