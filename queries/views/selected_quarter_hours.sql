-- Requests, tokens and cost by quarter hour and model, under the filters: hours, days, weeks and months are cut from it
-- Local periods are sums of these, as offsets from UTC are whole numbers of quarter hours: those of all zones since 2012,
-- before any log; of a few zones they were not. To change the zone of each request would cost more than all the sums.
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
with sums as (
    select
        -- Rounded down, also before 1970.
        epoch_us(first_ts) // 900000000 - case when epoch_us(first_ts) % 900000000 < 0 then 1 else 0 end
            as quarter_hour,
        model,
        min(first_ts) as any_ts,
        sum(requests) as requests,
        sum(partial_requests) as partial_requests,
        sum(unpriced_requests) as unpriced_requests,
        sum(unpriced_tokens) as unpriced_tokens,
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
        sum(cost_pico) as cost_pico
    from selected_cost_sums
    group by 1, 2
)

select
    quarter_hour,
    model,
    any_ts,
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
