-- Weeks from an anchor: windows of seven days, as quotas have them
-- A window is 7 x 24 hours long and begins a whole number of windows before or after --anchor: give the instant at
-- which your weekly limit resets. Without it, the newest sample of the weekly quota says so (table quota_samples, of
-- --host where given). Unlike calendar weeks these do not follow the clocks of a zone.
-- start_ts, end_ts       the window's limits: start belongs to it, end does not
-- first_ts, last_ts      times of its first and last request
-- requests, *_tokens     what was made in it; cache_write_tokens is 5m and 1h writes, total_tokens all kinds
-- cost*                  dollars of its priced requests; cost_api = cost_input + cost_output
-- is_active              now is in it
-- projected_tokens       of the active window: total_tokens if it went on at its rate since start_ts until end_ts
-- projected_cost         the same in dollars
-- unpriced_requests      requests whose model has no price, in no cost column
-- --since and --until choose the windows that share an instant with that time; what they hold is shown whole.
-- Windows without any request are left out. With neither anchor nor sample they begin on Mondays 0:00 UTC.
--
-- $anchor timestamp = null: an instant at which a window begins; UTC where it names no zone; default: from samples
-- example: tokenlake windows weeks --anchor 2026-03-04T09:00:00+01:00

with sampled_resets as (
    select
        epoch_us(resets_at) as reset_us,
        row_number() over (order by ts desc, resets_at desc) as place
    from quota_samples
    where "window" = 'seven_day' and ($host is null or host = $host)
),

anchors as (
    select
        coalesce(
            epoch_us($anchor::timestamptz), max(reset_us), epoch_us('2024-01-01 00:00:00+00'::timestamptz)
        ) as anchor_us
    from sampled_resets
    where place = 1
),

placed_requests as (
    select
        epoch_us(ts) as instant_us,
        -- The remainder of a negative number is negative: what lies before the anchor is brought after it.
        epoch_us(ts) - ((epoch_us(ts) - anchor_us) % 604800000000 + 604800000000) % 604800000000 as start_us,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        cost_input_pico,
        cost_output_pico,
        cost_cache_write_pico,
        cost_cache_read_pico,
        cost_web_search_pico,
        cost_api_pico,
        cost_pico,
        is_priced
    from costs
    cross join anchors
    where ts is not null
        -- Seven days more on both sides, so that the outermost windows are whole.
        and ($since is null or ts > make_timestamptz(epoch_us($since::timestamptz) - 604800000000))
        and ($until is null or ts < make_timestamptz(epoch_us($until::timestamptz) + 604800000000))
        and ($host is null or host = $host)
        and ($project is null or contains(lower(project), lower($project)))
        and ($model is null or contains(lower(model), lower($model)))
        and ($session is null or starts_with(session_id, $session))
),

windows as (
    select
        start_us,
        start_us + 604800000000 as end_us,
        epoch_us($now::timestamptz) as now_us,
        min(instant_us) as first_us,
        max(instant_us) as last_us,
        count(*) as requests,
        count(*) filter (not is_priced) as unpriced_requests,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens) as cache_write_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        (sum(cost_input_pico) * 0.000000000001)::decimal(38, 12) as cost_input,
        (sum(cost_output_pico) * 0.000000000001)::decimal(38, 12) as cost_output,
        (sum(cost_cache_write_pico) * 0.000000000001)::decimal(38, 12) as cost_cache_write,
        (sum(cost_cache_read_pico) * 0.000000000001)::decimal(38, 12) as cost_cache_read,
        (sum(cost_web_search_pico) * 0.000000000001)::decimal(38, 12) as cost_web_search,
        (sum(cost_api_pico) * 0.000000000001)::decimal(38, 12) as cost_api,
        (sum(cost_pico) * 0.000000000001)::decimal(38, 12) as cost
    from placed_requests
    group by start_us
),

shown_windows as (
    select
        windows.*,
        input_tokens + output_tokens + cache_write_tokens + cache_read_tokens as total_tokens,
        now_us >= start_us and now_us < end_us as is_active,
        604800000000 / nullif(now_us - start_us, 0) as windows_per_elapsed
    from windows
    where ($since is null or end_us > epoch_us($since::timestamptz))
        and ($until is null or start_us < epoch_us($until::timestamptz))
)

select
    make_timestamptz(start_us) as start_ts,
    make_timestamptz(end_us) as end_ts,
    make_timestamptz(first_us) as first_ts,
    make_timestamptz(last_us) as last_ts,
    requests,
    input_tokens,
    output_tokens,
    cache_write_tokens,
    cache_read_tokens,
    total_tokens,
    cost_input,
    cost_output,
    cost_cache_write,
    cost_cache_read,
    cost_web_search,
    cost_api,
    cost,
    is_active,
    case when is_active then round(total_tokens * windows_per_elapsed)::decimal(38, 0) end as projected_tokens,
    case when is_active then (cost::double * windows_per_elapsed)::decimal(38, 12) end as projected_cost,
    unpriced_requests
from shown_windows
order by start_us
