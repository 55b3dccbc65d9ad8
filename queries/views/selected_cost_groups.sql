-- Requests, tokens and cost by machine, project, version and model, under the filters: reports of each add them up
--
-- price_model: the model of `prices` that the logged name stands for, null where no price holds
-- requests: how many
-- partial_requests: those whose output was never finalised (accounting rule 16)
-- unpriced_requests: those without a cost (accounting rule 21)
-- unpriced_tokens: their tokens of all kinds
-- total_tokens: input + output + cache writes + cache reads
-- cost_input, cost_output, cost_cache_write, cost_cache_read, cost_web_search, cost_api, cost: dollars, as in `costs`;
--     null where no request has a cost
with sums as (
    select
        host,
        project,
        version,
        model,
        price_model,
        sum(partial_requests) as partial_requests,
        sum(requests) as requests,
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
        sum(cost_pico) as cost_pico,
        sum(unpriced_requests) as unpriced_requests,
        sum(unpriced_tokens) as unpriced_tokens
    from selected_cost_sums
    group by 1, 2, 3, 4, 5
)

select
    host,
    project,
    version,
    model,
    price_model,
    partial_requests,
    requests,
    input_tokens,
    output_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    cache_read_tokens,
    input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as total_tokens,
    (cost_input_pico * 0.000000000001)::decimal(38, 12) as cost_input,
    (cost_output_pico * 0.000000000001)::decimal(38, 12) as cost_output,
    (cost_cache_write_pico * 0.000000000001)::decimal(38, 12) as cost_cache_write,
    (cost_cache_read_pico * 0.000000000001)::decimal(38, 12) as cost_cache_read,
    (cost_web_search_pico * 0.000000000001)::decimal(38, 12) as cost_web_search,
    ((cost_input_pico + cost_output_pico) * 0.000000000001)::decimal(38, 12) as cost_api,
    (cost_pico * 0.000000000001)::decimal(38, 12) as cost,
    unpriced_requests,
    unpriced_tokens
from sums
