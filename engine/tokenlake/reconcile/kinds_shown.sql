-- By day, model and kind of token.
select
    day,
    model,
    figure as kind,
    whole(ours) as ours,
    whole(theirs) as ccusage,
    whole(difference) as difference,
    whole(unexplained) as unexplained
from compared
where figure <> 'cost'
order by day nulls last, model nulls last, kind
