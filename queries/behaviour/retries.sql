-- Retries: API errors that were tried again, by day and status, and the waits
-- status             HTTP status of the error, else the code of its connection error, else (none)
-- errors             failed attempts: each is logged with its number and the wait before the next one
-- sessions           sessions in which they came up
-- mean_attempt, last_attempt   mean and greatest number of the attempts that failed; allowed_attempts the limit logged
-- exhausted          errors of the last attempt that was allowed
-- wait_ms            sum of the waits announced; longest_wait_ms the longest of them
-- failures           errors shown in place of an answer, which retries did not help; limits are in `windows limits`
-- --project and --model choose errors of sessions that worked there, or with such a model: of two models, both have them.
--
-- $by text = 'day' {none|day|session|host}: what a row of the result stands for
-- $by_status boolean = true: a row for each status
-- example: tokenlake behaviour retries --since 30d
-- example: tokenlake behaviour retries --by none

-- Inside `detail`, objects such as `error` and `cause` are JSON written as text.
with api_errors as (
    select
        ts,
        session_id,
        host,
        type = 'assistant' as is_failure,
        json_extract_string(detail, '$.apiErrorStatus') as shown_status,
        json_extract_string(detail, '$.error') as error,
        json_extract_string(detail, '$.cause') as cause,
        try_cast(json_extract_string(detail, '$.retryAttempt') as bigint) as attempt,
        try_cast(json_extract_string(detail, '$.maxRetries') as bigint) as allowed_attempts,
        try_cast(round(try_cast(json_extract_string(detail, '$.retryInMs') as double)) as bigint) as wait_ms
    from selected_events
    where subtype = 'api_error' and type in ('system', 'assistant')
),

errors as (
    select
        case
            when $by = 'none' then 'all'
            when $by = 'day' then strftime(ts at time zone $tz, '%Y-%m-%d')
            when $by = 'session' then coalesce(session_id, '(none)')
            else coalesce(host, '(none)')
        end as name,
        case
            when not $by_status then 'all'
            else coalesce(
                shown_status,
                json_extract_string(error, '$.status'),
                json_extract_string(cause, '$.code'),
                json_extract_string(error, '$.cause.code'),
                -- Of an error that was shown, `error` is one word: rate_limit, server_error ...
                case when is_failure then json_extract_string(error, '$') end,
                '(none)'
            )
        end as status,
        session_id,
        is_failure,
        case when not is_failure then attempt end as attempt,
        case when not is_failure then allowed_attempts end as allowed_attempts,
        case when not is_failure then wait_ms end as wait_ms
    from api_errors
)

select
    name as "by",
    status,
    count(*) filter (not is_failure) as errors,
    count(distinct session_id) as sessions,
    avg(attempt)::double as mean_attempt,
    max(attempt) as last_attempt,
    max(allowed_attempts) as allowed_attempts,
    count(*) filter (attempt >= allowed_attempts) as exhausted,
    coalesce(sum(wait_ms), 0) as wait_ms,
    max(wait_ms) as longest_wait_ms,
    count(*) filter (is_failure) as failures
from errors
group by name, status
order by "by", errors desc, failures desc, status
