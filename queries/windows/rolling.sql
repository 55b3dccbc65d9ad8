-- Rolling windows: what the last 5 hours and 7 days held, at every request
-- The sum at a request made at t is over (t - window, t]: it and all others of that instant are in, one made exactly a
-- window earlier is out. Each row stands for one window length; the sums of its requests are summed up as
-- window_hours        length of the window: --hours, then --long-hours
-- ts                  with --by request: its time
-- requests            requests made in the day or hour
-- peak, p50, p95      largest, median and 95th percentile of the sums at these requests
-- tumbling_peak       beside it, the largest total of the fixed windows of that length, laid end to end from a Monday
--                     0:00 UTC, in which these requests were made: what a count by fixed windows would have shown
-- peak_per_tumbling   peak / tumbling_peak
-- unpriced_requests   of the requests, those whose model has no price: with --measure cost they are not in any sum
-- The unit is that of --measure: tokens, requests, or dollars. total = input + output + cache-write + cache-read.
-- --by request: a row for each request and window; `by` is its key, and the sum stands in peak, p50 and p95 alike.
-- --since and --until choose the rows that are shown; the sums reach back beyond them.
--
-- $by text = 'day' {day|hour|request}: what a row stands for, beside the window
-- $measure text = 'total' {total|input|output|cache-write|cache-read|requests|cost}: what is summed
-- $hours integer = 5: hours of the short window
-- $long_hours integer = 168: hours of the long window
-- example: tokenlake windows rolling --since 30d
-- example: tokenlake windows rolling --measure cost --hours 24 --by hour --since 7d

with measured_requests as (
    select
        key,
        epoch_us(ts) as instant_us,
        epoch_us(ts) // 900000000 as quarter_hour,
        case $measure
            when 'total'
                then input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
            when 'input' then input_tokens
            when 'output' then output_tokens
            when 'cache-write' then cache_write_5m_tokens + cache_write_1h_tokens
            when 'cache-read' then cache_read_tokens
            when 'requests' then 1
            -- Whole picodollars, so that what enters a sum leaves it to the last digit.
            else coalesce(cost_pico, 0)
        end as amount,
        is_priced
    from costs
    where ts is not null
        -- A long window before the first row shown and one after the last: what lies beyond is in none of their sums.
        and ($since is null or ts > make_timestamptz(epoch_us($since::timestamptz) - $long_hours * 3600000000))
        and ($until is null or ts < make_timestamptz(epoch_us($until::timestamptz) + $long_hours * 3600000000))
        and ($host is null or host = $host)
        and ($project is null or contains(lower(project), lower($project)))
        and ($model is null or contains(lower(model), lower($model)))
        and ($session is null or starts_with(session_id, $session))
),

-- A request enters both windows when it is made, and leaves each when that one's length has passed; is_priced is null
-- where it leaves.
changes as (
    select
        instant_us,
        amount as short_change,
        amount as long_change,
        is_priced
    from measured_requests
    union all
    select
        instant_us + $hours * 3600000000 as instant_us,
        -amount as short_change,
        0 as long_change,
        null as is_priced
    from measured_requests
    union all
    select
        instant_us + $long_hours * 3600000000 as instant_us,
        0 as short_change,
        -amount as long_change,
        null as is_priced
    from measured_requests
),

-- Without a frame of its own a running sum takes in all changes of the instant, as it must: no order among them counts.
running_sums as (
    select
        instant_us,
        is_priced,
        sum(short_change) over (order by instant_us) as short_sum,
        sum(long_change) over (order by instant_us) as long_sum
    from changes
),

-- Every zone is a whole number of quarter hours off UTC: days and fixed windows are made of these.
quarter_hours as (
    select
        quarter_hour,
        make_timestamptz(quarter_hour * 900000000) at time zone $tz as local_time,
        -- 384 quarter hours after the instant 0 it was Monday.
        (quarter_hour - 384)
            // case when $hours > 0 then $hours * 4 else error('hours must be 1 or more')::bigint end as short_window,
        (quarter_hour - 384)
            // case when $long_hours > 0 then $long_hours * 4 else error('long-hours must be 1 or more')::bigint end
            as long_window,
        sum(amount) as amount
    from measured_requests
    group by quarter_hour
),

periods as (
    select
        quarter_hour,
        case when $by = 'hour' then strftime(local_time, '%Y-%m-%d %H:00') else strftime(local_time, '%Y-%m-%d') end
            as period,
        sum(amount) over (partition by short_window) as short_tumbling,
        sum(amount) over (partition by long_window) as long_tumbling
    from quarter_hours
),

shown_sums as (
    select
        instant_us,
        instant_us // 900000000 as quarter_hour,
        is_priced,
        short_sum::double as short_sum,
        long_sum::double as long_sum
    from running_sums
    where is_priced is not null
        and ($since is null or instant_us >= epoch_us($since::timestamptz))
        and ($until is null or instant_us < epoch_us($until::timestamptz))
),

sums_by_period as (
    select
        periods.period,
        count(*) as requests,
        count(*) filter (not shown_sums.is_priced) as unpriced_requests,
        max(shown_sums.short_sum) as short_peak,
        max(shown_sums.long_sum) as long_peak,
        quantile_cont(shown_sums.short_sum, [0.5, 0.95]) as short_quantiles,
        quantile_cont(shown_sums.long_sum, [0.5, 0.95]) as long_quantiles,
        max(periods.short_tumbling)::double as short_tumbling,
        max(periods.long_tumbling)::double as long_tumbling
    from shown_sums
    inner join periods on shown_sums.quarter_hour = periods.quarter_hour
    where $by <> 'request'
    group by periods.period
),

-- Requests of one instant have the same sums.
sums_by_request as (
    select
        measured_requests.key as period,
        measured_requests.instant_us,
        1 as requests,
        (not measured_requests.is_priced)::bigint as unpriced_requests,
        sums_of_instants.short_sum,
        sums_of_instants.long_sum,
        periods.short_tumbling::double as short_tumbling,
        periods.long_tumbling::double as long_tumbling
    from measured_requests
    inner join (
        select distinct instant_us, short_sum, long_sum from shown_sums
    ) as sums_of_instants on measured_requests.instant_us = sums_of_instants.instant_us
    inner join periods on measured_requests.quarter_hour = periods.quarter_hour
    where $by = 'request'
),

windows as (
    select
        period,
        null as instant_us,
        $hours as window_hours,
        1 as place,
        requests,
        short_peak as peak,
        short_quantiles[1] as p50,
        short_quantiles[2] as p95,
        short_tumbling as tumbling_peak,
        unpriced_requests
    from sums_by_period
    union all
    select
        period,
        null as instant_us,
        $long_hours as window_hours,
        2 as place,
        requests,
        long_peak as peak,
        long_quantiles[1] as p50,
        long_quantiles[2] as p95,
        long_tumbling as tumbling_peak,
        unpriced_requests
    from sums_by_period
    union all
    select
        period,
        instant_us,
        $hours as window_hours,
        1 as place,
        requests,
        short_sum as peak,
        short_sum as p50,
        short_sum as p95,
        short_tumbling as tumbling_peak,
        unpriced_requests
    from sums_by_request
    union all
    select
        period,
        instant_us,
        $long_hours as window_hours,
        2 as place,
        requests,
        long_sum as peak,
        long_sum as p50,
        long_sum as p95,
        long_tumbling as tumbling_peak,
        unpriced_requests
    from sums_by_request
)

select
    period as "by",
    make_timestamptz(instant_us) as ts,
    window_hours::bigint as window_hours,
    requests::bigint as requests,
    peak / unit as peak,
    p50 / unit as p50,
    p95 / unit as p95,
    tumbling_peak / unit as tumbling_peak,
    peak / nullif(tumbling_peak, 0) as peak_per_tumbling,
    unpriced_requests
from (
    select
        windows.*,
        case when $measure = 'cost' then 1e12 else 1 end as unit
    from windows
) as windows_in_units
order by place, instant_us, period
