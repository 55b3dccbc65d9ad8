-- Long context: requests above 200,000 tokens of context, by version or day
-- context = input + cache writes + cache reads of a request.
-- long_requests        requests whose context exceeds --above; long_share is of the row's requests
-- reads_per_request    cache reads / requests: what one request reads again, whatever its size
-- long_read_tokens     cache reads of the long requests; long_cost their cost in dollars
-- cost, long_cost      leave out unpriced_requests
--
-- $by text = 'version' {none|version|day|model|project|session}: what a row of the result stands for
-- $by_version boolean = false: a row for each version in it
-- $above integer = 200000 {0..1000000000000}: tokens of context beyond which a request is long
-- example: tokenlake behaviour long-context --by day --by-version --since 30d
-- example: tokenlake behaviour long-context --above 100000

-- Zones are whole quarter hours off UTC since 2012, before any log: these are moved to local days, not each request.
-- They are rounded down, also before 1970.
with quarter_hours as (
    select
        case
            when $by = 'day' then epoch_us(ts) // 900000000 - case when epoch_us(ts) % 900000000 < 0 then 1 else 0 end
        end as quarter_hour,
        case $by
            when 'none' then 'all'
            when 'version' then coalesce(version, '(none)')
            when 'model' then coalesce(model, '(none)')
            when 'project' then coalesce(project, '(none)')
            when 'session' then coalesce(session_id, '(none)')
        end as name,
        case when $by_version then coalesce(version, '(none)') else 'all' end as version,
        min(ts) as ts,
        count(*) as requests,
        count(*) filter (context_tokens > $above) as long_requests,
        sum(context_tokens) as context_tokens,
        max(context_tokens) as largest_context_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        coalesce(sum(cache_read_tokens) filter (context_tokens > $above), 0) as long_read_tokens,
        sum(cost) as cost,
        sum(cost) filter (context_tokens > $above) as long_cost,
        count(*) filter (not is_priced) as unpriced_requests
    from selected_costs
    group by 1, 2, 3
),

groups as (
    select
        case when $by = 'day' then strftime(ts at time zone $tz, '%Y-%m-%d') else name end as name,
        version,
        sum(requests)::bigint as requests,
        sum(long_requests)::bigint as long_requests,
        sum(context_tokens) as context_tokens,
        max(largest_context_tokens) as largest_context_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(long_read_tokens) as long_read_tokens,
        sum(cost) as cost,
        sum(long_cost) as long_cost,
        sum(unpriced_requests)::bigint as unpriced_requests,
        min(ts) as first_ts
    from quarter_hours
    group by 1, 2
)

select
    name as "by",
    version,
    requests,
    long_requests,
    long_requests::double / nullif(requests, 0) as long_share,
    context_tokens::double / nullif(requests, 0) as context_per_request,
    largest_context_tokens,
    cache_read_tokens,
    cache_read_tokens::double / nullif(requests, 0) as reads_per_request,
    long_read_tokens,
    cost,
    case when long_requests = 0 then 0 else long_cost end as long_cost,
    unpriced_requests
from groups
-- Days and versions in the order of their first request, the others by their long requests.
order by
    case when $by in ('day', 'version') then first_ts end,
    long_requests desc,
    requests desc,
    "by",
    version
