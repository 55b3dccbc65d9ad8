-- Tools: calls, errors, result sizes and times of every tool
-- errors are results that say so, refused calls left out; denied_calls were refused by the user or by a rule.
-- unanswered_calls have no result in the logs; error_share is errors / calls.
-- result_bytes is what went back into the context, as logged: a text, or the JSON of its blocks (with their quotes,
-- and images as base64); largest_result_bytes the largest of one call; median and p95 are over calls with a result.
-- duration_ms is the time from the call to its result: it includes the wait for a permission, and calls made together
-- overlap, so their sum can exceed the time that passed. Days are local days of the call.
-- --by server: the MCP server of a tool, or "built in". --by project, model, version: those of the request.
--
-- $by text = 'tool' {none|tool|server|day|session|thread|project|model|version}: what a row of the result stands for
-- example: tokenlake behaviour tools --since 30d

with owners as (
    select
        key,
        project,
        model,
        version
    from requests
    where $by in ('project', 'model', 'version')
),

calls as (
    select
        case $by
            when 'none' then 'all'
            when 'tool' then calls.name
            when 'server' then
                case
                    when starts_with(calls.name, 'mcp__') then split_part(calls.name, '__', 2)
                    when calls.name is not null then 'built in'
                end
            when 'session' then calls.session_id
            when 'thread' then case when calls.is_sidechain then 'subagent' else 'main' end
            when 'project' then owners.project
            when 'model' then owners.model
            when 'version' then owners.version
        end as name,
        case when $by = 'day' then (calls.ts at time zone $tz)::date end as day,
        calls.result_ts is null as is_unanswered,
        coalesce(calls.denied, false) as is_denied,
        coalesce(calls.is_error, false) and not coalesce(calls.denied, false) as is_error,
        calls.input_bytes,
        case when calls.result_ts is not null then coalesce(calls.result_bytes, 0) end as result_bytes,
        (epoch_us(calls.result_ts) - epoch_us(calls.ts)) // 1000 as duration_ms
    from selected_tool_calls as calls
    left join owners on calls.key = owners.key
)

select
    case when $by = 'day' then strftime(day, '%Y-%m-%d') else coalesce(name, '(none)') end as "by",
    count(*) as calls,
    count(*) filter (is_error) as errors,
    count(*) filter (is_denied) as denied_calls,
    count(*) filter (is_unanswered) as unanswered_calls,
    count(*) filter (is_error)::double / nullif(count(*), 0) as error_share,
    coalesce(sum(input_bytes), 0)::bigint as input_bytes,
    coalesce(sum(result_bytes), 0)::bigint as result_bytes,
    quantile_cont(result_bytes, 0.5) as median_result_bytes,
    quantile_cont(result_bytes, 0.95) as p95_result_bytes,
    max(result_bytes) as largest_result_bytes,
    coalesce(sum(duration_ms), 0) as duration_ms,
    quantile_cont(duration_ms, 0.5) as median_duration_ms,
    quantile_cont(duration_ms, 0.95) as p95_duration_ms,
    max(duration_ms) as longest_duration_ms
from calls
group by day, name
order by day, calls desc, "by"
