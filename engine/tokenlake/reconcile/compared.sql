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

listed as (
    select
        'ours' as side,
        day,
        model,
        1 as requests,
        input_tokens,
        output_tokens,
        cache_write_tokens,
        cache_read_tokens,
        cost_pico
    from own_requests
    union all by name
    -- Its report has no requests: they are those that its rules lead to.
    select
        'theirs' as side,
        day,
        model,
        1 as requests
    from their_requests
    union all by name
    select
        'theirs' as side,
        their_totals.day,
        coalesce(their_names.model, their_totals.model) as model,
        their_totals.input_tokens,
        their_totals.output_tokens,
        their_totals.cache_write_tokens,
        their_totals.cache_read_tokens,
        round(their_totals.cost * 1000000000000)::hugeint as cost_pico
    from their_totals
    left join their_names on their_totals.model = their_names.listed
    union all by name
    select
        'explained' as side,
        day,
        model,
        requests,
        input_tokens,
        output_tokens,
        cache_write_tokens,
        cache_read_tokens,
        cost_pico
    from differences
),

amounts as (
    select
        side,
        day,
        model,
        sum(requests)::hugeint as requests,
        sum(input_tokens)::hugeint as input,
        sum(output_tokens)::hugeint as output,
        sum(cache_write_tokens)::hugeint as cache_write,
        sum(cache_read_tokens)::hugeint as cache_read,
        sum(cost_pico)::hugeint as cost
    from listed
    group by side, day, model
),

figures as (
    select
        side,
        day,
        model,
        unnest(['requests', 'input', 'output', 'cache_write', 'cache_read', 'cost']) as figure,
        unnest([requests, input, output, cache_write, cache_read, cost]) as amount
    from amounts
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
