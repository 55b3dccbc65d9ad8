-- Rolling windows: what the last 5 hours and 7 days held, at every request
-- The sum at a request made at t is over (t - window, t]: it and all others of that instant are in, one made exactly a
-- window earlier is out. Each row stands for one window length; the sums of its requests are summed up as
-- window_hours        length of the window: --hours, then --long-hours
-- ts                  with --by request: its time
-- requests            requests made in the day or hour
-- peak, p50, p95      largest, median and 95th percentile of the sums at these requests
-- tumbling_peak       beside it, the largest total of the fixed windows of that length, laid end to end from Monday
--                     2000-01-03 0:00 UTC, in which these requests were made: what a count by fixed windows would have shown
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
        -- Wide from the first sum on: a single count may fill 64 bits.
        case $measure
            when 'total'
                then input_tokens::decimal(38, 0) + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens
                    + cache_read_tokens
            when 'input' then input_tokens
            when 'output' then output_tokens
            when 'cache-write' then cache_write_5m_tokens::decimal(38, 0) + cache_write_1h_tokens
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
        case when $by = 'request' then key end as key,
        epoch_us(ts) as instant_us,
        -- Rounded down, also before 1970, as all slices, quarter hours and windows are.
        epoch_us(ts) // 30000000 - case when epoch_us(ts) % 30000000 < 0 then 1 else 0 end as slice,
        amount,
        is_counted,
        ($since is null or ts >= $since) and ($until is null or ts < $until) as is_shown
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

-- A request enters a window when it is made, and leaves it when the window's length has passed. Windows are whole hours
-- long, so what enters in a slice of half a minute leaves in one slice. The sum of a window at the beginning of a slice is
-- that of all slices before; at any request of the slice it is at least that less all that leaves in the slice, and at
-- most that and all that enters. Of most slices this is enough to know that they hold neither the peak nor the median
-- nor the 95th percentile of their day: the requests of the few others alone are put in order.
slices as (
    select
        slice,
        sum(amount) as amount,
        count(*) filter (is_shown) as requests,
        count(*) filter (is_shown and not is_counted) as unpriced_requests
    from measured_requests
    group by slice
),

lengths (place, hours) as (
    values (1, $hours::bigint), (2, $long_hours::bigint)
),

slice_changes as (
    select
        lengths.place,
        slices.slice,
        slices.amount as entering,
        0 as leaving,
        slices.requests,
        slices.unpriced_requests
    from slices
    cross join lengths
    union all
    select
        lengths.place,
        slices.slice + lengths.hours * 120 as slice,
        0 as entering,
        slices.amount as leaving,
        0 as requests,
        0 as unpriced_requests
    from slices
    cross join lengths
),

slice_sums as (
    select
        place,
        slice,
        entering,
        leaving,
        requests,
        unpriced_requests,
        coalesce(
            sum(entering - leaving) over (
                partition by place
                order by slice
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as sum_before
    from (
        select
            place,
            slice,
            sum(entering) as entering,
            sum(leaving) as leaving,
            max(requests) as requests,
            max(unpriced_requests) as unpriced_requests
        from slice_changes
        group by place, slice
    ) as changes
),

-- Days and fixed windows are made of quarter hours: since 2012, before any log, zones are whole numbers of these off UTC.
slice_quarter_hours as (
    select
        slice,
        slice // 30 - case when slice % 30 < 0 then 1 else 0 end as quarter_hour,
        amount
    from slices
),

quarter_hours as (
    select
        quarter_hour,
        make_timestamptz(quarter_hour * 900000000) at time zone $tz as local_time,
        -- 384 quarter hours after the instant 0 it was Monday.
        (quarter_hour - 384) // ($hours * 4) - case when (quarter_hour - 384) % ($hours * 4) < 0 then 1 else 0 end
            as short_window,
        (quarter_hour - 384) // ($long_hours * 4)
            - case when (quarter_hour - 384) % ($long_hours * 4) < 0 then 1 else 0 end as long_window,
        sum(amount) as amount
    from slice_quarter_hours
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

shown_slices as (
    select
        slice_sums.place,
        periods.period,
        slice_sums.slice,
        slice_sums.requests,
        slice_sums.unpriced_requests,
        slice_sums.sum_before,
        slice_sums.sum_before - slice_sums.leaving as least_sum,
        slice_sums.sum_before + slice_sums.entering as most_sum,
        case when slice_sums.place = 1 then periods.short_tumbling else periods.long_tumbling end as tumbling
    from slice_sums
    inner join slice_quarter_hours on slice_sums.slice = slice_quarter_hours.slice
    inner join periods on slice_quarter_hours.quarter_hour = periods.quarter_hour
    where slice_sums.requests > 0
),

period_sums as (
    select
        place,
        period,
        sum(requests) as requests,
        sum(unpriced_requests) as unpriced_requests,
        max(tumbling) as tumbling
    from shown_slices
    where $by <> 'request'
    group by place, period
),

-- A quantile lies at a position among the sums in their order, from 0: between two of them, if it is no whole number.
quantiles as (
    select
        period_sums.place,
        period_sums.period,
        shares.name,
        (period_sums.requests - 1) * shares.share::double as position
    from period_sums
    cross join (values ('p50', 0.5), ('p95', 0.95), ('peak', 1)) as shares (name, share)
),

counted_slices as (
    select
        shown_slices.*,
        sum(requests) over (partition by place, period order by least_sum rows unbounded preceding)
            as requests_to_least,
        sum(requests) over (partition by place, period order by most_sum rows unbounded preceding) as requests_to_most
    from shown_slices
    where $by <> 'request'
),

-- The quantile is at least the sum that stood there if all were their slice's least, and at most that of the most.
bounds as (
    select
        quantiles.place,
        quantiles.period,
        quantiles.name,
        quantiles.position,
        min(least_sum) filter (requests_to_least > floor(quantiles.position)) as least_sum,
        min(most_sum) filter (requests_to_most > ceil(quantiles.position)) as most_sum
    from quantiles
    inner join counted_slices on quantiles.place = counted_slices.place and quantiles.period = counted_slices.period
    group by quantiles.place, quantiles.period, quantiles.name, quantiles.position
),

-- How many sums are surely below each quantile ...
places as (
    select
        bounds.place,
        bounds.period,
        bounds.name,
        bounds.position,
        coalesce(sum(shown_slices.requests) filter (shown_slices.most_sum < bounds.least_sum), 0) as requests_below
    from bounds
    inner join shown_slices on bounds.place = shown_slices.place and bounds.period = shown_slices.period
    group by bounds.place, bounds.period, bounds.name, bounds.position
),

-- ... and the slices in which it may be.
quantile_slices as (
    select
        bounds.place,
        bounds.period,
        bounds.name,
        shown_slices.slice,
        shown_slices.sum_before
    from bounds
    inner join shown_slices
        on bounds.place = shown_slices.place
        and bounds.period = shown_slices.period
        and shown_slices.most_sum >= bounds.least_sum
        and shown_slices.least_sum <= bounds.most_sum
),

sought_slices as (
    select place, slice, sum_before from quantile_slices
    union
    select place, slice, sum_before from shown_slices where $by = 'request'
),

-- What enters in these slices, and what leaves in them, a window's length after it was made.
changes as (
    select
        place,
        slice,
        sum_before,
        slice as made_in_slice,
        0 as later_us,
        1 as sign
    from sought_slices
    union all
    select
        sought_slices.place,
        sought_slices.slice,
        sought_slices.sum_before,
        sought_slices.slice - lengths.hours * 120 as made_in_slice,
        lengths.hours * 3600000000 as later_us,
        -1 as sign
    from sought_slices
    inner join lengths on sought_slices.place = lengths.place
),

-- Without a frame of its own a running sum takes in all changes of an instant, as it must: no order among them counts.
running_sums as (
    select
        changes.place,
        changes.slice,
        changes.sign > 0 and measured_requests.is_shown as is_shown,
        measured_requests.key,
        measured_requests.instant_us,
        measured_requests.is_counted,
        changes.sum_before + sum(changes.sign * measured_requests.amount) over (
            partition by changes.place, changes.slice
            order by measured_requests.instant_us + changes.later_us
        ) as window_sum
    from measured_requests
    inner join changes on measured_requests.slice = changes.made_in_slice
),

ordered_sums as (
    select
        quantile_slices.place,
        quantile_slices.period,
        quantile_slices.name,
        running_sums.window_sum,
        row_number() over (
            partition by quantile_slices.place, quantile_slices.period, quantile_slices.name
            order by running_sums.window_sum
        ) as number
    from running_sums
    inner join quantile_slices
        on running_sums.place = quantile_slices.place and running_sums.slice = quantile_slices.slice
    where running_sums.is_shown
),

-- The two sums between which the position lies: one, where it is a whole number.
neighbours as (
    select
        places.place,
        places.period,
        places.name,
        places.position,
        min(window_sum) filter (requests_below + number = floor(position) + 1) as lower_sum,
        min(window_sum) filter (requests_below + number = ceil(position) + 1) as upper_sum
    from places
    inner join ordered_sums
        on places.place = ordered_sums.place
        and places.period = ordered_sums.period
        and places.name = ordered_sums.name
    group by places.place, places.period, places.name, places.position
),

found as (
    select
        place,
        period,
        name,
        lower_sum::double + (upper_sum - lower_sum)::double * (position - floor(position)) as window_sum
    from neighbours
),

windows as (
    select
        period_sums.place,
        period_sums.period,
        null as instant_us,
        period_sums.requests,
        peaks.window_sum as peak,
        medians.window_sum as p50,
        high.window_sum as p95,
        period_sums.tumbling::double as tumbling_peak,
        period_sums.unpriced_requests
    from period_sums
    inner join found as peaks
        on period_sums.place = peaks.place and period_sums.period = peaks.period and peaks.name = 'peak'
    inner join found as medians
        on period_sums.place = medians.place and period_sums.period = medians.period and medians.name = 'p50'
    inner join found as high
        on period_sums.place = high.place and period_sums.period = high.period and high.name = 'p95'
    union all
    select
        running_sums.place,
        running_sums.key as period,
        running_sums.instant_us,
        1 as requests,
        running_sums.window_sum::double as peak,
        running_sums.window_sum::double as p50,
        running_sums.window_sum::double as p95,
        shown_slices.tumbling::double as tumbling_peak,
        case when running_sums.is_counted then 0 else 1 end as unpriced_requests
    from running_sums
    inner join shown_slices on running_sums.place = shown_slices.place and running_sums.slice = shown_slices.slice
    where $by = 'request' and running_sums.is_shown
)

select
    period as "by",
    make_timestamptz(instant_us) as ts,
    case when place = 1 then $hours else $long_hours end::bigint as window_hours,
    requests,
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
