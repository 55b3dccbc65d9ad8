-- Days: those with requests, those known from history alone, and the gaps between
-- gap_days_before: days of which nothing is known since the day before in this list.
-- files counts the transcripts that the day's requests were read from; departed_files those of them gone from disk.
-- known_sessions   sessions of the day with requests here, or with prompts that history.jsonl names
-- held_sessions    those with a transcript here that is still on disk
-- departed_sessions  those whose transcripts are all gone from disk, and are kept here
-- missing_sessions those of which the lake has no transcript: what they used is in no report
-- A day without requests and without known sessions has prompts of which the history names no session.
--
-- $by_host boolean = false: a row per day and host
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

prompted as (
    select
        (ts at time zone $tz)::date as day,
        session_id,
        host
    from selected_known_prompts
),

covered_days as (
    select
        day,
        case when $by_host then coalesce(host, '(none)') else 'all' end as host,
        count(*) as requests,
        count(distinct session_id) as sessions,
        count(distinct host) as hosts,
        count(distinct file_id) as files,
        count(distinct departed_file_id) as departed_files,
        min(ts) as first_ts,
        max(ts) as last_ts
    from requests_with_file
    group by day, case when $by_host then coalesce(host, '(none)') else 'all' end
),

known_by_session as (
    select distinct
        day,
        case when $by_host then coalesce(host, '(none)') else 'all' end as host,
        session_id
    from (
        select day, session_id, host from requests_with_file
        union all
        select day, session_id, host from prompted
    )
),

known_days as (
    select
        known_by_session.day,
        known_by_session.host,
        count(known_by_session.session_id) as known_sessions,
        count(*) filter (session_transcripts.status = 'held') as held_sessions,
        count(*) filter (session_transcripts.status = 'departed') as departed_sessions,
        count(known_by_session.session_id) - count(session_transcripts.status) as missing_sessions
    from known_by_session
    left join session_transcripts on known_by_session.session_id = session_transcripts.session_id
    group by known_by_session.day, known_by_session.host
)

select
    known_days.day,
    strftime(known_days.day, '%a') as weekday,
    known_days.host,
    coalesce(
        date_diff('day', lag(known_days.day) over (partition by known_days.host order by known_days.day),
            known_days.day) - 1, 0) as gap_days_before,
    coalesce(requests, 0) as requests,
    coalesce(sessions, 0) as sessions,
    coalesce(hosts, 0) as hosts,
    coalesce(files, 0) as files,
    coalesce(departed_files, 0) as departed_files,
    known_sessions,
    held_sessions,
    departed_sessions,
    missing_sessions,
    first_ts,
    last_ts
from known_days
left join covered_days on known_days.day = covered_days.day and known_days.host = covered_days.host
order by known_days.day, known_days.host
