-- Coverage: what the lake holds of every machine
-- files are transcripts: departed ones are gone from disk and kept here, refused ones are of another format.
-- days are local days with requests, and gap_days the days between the first and the last that have none.
-- first_ts and last_ts are those of requests; records, rejects and bytes are counted over whole transcripts.
-- pending_bytes: unfinished last lines, read again by the next ingest.
--
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
    from selected_files
    group by host
),

requests_by_day as (
    select
        host,
        (ts at time zone $tz)::date as day,
        count(*) as requests,
        min(ts) as first_ts,
        max(ts) as last_ts
    from selected
    group by host, (ts at time zone $tz)::date
),

request_days as (
    select
        host,
        sum(requests)::bigint as requests,
        count(*) as days,
        date_diff('day', min(day), max(day)) + 1 as span_days,
        min(first_ts) as first_ts,
        max(last_ts) as last_ts
    from requests_by_day
    group by host
)

select
    coalesce(transcripts.host, request_days.host) as host,
    coalesce(files, 0) as files,
    coalesce(departed_files, 0) as departed_files,
    coalesce(refused_files, 0) as refused_files,
    first_ts,
    last_ts,
    coalesce(days, 0) as days,
    coalesce(span_days - days, 0) as gap_days,
    coalesce(requests, 0) as requests,
    coalesce(records, 0) as records,
    coalesce(usage_rows, 0) as usage_rows,
    coalesce(ingested_bytes, 0) as ingested_bytes,
    coalesce(pending_bytes, 0) as pending_bytes,
    coalesce(rejects, 0) as rejects,
    coalesce(odd_fields, 0) as odd_fields
from transcripts
full join request_days on transcripts.host = request_days.host
order by 1
