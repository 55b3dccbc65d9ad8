-- Every assistant row as if it were a request, as a count of raw lines has it (accounting rule 13).
-- Owner, time and size are the row's own; only whether the output was finalised is known of the whole request.
select
    rows_as_logged.key,
    rows_as_logged.ts,
    rows_as_logged.ts as last_ts,
    rows_as_logged.session_id,
    rows_as_logged.cwd as project,
    rows_as_logged.git_branch,
    rows_as_logged.host,
    requests.agent,
    rows_as_logged.version,
    rows_as_logged.entrypoint,
    rows_as_logged.model,
    rows_as_logged.origin,
    rows_as_logged.is_sidechain,
    rows_as_logged.agent_id,
    rows_as_logged.prompt_id,
    rows_as_logged.input_tokens,
    rows_as_logged.output_tokens,
    rows_as_logged.cache_write_5m_tokens,
    rows_as_logged.cache_write_1h_tokens,
    rows_as_logged.cache_read_tokens,
    least(
        rows_as_logged.input_tokens::decimal(38, 0) + rows_as_logged.cache_write_5m_tokens
            + rows_as_logged.cache_write_1h_tokens + rows_as_logged.cache_read_tokens,
        9223372036854775807
    )::bigint as context_tokens,
    rows_as_logged.web_searches,
    rows_as_logged.service_tier,
    rows_as_logged.speed,
    rows_as_logged.inference_geo,
    rows_as_logged.effort,
    rows_as_logged.stop_reason,
    requests.output_is_partial,
    1::bigint as n_rows,
    1::bigint as n_sessions,
    rows_as_logged.text_chars,
    rows_as_logged.thinking_chars,
    rows_as_logged.tool_calls,
    rows_as_logged.cost_logged,
    rows_as_logged.file_id,
    rows_as_logged."offset"
from usage_rows as rows_as_logged
left join requests using (key)
where rows_as_logged.origin in ('assistant', 'advisor')
    and rows_as_logged.model is distinct from '<synthetic>'
