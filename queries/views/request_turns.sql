-- Request with its turn: what one prompt sets off
-- A turn begins with something that the user typed, or a slash command, and lasts until the next. What subagents do
-- meanwhile is part of it; so is what was queued or notified while it ran. Made of all requests: no filter moves one to
-- another turn. (The promptId of the logs names turns only since 2.1.101, and one may cover several prompts.)
--
-- turn_id: id of the prompt that began the turn; null before the first prompt of the session
-- turn_ts: time of that prompt
with conversation as (
    select
        session_id,
        ts,
        1 as place,
        key,
        null as prompt_id,
        null::timestamptz as prompt_ts
    from requests
    union all
    -- A prompt of the very instant of a request comes before it.
    select
        session_id,
        ts,
        0 as place,
        null as key,
        id as prompt_id,
        ts as prompt_ts
    from prompts
    where kind in ('typed', 'slash')
),

placed as (
    select
        key,
        last_value(prompt_id ignore nulls) over turn_so_far as turn_id,
        last_value(prompt_ts ignore nulls) over turn_so_far as turn_ts
    from conversation
    window turn_so_far as (
        partition by session_id
        order by ts, place, key, prompt_id
        rows between unbounded preceding and current row
    )
)

select
    key,
    turn_id,
    turn_ts
from placed
where key is not null
