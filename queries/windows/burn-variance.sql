-- Burn variance: how fast each window of a quota was used, and how rates differ
-- Needs samples of the quota, which no transcript holds: a status line keeps them in quota-samples.jsonl. A window is
-- all samples of one quota (five_hour, seven_day ...) that end at one instant.
-- resets_at            when the window ends
-- first_ts, last_ts    from its last sample of the least percentage to its first sample of the greatest, which is the
--                      earlier one where the percentage did not rise
-- hours                the time between the two
-- first_percentage, last_percentage, used_percentage   at these two, and the difference
-- percent_per_hour     used_percentage / hours; null where the percentage did not rise, or fell back
-- times_slowest        percent_per_hour / the least of all windows of this quota that are shown
-- percent_confidence   official: the percentages are the account's own
-- requests, total_tokens, cost   what the lake holds after first_ts and up to last_ts; cost without unpriced_requests
-- *_per_percent        these / used_percentage
-- counts_confidence    local estimate: what other machines and programs used of the quota is not in the lake
-- unpriced_requests    requests whose model has no price, in no dollar figure
-- --since and --until choose the windows that were used in that time, and show them whole; --project, --model and
-- --session choose the requests that are counted; --host both the samples and the requests.
--
-- $window text = 'any' {any|five_hour|seven_day}: only windows of this quota
-- $by text = 'none' {none|host}: the account as a whole, or the samples and requests of each machine apart
-- example: tokenlake windows burn-variance --since 30d
-- example: tokenlake windows burn-variance --window five_hour

with samples as (
    select
        case when $by = 'host' then coalesce(host, '(none)') else 'all' end as account,
        "window" as quota,
        epoch_us(resets_at) as resets_us,
        epoch_us(ts) as instant_us,
        used_percentage
    from quota_samples
    where $window in ('any', "window")
        and ($host is null or host = $host)
),

extremes as (
    select
        account,
        quota,
        resets_us,
        count(*) as samples,
        min(used_percentage) as first_percentage,
        max(used_percentage) as last_percentage
    from samples
    group by account, quota, resets_us
),

rises as (
    select
        extremes.account,
        extremes.quota,
        extremes.resets_us,
        extremes.samples,
        extremes.first_percentage,
        extremes.last_percentage,
        max(case when samples.used_percentage = extremes.first_percentage then samples.instant_us end) as first_us,
        min(case when samples.used_percentage = extremes.last_percentage then samples.instant_us end) as last_us
    from extremes
    inner join samples
        on extremes.account = samples.account
        and extremes.quota = samples.quota
        and extremes.resets_us = samples.resets_us
    group by
        extremes.account,
        extremes.quota,
        extremes.resets_us,
        extremes.samples,
        extremes.first_percentage,
        extremes.last_percentage
),

shown_windows as (
    select
        rises.*,
        last_percentage - first_percentage as used_percentage,
        case when last_us > first_us then (last_us - first_us) / 3600000000.0 end as hours
    from rises
    where ($since is null or greatest(first_us, last_us) >= epoch_us($since::timestamptz))
        and ($until is null or least(first_us, last_us) < epoch_us($until::timestamptz))
),

counted_requests as (
    select
        case when $by = 'host' then coalesce(host, '(none)') else 'all' end as account,
        epoch_us(ts) as instant_us,
        input_tokens::decimal(38, 0) + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
            as total_tokens,
        cost_pico,
        is_priced
    from costs
    where ($host is null or host = $host)
        and ($project is null or contains(lower(project), lower($project)))
        and ($model is null or contains(lower(model), lower($model)))
        and ($session is null or starts_with(session_id, $session))
),

sums as (
    select
        shown_windows.account,
        shown_windows.quota,
        shown_windows.resets_us,
        count(*) as requests,
        count(*) filter (not is_priced) as unpriced_requests,
        sum(total_tokens) as total_tokens,
        (sum(cost_pico) * 0.000000000001)::decimal(38, 12) as cost
    from shown_windows
    inner join counted_requests
        on shown_windows.account = counted_requests.account
        and counted_requests.instant_us > shown_windows.first_us
        and counted_requests.instant_us <= shown_windows.last_us
    group by shown_windows.account, shown_windows.quota, shown_windows.resets_us
),

rated_windows as (
    select
        shown_windows.*,
        used_percentage / hours as percent_per_hour,
        coalesce(sums.requests, 0) as requests,
        coalesce(sums.unpriced_requests, 0) as unpriced_requests,
        coalesce(sums.total_tokens, 0) as total_tokens,
        sums.cost
    from shown_windows
    left join sums
        on shown_windows.account = sums.account
        and shown_windows.quota = sums.quota
        and shown_windows.resets_us = sums.resets_us
)

select
    quota as "window",
    make_timestamptz(resets_us) as resets_at,
    make_timestamptz(first_us) as first_ts,
    make_timestamptz(last_us) as last_ts,
    samples,
    first_percentage,
    last_percentage,
    used_percentage,
    hours::double as hours,
    percent_per_hour::double as percent_per_hour,
    (percent_per_hour / min(percent_per_hour) over (partition by account, quota))::double as times_slowest,
    'official' as percent_confidence,
    requests,
    total_tokens,
    cost,
    requests / nullif(used_percentage, 0) as requests_per_percent,
    total_tokens / nullif(used_percentage, 0) as tokens_per_percent,
    (cost::double / nullif(used_percentage, 0))::decimal(38, 12) as cost_per_percent,
    'local estimate' as counts_confidence,
    unpriced_requests,
    account as host
from rated_windows
order by quota, resets_us, account
