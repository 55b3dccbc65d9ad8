-- Coverage: what the lake holds of every machine
-- files are transcripts: departed ones are gone from disk and kept here, refused ones are of another format.
-- days are local days with requests, and gap_days the days between the first and the last that have none.
-- first_ts and last_ts are those of requests; records, rejects and bytes are counted over whole transcripts.
-- history.jsonl and quota-samples.jsonl are no transcripts: what of them could not be read is in lake rejects.
-- pending_bytes: unfinished last lines, read again by the next ingest.
-- known_sessions   sessions with requests here, or with prompts that the agent's own history.jsonl names
-- held_sessions    those with a transcript here that is still on disk
-- departed_sessions  those whose transcripts are all gone from disk, and are kept here
-- missing_sessions those of which the lake has no transcript: what they used is in no report
-- known_days       local days of these sessions: missing if the transcript of one is, else departed, else held
--
-- note: select 'files, records, usage_rows, bytes, rejects and odd_fields are of all transcripts: --project, --model and --session do not choose among them' where $project is not null or $model is not null or $session is not null
-- example: tokenlake lake coverage --tz Europe/Berlin

with transcripts as (
    select
        host,
        count(*) as files,
        count(*) filter (departed_at is not null) as departed_files,
        count(*) filter (kind not in ('main', 'agent', 'compaction', 'workflow')) as refused_files,
        coalesce(sum(ingested_bytes), 0)::bigint as ingested_bytes,
        coalesce(sum(pending_bytes), 0)::bigint as pending_bytes,
        coalesce(sum(records), 0)::bigint as records,
        coalesce(sum(usage_rows), 0)::bigint as usage_rows,
        coalesce(sum(rejects), 0)::bigint as rejects,
        coalesce(sum(odd_fields), 0)::bigint as odd_fields
    from selected_transcripts
    group by host
),

requests_by_day as (
    select
        host,
        session_id,
        (ts at time zone $tz)::date as day,
        count(*) as requests,
        min(ts) as first_ts,
        max(ts) as last_ts
    from selected
    group by host, session_id, (ts at time zone $tz)::date
),

request_days as (
    select
        host,
        sum(requests)::bigint as requests,
        count(distinct day) as days,
        date_diff('day', min(day), max(day)) + 1 as span_days,
        min(first_ts) as first_ts,
        max(last_ts) as last_ts
    from requests_by_day
    group by host
),

session_days as (
    select
        host,
        session_id,
        day,
        max(requests) as requests
    from (
        select host, session_id, day, requests from requests_by_day
        union all
        select host, session_id, (ts at time zone $tz)::date as day, 0 as requests from selected_known_prompts
    )
    group by host, session_id, day
),

-- Of a prompt without a session only the day is known; a request without one is here.
states as (
    select
        session_days.host,
        session_days.session_id,
        session_days.day,
        case
            when session_days.session_id is not null then coalesce(session_transcripts.status, 'missing')
            when session_days.requests > 0 then 'held'
        end as status
    from session_days
    left join session_transcripts on session_days.session_id = session_transcripts.session_id
),

known_sessions as (
    select
        host,
        count(distinct session_id) as known_sessions,
        count(distinct session_id) filter (status = 'held') as held_sessions,
        count(distinct session_id) filter (status = 'departed') as departed_sessions,
        count(distinct session_id) filter (status = 'missing') as missing_sessions
    from states
    group by host
),

days_by_state as (
    select
        host,
        day,
        case
            when count(*) filter (status = 'missing') > 0 or count(status) = 0 then 'missing'
            when count(*) filter (status = 'departed') > 0 then 'departed'
            else 'held'
        end as status
    from states
    group by host, day
),

known_days as (
    select
        host,
        count(*) as known_days,
        count(*) filter (status = 'held') as held_days,
        count(*) filter (status = 'departed') as departed_days,
        count(*) filter (status = 'missing') as missing_days
    from days_by_state
    group by host
),

known as (
    select
        known_sessions.host,
        known_sessions,
        held_sessions,
        departed_sessions,
        missing_sessions,
        known_days,
        held_days,
        departed_days,
        missing_days
    from known_sessions
    join known_days on known_sessions.host is not distinct from known_days.host
)

select
    coalesce(transcripts.host, known.host) as host,
    coalesce(files, 0) as files,
    coalesce(departed_files, 0) as departed_files,
    coalesce(refused_files, 0) as refused_files,
    first_ts,
    last_ts,
    coalesce(days, 0) as days,
    coalesce(span_days - days, 0) as gap_days,
    coalesce(requests, 0) as requests,
    coalesce(known_sessions, 0) as known_sessions,
    coalesce(held_sessions, 0) as held_sessions,
    coalesce(departed_sessions, 0) as departed_sessions,
    coalesce(missing_sessions, 0) as missing_sessions,
    coalesce(known_days, 0) as known_days,
    coalesce(held_days, 0) as held_days,
    coalesce(departed_days, 0) as departed_days,
    coalesce(missing_days, 0) as missing_days,
    coalesce(records, 0) as records,
    coalesce(usage_rows, 0) as usage_rows,
    coalesce(ingested_bytes, 0) as ingested_bytes,
    coalesce(pending_bytes, 0) as pending_bytes,
    coalesce(rejects, 0) as rejects,
    coalesce(odd_fields, 0) as odd_fields
from transcripts
full join known on transcripts.host = known.host
left join request_days on known.host = request_days.host
order by 1
