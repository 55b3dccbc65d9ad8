-- By day, model or both: requests, tokens of all kinds and dollars of both sides, the difference, what of it a rule
-- explains and what none does.
with summed as (
    select
        case when $by_day then day end as day,
        case when $by_model then model end as model,
        coalesce(sum(ours) filter (figure = 'requests'), 0) as requests,
        coalesce(sum(theirs) filter (figure = 'requests'), 0) as ccusage_requests,
        coalesce(sum(ours) filter (figure not in ('requests', 'cost')), 0) as tokens,
        coalesce(sum(theirs) filter (figure not in ('requests', 'cost')), 0) as ccusage_tokens,
        coalesce(sum(difference - unexplained) filter (figure not in ('requests', 'cost')), 0) as tokens_explained,
        -- Of both signs: what is missing in one kind does not make up for what is too much in another.
        coalesce(sum(abs(unexplained)) filter (figure not in ('requests', 'cost')), 0) as tokens_unexplained,
        coalesce(sum(ours) filter (figure = 'cost'), 0) as cost_pico,
        coalesce(sum(theirs) filter (figure = 'cost'), 0) as ccusage_cost_pico,
        coalesce(sum(difference - unexplained) filter (figure = 'cost'), 0) as cost_explained_pico,
        coalesce(sum(abs(unexplained)) filter (figure = 'cost'), 0) as cost_unexplained_pico
    from compared
    group by 1, 2
)

select
    day,
    model,
    whole(requests) as requests,
    whole(ccusage_requests) as ccusage_requests,
    whole(tokens) as tokens,
    whole(ccusage_tokens) as ccusage_tokens,
    whole(ccusage_tokens - tokens) as tokens_difference,
    whole(tokens_explained) as tokens_explained,
    whole(tokens_unexplained) as tokens_unexplained,
    dollars(cost_pico) as cost,
    dollars(ccusage_cost_pico) as ccusage_cost,
    dollars(ccusage_cost_pico - cost_pico) as cost_difference,
    dollars(cost_explained_pico) as cost_explained,
    dollars(cost_unexplained_pico) as cost_unexplained
from summed
order by day nulls last, model nulls last
