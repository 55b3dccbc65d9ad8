-- What was read now, with the key that the lake gives it (accounting rule 8).
select
    *,
    coalesce(regexp_replace(message_id, ':advisor:[0-9]+$', ''), uuid, file_id || ':' || "offset")
        || coalesce(':advisor:' || advisor_entry, '') as key,
    case
        when advisor_entry is not null then 'advisor'
        when is_progress then 'agent_progress'
        else 'assistant'
    end as origin
from lines_read_now
