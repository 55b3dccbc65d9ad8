-- Requests and what each cost: all columns of `deduped`, the cost in dollars, and the price that was taken
--
-- cost_input, cost_output, cost_cache_write, cost_cache_read, cost_web_search: dollars, exact to 1e-12
-- cost_api: input + output (accounting rule 24)
-- cost: the sum of the five; in the cost modes `auto` and `display` what was logged, where it was: then the others
--     are null, for the log has one figure
-- is_priced: whether cost has a value; a request without one is unpriced, never 0 (rule 21)
-- price_model: the model of `prices` that the logged name stands for; null where no price holds, as is price_id
-- input_price_pico, output_price_pico, cache_write_5m_price_pico, cache_write_1h_price_pico, cache_read_price_pico:
--     picodollars (1e-12 dollars) a token, band, day and factors included; web_search_price_pico: a search
-- input_pico, output_pico, cache_write_pico, cache_read_pico, web_search_pico: picodollars by the price table, in
--     every cost mode
-- cost_..._pico: the costs in whole picodollars, for large sums: a bigint adds up twice as fast as a decimal, and
--     (sum(x) * 0.000000000001)::decimal(38, 12) are the dollars
-- logged_pico, is_calculated: what was logged, where the cost mode takes it, and whether prices count for the request
with picodollars as (
    select
        priced.*,
        case when is_calculated then input_pico end as cost_input_pico,
        case when is_calculated then output_pico end as cost_output_pico,
        case when is_calculated then cache_write_pico end as cost_cache_write_pico,
        case when is_calculated then cache_read_pico end as cost_cache_read_pico,
        case when is_calculated then web_search_pico end as cost_web_search_pico,
        case when is_calculated then input_pico + output_pico end as cost_api_pico,
        case
            when is_calculated then input_pico + output_pico + cache_write_pico + cache_read_pico + web_search_pico
            else logged_pico
        end as cost_pico
    from priced
)

select
    picodollars.*,
    (cost_input_pico * 0.000000000001)::decimal(38, 12) as cost_input,
    (cost_output_pico * 0.000000000001)::decimal(38, 12) as cost_output,
    (cost_cache_write_pico * 0.000000000001)::decimal(38, 12) as cost_cache_write,
    (cost_cache_read_pico * 0.000000000001)::decimal(38, 12) as cost_cache_read,
    (cost_web_search_pico * 0.000000000001)::decimal(38, 12) as cost_web_search,
    (cost_api_pico * 0.000000000001)::decimal(38, 12) as cost_api,
    (cost_pico * 0.000000000001)::decimal(38, 12) as cost,
    cost_pico is not null as is_priced
from picodollars
