-- Cost by day: requests, tokens of every kind and dollars
-- total_tokens = input + output + cache writes + cache reads.
-- cost_... are dollars at the list price of each request's model, day, context size, speed, region and tier.
-- cost_api = cost_input + cost_output; cost = cost_api + cost_cache_write + cost_cache_read + cost_web_search.
-- unpriced_requests and unpriced_tokens are those whose model has no price: no cost_ holds them, and it is empty
-- where the whole row is unpriced.
-- partial_output_share: share of requests whose output was never finalised; there, output is a lower bound.
--
-- $by_model boolean = false: a row per day and model, the dearest model first
-- example: tokenlake cost daily --by-model --since 30d

-- The days are cut from quarter hours: see view selected_quarter_hours.
-- All figures of a quarter hour are added up: requests, tokens by kind, dollars, and what is unpriced.
select
    (any_ts at time zone $tz)::date as day,
    case when $by_model then coalesce(model, '(none)') else 'all' end as model,
    sum(columns(* exclude (quarter_hour, any_ts, model, partial_requests))),
    sum(partial_requests)::double / nullif(sum(requests), 0) as partial_output_share
from selected_quarter_hours
group by 1, 2
order by day, cost desc nulls last, total_tokens desc, model
