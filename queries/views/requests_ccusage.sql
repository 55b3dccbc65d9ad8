-- Requests as ccusage counts them (accounting rule 13): its own key, choice of row, and treatment of replays.
-- `<synthetic>` rows count, as they do in its totals.
with kept_rows as (
    select
        file_id,
        "offset",
        key,
        place,
        count(*) over (partition by ccusage_request) as n_request_rows
    from ccusage_places
),

counted_rows as (
    select
        rows_as_logged.*,
        -- Where a split of the cache writes is given it stands for all of them.
        case
            when rows_as_logged.cache_split_present
                then rows_as_logged.cache_write_5m_tokens - rows_as_logged.cache_write_unsplit_tokens
            else rows_as_logged.cache_write_5m_tokens
        end as split_5m_tokens,
        kept_rows.n_request_rows
    from usage_rows as rows_as_logged
    inner join kept_rows using (file_id, "offset", key)
    where kept_rows.place = 1
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
    least(
        counted_rows.input_tokens::decimal(38, 0) + counted_rows.split_5m_tokens + counted_rows.cache_write_1h_tokens
            + counted_rows.cache_read_tokens,
        9223372036854775807
    )::bigint as context_tokens,
    counted_rows.web_searches,
    counted_rows.service_tier,
    counted_rows.speed,
    counted_rows.inference_geo,
    counted_rows.effort,
    counted_rows.stop_reason,
    coalesce(requests.output_is_partial, false) as output_is_partial,
    counted_rows.n_request_rows as n_rows,
    1::bigint as n_sessions,
    counted_rows.text_chars,
    counted_rows.thinking_chars,
    counted_rows.tool_calls,
    counted_rows.cost_logged,
    counted_rows.file_id,
    counted_rows."offset"
from counted_rows
left join requests using (key)
