-- Rejects: bytes of the logs that could not be read, where and why
-- file   a transcript, or a file beside them: history, quota samples
-- offset byte at which the lost part starts; bytes is its length, 0 where a damaged archive ends: it is not known then
-- head   its first 200 bytes
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
