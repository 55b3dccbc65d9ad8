-- Request after which something went wrong, and what
-- A request without a signal has no row: join this from the left on (key, file_id, "offset") and read null as 0.
--
-- key: the request, as in deduped
-- file_id: transcript of its counted row; of several, the first
-- offset: byte at which that row starts
-- tool_errors: tool calls of the request whose result is an error, refused ones left out
-- denied_calls: tool calls of the request that the user or a rule refused
-- interruptions: prompts about the request that broke it off, as in prompt_signals
-- corrections: prompts about the request that correct it, as in prompt_signals: a proxy
-- repeats: prompts about the request that were said before, as in prompt_signals: a proxy
with signals as (
    select
        key,
        case when not denied then 1 else 0 end as tool_errors,
        case when denied then 1 else 0 end as denied_calls,
        0 as interruptions,
        0 as corrections,
        0 as repeats
    from tool_calls
    where is_error or denied
    union all
    select
        key,
        0 as tool_errors,
        0 as denied_calls,
        case when is_interruption then 1 else 0 end as interruptions,
        case when is_correction then 1 else 0 end as corrections,
        case when is_repeat then 1 else 0 end as repeats
    from prompt_signals
    where key is not null
),

signals_by_key as (
    select
        key,
        sum(tool_errors)::bigint as tool_errors,
        sum(denied_calls)::bigint as denied_calls,
        sum(interruptions)::bigint as interruptions,
        sum(corrections)::bigint as corrections,
        sum(repeats)::bigint as repeats
    from signals
    group by key
),

-- Where the dedup mode counts several rows of a request, its signals belong to the first of them.
rows_of_key as (
    select
        deduped.key,
        deduped.file_id,
        deduped."offset",
        row_number() over (
            partition by deduped.key order by deduped.ts, deduped.file_id, deduped."offset"
        ) as place
    from deduped
    inner join signals_by_key on deduped.key = signals_by_key.key
)

select
    rows_of_key.key,
    rows_of_key.file_id,
    rows_of_key."offset",
    signals_by_key.tool_errors,
    signals_by_key.denied_calls,
    signals_by_key.interruptions,
    signals_by_key.corrections,
    signals_by_key.repeats
from rows_of_key
inner join signals_by_key on rows_of_key.key = signals_by_key.key
where rows_of_key.place = 1
