-- Days covered: every local day that has requests, and the gaps between them
-- gap_days_before: days without any request since the covered day before.
-- files counts the transcripts that the day's requests were read from; departed_files those of them gone from disk.
--
-- example: tokenlake lake days --since 30d

with requests_with_file as (
    select
        (selected.ts at time zone $tz)::date as day,
        selected.ts,
        selected.session_id,
        selected.host,
        selected.file_id,
        case when files.departed_at is not null then selected.file_id end as departed_file_id
    from selected
    left join files on selected.file_id = files.file_id
),

covered_days as (
    select
        day,
        count(*) as requests,
        count(distinct session_id) as sessions,
        count(distinct host) as hosts,
        count(distinct file_id) as files,
        count(distinct departed_file_id) as departed_files,
        min(ts) as first_ts,
        max(ts) as last_ts
    from requests_with_file
    group by day
)

select
    day,
    strftime(day, '%a') as weekday,
    coalesce(date_diff('day', lag(day) over (order by day), day) - 1, 0) as gap_days_before,
    requests,
    sessions,
    hosts,
    files,
    departed_files,
    first_ts,
    last_ts
from covered_days
order by day
