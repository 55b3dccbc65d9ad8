-- What each counted row costs, in picodollars, step by step from the lake's prices to those of ccusage.
--
-- reading_pico ... flat_pico: by the lake's prices, see cost_variants; null where it has none
-- their_flat_pico: by the price of ccusage for a few tokens in the usual mode
-- their_tiered_pico: and by that of what lies above 200,000 tokens of a kind
-- their_pico: what ccusage counts, fast mode included; null where its price is not known
-- is_logged: the cost is as logged, by the cost mode, and no price counts
with priced_variants as (
    select
        number,
        variant,
        (input_pico::hugeint + output_pico + cache_write_pico + cache_read_pico) as pico,
        price_id
    from variants.priced
),

own_prices as (
    select
        number,
        bool_or(variant = 'reading') as has_reading,
        bool_or(variant = 'no_batch') as has_no_batch,
        bool_or(variant = 'no_geo') as has_no_geo,
        bool_or(variant = 'no_fast') as has_no_fast,
        bool_or(variant = 'flat') as has_flat,
        max(case when variant = 'reading' then pico end) as reading_pico,
        max(case when variant = 'whole' then pico end) as whole_pico,
        max(case when variant = 'no_batch' then pico end) as no_batch_pico,
        max(case when variant = 'no_geo' then pico end) as no_geo_pico,
        max(case when variant = 'no_fast' then pico end) as no_fast_pico,
        max(case when variant = 'flat' then pico end) as flat_pico,
        max(case when variant = 'flat' then price_id end) as flat_price_id,
        max(case when variant = 'whole' then price_id end) as whole_price_id
    from priced_variants
    group by number
),

tiered as (
    select
        their_requests.number,
        their_rates.is_fast,
        their_rates.has_price,
        input_tokens * input_pico + output_tokens * output_pico + cache_write_5m_tokens * cache_write_5m_pico
            + cache_write_1h_tokens * cache_write_1h_pico + cache_read_tokens * cache_read_pico as flat_pico,
        greatest(input_tokens - 200000, 0) * (input_above_pico - input_pico)
            + greatest(output_tokens - 200000, 0) * (output_above_pico - output_pico)
            + greatest(cache_write_5m_tokens - 200000, 0) * (cache_write_5m_above_pico - cache_write_5m_pico)
            + greatest(cache_write_1h_tokens - 200000, 0) * (cache_write_1h_above_pico - cache_write_1h_pico)
            + greatest(cache_read_tokens - 200000, 0) * (cache_read_above_pico - cache_read_pico) as above_pico,
        their_rates.input_pico,
        their_rates.output_pico,
        their_rates.cache_write_5m_pico,
        their_rates.cache_write_1h_pico,
        their_rates.cache_read_pico
    from their_requests
    inner join their_rates on their_requests.model = their_rates.model
),

steps as (
    select
        their_requests.*,
        case when own_prices.has_reading then own_prices.reading_pico else own_prices.whole_pico end as reading_pico,
        own_prices.whole_pico,
        case when own_prices.has_no_batch then own_prices.no_batch_pico else own_prices.whole_pico end as no_batch_pico,
        case when own_prices.has_no_geo then own_prices.no_geo_pico else own_prices.whole_pico end as no_geo_pico,
        case when own_prices.has_no_fast then own_prices.no_fast_pico else own_prices.whole_pico end as no_fast_pico,
        case when own_prices.has_flat then own_prices.flat_pico else own_prices.whole_pico end as flat_pico,
        price_rates.input_price_pico,
        price_rates.output_price_pico,
        price_rates.cache_write_5m_price_pico,
        price_rates.cache_write_1h_price_pico,
        price_rates.cache_read_price_pico,
        usual.has_price,
        usual.flat_pico as their_flat_pico,
        usual.flat_pico + usual.above_pico as their_tiered_pico,
        case
            when coalesce(their_requests.model, '<synthetic>') = '<synthetic>' then 0
            when their_requests.speed = 'fast' then fast.flat_pico + fast.above_pico
            else usual.flat_pico + usual.above_pico
        end as their_pico,
        usual.input_pico as their_input_price_pico,
        usual.output_pico as their_output_price_pico,
        usual.cache_write_5m_pico as their_cache_write_5m_price_pico,
        usual.cache_write_1h_pico as their_cache_write_1h_price_pico,
        usual.cache_read_pico as their_cache_read_price_pico
    from their_requests
    left join own_prices on their_requests.number = own_prices.number
    left join price_rates
        on case when own_prices.has_flat then own_prices.flat_price_id else own_prices.whole_price_id end
            = price_rates.price_id
    left join tiered as usual on their_requests.number = usual.number and not usual.is_fast
    left join tiered as fast on their_requests.number = fast.number and fast.is_fast
),

logged as (
    select
        number,
        (coalesce(cost_logged, 0) * 1000000000000)::hugeint as logged_pico
    from their_requests
    where $cost_mode = 'display' or ($cost_mode = 'auto' and cost_logged is not null)
)

select
    steps.* replace (
        coalesce(logged.logged_pico, steps.reading_pico) as reading_pico,
        coalesce(logged.logged_pico, steps.whole_pico) as whole_pico,
        coalesce(logged.logged_pico, steps.their_pico) as their_pico
    ),
    logged.number is not null as is_logged
from steps
left join logged on steps.number = logged.number
