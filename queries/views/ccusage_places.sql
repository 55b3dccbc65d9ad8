-- Usage rows that ccusage looks at, each with the request that it makes of it (accounting rule 13)
-- Of the rows of a request one counts: the main thread's before a subagent's, then the largest, then the dearest, then
-- one that names its speed, then the first in path order.
--
-- Rows of a key are one request. But subagents replay messages of their session under other request ids: a row without a
-- request of its key, that is a subagent's or meets one, goes to the first request that has had a row of its message and
-- session. That hangs on the order of the rows, so such messages are followed row by row.
--
-- ccusage_session: session_id as logged, else what the path stands for
-- size_tokens: input + output + cache writes + cache reads
-- ccusage_key: rows with the same key are one request; rows without a message id share none
-- ccusage_request: what all rows that are made one request have in common
-- place: place among the rows of its request, from 1: the first is the one that counts
with keyed_rows as (
    select
        *,
        case
            when message_id is null then 'row ' || file_id || ' ' || "offset" || ' ' || key
            when request_id is null then 'session ' || message_id || ' ' || ccusage_session || ' ' || epoch_us(ts)
            else 'request ' || message_id || ' ' || request_id
        end as ccusage_key
    from (
        select
            ccusage_rows.*,
            coalesce(
                session_id,
                case
                    when regexp_matches(path, '/projects/[^/]+/[^/]+$') then regexp_extract(path, '([^/]+)[.]jsonl$', 1)
                    when regexp_matches(path, '[^/]/[^/]+/subagents/[^/]+$')
                        then regexp_extract(path, '([^/]+)/subagents/[^/]+$', 1)
                    else regexp_extract(path, '([^/]+)/[^/]+$', 1)
                end
            ) as ccusage_session,
            -- As doubles: absurd counts do not fit 64 bits together.
            input_tokens::double + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens
                as size_tokens
        from ccusage_rows
    ) as rows_with_session
),

replayed_rows as (
    select
        *,
        row_number() over (partition by message_id order by path, host, "offset") as message_row,
        rank() over (
            partition by message_id
            order by is_replayable, size_tokens desc, weight desc, speed is null
        ) as preference
    from keyed_rows
    where message_id in (
        select message_id
        from keyed_rows
        where message_id in (select message_id from ccusage_rows where is_replayable)
        group by message_id
        having count(distinct ccusage_key) > 1
    )
),

messages as (
    select
        message_id,
        -- Lists in the order of the rows.
        list(ccusage_key order by message_row) as keys,
        list(ccusage_session order by message_row) as sessions,
        list(is_replayable order by message_row) as replayable,
        list(preference order by message_row) as preferences
    from replayed_rows
    group by message_id
),

-- Of the first `n` rows of a message: to which request each went (`requests`), and the row that each request keeps.
followed as (
    with recursive steps as (
        select
            message_id,
            1 as n,
            [1] as requests,
            [1] as kept
        from messages
        union all
        select
            message_id,
            n + 1,
            list_append(requests, request),
            case
                when request > len(kept) then list_append(kept, n + 1)
                when preferences[n + 1] < preferences[kept[request]]
                    then list_transform(kept, lambda row, place: case when place = request then n + 1 else row end)
                else kept
            end
        from (
            select
                steps.*,
                messages.preferences,
                coalesce(
                    -- The request whose row has the key,
                    list_filter(
                        range(1, len(kept) + 1), lambda request: keys[kept[request]] = keys[n + 1]
                    )[1],
                    -- else the first that has had a row of the session, if a subagent's is one of the two,
                    requests[
                        list_filter(
                            range(1, n + 1),
                            lambda row: sessions[row] = sessions[n + 1]
                                and (replayable[n + 1] or replayable[kept[requests[row]]])
                        )[1]
                    ],
                    -- else a new one.
                    len(kept) + 1
                ) as request
            from steps
            inner join messages using (message_id)
            where n < len(keys)
        ) as next_rows
    )

    select
        steps.message_id,
        steps.requests
    from steps
    inner join messages using (message_id)
    where steps.n = len(messages.keys)
),

requests_of_rows as (
    select
        replayed_rows.file_id,
        replayed_rows."offset",
        replayed_rows.key,
        'message ' || replayed_rows.message_id || ' ' || followed.requests[replayed_rows.message_row] as ccusage_request
    from replayed_rows
    inner join followed using (message_id)
),

placed_rows as (
    select
        keyed_rows.*,
        coalesce(requests_of_rows.ccusage_request, keyed_rows.ccusage_key) as ccusage_request
    from keyed_rows
    left join requests_of_rows using (file_id, "offset", key)
)

select
    *,
    row_number() over (
        partition by ccusage_request
        order by is_replayable, size_tokens desc, weight desc, speed is null, path, host, "offset"
    ) as place
from placed_rows
