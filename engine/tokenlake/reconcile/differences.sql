-- What leads from the lake's totals to those of ccusage: rows that add up to the difference, each with its rule.
--
-- rule: what causes it
-- cause: rows (which rows count, and how their tokens are read) or price
-- file, line: the row that causes it
with kept_of_requests as (
    -- The row that stands for each request of the lake on the other side, if any does.
    select
        own_requests.*,
        theirs.number as match_number,
        theirs.is_own_row,
        theirs.is_usage_row,
        theirs.reason as match_reason,
        theirs.is_replayable as match_is_replayable,
        theirs.origin as match_origin,
        theirs.day as match_day,
        theirs.reading_pico as match_pico,
        coalesce(
            theirs.input_tokens + theirs.output_tokens + theirs.own_write_5m_tokens + theirs.cache_write_1h_tokens
                + theirs.cache_read_tokens
                <> own_requests.input_tokens + own_requests.output_tokens + own_requests.cache_write_tokens
                + own_requests.cache_read_tokens,
            false
        ) as has_other_counts
    from own_requests
    left join their_costs as theirs on own_requests.key = theirs.key and theirs.is_match
),

-- The request goes, with the web searches that have a price here only.
taken as (
    select
        case
            when match_number is null then coalesce(fate, 'one request there')
            when is_own_row and not is_priced then 'unpriced here'
            when is_own_row and has_other_counts then 'count of 64 bits'
            when is_own_row then 'another day'
            when fate is not null then fate
            when not is_usage_row then 'not held: ' || coalesce(nullif(match_reason, ''), 'no usage row')
            when match_origin <> origin then 'row kept: agent_progress'
            when is_sidechain and not match_is_replayable then 'row kept: main thread before subagent'
            else 'row kept: the largest'
        end as rule,
        *
    from kept_of_requests
    -- The others are alike.
    where match_number is null or not is_own_row or cost_pico - web_search_pico <> coalesce(match_pico, 0)
        or day is distinct from match_day or has_other_counts
),

given as (
    select
        taken.rule,
        theirs.*
    from taken
    inner join their_costs as theirs on taken.match_number = theirs.number
),

steps as (
    select
        rule, 'rows' as cause, key, path, line, day, model,
        -1 as requests,
        -input_tokens as input_tokens,
        -output_tokens as output_tokens,
        -cache_write_tokens as cache_write_tokens,
        -cache_read_tokens as cache_read_tokens,
        case when match_number is null then -cost_pico else web_search_pico - cost_pico end as cost_pico
    from taken
    union all
    -- The row that stands for it comes in its place, read as the lake reads it, on the day of the request,
    select
        given.rule, 'rows', given.key, own_requests.path, own_requests.line, own_requests.day, given.model,
        1,
        given.input_tokens,
        given.output_tokens,
        given.own_write_5m_tokens + given.cache_write_1h_tokens,
        given.cache_read_tokens,
        coalesce(given.reading_pico, 0)
    from given
    inner join own_requests on given.key = own_requests.key
    union all
    -- goes to the day of its own,
    select
        'another day', 'rows', given.key, given.path, given.line,
        case when sides.sign = 1 then given.day else own_requests.day end,
        given.model,
        sides.sign,
        sides.sign * given.input_tokens,
        sides.sign * given.output_tokens,
        sides.sign * (given.own_write_5m_tokens + given.cache_write_1h_tokens),
        sides.sign * given.cache_read_tokens,
        sides.sign * coalesce(given.reading_pico, 0)
    from given
    inner join own_requests on given.key = own_requests.key
    cross join (values (-1), (1)) as sides (sign)
    where given.day is distinct from own_requests.day
    union all
    -- and its writes are read as ccusage reads them.
    select
        'split of cache writes', 'rows', key, path, line, day, model,
        0,
        0,
        0,
        cache_write_5m_tokens - own_write_5m_tokens,
        0,
        coalesce(whole_pico, 0) - coalesce(reading_pico, 0)
    from their_costs
    where is_match and cache_write_5m_tokens <> own_write_5m_tokens
    union all
    -- What ccusage counts beside.
    select
        case
            when model = '<synthetic>' then 'synthetic'
            when not is_known and not is_usage_row and reason <> '' then 'not held: ' || reason
            when not is_known then 'not held: no usage row'
            when not is_usage_row and reason <> '' then 'twice: ' || reason
            when origin = 'agent_progress' then 'twice: agent_progress'
            when message_id is null then 'twice: no message id'
            when request_id is null then 'twice: no requestId'
            else 'twice: another requestId'
        end,
        'rows', key, path, line, day, model,
        1,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens + cache_write_1h_tokens,
        cache_read_tokens,
        coalesce(whole_pico, 0)
    from their_costs
    where not is_match
    union all
    select
        'web searches', 'price', key, path, line, day, model, 0, 0, 0, 0, 0, -web_search_pico
    from kept_of_requests
    where match_number is not null and web_search_pico <> 0
    union all
    select
        prices.rule, 'price', key, path, line, day, model, 0, 0, 0, 0, 0, prices.pico
    from their_costs
    cross join lateral (
        select
            unnest(
                case
                    when is_logged then [{'rule': 'cost as logged', 'pico': their_pico - coalesce(whole_pico, 0)}]
                    when their_pico is null then []
                    when whole_pico is null then [{'rule': 'unpriced here', 'pico': their_pico}]
                    when not coalesce(has_price, false) then [{'rule': 'unpriced there', 'pico': their_pico - whole_pico}]
                    else [
                        {'rule': 'batch tier', 'pico': no_batch_pico - whole_pico},
                        {'rule': 'US inference', 'pico': no_geo_pico - no_batch_pico},
                        {'rule': 'fast mode', 'pico': no_fast_pico - no_geo_pico + their_pico - their_tiered_pico},
                        {
                            'rule': 'long context',
                            'pico': flat_pico - no_fast_pico + their_tiered_pico - their_flat_pico
                        },
                        {
                            'rule': 'price of input',
                            'pico': input_tokens * (their_input_price_pico - input_price_pico)
                        },
                        {
                            'rule': 'price of output',
                            'pico': output_tokens * (their_output_price_pico - output_price_pico)
                        },
                        {
                            'rule': 'price of 5m writes',
                            'pico': cache_write_5m_tokens
                                * (their_cache_write_5m_price_pico - cache_write_5m_price_pico)
                        },
                        {
                            'rule': 'price of 1h writes',
                            'pico': cache_write_1h_tokens
                                * (their_cache_write_1h_price_pico - cache_write_1h_price_pico)
                        },
                        {
                            'rule': 'price of cache reads',
                            'pico': cache_read_tokens * (their_cache_read_price_pico - cache_read_price_pico)
                        }
                    ]
                end,
                recursive := true
            )
    ) as prices
    where prices.pico <> 0
)

select
    rule,
    cause,
    key,
    path as file,
    line,
    day,
    model,
    sum(requests)::bigint as requests,
    sum(input_tokens)::hugeint as input_tokens,
    sum(output_tokens)::hugeint as output_tokens,
    sum(cache_write_tokens)::hugeint as cache_write_tokens,
    sum(cache_read_tokens)::hugeint as cache_read_tokens,
    sum(cost_pico)::hugeint as cost_pico
from steps
where ($first_day is null or day >= $first_day) and ($last_day is null or day <= $last_day)
group by rule, cause, key, path, line, day, model
having
    sum(requests) <> 0 or sum(input_tokens) <> 0 or sum(output_tokens) <> 0 or sum(cache_write_tokens) <> 0
    or sum(cache_read_tokens) <> 0 or sum(cost_pico) <> 0
