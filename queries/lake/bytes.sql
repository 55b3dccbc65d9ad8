-- Bytes: what every byte of the transcripts became, and of files beside them
-- A transcript is its records, white space and NUL bytes around them, newlines, rejects, and a pending last line.
-- unaccounted_bytes is what these leave of the bytes read: 0, or something is wrong. It is empty where an earlier
-- version of tokenlake read the transcript. Of an archive, bytes are those of what it holds.
-- unread_bytes belong to files of another format, which are named and not read.
--
-- example: tokenlake lake bytes --format csv

with transcripts as (
    select
        path as file,
        host,
        kind,
        ingested_bytes + pending_bytes as bytes,
        record_bytes,
        newline_bytes + blank_bytes as blank_bytes,
        rejected_bytes,
        pending_bytes,
        case when kind = 'stream-json' then size else 0 end as unread_bytes,
        ingested_bytes - record_bytes - newline_bytes - blank_bytes - rejected_bytes as unaccounted_bytes
    from selected_files
)

select
    file,
    host,
    kind,
    bytes,
    record_bytes,
    blank_bytes,
    rejected_bytes,
    pending_bytes,
    unread_bytes,
    unaccounted_bytes
from transcripts
order by abs(unaccounted_bytes) desc nulls last, rejected_bytes desc nulls last, file, host
