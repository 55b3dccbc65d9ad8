-- Cost by session: what each was, its tokens of every kind and dollars
-- first_ts and last_ts are the times of the session's first and last request among those counted.
-- title is the last one given to it, and project the directory in which it began; models are those it used, as logged.
-- total_tokens = input + output + cache writes + cache reads.
-- cost_... are dollars at the list price of each request's model, day, context size, speed, region and tier.
-- cost_api = cost_input + cost_output; cost = cost_api + cost_cache_write + cost_cache_read + cost_web_search.
-- unpriced_requests and unpriced_tokens are those whose model has no price: no cost_ holds them, and it is empty
-- where the whole row is unpriced.
-- partial_output_share: share of requests whose output was never finalised; there, output is a lower bound.
--
-- $by_model boolean = false: a row per session and model
-- example: tokenlake cost session --since 7d --limit 20

-- By session and model first, of which there are few, so that the names of models are gathered from those.
with session_models as (
    select
        session_id,
        coalesce(model, '(none)') as model,
        min(first_ts) as first_ts,
        max(last_ts) as last_ts,
        max(project) as project,
        sum(requests) as requests,
        sum(partial_requests) as partial_requests,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cost_input_pico) as cost_input_pico,
        sum(cost_output_pico) as cost_output_pico,
        sum(cost_cache_write_pico) as cost_cache_write_pico,
        sum(cost_cache_read_pico) as cost_cache_read_pico,
        sum(cost_web_search_pico) as cost_web_search_pico,
        sum(cost_api_pico) as cost_api_pico,
        sum(cost_pico) as cost_pico,
        sum(unpriced_requests) as unpriced_requests,
        sum(unpriced_tokens) as unpriced_tokens
    from selected_cost_sums
    group by 1, 2
),

session_sums as (
    select
        session_id,
        string_agg(model, ', ' order by model) as models,
        min(first_ts) as first_ts,
        max(last_ts) as last_ts,
        max(project) as project,
        sum(requests) as requests,
        sum(partial_requests) as partial_requests,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens)
            as total_tokens,
        (sum(cost_input_pico) * 0.000000000001)::decimal(38, 12) as cost_input,
        (sum(cost_output_pico) * 0.000000000001)::decimal(38, 12) as cost_output,
        (sum(cost_cache_write_pico) * 0.000000000001)::decimal(38, 12) as cost_cache_write,
        (sum(cost_cache_read_pico) * 0.000000000001)::decimal(38, 12) as cost_cache_read,
        (sum(cost_web_search_pico) * 0.000000000001)::decimal(38, 12) as cost_web_search,
        (sum(cost_api_pico) * 0.000000000001)::decimal(38, 12) as cost_api,
        (sum(cost_pico) * 0.000000000001)::decimal(38, 12) as cost,
        sum(unpriced_requests) as unpriced_requests,
        sum(unpriced_tokens) as unpriced_tokens
    from session_models
    group by session_id, case when $by_model then model end
)

select
    session_sums.session_id,
    sessions.title,
    coalesce(sessions.project, session_sums.project) as project,
    session_sums.models,
    session_sums.first_ts,
    session_sums.last_ts,
    session_sums.requests,
    session_sums.input_tokens,
    session_sums.output_tokens,
    session_sums.cache_write_5m_tokens,
    session_sums.cache_write_1h_tokens,
    session_sums.cache_read_tokens,
    session_sums.total_tokens,
    session_sums.cost_input,
    session_sums.cost_output,
    session_sums.cost_cache_write,
    session_sums.cost_cache_read,
    session_sums.cost_web_search,
    session_sums.cost_api,
    session_sums.cost,
    session_sums.unpriced_requests,
    session_sums.unpriced_tokens,
    session_sums.partial_requests::double / nullif(session_sums.requests, 0) as partial_output_share
from session_sums
left join sessions on session_sums.session_id = sessions.session_id
order by cost desc nulls last, total_tokens desc, session_sums.session_id, models
