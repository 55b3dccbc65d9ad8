-- Turns: time, requests, tool calls and cost of what one prompt sets off
-- A turn begins with a typed prompt or a slash command and ends before the next one of its session; what subagents do
-- meanwhile belongs to it. Only turns with requests are counted, and of these the requests that pass the filters.
-- Requests before a session's first prompt, or of a session without one, are outside turns: they are in the totals
-- (requests, subagent_requests, tool_calls, cost, unpriced_requests), and in no figure of turns.
-- requests_per_turn, tool_calls_per_turn, cost_per_turn   means; median_*, p95_* and largest_* are over turns
-- subagent_requests  those made by subagents
-- requests_outside_turns, cost_outside_turns   part of requests and cost that is outside turns; the cost is null where
--                    none of these requests is priced, or there are none
-- elapsed_ms         from the prompt to the last request's last record, per turn
-- timed_turns        turns whose working time is logged (turn_duration, since 2.1.1); duration_ms is of these only
-- cost               dollars; cost columns leave out unpriced_requests
-- prompt             beginning of the prompt, with --by turn; null in a lake made with --no-text
-- Days are local days of the turn's first request; a request outside turns counts under its own day, project and so on.
-- With --by turn the dearest turns come first; one last row, "(before the first prompt)", is all that is outside turns.
--
-- $by text = 'day' {none|turn|day|session|project|model|version}: what a row stands for; of projects, models and versions, that of the turn's first request
-- example: tokenlake behaviour turns --since 30d
-- example: tokenlake behaviour turns --by turn --limit 20

with turn_requests as (
    select
        request_turns.turn_id,
        request_turns.turn_ts,
        selected_costs.key,
        selected_costs.file_id,
        selected_costs."offset",
        selected_costs.ts,
        selected_costs.last_ts,
        selected_costs.session_id,
        selected_costs.project,
        selected_costs.model,
        selected_costs.version,
        selected_costs.is_sidechain,
        selected_costs.tool_calls,
        selected_costs.cost,
        selected_costs.is_priced
    from selected_costs
    left join request_turns on selected_costs.key = request_turns.key
),

-- A turn_duration record is written at the end of the work: it belongs to the last prompt before it.
durations as (
    select
        session_id,
        ts,
        1 as place,
        id,
        null as prompt_id,
        try_cast(json_extract_string(detail, '$.durationMs') as bigint) as duration_ms
    from events
    where subtype = 'turn_duration'
    union all
    select
        session_id,
        ts,
        0 as place,
        id,
        id as prompt_id,
        null::bigint as duration_ms
    from prompts
    where kind in ('typed', 'slash') and session_id in (select session_id from events where subtype = 'turn_duration')
),

placed_durations as (
    select
        duration_ms,
        last_value(prompt_id ignore nulls) over (
            partition by session_id
            order by ts, place, id
            rows between unbounded preceding and current row
        ) as turn_id
    from durations
),

logged_durations as (
    select
        turn_id,
        sum(duration_ms) as duration_ms
    from placed_durations
    where duration_ms is not null and turn_id is not null
    group by turn_id
),

turns as (
    select
        session_id,
        turn_id,
        min(turn_ts) as turn_ts,
        min(ts) as first_ts,
        -- Of one instant, the first in the log, as in chains.
        arg_min(project, (ts, file_id, "offset", key)) as project,
        arg_min(model, (ts, file_id, "offset", key)) as model,
        arg_min(version, (ts, file_id, "offset", key)) as version,
        count(*) as requests,
        count(*) filter (is_sidechain) as subagent_requests,
        count(*) filter (not is_priced) as unpriced_requests,
        coalesce(sum(tool_calls), 0)::bigint as tool_calls,
        (max(epoch_us(last_ts)) - epoch_us(coalesce(min(turn_ts), min(ts)))) // 1000 as elapsed_ms,
        sum(cost) as cost
    from turn_requests
    where turn_id is not null
    group by session_id, turn_id
),

-- is_turn is false in rows that stand for one request outside turns: they count in totals only.
grouped_turns as (
    select
        case $by
            when 'none' then 'all'
            when 'day' then strftime(turns.first_ts at time zone $tz, '%Y-%m-%d')
            when 'turn' then strftime(coalesce(turns.turn_ts, turns.first_ts) at time zone $tz, '%Y-%m-%d %H:%M:%S')
                || ' ' || coalesce(turns.session_id, '(none)')
            when 'session' then coalesce(turns.session_id, '(none)')
            when 'project' then coalesce(turns.project, '(none)')
            when 'model' then coalesce(turns.model, '(none)')
            else coalesce(turns.version, '(none)')
        end as name,
        case when $by = 'turn' then turns.turn_id end as turn_id,
        true as is_turn,
        turns.requests,
        turns.subagent_requests,
        turns.unpriced_requests,
        turns.tool_calls,
        turns.elapsed_ms,
        logged_durations.duration_ms,
        turns.cost
    from turns
    left join logged_durations on turns.turn_id = logged_durations.turn_id
    union all
    select
        case $by
            when 'none' then 'all'
            when 'day' then strftime(ts at time zone $tz, '%Y-%m-%d')
            when 'turn' then '(before the first prompt)'
            when 'session' then coalesce(session_id, '(none)')
            when 'project' then coalesce(project, '(none)')
            when 'model' then coalesce(model, '(none)')
            else coalesce(version, '(none)')
        end as name,
        null as turn_id,
        false as is_turn,
        1 as requests,
        case when is_sidechain then 1 else 0 end as subagent_requests,
        case when not is_priced then 1 else 0 end as unpriced_requests,
        coalesce(tool_calls, 0) as tool_calls,
        null::bigint as elapsed_ms,
        null::bigint as duration_ms,
        cost
    from turn_requests
    where turn_id is null
),

groups as (
    select
        name,
        turn_id,
        count(*) filter (is_turn) as turns,
        sum(requests)::bigint as requests,
        count(*) filter (not is_turn) as requests_outside_turns,
        sum(subagent_requests)::bigint as subagent_requests,
        sum(tool_calls)::bigint as tool_calls,
        (avg(requests) filter (is_turn))::double as requests_per_turn,
        quantile_cont(requests, 0.5) filter (is_turn) as median_requests,
        quantile_cont(requests, 0.95) filter (is_turn) as p95_requests,
        max(requests) filter (is_turn) as largest_requests,
        (avg(tool_calls) filter (is_turn))::double as tool_calls_per_turn,
        quantile_cont(elapsed_ms, 0.5) as median_elapsed_ms,
        quantile_cont(elapsed_ms, 0.95) as p95_elapsed_ms,
        count(duration_ms) as timed_turns,
        coalesce(sum(duration_ms), 0) as duration_ms,
        quantile_cont(duration_ms::double, 0.5) as median_duration_ms,
        sum(cost) as cost,
        -- Of the exact sum: a mean of fractions would hang on their order.
        (sum(cost) filter (is_turn))::double / nullif(count(cost) filter (is_turn), 0) as cost_per_turn,
        quantile_cont(cost::double, 0.5) filter (is_turn) as median_cost,
        quantile_cont(cost::double, 0.95) filter (is_turn) as p95_cost,
        max(cost) filter (is_turn) as largest_cost,
        sum(cost) filter (not is_turn) as cost_outside_turns,
        sum(unpriced_requests)::bigint as unpriced_requests
    from grouped_turns
    group by name, turn_id
)

select
    groups.name as "by",
    groups.turns,
    groups.requests,
    groups.requests_outside_turns,
    groups.subagent_requests,
    groups.tool_calls,
    groups.requests_per_turn,
    groups.median_requests,
    groups.p95_requests,
    groups.largest_requests,
    groups.tool_calls_per_turn,
    groups.median_elapsed_ms,
    groups.p95_elapsed_ms,
    groups.timed_turns,
    groups.duration_ms,
    groups.median_duration_ms,
    groups.cost,
    groups.cost_per_turn,
    groups.median_cost,
    groups.p95_cost,
    groups.largest_cost,
    groups.cost_outside_turns,
    groups.unpriced_requests,
    left(replace(prompts.text, chr(10), ' '), 80) as prompt
from groups
left join prompts on groups.turn_id = prompts.id
-- Days in their order, the others by cost; what is no turn comes after the turns.
order by
    case when $by = 'day' then groups.name end,
    case when $by = 'turn' and groups.turns = 0 then 1 else 0 end,
    groups.cost desc nulls last,
    groups.requests desc,
    groups.name,
    groups.turn_id
