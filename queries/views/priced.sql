-- Requests with the price that holds for each, and what their tokens cost by it.
--
-- Everything is in picodollars (1e-12 dollars), whole numbers, null where the request is unpriced (accounting rule
-- 21), and by the price table in every cost mode.
--
-- price_id: the row of price_rates, null where the request is unpriced, as are all below
-- *_price_pico: picodollars a token, or a search
-- *_pico: what the request's tokens or searches of the kind cost, in picodollars
select
    requests_of_mode.*,
    price_rates.price_id,
    price_rates.price_model,
    price_rates.input_price_pico,
    price_rates.output_price_pico,
    price_rates.cache_write_5m_price_pico,
    price_rates.cache_write_1h_price_pico,
    price_rates.cache_read_price_pico,
    price_rates.web_search_price_pico,
    requests_of_mode.input_tokens * price_rates.input_price_pico as input_pico,
    requests_of_mode.output_tokens * price_rates.output_price_pico as output_pico,
    requests_of_mode.cache_write_5m_tokens * price_rates.cache_write_5m_price_pico
        + requests_of_mode.cache_write_1h_tokens * price_rates.cache_write_1h_price_pico as cache_write_pico,
    requests_of_mode.cache_read_tokens * price_rates.cache_read_price_pico as cache_read_pico,
    -- Searches that did not take place need no price.
    case
        when price_rates.price_id is null then null
        when coalesce(requests_of_mode.web_searches, 0) = 0 then 0
        else requests_of_mode.web_searches * price_rates.web_search_price_pico
    end as web_search_pico
from requests_of_mode
left join price_rates
    on requests_of_mode.model = price_rates.model
    and coalesce(requests_of_mode.speed = 'fast', false) = price_rates.is_fast
    and coalesce(requests_of_mode.inference_geo = 'us', false) = price_rates.is_us
    and coalesce(requests_of_mode.service_tier = 'batch', false) = price_rates.is_batch
    -- A request without a time is priced as of 1970.
    and coalesce(epoch_us(requests_of_mode.ts), 0) >= price_rates.from_us
    and coalesce(epoch_us(requests_of_mode.ts), 0) < price_rates.to_us
    and requests_of_mode.context_tokens >= price_rates.from_tokens
    and requests_of_mode.context_tokens < price_rates.to_tokens
    -- Beyond these a product would not fit 64 bits; no request is that large.
    and requests_of_mode.output_tokens < 1000000000
    and coalesce(requests_of_mode.web_searches, 0) < 1000000
