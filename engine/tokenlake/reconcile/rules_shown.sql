-- What each rule amounts to, and what no rule explains.
with amounts as (
    select
        rule,
        cause,
        count(distinct file || ' ' || line || ' ' || key) as rows,
        sum(requests)::bigint as requests,
        sum(input_tokens + output_tokens + cache_write_tokens + cache_read_tokens) as tokens,
        sum(cost_pico) as cost_pico
    from differences
    group by rule, cause
    union all
    select
        'unexplained' as rule,
        null as cause,
        null as rows,
        null as requests,
        coalesce(sum(unexplained) filter (figure not in ('requests', 'cost')), 0) as tokens,
        coalesce(sum(unexplained) filter (figure = 'cost'), 0) as cost_pico
    from compared
    where unexplained <> 0
    having count(*) > 0
)

select
    rule,
    cause,
    rows,
    requests,
    whole(tokens) as tokens,
    dollars(cost_pico) as cost,
    (
        select words
        from rule_words
        where starts_with(amounts.rule, rule_words.beginning)
        order by length(rule_words.beginning) desc
        limit 1
    ) as meaning
from amounts
order by rule = 'unexplained', cause desc, rule
