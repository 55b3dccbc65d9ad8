-- Requests as logged by their last row, by timestamp, path and offset (accounting rule 13).
-- What is a fact of the whole request, such as its owner and whether its output was finalised, is as in requests.
with ranked_rows as (
    select
        *,
        row_number() over (partition by key order by ts desc, path desc, host desc, "offset" desc) as place
    from usage_considered
)

select
    requests.key,
    requests.ts,
    requests.last_ts,
    requests.session_id,
    kept.cwd as project,
    kept.git_branch,
    kept.host,
    requests.agent,
    kept.version,
    kept.entrypoint,
    kept.model,
    kept.origin,
    kept.is_sidechain,
    kept.agent_id,
    kept.prompt_id,
    kept.input_tokens,
    kept.output_tokens,
    kept.cache_write_5m_tokens,
    kept.cache_write_1h_tokens,
    kept.cache_read_tokens,
    least(
        kept.input_tokens::decimal(38, 0) + kept.cache_write_5m_tokens + kept.cache_write_1h_tokens
            + kept.cache_read_tokens,
        9223372036854775807
    )::bigint as context_tokens,
    requests.web_searches,
    kept.service_tier,
    kept.speed,
    kept.inference_geo,
    kept.effort,
    coalesce(kept.stop_reason, requests.stop_reason) as stop_reason,
    requests.output_is_partial,
    requests.n_rows,
    requests.n_sessions,
    requests.text_chars,
    requests.thinking_chars,
    requests.tool_calls,
    kept.cost_logged,
    kept.file_id,
    kept."offset"
from ranked_rows as kept
inner join requests using (key)
where kept.place = 1
