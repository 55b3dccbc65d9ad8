-- What a token of each logged model costs: a row for every price, span of days and set of factors that can meet.
--
-- Prices are picodollars (1e-12 dollars) a token: 0.50 dollars per million are 500,000. A request has the one row
-- of its model, fast mode, US inference and batch tier whose days and contexts it lies in (accounting rules 19
-- and 20). Where there is no row the price is not known (rule 21): fast mode of a model whose factor for it is
-- not known is such a case.
-- price_id: number of the row
-- model: model as logged
-- price_model: model of `prices` that the name stands for
-- is_fast, is_us, is_batch: whether it is for requests in fast mode, with US inference, of the batch tier
-- from_us, to_us: first instant, and first instant after, in microseconds since 1970
-- from_tokens, to_tokens: least context, and first one beyond; nothing of a billion tokens is a request
-- *_price_pico: picodollars (1e-12 dollars) a token, factors included
-- web_search_price_pico: picodollars a web search, null where it is not known
with standard as (
    select
        price_names.model,
        price_names.price_model,
        greatest(
            coalesce(epoch_us(price_names.valid_from::timestamp), -9000000000000000000),
            coalesce(epoch_us(prices.valid_from::timestamp), -9000000000000000000)
        ) as from_us,
        least(
            coalesce(epoch_us(price_names.valid_to::timestamp) + 86400000000, 9000000000000000000),
            coalesce(epoch_us(prices.valid_to::timestamp) + 86400000000, 9000000000000000000)
        ) as to_us,
        prices.prompt_from as from_tokens,
        coalesce(prices.prompt_to + 1, 1000000000) as to_tokens,
        (prices.input * 1000000)::bigint as input_pico,
        (prices.output * 1000000)::bigint as output_pico,
        -- Tokens of a kind without a price of its own are input.
        (coalesce(prices.cache_write_5m, prices.input) * 1000000)::bigint as cache_write_5m_pico,
        (coalesce(prices.cache_write_1h, prices.cache_write_5m, prices.input) * 1000000)::bigint as cache_write_1h_pico,
        (coalesce(prices.cache_read, prices.input) * 1000000)::bigint as cache_read_pico,
        (prices.web_search * 1000000)::bigint * 1000 as web_search_pico
    from price_names
    inner join prices on price_names.price_model = prices.model
),

factors as (
    select
        kind,
        model,
        coalesce(epoch_us(valid_from::timestamp), -9000000000000000000) as from_us,
        coalesce(epoch_us(valid_to::timestamp) + 86400000000, 9000000000000000000) as to_us,
        (factor * 1000)::bigint as factor_milli
    from price_factors
    union all
    -- A request may do without each of them.
    select
        kind,
        '*' as model,
        -9000000000000000000 as from_us,
        9000000000000000000 as to_us,
        null::bigint as factor_milli
    from (values ('fast'), ('us'), ('batch')) as kinds (kind)
),

multiplied as (
    select
        standard.*,
        fast.factor_milli is not null as is_fast,
        us.factor_milli is not null as is_us,
        batch.factor_milli is not null as is_batch,
        coalesce(fast.factor_milli, 1000) * coalesce(us.factor_milli, 1000) * coalesce(batch.factor_milli, 1000)
            as factor_nano,
        greatest(standard.from_us, fast.from_us, us.from_us, batch.from_us) as rate_from_us,
        least(standard.to_us, fast.to_us, us.to_us, batch.to_us) as rate_to_us
    from standard
    inner join factors as fast on fast.kind = 'fast' and fast.model in ('*', standard.price_model)
    inner join factors as us on us.kind = 'us' and us.model in ('*', standard.price_model)
    inner join factors as batch on batch.kind = 'batch' and batch.model in ('*', standard.price_model)
)

select
    row_number() over (
        order by model, rate_from_us, from_tokens, is_fast, is_us, is_batch, price_model
    ) as price_id,
    model,
    price_model,
    is_fast,
    is_us,
    is_batch,
    rate_from_us as from_us,
    rate_to_us as to_us,
    from_tokens,
    to_tokens,
    input_pico * factor_nano // 1000000000 as input_price_pico,
    output_pico * factor_nano // 1000000000 as output_price_pico,
    cache_write_5m_pico * factor_nano // 1000000000 as cache_write_5m_price_pico,
    cache_write_1h_pico * factor_nano // 1000000000 as cache_write_1h_price_pico,
    cache_read_pico * factor_nano // 1000000000 as cache_read_price_pico,
    -- Factors are of tokens.
    web_search_pico as web_search_price_pico
from multiplied
where rate_from_us < rate_to_us
