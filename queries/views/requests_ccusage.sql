-- Requests as ccusage counts them (accounting rule 13): its own key, choice of row, and treatment of replays.
-- Advisor calls go with the row that lists them; `<synthetic>` rows count, as they do in its totals.
with split_rows as (
    -- Where a split of the cache writes is given it stands for all of them, also one of {0, 0} under a flat count.
    select
        *,
        case
            when cache_split_present then cache_write_5m_tokens - cache_write_unsplit_tokens
            else cache_write_5m_tokens
        end as split_5m_tokens
    from usage_rows
),

accepted_rows as (
    select
        usage_rows.*,
        files.path,
        -- What ccusage reads of a progress record is the embedded message, which does not say that it is a subagent's.
        usage_rows.is_sidechain and usage_rows.origin = 'assistant' as is_replayable,
        usage_rows.input_tokens + usage_rows.output_tokens + usage_rows.split_5m_tokens
            + usage_rows.cache_write_1h_tokens + usage_rows.cache_read_tokens as size_tokens,
        case
            when usage_rows.message_id is null
                then 'row ' || usage_rows.file_id || ' ' || usage_rows."offset"
            when usage_rows.request_id is null
                then 'session ' || usage_rows.message_id || ' ' || coalesce(usage_rows.session_id, '')
                    || ' ' || epoch_us(usage_rows.ts)
            else 'request ' || usage_rows.message_id || ' ' || usage_rows.request_id
        end as ccusage_key
    from split_rows as usage_rows
    left join files using (file_id)
    -- It opens no archives.
    where usage_rows.ccusage_skips is null and usage_rows.origin <> 'advisor' and files.path like '%.jsonl'
),

-- A subagent's row that replays a message of its session, under whatever request id, is left out; of the
-- subagents' rows of a message that the main thread does not have, one stays.
rows_in_session as (
    select
        *,
        row_number() over (
            partition by message_id, session_id
            order by is_replayable, size_tokens desc, path, host, "offset"
        ) as place_in_session
    from accepted_rows
),

-- Of the rows of a key: the main thread's before a subagent's, then the largest, then the first in path order.
rows_by_key as (
    select
        *,
        row_number() over (
            partition by ccusage_key
            order by is_replayable, size_tokens desc, path, host, "offset"
        ) as place,
        count(*) over (partition by ccusage_key) as n_key_rows
    from rows_in_session
    where message_id is null or not is_replayable or place_in_session = 1
),

kept_rows as (
    select *
    from rows_by_key
    where place = 1
),

counted_rows as (
    select
        rows_as_logged.*,
        kept_rows.n_key_rows
    from split_rows as rows_as_logged
    inner join kept_rows using (file_id, "offset")
)

select
    counted_rows.key,
    counted_rows.ts,
    counted_rows.ts as last_ts,
    counted_rows.session_id,
    counted_rows.cwd as project,
    counted_rows.git_branch,
    counted_rows.host,
    'claude-code' as agent,
    counted_rows.version,
    counted_rows.entrypoint,
    counted_rows.model,
    counted_rows.origin,
    counted_rows.is_sidechain,
    counted_rows.agent_id,
    counted_rows.prompt_id,
    counted_rows.input_tokens,
    counted_rows.output_tokens,
    counted_rows.split_5m_tokens as cache_write_5m_tokens,
    counted_rows.cache_write_1h_tokens,
    counted_rows.cache_read_tokens,
    counted_rows.input_tokens + counted_rows.split_5m_tokens + counted_rows.cache_write_1h_tokens
        + counted_rows.cache_read_tokens as context_tokens,
    counted_rows.web_searches,
    counted_rows.service_tier,
    counted_rows.speed,
    counted_rows.inference_geo,
    counted_rows.effort,
    counted_rows.stop_reason,
    coalesce(requests.output_is_partial, false) as output_is_partial,
    counted_rows.n_key_rows as n_rows,
    1::bigint as n_sessions,
    counted_rows.text_chars,
    counted_rows.thinking_chars,
    counted_rows.tool_calls,
    counted_rows.cost_logged,
    counted_rows.file_id,
    counted_rows."offset"
from counted_rows
left join requests using (key)
