-- Session that transcripts of the lake hold, on whichever machine: how many there are, and whether they are gone
-- session_id: the session, as in sessions
-- transcripts: transcripts that hold records of it
-- departed_transcripts: those of them that are gone from disk and kept here
-- status: held while one of them is still on disk, else departed

select
    session_files.session_id,
    count(*) as transcripts,
    count(files.departed_at) as departed_transcripts,
    case when count(files.departed_at) < count(*) then 'held' else 'departed' end as status
from session_files
join files on session_files.file_id = files.file_id
group by session_files.session_id
