-- TTL mix: 5-minute against 1-hour cache writes, by day and kind of thread
-- Which of the two a client asks for changes with its version, the account and the thread: it is counted here, not
-- assumed. Writes that a log does not split count as 5-minute writes.
-- cache_write_1h_share  1h writes / all cache writes
-- requests_5m           requests that wrote to the 5-minute cache; requests_1h to the 1-hour cache; one may do both
--
-- $by text = 'day' {none|day|week|month}: what the rows are for
-- $week_start text = 'monday' {monday|sunday}: first day of a week
-- example: tokenlake cache ttl-mix --since 60d

-- Zones are whole quarter hours off UTC since 2012, before any log: these are moved to local days, not each request.
-- They are rounded down, also before 1970.
with quarter_hours as (
    select
        epoch_us(ts) // 900000000 - case when epoch_us(ts) % 900000000 < 0 then 1 else 0 end as quarter_hour,
        is_sidechain,
        min(ts) as ts,
        count(*) as requests,
        count(*) filter (cache_write_5m_tokens > 0) as requests_5m,
        count(*) filter (cache_write_1h_tokens > 0) as requests_1h,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens
    from selected
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
        case when is_sidechain then 'subagent' else 'main' end as thread,
        requests,
        requests_5m,
        requests_1h,
        cache_write_5m_tokens,
        cache_write_1h_tokens
    from quarter_hours
),

period_sums as (
    select
        period,
        thread,
        sum(requests)::bigint as requests,
        sum(requests_5m)::bigint as requests_5m,
        sum(requests_1h)::bigint as requests_1h,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens
    from periods
    group by period, thread
)

select
    case
        when $by = 'none' then 'all'
        when $by = 'month' then strftime(period, '%Y-%m')
        else strftime(period, '%Y-%m-%d')
    end as "by",
    thread,
    requests,
    requests_5m,
    requests_1h,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    cache_write_1h_tokens::double / nullif(cache_write_5m_tokens + cache_write_1h_tokens, 0) as cache_write_1h_share
from period_sums
order by period, thread
