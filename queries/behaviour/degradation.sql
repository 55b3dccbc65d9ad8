-- Degradation: what goes wrong per 100 requests, by context size or session age
-- tool_errors      tool calls whose result is an error, refused ones left out; tool_error_share is of all tool calls
-- denied_calls     tool calls that the user or a rule refused
-- interruptions    the user broke off: `[Request interrupted by user`
-- corrections      proxy: prompts worded as a correction ("no, ...", "that's wrong", "undo", "I said"); English only
-- repeats          proxy: prompts of 20 characters or more that were typed before in the session
-- A signal counts for the request that it is about: the one that made the tool call, or the last of the session's
-- main thread before the prompt: one without such a request before it is in no row. The word list is in the view prompt_signals, which lists every prompt found.
-- Corrections and repeats need the prompts' texts: they are 0 in a lake made with --no-text.
-- context-decile: ten groups of equally many requests by context, 1 the smallest (in `cache overhead`, equal contexts
-- stay together). session-age: since the session's first record,
-- copied history included. A subagent's requests have small contexts and no user: --thread main leaves them out.
--
-- note: select 'no prompt in this lake has its text (--no-text): corrections and repeats are not known, and stand as 0' from prompts having count(*) > 0 and count(text) = 0
-- $by text = 'context-decile' {none|context-decile|session-age|model|version|thread|session}: what a row of the result stands for
-- $thread text = 'all' {all|main|subagent}: whose requests
-- example: tokenlake behaviour degradation --by session-age --thread main

with chosen_requests as (
    select
        key,
        file_id,
        "offset",
        ts,
        session_id,
        model,
        version,
        is_sidechain,
        context_tokens,
        tool_calls
    from selected
    where $thread = 'all' or is_sidechain = ($thread = 'subagent')
),

-- Each branch of this union is empty unless its grouping is asked for, so that only one is computed.
grouped_requests as (
    select
        key,
        file_id,
        "offset",
        context_tokens,
        tool_calls,
        ntile(10) over (order by context_tokens, key, file_id, "offset") as place,
        null as name
    from chosen_requests
    where $by = 'context-decile'
    union all
    select
        chosen_requests.key,
        chosen_requests.file_id,
        chosen_requests."offset",
        chosen_requests.context_tokens,
        chosen_requests.tool_calls,
        case
            when sessions.first_ts is null then 8
            when epoch_us(chosen_requests.ts) - epoch_us(sessions.first_ts) < 900000000 then 1
            when epoch_us(chosen_requests.ts) - epoch_us(sessions.first_ts) < 3600000000 then 2
            when epoch_us(chosen_requests.ts) - epoch_us(sessions.first_ts) < 7200000000 then 3
            when epoch_us(chosen_requests.ts) - epoch_us(sessions.first_ts) < 18000000000 then 4
            when epoch_us(chosen_requests.ts) - epoch_us(sessions.first_ts) < 43200000000 then 5
            when epoch_us(chosen_requests.ts) - epoch_us(sessions.first_ts) < 86400000000 then 6
            else 7
        end as place,
        null as name
    from chosen_requests
    left join sessions on chosen_requests.session_id = sessions.session_id
    where $by = 'session-age'
    union all
    select
        key,
        file_id,
        "offset",
        context_tokens,
        tool_calls,
        null as place,
        case $by
            when 'none' then 'all'
            when 'model' then coalesce(model, '(none)')
            when 'version' then coalesce(version, '(none)')
            when 'thread' then case when is_sidechain then 'subagent' else 'main' end
            when 'session' then coalesce(session_id, '(none)')
        end as name
    from chosen_requests
    where $by not in ('context-decile', 'session-age')
),

sums as (
    select
        grouped_requests.place,
        grouped_requests.name,
        count(*) as requests,
        min(grouped_requests.context_tokens) as least_context_tokens,
        max(grouped_requests.context_tokens) as largest_context_tokens,
        coalesce(sum(grouped_requests.tool_calls), 0)::bigint as tool_calls,
        coalesce(sum(request_signals.tool_errors), 0)::bigint as tool_errors,
        coalesce(sum(request_signals.denied_calls), 0)::bigint as denied_calls,
        coalesce(sum(request_signals.interruptions), 0)::bigint as interruptions,
        coalesce(sum(request_signals.corrections), 0)::bigint as corrections,
        coalesce(sum(request_signals.repeats), 0)::bigint as repeats
    from grouped_requests
    left join request_signals
        on grouped_requests.key = request_signals.key
        and grouped_requests.file_id = request_signals.file_id
        and grouped_requests."offset" = request_signals."offset"
    group by grouped_requests.place, grouped_requests.name
)

select
    case
        when $by = 'context-decile' then place::varchar
        when $by = 'session-age' then
            case place
                when 1 then 'under 15 min'
                when 2 then '15 min to 1 h'
                when 3 then '1 h to 2 h'
                when 4 then '2 h to 5 h'
                when 5 then '5 h to 12 h'
                when 6 then '12 h to 24 h'
                when 7 then '24 h and more'
                else '(none)'
            end
        else name
    end as "by",
    requests,
    least_context_tokens,
    largest_context_tokens,
    tool_calls,
    tool_errors,
    denied_calls,
    interruptions,
    corrections,
    repeats,
    100.0::double * tool_errors / nullif(requests, 0) as tool_errors_per_100,
    100.0::double * denied_calls / nullif(requests, 0) as denied_calls_per_100,
    100.0::double * interruptions / nullif(requests, 0) as interruptions_per_100,
    100.0::double * corrections / nullif(requests, 0) as corrections_per_100,
    100.0::double * repeats / nullif(requests, 0) as repeats_per_100,
    tool_errors::double / nullif(tool_calls, 0) as tool_error_share
from sums
-- Deciles and ages in their order, names by size.
order by place, requests desc, "by"
