-- Ours, theirs and what the differences amount to, by day, model and kind of figure; dollars in picodollars.
with their_names as (
    -- ccusage tells fast mode by the name, and lists what has no model under none.
    select
        case when speed = 'fast' and origin <> 'advisor' then model || '-fast' else model end as listed,
        min(model) as model
    from their_requests
    where model is not null
    group by 1
),

ours as (
    select
        day,
        model,
        count(*)::hugeint as requests,
        sum(input_tokens)::hugeint as input,
        sum(output_tokens)::hugeint as output,
        sum(cache_write_tokens)::hugeint as cache_write,
        sum(cache_read_tokens)::hugeint as cache_read,
        sum(cost_pico)::hugeint as cost
    from own_requests
    group by day, model
),

-- Its report has no requests: they are those that its rules lead to.
followed as (
    select
        day,
        model,
        count(*)::hugeint as requests,
        0::hugeint as input,
        0::hugeint as output,
        0::hugeint as cache_write,
        0::hugeint as cache_read,
        0::hugeint as cost
    from their_requests
    group by day, model
),

said as (
    select
        their_totals.day,
        coalesce(their_names.model, their_totals.model) as model,
        0::hugeint as requests,
        their_totals.input_tokens::hugeint as input,
        their_totals.output_tokens::hugeint as output,
        their_totals.cache_write_tokens::hugeint as cache_write,
        their_totals.cache_read_tokens::hugeint as cache_read,
        round(their_totals.cost * 1000000000000)::hugeint as cost
    from their_totals
    left join their_names on their_totals.model = their_names.listed
),

explanations as (
    select
        day,
        model,
        sum(requests)::hugeint as requests,
        sum(input_tokens)::hugeint as input,
        sum(output_tokens)::hugeint as output,
        sum(cache_write_tokens)::hugeint as cache_write,
        sum(cache_read_tokens)::hugeint as cache_read,
        sum(cost_pico)::hugeint as cost
    from differences
    group by day, model
),

figures_of_sides as (
    select 'ours' as side, * from ours
    union all
    select 'theirs' as side, * from followed
    union all
    select 'theirs' as side, * from said
    union all
    select 'explained' as side, * from explanations
),

figures as (
    select
        side,
        day,
        model,
        unnest(['requests', 'input', 'output', 'cache_write', 'cache_read', 'cost']) as figure,
        unnest([requests, input, output, cache_write, cache_read, cost]) as amount
    from figures_of_sides
),

sums as (
    select
        day,
        nullif(model, '<synthetic>') as model,
        figure,
        coalesce(sum(amount) filter (side = 'ours'), 0)::hugeint as ours,
        coalesce(sum(amount) filter (side = 'theirs'), 0)::hugeint as theirs,
        coalesce(sum(amount) filter (side = 'explained'), 0)::hugeint as explained
    from figures
    where ($first_day is null or day >= $first_day) and ($last_day is null or day <= $last_day)
    group by day, nullif(model, '<synthetic>'), figure
),

residues as (
    select
        *,
        theirs - ours - explained as residue
    from sums
)

select
    * exclude (residue, explained),
    theirs - ours as difference,
    case
        -- Its dollars are floats: what their rounding can make is none.
        when figure = 'cost' and abs(residue) <= 10000 + abs(theirs) // 100000000000 then 0
        else residue
    end::hugeint as unexplained
from residues
