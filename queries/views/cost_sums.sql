-- Sums of requests and what they cost: for reports that add up, what view `costs` is for those that look at each
-- The requests of a row share a price (see query/sums.py), so their tokens times it are exactly the sum of their costs.
-- What makes a price is as in view priced.
--
-- price_id: the row of price_rates, null where no price holds
-- price_model: the model of `prices` that the logged name stands for, null where no price holds
-- *_price_pico: picodollars (1e-12 dollars) a token, null where the price table does not count (--cost-mode)
-- cost_input_pico, cost_output_pico, cost_cache_write_pico, cost_cache_read_pico, cost_web_search_pico: picodollars
--     by the price table, null where it does not count or has no price
-- cost_api_pico: input + output (accounting rule 24)
-- cost_calculated_pico: the sum of the five
-- cost_pico: the same, or what was logged where the cost mode takes it; null where the requests are unpriced
-- no_cache_pico: picodollars without a cache: all context at the input price, output and web searches
-- is_priced: whether cost_pico has a value (rule 21)
-- unpriced_requests: requests where they are unpriced, else 0
-- unpriced_tokens: their tokens of all kinds
with priced_sums as (
    select
        sums_of_mode.*,
        price_rates.price_id,
        price_rates.price_model,
        case when is_calculated then price_rates.input_price_pico end as input_price_pico,
        case when is_calculated then price_rates.output_price_pico end as output_price_pico,
        case when is_calculated then price_rates.cache_write_5m_price_pico end as cache_write_5m_price_pico,
        case when is_calculated then price_rates.cache_write_1h_price_pico end as cache_write_1h_price_pico,
        case when is_calculated then price_rates.cache_read_price_pico end as cache_read_price_pico,
        case
            when not is_calculated or price_rates.price_id is null then null
            -- Searches that did not take place need no price.
            when sums_of_mode.web_searches = 0 then 0
            else sums_of_mode.web_searches * price_rates.web_search_price_pico
        end as cost_web_search_pico
    from sums_of_mode
    left join price_rates
        on sums_of_mode.model = price_rates.model
        and sums_of_mode.is_fast = price_rates.is_fast
        and sums_of_mode.is_us = price_rates.is_us
        and sums_of_mode.is_batch = price_rates.is_batch
        and coalesce(epoch_us(sums_of_mode.first_ts), 0) >= price_rates.from_us
        and coalesce(epoch_us(sums_of_mode.first_ts), 0) < price_rates.to_us
        and sums_of_mode.min_context_tokens >= price_rates.from_tokens
        and sums_of_mode.min_context_tokens < price_rates.to_tokens
        and sums_of_mode.output_tokens < 1000000000
        and sums_of_mode.web_searches < 1000000
),

costs_by_kind as (
    select
        priced_sums.*,
        input_tokens * input_price_pico as cost_input_pico,
        output_tokens * output_price_pico as cost_output_pico,
        cache_write_5m_tokens * cache_write_5m_price_pico + cache_write_1h_tokens * cache_write_1h_price_pico
            as cost_cache_write_pico,
        cache_read_tokens * cache_read_price_pico as cost_cache_read_pico
    from priced_sums
),

costs_in_all as (
    select
        costs_by_kind.*,
        cost_input_pico + cost_output_pico as cost_api_pico,
        cost_input_pico + cost_output_pico + cost_cache_write_pico + cost_cache_read_pico + cost_web_search_pico
            as cost_calculated_pico,
        cost_input_pico + cost_output_pico + cache_write_5m_tokens * input_price_pico
            + cache_write_1h_tokens * input_price_pico + cache_read_tokens * input_price_pico + cost_web_search_pico
            as no_cache_pico,
        case when is_calculated then cost_web_search_pico is not null else logged_pico is not null end as is_priced
    from costs_by_kind
)

select
    costs_in_all.*,
    case when is_calculated then cost_calculated_pico else logged_pico end as cost_pico,
    case when is_priced then 0 else requests end as unpriced_requests,
    case
        when is_priced then 0
        else input_tokens::decimal(20, 0) + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens
            + cache_read_tokens
    end as unpriced_tokens
from costs_in_all
