-- Burn rate: tokens and dollars per minute of every block, projected to its end
-- The blocks are those of `windows blocks --origin all`: they begin at the full UTC hour of their first request.
-- start_ts, end_ts            the block's limits
-- is_active                   now is before its end, and less than --hours after its last request
-- worked_min                  minutes between its first and last request (of those that are counted, with --project,
--                             --model or --session); the rates are per minute and hour of these
-- requests, total_tokens      what was made in it; total_tokens is input, output, cache writes and cache reads
-- io_tokens                   input and output alone
-- cost                        dollars of its priced requests
-- tokens_per_min, io_tokens_per_min, cost_per_hour
--                             total_tokens, io_tokens and cost over the worked time; null for a single instant
-- busiest_hour_tokens         the most total_tokens of one clock hour (UTC) of it
-- recent_tokens_per_min, recent_cost_per_hour
--                             of the active block: the rates of its last --recent minutes before now
-- left_min                    of the active block: minutes from now to its end, rounded
-- projected_tokens, projected_cost
--                             of the active block: what it would hold at its end, at the rates of its worked time
-- recent_projected_tokens     the same at the recent rate
-- tokens_per_median           total_tokens (projected, of the active block) over the median of all finished blocks
-- unpriced_requests           requests whose model has no price: in no dollar figure
-- --since and --until choose blocks by their start; --project, --model and --session choose the requests that are
-- counted, without moving a block; a block without any is not shown.
--
-- $hours integer = 5 {1..87600}: length of a block
-- $recent integer = 30 {1..525600}: minutes that count as recent
-- example: tokenlake windows burn --since 2d
-- example: tokenlake windows burn --recent 10 --since 1d

with measured_requests as (
    select
        epoch_us(ts) as instant_us,
        input_tokens::decimal(38, 0) + output_tokens as io_tokens,
        input_tokens::decimal(38, 0) + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
            as total_tokens,
        cost_pico,
        is_priced,
        ($project is null or contains(lower(project), lower($project)))
            and ($model is null or contains(lower(model), lower($model)))
            and ($session is null or starts_with(session_id, $session)) as is_counted
    from costs
    where ts is not null and ($host is null or host = $host)
),

-- As in windows/blocks: of every hour one tick for its first instant, at which an older block may end, and one for the
-- rest; ticks in spans as long as a block.
ticks as (
    select
        2 * (instant_us // 3600000000) + (instant_us % 3600000000 > 0)::bigint as tick,
        instant_us // ($hours * 3600000000) as span,
        min(instant_us) as first_us,
        max(instant_us) as last_us,
        min(instant_us) filter (is_counted) as first_counted_us,
        max(instant_us) filter (is_counted) as last_counted_us,
        count(*) filter (is_counted) as requests,
        count(*) filter (is_counted and not is_priced) as unpriced_requests,
        sum(io_tokens) filter (is_counted) as io_tokens,
        sum(total_tokens) filter (is_counted) as total_tokens,
        sum(cost_pico) filter (is_counted) as cost_pico
    from measured_requests
    group by 1, 2
),

spans as (
    select
        span,
        list(tick) as ticks
    from ticks
    group by span
),

beginnings as (
    select
        unnest(
            list_reduce(
                list_sort(list(ticks)),
                lambda newest_first, span_ticks: list_concat(
                    list_filter(
                        [
                            list_min(
                                list_filter(
                                    span_ticks,
                                    lambda tick: tick > newest_first[1] - newest_first[1] % 2 + $hours * 2
                                )
                            )
                        ],
                        lambda tick: tick is not null
                    ),
                    newest_first
                ),
                [-1000000000000000000]::bigint[]
            )
        ) as first_tick
    from spans
),

begun as (
    select
        first_tick,
        first_tick // ($hours * 2) as span
    from beginnings
    where first_tick >= 0
),

blocks_of_spans as (
    select
        spans.span,
        begun.first_tick as begun_tick,
        max(begun.first_tick) over (
            order by spans.span
            rows between unbounded preceding and 1 preceding
        ) as earlier_tick
    from spans
    left join begun on spans.span = begun.span
),

placed_ticks as (
    select
        case when ticks.tick >= begun_tick then begun_tick else earlier_tick end as first_tick,
        ticks.tick // 2 as clock_hour,
        ticks.first_us,
        ticks.last_us,
        ticks.first_counted_us,
        ticks.last_counted_us,
        ticks.requests,
        ticks.unpriced_requests,
        coalesce(ticks.io_tokens, 0) as io_tokens,
        coalesce(ticks.total_tokens, 0) as total_tokens,
        ticks.cost_pico
    from ticks
    inner join blocks_of_spans on ticks.span = blocks_of_spans.span
),

clock_hours as (
    select
        first_tick,
        min(first_us) as first_us,
        max(last_us) as last_us,
        min(first_counted_us) as first_counted_us,
        max(last_counted_us) as last_counted_us,
        sum(requests) as requests,
        sum(unpriced_requests) as unpriced_requests,
        sum(io_tokens) as io_tokens,
        sum(total_tokens) as total_tokens,
        sum(cost_pico) as cost_pico
    from placed_ticks
    group by first_tick, clock_hour
),

blocks as (
    select
        first_tick // 2 * 3600000000 as start_us,
        $hours * 3600000000 as length_us,
        epoch_us($now::timestamptz) as now_us,
        max(last_us) as last_us,
        (max(last_counted_us) - min(first_counted_us)) / 60000000.0 as worked_min,
        sum(requests)::bigint as requests,
        sum(unpriced_requests)::bigint as unpriced_requests,
        sum(io_tokens) as io_tokens,
        sum(total_tokens) as total_tokens,
        max(total_tokens) as busiest_hour_tokens,
        (sum(cost_pico) * 0.000000000001)::decimal(38, 12) as cost
    from clock_hours
    group by first_tick
),

rated_blocks as (
    select
        blocks.*,
        now_us >= start_us and now_us < start_us + length_us and now_us - last_us < length_us as is_active,
        round((start_us + length_us - now_us) / 60000000.0) as left_min,
        total_tokens / nullif(worked_min, 0) as tokens_per_min,
        io_tokens / nullif(worked_min, 0) as io_tokens_per_min,
        cost::double * 60 / nullif(worked_min, 0) as cost_per_hour
    from blocks
    where requests > 0
),

finished as (
    select quantile_cont(total_tokens::double, 0.5) as median_tokens
    from rated_blocks
    where not is_active and start_us <= now_us
),

recent_requests as (
    select
        epoch_us(ts) as instant_us,
        input_tokens::decimal(38, 0) + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
            as total_tokens,
        cost_pico
    from costs
    where ts > make_timestamptz(epoch_us($now::timestamptz) - $recent::bigint * 60000000)
        and ts <= $now
        and ($host is null or host = $host)
        and ($project is null or contains(lower(project), lower($project)))
        and ($model is null or contains(lower(model), lower($model)))
        and ($session is null or starts_with(session_id, $session))
),

-- What of these is in the active block; one row also where there is none.
recent as (
    select
        coalesce(sum(recent_requests.total_tokens), 0) as recent_tokens,
        coalesce(sum(recent_requests.cost_pico), 0) * 0.000000000001 as recent_cost,
        -- A block that has begun since has had less time.
        least($recent * 1.0, (max(rated_blocks.now_us) - max(rated_blocks.start_us)) / 60000000.0) as recent_min
    from rated_blocks
    left join recent_requests on recent_requests.instant_us >= rated_blocks.start_us
    where rated_blocks.is_active
),

projected_blocks as (
    select
        rated_blocks.*,
        case when is_active then recent_tokens / nullif(recent_min, 0) end as recent_tokens_per_min,
        case when is_active then recent_cost * 60 / nullif(recent_min, 0) end as recent_cost_per_hour,
        case when is_active then total_tokens + tokens_per_min * left_min end as projected_tokens,
        case when is_active then cost::double + cost_per_hour / 60 * left_min end as projected_cost,
        case when is_active then total_tokens + recent_tokens / nullif(recent_min, 0) * left_min end
            as recent_projected_tokens
    from rated_blocks
    cross join recent
)

select
    make_timestamptz(start_us) as start_ts,
    make_timestamptz(start_us + length_us) as end_ts,
    is_active,
    worked_min,
    requests,
    total_tokens,
    io_tokens,
    cost,
    tokens_per_min,
    io_tokens_per_min,
    cost_per_hour::decimal(38, 12) as cost_per_hour,
    busiest_hour_tokens,
    recent_tokens_per_min::double as recent_tokens_per_min,
    recent_cost_per_hour::decimal(38, 12) as recent_cost_per_hour,
    case when is_active then left_min::bigint end as left_min,
    round(projected_tokens)::decimal(38, 0) as projected_tokens,
    projected_cost::decimal(38, 12) as projected_cost,
    round(recent_projected_tokens)::decimal(38, 0) as recent_projected_tokens,
    coalesce(projected_tokens, total_tokens) / nullif(median_tokens, 0) as tokens_per_median,
    unpriced_requests
from projected_blocks
cross join finished
where ($since is null or start_us >= epoch_us($since::timestamptz))
    and ($until is null or start_us < epoch_us($until::timestamptz))
order by start_us
