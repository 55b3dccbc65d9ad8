-- Requests, tokens and cost by quarter hour and model, under the filters: hours, days, weeks and months are cut from it
-- Every offset from UTC is a whole number of quarter hours, so local periods are sums of these. And cost is tokens
-- times price: the tokens of requests that share a price are summed first and priced then, which gives exactly the sum
-- of their costs in `selected_costs`. To change the zone of each request, and to price each, would cost more than all
-- the sums.
--
-- quarter_hour: quarter hours since 1970
-- any_ts: instant within the quarter hour, by which it is placed in local time
-- requests: how many
-- partial_requests: those whose output was never finalised (accounting rule 16)
-- unpriced_requests: those without a cost (accounting rule 21)
-- unpriced_tokens: their tokens of all kinds
-- total_tokens: input + output + cache writes + cache reads
-- cost_input, cost_output, cost_cache_write, cost_cache_read, cost_web_search, cost_api, cost: dollars, as in `costs`;
--     null where no request has a cost
with sums_by_price as (
    -- Requests that share a quarter hour and a price, whatever the prices are: they change with the UTC day, with the
    -- model, with what makes a factor and with the context, and what view priced leaves out stays apart.
    select
        epoch_us(ts) // 900000000 as quarter_hour,
        model,
        case when speed = 'fast' then 1 else 0 end
            + case when inference_geo = 'us' then 2 else 0 end
            + case when service_tier = 'batch' then 4 else 0 end as factors,
        -- The context that stands for its step; beyond the steps that have a name, each context by itself.
        case
            when context_tokens < step_1_tokens then 0
            when context_tokens < step_2_tokens then step_1_tokens
            when context_tokens < step_3_tokens then step_2_tokens
            when context_tokens < step_4_tokens then step_3_tokens
            else context_tokens
        end as like_context_tokens,
        -- Where the cost is from: 0 nowhere, 1 the log, 2 the prices, 3 the prices, that of searches too.
        case
            when not is_calculated and logged_pico is null then 0
            when not is_calculated then 1
            -- As in view priced.
            when output_tokens >= 1000000000 or web_searches >= 1000000 then 0
            when searches_may_be_unpriced and web_searches > 0 then 3
            else 2
        end as cost_is_from,
        min(ts) as any_ts,
        count(*) as requests,
        count(*) filter (output_is_partial) as partial_requests,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
        sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        coalesce(sum(web_searches), 0)::bigint as web_searches,
        sum(logged_pico)::bigint as logged_pico
    from selected_of_mode
    cross join price_steps
    group by 1, 2, 3, 4, 5
),

priced_sums as (
    select
        sums.quarter_hour,
        sums.any_ts,
        sums.model,
        sums.requests,
        sums.partial_requests,
        sums.input_tokens,
        sums.output_tokens,
        sums.cache_write_5m_tokens,
        sums.cache_write_1h_tokens,
        sums.cache_read_tokens,
        sums.input_tokens + sums.output_tokens + sums.cache_write_5m_tokens + sums.cache_write_1h_tokens
            + sums.cache_read_tokens as total_tokens,
        sums.cost_is_from,
        (sums.logged_pico * 0.000000000001)::decimal(38, 12) as cost_logged,
        -- Tokens of up to 19 digits times dollars a token.
        sums.input_tokens::decimal(19, 0) * (price_rates.input_price_pico * 0.000000000001)::decimal(18, 12)
            as cost_input,
        sums.output_tokens::decimal(19, 0) * (price_rates.output_price_pico * 0.000000000001)::decimal(18, 12)
            as cost_output,
        sums.cache_write_5m_tokens::decimal(19, 0)
            * (price_rates.cache_write_5m_price_pico * 0.000000000001)::decimal(18, 12) as cost_cache_write_5m,
        sums.cache_write_1h_tokens::decimal(19, 0)
            * (price_rates.cache_write_1h_price_pico * 0.000000000001)::decimal(18, 12) as cost_cache_write_1h,
        sums.cache_read_tokens::decimal(19, 0)
            * (price_rates.cache_read_price_pico * 0.000000000001)::decimal(18, 12) as cost_cache_read,
        case
            when price_rates.price_id is null then null
            -- Searches that did not take place need no price.
            when sums.web_searches = 0 then 0::decimal(37, 12)
            else sums.web_searches::decimal(19, 0)
                * (price_rates.web_search_price_pico * 0.000000000001)::decimal(18, 12)
        end as cost_web_search
    from sums_by_price as sums
    left join price_rates
        on sums.cost_is_from >= 2
        and sums.model = price_rates.model
        and sums.factors
            = case when price_rates.is_fast then 1 else 0 end
            + case when price_rates.is_us then 2 else 0 end
            + case when price_rates.is_batch then 4 else 0 end
        and coalesce(epoch_us(sums.any_ts), 0) >= price_rates.from_us
        and coalesce(epoch_us(sums.any_ts), 0) < price_rates.to_us
        and sums.like_context_tokens >= price_rates.from_tokens
        and sums.like_context_tokens < price_rates.to_tokens
),

costs_in_all as (
    select
        priced_sums.*,
        case
            when cost_is_from = 1 then cost_logged
            else cost_input + cost_output + cost_cache_write_5m + cost_cache_write_1h + cost_cache_read
                + cost_web_search
        end as cost
    from priced_sums
)

select
    quarter_hour,
    model,
    min(any_ts) as any_ts,
    sum(requests)::bigint as requests,
    sum(partial_requests)::bigint as partial_requests,
    sum(case when cost is null then requests else 0 end)::bigint as unpriced_requests,
    sum(case when cost is null then total_tokens else 0 end)::bigint as unpriced_tokens,
    sum(input_tokens)::bigint as input_tokens,
    sum(output_tokens)::bigint as output_tokens,
    sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
    sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
    sum(cache_read_tokens)::bigint as cache_read_tokens,
    sum(total_tokens)::bigint as total_tokens,
    sum(cost_input)::decimal(38, 12) as cost_input,
    sum(cost_output)::decimal(38, 12) as cost_output,
    sum(cost_cache_write_5m + cost_cache_write_1h)::decimal(38, 12) as cost_cache_write,
    sum(cost_cache_read)::decimal(38, 12) as cost_cache_read,
    sum(cost_web_search)::decimal(38, 12) as cost_web_search,
    sum(cost_input + cost_output)::decimal(38, 12) as cost_api,
    sum(cost)::decimal(38, 12) as cost
from costs_in_all
group by quarter_hour, model
