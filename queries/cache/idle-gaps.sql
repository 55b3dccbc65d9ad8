-- Idle gaps: how long chains pause, and what the cache still held after
-- A gap is the time from one request to the next of its chain (the main thread of a session, or one subagent).
-- gap             up to this long, and longer than the row above
-- share           gaps of the row / all gaps; cumulative_share counts the rows above too
-- hit_ratio       reads / context of the requests that ended the gaps
-- rebuilt_tokens  tokens that those requests wrote again: previous context - reads, at most their writes; small
--                 amounts, which `cache rebuilds` leaves out, are counted here
--
-- example: tokenlake cache idle-gaps --since 30d
with gap_classes (place, gap, up_to_ms) as (
    values
        (1, '10 s', 10000::bigint),
        (2, '30 s', 30000),
        (3, '1 min', 60000),
        (4, '2 min', 120000),
        (5, '5 min', 300000),
        (6, '10 min', 600000),
        (7, '30 min', 1800000),
        (8, '1 h', 3600000),
        (9, '2 h', 7200000),
        (10, '5 h', 18000000),
        (11, '1 day', 86400000),
        (12, '7 days', 604800000),
        (13, 'longer', null)
),

placed_gaps as (
    select
        case
            when gap_us <= 10000000 then 1
            when gap_us <= 30000000 then 2
            when gap_us <= 60000000 then 3
            when gap_us <= 120000000 then 4
            when gap_us <= 300000000 then 5
            when gap_us <= 600000000 then 6
            when gap_us <= 1800000000 then 7
            when gap_us <= 3600000000 then 8
            when gap_us <= 7200000000 then 9
            when gap_us <= 18000000000 then 10
            when gap_us <= 86400000000 then 11
            when gap_us <= 604800000000 then 12
            else 13
        end as place,
        is_sidechain,
        cache_read_tokens,
        context_tokens,
        rebuilt_tokens
    from selected_chains
    where gap_us is not null
),

gap_counts as (
    select
        place,
        count(*) as gaps,
        count(*) filter (is_sidechain) as subagent_gaps,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(context_tokens) as context_tokens,
        sum(rebuilt_tokens) as rebuilt_tokens
    from placed_gaps
    group by place
)

select
    gap_classes.gap,
    gap_classes.up_to_ms,
    coalesce(gap_counts.gaps, 0) as gaps,
    coalesce(gap_counts.gaps - gap_counts.subagent_gaps, 0) as main_gaps,
    coalesce(gap_counts.subagent_gaps, 0) as subagent_gaps,
    coalesce(gap_counts.gaps, 0)::double / nullif(sum(gap_counts.gaps) over (), 0) as share,
    coalesce(sum(gap_counts.gaps) over (order by gap_classes.place rows unbounded preceding), 0)::double
        / nullif(sum(gap_counts.gaps) over (), 0) as cumulative_share,
    gap_counts.cache_read_tokens::double / nullif(gap_counts.context_tokens, 0) as hit_ratio,
    coalesce(gap_counts.rebuilt_tokens, 0) as rebuilt_tokens
from gap_classes
left join gap_counts on gap_classes.place = gap_counts.place
-- No gap at all is no histogram, not one of zeros.
where exists (select 1 from gap_counts)
order by gap_classes.place
