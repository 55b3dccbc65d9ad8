-- Cost by machine: requests, tokens of every kind and dollars, the dearest first
-- total_tokens = input + output + cache writes + cache reads.
-- cost_... are dollars at the list price of each request's model, day, context size, speed, region and tier.
-- cost_api = cost_input + cost_output; cost = cost_api + cost_cache_write + cost_cache_read + cost_web_search.
-- unpriced_requests and unpriced_tokens are those whose model has no price: no cost_ holds them, and it is empty
-- where the whole row is unpriced.
-- partial_output_share: share of requests whose output was never finalised; there, output is a lower bound.
--
-- $by_model boolean = false: a row per host and model
-- example: tokenlake cost host --since 30d

-- All figures of a group are added up: requests, tokens by kind, dollars, and what is unpriced.
select
    coalesce(host, '(none)') as host,
    case when $by_model then coalesce(model, '(none)') else 'all' end as model,
    sum(columns(* exclude (host, project, version, model, price_model, partial_requests))),
    sum(partial_requests)::double / nullif(sum(requests), 0) as partial_output_share
from selected_cost_groups
group by 1, 2
order by cost desc nulls last, total_tokens desc, host, model
