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
-- unpriced_requests   with --measure cost: of the requests, those whose model has no price; they are not in any sum
-- The unit is that of --measure: tokens, requests, or dollars. total = input + output + cache-write + cache-read.
-- --by request: a row for each request and window; `by` is its key, and the sum stands in peak, p50 and p95 alike.
-- --since and --until choose the rows that are shown; the sums reach back beyond them.
--
-- $by text = 'day' {day|hour|request}: what a row stands for, beside the window
-- $measure text = 'total' {total|input|output|cache-write|cache-read|requests|cost}: what is summed
-- $hours integer = 5 {1..87600}: hours of the short window
-- $long_hours integer = 168 {1..87600}: hours of the long window
-- example: tokenlake windows rolling --since 30d
-- example: tokenlake windows rolling --measure cost --hours 24 --by hour --since 7d

-- Only dollars need the prices: each branch of this union is empty unless it is asked for.
with amounts as (
    select
        key,
        ts,
        host,
        project,
        model,
        session_id,
        case $measure
            when 'total'
                then input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
            when 'input' then input_tokens
            when 'output' then output_tokens
            when 'cache-write' then cache_write_5m_tokens + cache_write_1h_tokens
            when 'cache-read' then cache_read_tokens
            else 1
        end as amount,
        true as is_counted
    from deduped
    where $measure <> 'cost'
    union all
    select
        key,
        ts,
        host,
        project,
        model,
        session_id,
        -- Whole picodollars, so that what enters a sum leaves it to the last digit.
        coalesce(cost_pico, 0) as amount,
        is_priced as is_counted
    from costs
    where $measure = 'cost'
),

measured_requests as (
    select
        key,
        epoch_us(ts) as instant_us,
        epoch_us(ts) // 900000000 as quarter_hour,
        epoch_us(ts) // 10000000 as slice,
        amount,
        is_counted
    from amounts
    where ts is not null
        -- A long window before the first row shown and one after the last: what lies beyond is in none of their sums.
        and ($since is null or ts > make_timestamptz(epoch_us($since::timestamptz) - greatest($hours, $long_hours) * 3600000000))
        and ($until is null or ts < make_timestamptz(epoch_us($until::timestamptz) + greatest($hours, $long_hours) * 3600000000))
        and ($host is null or host = $host)
        and ($project is null or contains(lower(project), lower($project)))
        and ($model is null or contains(lower(model), lower($model)))
        and ($session is null or starts_with(session_id, $session))
),

-- A request enters a window when it is made, with its amount, and leaves it, with the amount below zero, when the
-- window's length has passed. The running sum of these changes is made within slices of ten seconds, on top of the sum
-- of all slices before: to sort slices takes far less than to sort all. Without a frame of its own a running sum takes
-- in all changes of an instant, as it must: no order among them counts.
slices as (
    select
        slice,
        sum(amount) as amount
    from measured_requests
    group by slice
),

short_changes as (
    select
        instant_us,
        slice,
        amount as change
    from measured_requests
    union all
    select
        instant_us + $hours * 3600000000 as instant_us,
        slice + $hours * 360 as slice,
        -amount as change
    from measured_requests
    where amount > 0
),

short_slices as (
    select
        slice,
        sum(amount) over (order by slice rows between unbounded preceding and 1 preceding) as sum_before
    from (
        select
            slice,
            sum(amount) as amount
        from (
            select
                slice,
                amount
            from slices
            union all
            select
                slice + $hours * 360 as slice,
                -amount as amount
            from slices
        ) as entered_and_left
        group by slice
    ) as slice_changes
),

short_sums_in_slices as (
    select
        instant_us,
        slice,
        change,
        sum(change) over (partition by slice order by instant_us) as sum_within
    from short_changes
),

short_sums as (
    select
        sums.instant_us,
        sums.change,
        coalesce(short_slices.sum_before, 0) + sums.sum_within as window_sum
    from short_sums_in_slices as sums
    inner join short_slices on sums.slice = short_slices.slice
),

long_changes as (
    select
        instant_us,
        slice,
        amount as change
    from measured_requests
    union all
    select
        instant_us + $long_hours * 3600000000 as instant_us,
        slice + $long_hours * 360 as slice,
        -amount as change
    from measured_requests
    where amount > 0
),

long_slices as (
    select
        slice,
        sum(amount) over (order by slice rows between unbounded preceding and 1 preceding) as sum_before
    from (
        select
            slice,
            sum(amount) as amount
        from (
            select
                slice,
                amount
            from slices
            union all
            select
                slice + $long_hours * 360 as slice,
                -amount as amount
            from slices
        ) as entered_and_left
        group by slice
    ) as slice_changes
),

long_sums_in_slices as (
    select
        instant_us,
        slice,
        change,
        sum(change) over (partition by slice order by instant_us) as sum_within
    from long_changes
),

long_sums as (
    select
        sums.instant_us,
        sums.change,
        coalesce(long_slices.sum_before, 0) + sums.sum_within as window_sum
    from long_sums_in_slices as sums
    inner join long_slices on sums.slice = long_slices.slice
),

-- Every zone is a whole number of quarter hours off UTC: days and fixed windows are made of these.
quarter_hours as (
    select
        quarter_hour,
        make_timestamptz(quarter_hour * 900000000) at time zone $tz as local_time,
        -- 384 quarter hours after the instant 0 it was Monday.
        (quarter_hour - 384) // ($hours * 4) as short_window,
        (quarter_hour - 384) // ($long_hours * 4) as long_window,
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

sums_in_periods as (
    select
        1 as place,
        periods.period,
        short_sums.window_sum::double as window_sum,
        periods.short_tumbling::double as tumbling
    from short_sums
    inner join periods on short_sums.instant_us // 900000000 = periods.quarter_hour
    where $by <> 'request'
        -- What leaves is below zero.
        and short_sums.change >= 0
        and ($since is null or short_sums.instant_us >= epoch_us($since::timestamptz))
        and ($until is null or short_sums.instant_us < epoch_us($until::timestamptz))
    union all
    select
        2 as place,
        periods.period,
        long_sums.window_sum::double as window_sum,
        periods.long_tumbling::double as tumbling
    from long_sums
    inner join periods on long_sums.instant_us // 900000000 = periods.quarter_hour
    where $by <> 'request'
        -- What leaves is below zero.
        and long_sums.change >= 0
        and ($since is null or long_sums.instant_us >= epoch_us($since::timestamptz))
        and ($until is null or long_sums.instant_us < epoch_us($until::timestamptz))
),

-- Over a partition the quantiles hold one period at a time; as sums of a group they would hold all of them.
quantiles_in_periods as (
    select
        place,
        period,
        window_sum,
        tumbling,
        quantile_cont(window_sum, [0.5, 0.95]) over (partition by place, period) as quantiles
    from sums_in_periods
),

sums_by_period as (
    select
        place,
        period,
        count(*) as requests,
        max(window_sum) as peak,
        max(quantiles[1]) as p50,
        max(quantiles[2]) as p95,
        max(tumbling) as tumbling_peak
    from quantiles_in_periods
    group by place, period
),

-- Requests of one instant have the same sums.
sums_of_instants as (
    select distinct
        1 as place,
        instant_us,
        window_sum::double as window_sum
    from short_sums
    where $by = 'request' and change >= 0
    union all
    select distinct
        2 as place,
        instant_us,
        window_sum::double as window_sum
    from long_sums
    where $by = 'request' and change >= 0
),

unpriced_by_period as (
    select
        periods.period,
        count(*) as unpriced_requests
    from measured_requests
    inner join periods on measured_requests.quarter_hour = periods.quarter_hour
    where not measured_requests.is_counted
        and ($since is null or measured_requests.instant_us >= epoch_us($since::timestamptz))
        and ($until is null or measured_requests.instant_us < epoch_us($until::timestamptz))
    group by periods.period
),

windows as (
    select
        sums_by_period.place,
        sums_by_period.period,
        null as instant_us,
        sums_by_period.requests,
        sums_by_period.peak,
        sums_by_period.p50,
        sums_by_period.p95,
        sums_by_period.tumbling_peak,
        coalesce(unpriced_by_period.unpriced_requests, 0) as unpriced_requests
    from sums_by_period
    left join unpriced_by_period on sums_by_period.period = unpriced_by_period.period
    union all
    select
        sums_of_instants.place,
        measured_requests.key as period,
        measured_requests.instant_us,
        1 as requests,
        sums_of_instants.window_sum as peak,
        sums_of_instants.window_sum as p50,
        sums_of_instants.window_sum as p95,
        case when sums_of_instants.place = 1 then periods.short_tumbling else periods.long_tumbling end::double
            as tumbling_peak,
        (not measured_requests.is_counted)::bigint as unpriced_requests
    from measured_requests
    inner join sums_of_instants on measured_requests.instant_us = sums_of_instants.instant_us
    inner join periods on measured_requests.quarter_hour = periods.quarter_hour
    where $by = 'request'
        and ($since is null or measured_requests.instant_us >= epoch_us($since::timestamptz))
        and ($until is null or measured_requests.instant_us < epoch_us($until::timestamptz))
)

select
    period as "by",
    make_timestamptz(instant_us) as ts,
    case when place = 1 then $hours else $long_hours end::bigint as window_hours,
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
