-- One row: the contexts and the instants at which on some logged model another price begins to hold
-- Requests of one model between the same two steps, alike in what makes a factor, share a price: their tokens may be
-- summed first and priced then.
--
-- step_*_tokens: contexts, smallest first; 1,000,000,000, beyond any request, where there are fewer
-- step_*_us: instants, earliest first, in microseconds since 1970, each the start of a UTC day;
--     9,000,000,000,000,000,000 where there are fewer
-- searches_may_be_unpriced: on some model a request may have a price for its tokens and none for its searches
with token_steps as (
    select
        from_tokens,
        row_number() over (order by from_tokens) as place
    from (select distinct from_tokens from price_rates where from_tokens > 0) as steps
),

time_steps as (
    select
        step_us,
        row_number() over (order by step_us) as place
    from (select from_us as step_us from price_rates union select to_us as step_us from price_rates) as steps
    where step_us > -9000000000000000000 and step_us < 9000000000000000000
),

first_tokens as (
    select
        coalesce(max(case when place = 1 then from_tokens end), 1000000000) as step_1_tokens,
        coalesce(max(case when place = 2 then from_tokens end), 1000000000) as step_2_tokens,
        coalesce(max(case when place = 3 then from_tokens end), 1000000000) as step_3_tokens,
        coalesce(max(case when place = 4 then from_tokens end), 1000000000) as step_4_tokens
    from token_steps
),

first_times as (
    select
        coalesce(max(case when place = 1 then step_us end), 9000000000000000000) as step_1_us,
        coalesce(max(case when place = 2 then step_us end), 9000000000000000000) as step_2_us,
        coalesce(max(case when place = 3 then step_us end), 9000000000000000000) as step_3_us,
        coalesce(max(case when place = 4 then step_us end), 9000000000000000000) as step_4_us
    from time_steps
)

select
    first_tokens.*,
    first_times.*,
    (select count(*) from price_rates where web_search_price_pico is null) > 0 as searches_may_be_unpriced
from first_tokens
cross join first_times
