-- What is to be priced of each counted row: as ccusage reads it, as the lake does, and without one after the other of
-- what ccusage knows no price for.
--
-- variant: reading (the row as the lake reads it), whole (as ccusage does), no_batch, no_geo, no_fast, flat
with shared as (
    select
        their_requests.*,
        try_cast(input_tokens as bigint) as input_count,
        try_cast(output_tokens as bigint) as output_count,
        try_cast(own_write_5m_tokens as bigint) as own_write_5m_count,
        try_cast(cache_write_5m_tokens as bigint) as write_5m_count,
        try_cast(cache_write_1h_tokens as bigint) as write_1h_count,
        try_cast(cache_read_tokens as bigint) as read_count,
        try_cast(input_tokens + own_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as bigint)
            as own_context_count,
        try_cast(input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as bigint) as context_count,
        coalesce(service_tier = 'batch', false) as is_batch,
        coalesce(inference_geo = 'us', false) as is_us,
        coalesce(own_speed = 'fast', false) as is_fast
    from their_requests
),

-- The least context from which on some logged model has another price; beyond any request, where none has.
price_steps as (
    select coalesce(min(from_tokens), 1000000000) as first_tokens
    from price_rates
    where from_tokens > 0
),

variants as (
    select 'reading' as variant, true as with_batch, true as with_geo, true as with_fast, true as with_bands
    union all
    select 'whole', true, true, true, true
    union all
    select 'no_batch', false, true, true, true
    union all
    select 'no_geo', false, false, true, true
    union all
    select 'no_fast', false, false, false, true
    union all
    select 'flat', false, false, false, false
)

select
    shared.number,
    variants.variant,
    shared.model,
    shared.ts,
    case when variants.with_fast then shared.own_speed end as speed,
    case when variants.with_geo then shared.inference_geo end as inference_geo,
    case when variants.with_batch then shared.service_tier end as service_tier,
    shared.input_count as input_tokens,
    shared.output_count as output_tokens,
    case when variants.variant = 'reading' then shared.own_write_5m_count else shared.write_5m_count end
        as cache_write_5m_tokens,
    shared.write_1h_count as cache_write_1h_tokens,
    shared.read_count as cache_read_tokens,
    case
        when not variants.with_bands then 0
        when variants.variant = 'reading' then shared.own_context_count
        else shared.context_count
    end as context_tokens,
    0::bigint as web_searches
from shared
cross join price_steps
inner join variants
    -- Only what may differ from the variant before it.
    on variants.variant = 'whole'
    or (variants.variant = 'reading' and shared.own_write_5m_tokens <> shared.cache_write_5m_tokens)
    or (variants.variant = 'no_batch' and shared.is_batch)
    or (variants.variant = 'no_geo' and (shared.is_us or shared.is_batch))
    or (variants.variant = 'no_fast' and (shared.is_fast or shared.is_us or shared.is_batch))
    or (
        variants.variant = 'flat'
        and (shared.is_fast or shared.is_us or shared.is_batch or shared.context_count >= price_steps.first_tokens)
    )
