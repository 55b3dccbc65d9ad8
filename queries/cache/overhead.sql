-- Cache overhead: cache traffic beside the tokens of the work itself
-- io = input + output; writes = 5m + 1h cache writes; context = input + writes + reads; total = io + writes + reads.
-- reads_per_io             reads / io
-- overhead_per_io          (reads + writes) / io
-- cache_token_share        (reads + writes) / total
-- reads_per_total          reads / total
-- reads_per_reads_and_io   reads / (reads + io)
-- hit_ratio                reads / context
-- rewrite_factor           writes / the sum of each session's largest context in the row; 1.0 is ideal
-- partial_output_share     share of requests whose output was never finalised: there, output is a lower bound
-- --by context-decile: ten groups of requests by context, 1 the smallest. --by turn: number of the request in its session.
--
-- $by text = 'none' {none|day|week|month|hour|project|session|model|version|host|thread|context-decile|turn}: what a row of the result stands for
-- $week_start text = 'monday' {monday|sunday}: first day of a week
-- example: tokenlake cache overhead --by day --since 30d

-- Each branch of this union is empty unless its grouping is asked for, so that only one is computed.
with placed_requests as (
    select selected.*, null::bigint as place
    from selected
    where $by not in ('context-decile', 'turn')
    union all
    select selected.*, ntile(10) over (order by context_tokens, key, file_id, "offset") as place
    from selected
    where $by = 'context-decile'
    union all
    select selected.*, row_number() over (partition by session_id order by ts, key, file_id, "offset") as place
    from selected
    where $by = 'turn'
),

-- Groups stay typed here and are worded at the end: a text per request would cost more than all the sums.
grouped_requests as (
    select
        place,
        case $by
            when 'hour' then date_trunc('hour', ts at time zone $tz)
            when 'day' then date_trunc('day', ts at time zone $tz)
            when 'month' then date_trunc('month', ts at time zone $tz)
            when 'week' then
                case
                    when $week_start = 'monday' then date_trunc('week', ts at time zone $tz)
                    else date_trunc('week', (ts at time zone $tz) + interval 1 day) - interval 1 day
                end
        end as period,
        case $by
            when 'project' then project
            when 'session' then session_id
            when 'model' then model
            when 'version' then version
            when 'host' then host
            when 'thread' then case when is_sidechain then 'subagent' else 'main' end
        end as name,
        session_id,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        context_tokens,
        output_is_partial
    from placed_requests
),

-- By session first, for the largest context of each.
sessions_in_group as (
    select
        place,
        period,
        name,
        session_id,
        count(*) as requests,
        count(*) filter (output_is_partial) as partial_requests,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
        sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        max(context_tokens) as largest_context_tokens
    from grouped_requests
    group by place, period, name, session_id
),

token_sums as (
    select
        place,
        period,
        name,
        sum(requests)::bigint as requests,
        sum(partial_requests)::bigint as partial_requests,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(input_tokens + output_tokens)::bigint as io_tokens,
        sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
        sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
        sum(cache_write_5m_tokens + cache_write_1h_tokens)::bigint as write_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        sum(largest_context_tokens)::bigint as largest_context_tokens
    from sessions_in_group
    group by place, period, name
),

totals as (
    select
        token_sums.*,
        io_tokens + write_tokens + cache_read_tokens as total_tokens
    from token_sums
)

select
    case
        when $by = 'none' then 'all'
        when $by = 'hour' then strftime(period, '%Y-%m-%d %H:00')
        when $by = 'month' then strftime(period, '%Y-%m')
        when $by in ('day', 'week') then strftime(period, '%Y-%m-%d')
        when $by in ('context-decile', 'turn') then place::varchar
        else coalesce(name, '(none)')
    end as "by",
    requests,
    input_tokens,
    output_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    cache_read_tokens,
    total_tokens,
    cache_read_tokens::double / nullif(io_tokens, 0) as reads_per_io,
    (cache_read_tokens + write_tokens)::double / nullif(io_tokens, 0) as overhead_per_io,
    (cache_read_tokens + write_tokens)::double / nullif(total_tokens, 0) as cache_token_share,
    cache_read_tokens::double / nullif(total_tokens, 0) as reads_per_total,
    cache_read_tokens::double / nullif(cache_read_tokens + io_tokens, 0) as reads_per_reads_and_io,
    cache_read_tokens::double / nullif(total_tokens - output_tokens, 0) as hit_ratio,
    write_tokens::double / nullif(largest_context_tokens, 0) as rewrite_factor,
    partial_requests::double / nullif(requests, 0) as partial_output_share
from totals
-- Periods and places in their order, names by size.
order by
    period,
    place,
    case when $by in ('project', 'session', 'model', 'version', 'host', 'thread') then -total_tokens end,
    "by"
