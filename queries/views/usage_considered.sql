-- The usage rows that compete for a request (accounting rules 9 and 10), with the path that orders them.
-- A progress row stands in for its request only where no assistant row of the key exists anywhere.
select
    usage_rows.*,
    files.path
from usage_rows
left join files using (file_id)
left join (
    select distinct key as assistant_key
    from usage_rows
    where origin = 'assistant' and model is distinct from '<synthetic>'
) as assistant_rows on usage_rows.key = assistant_rows.assistant_key
where usage_rows.model is distinct from '<synthetic>'
    and (usage_rows.origin <> 'agent_progress' or assistant_rows.assistant_key is null)
