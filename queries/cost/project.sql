-- Cost by project: requests, tokens of every kind and dollars, the dearest first
-- project is the directory in which a request was made.
-- total_tokens = input + output + cache writes + cache reads.
-- cost_... are dollars at the list price of each request's model, day, context size, speed, region and tier.
-- cost_api = cost_input + cost_output; cost = cost_api + cost_cache_write + cost_cache_read + cost_web_search.
-- unpriced_requests and unpriced_tokens are those whose model has no price: no cost_ holds them, and it is empty
-- where the whole row is unpriced.
-- partial_output_share: share of requests whose output was never finalised; there, output is a lower bound.
--
-- $by_model boolean = false: a row per project and model
-- example: tokenlake cost project --since 30d

select
    coalesce(project, '(none)') as project,
    case when $by_model then coalesce(model, '(none)') else 'all' end as model,
    sum(requests) as requests,
    sum(input_tokens) as input_tokens,
    sum(output_tokens) as output_tokens,
    sum(cache_write_5m_tokens) as cache_write_5m_tokens,
    sum(cache_write_1h_tokens) as cache_write_1h_tokens,
    sum(cache_read_tokens) as cache_read_tokens,
    sum(input_tokens) + sum(output_tokens) + sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens)
        + sum(cache_read_tokens) as total_tokens,
    (sum(cost_input_pico) * 0.000000000001)::decimal(38, 12) as cost_input,
    (sum(cost_output_pico) * 0.000000000001)::decimal(38, 12) as cost_output,
    (sum(cost_cache_write_pico) * 0.000000000001)::decimal(38, 12) as cost_cache_write,
    (sum(cost_cache_read_pico) * 0.000000000001)::decimal(38, 12) as cost_cache_read,
    (sum(cost_web_search_pico) * 0.000000000001)::decimal(38, 12) as cost_web_search,
    (sum(cost_api_pico) * 0.000000000001)::decimal(38, 12) as cost_api,
    (sum(cost_pico) * 0.000000000001)::decimal(38, 12) as cost,
    sum(unpriced_requests) as unpriced_requests,
    sum(unpriced_tokens) as unpriced_tokens,
    sum(partial_requests)::double / nullif(sum(requests), 0) as partial_output_share
from selected_cost_sums
group by 1, 2
order by cost desc nulls last, total_tokens desc, project, model
