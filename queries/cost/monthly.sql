-- Tokens by month: requests and tokens of every kind
-- total_tokens = input + output + cache writes + cache reads.
-- partial_output_share: share of requests whose output was never finalised; there, output is a lower bound.
--
-- $by_model boolean = false: a row per month and model
-- example: tokenlake cost monthly --by-model --since 30d

-- Every zone is a whole number of quarter hours off UTC, so the sums of quarter hours are moved to local
-- months, not each request: the change of zone would cost more than all the rest.
with quarter_hours as (
    select
        epoch_us(ts) // 900000000 as quarter_hour,
        case when $by_model then coalesce(model, '(none)') end as model,
        min(ts) as ts,
        count(*) as requests,
        count(*) filter (output_is_partial) as partial_requests,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
        sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens
    from selected
    group by 1, 2
),

local_months as (
    select
        strftime(ts at time zone $tz, '%Y-%m') as month,
        coalesce(model, 'all') as model,
        sum(requests)::bigint as requests,
        sum(partial_requests)::bigint as partial_requests,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,
        sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens
    from quarter_hours
    group by 1, 2
)

select
    month,
    model,
    requests,
    input_tokens,
    output_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    cache_read_tokens,
    input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as total_tokens,
    partial_requests::double / nullif(requests, 0) as partial_output_share
from local_months
order by month, total_tokens desc, model
