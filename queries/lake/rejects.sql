-- Rejects: bytes of the logs that could not be read, where and why
-- offset is the byte of the file, a transcript or one beside them (history, quota samples), at which the lost part starts; head holds its first 200 bytes.
--
-- example: tokenlake lake rejects --format jsonl

select
    file,
    line,
    "offset",
    bytes,
    reason,
    head,
    host
from selected_rejects
order by file, host, "offset"
