-- Prompts that say that something went wrong: an interruption, a correction, or the same prompt again
-- Interruptions are facts; corrections and repeats are proxies, and can be found only where the lake keeps texts.
--
-- key: the request that it is about: the last one of the session's main thread before it; null where there is none
-- is_interruption: the record `[Request interrupted by user`, also `... for tool use`
-- is_correction: a typed or queued prompt that opens as a correction does ("no, ...", "wrong", "stop that", "undo"), or
--     holds one in its first 200 characters ("that's wrong", "not what I asked", "I said", "you forgot"); English only.
--     The words are those of the two patterns below, in lower case and without apostrophes
-- is_repeat: a typed or queued prompt of 20 characters or more, the same as an earlier one of its session; shorter
--     ones, "continue" or "yes", are said again for good reasons
with digested_prompts as (
    select
        id,
        session_id,
        ts,
        -- Equal digests stand for equal texts: long texts are not compared.
        md5(lower(trim(text))) as digest
    from prompts
    where kind in ('typed', 'queued') and chars >= 20 and text is not null
),

said_again as (
    select
        session_id,
        digest
    from digested_prompts
    group by session_id, digest
    having count(*) > 1
),

-- Only what was said again is sorted: that is little.
numbered_prompts as (
    select
        digested_prompts.id,
        row_number() over (
            partition by digested_prompts.session_id, digested_prompts.digest
            order by digested_prompts.ts, digested_prompts.id
        ) as place_among_equals
    from digested_prompts
    inner join said_again
        on digested_prompts.session_id is not distinct from said_again.session_id
        and digested_prompts.digest = said_again.digest
),

repeated_prompts as (
    select id
    from numbered_prompts
    where place_among_equals > 1
),

opened_prompts as (
    select
        prompts.*,
        replace(replace(lower(left(ltrim(text), 200)), '’', ''), '''', '') as opening
    from prompts
    where kind in ('typed', 'queued', 'interrupt')
),

judged_prompts as (
    select
        opened_prompts.id,
        session_id,
        ts,
        kind,
        text,
        project,
        host,
        file_id,
        "offset",
        kind = 'interrupt' as is_interruption,
        kind <> 'interrupt' and coalesce(
            (
                -- How it opens, a hesitation or a plea before it set aside: no / nope / wrong / stop / wait / undo.
                -- A bare "no" answers a question; "stop the server" and "wait for CI" are orders.
                regexp_matches(
                    opening,
                    '^[^a-z]*((ok|okay|hm+|uh|um|oh|ah|well|but|please|pls|can you|could you)[^a-z]+)*('
                    || 'no[,.!;:-]+ *[a-z]'
                    || '|no (i|im|it|its|that|thats|this|the|you|youre|just|not|dont|we|stop|please|but|wait|actually) '
                    || '|(nope|nah|wrong|incorrect)([^a-z]|$)'
                    || '|stop([,.!;:]|$| (it|that|this|doing|adding|making|using|changing|editing|trying))'
                    || '|wait([,.!;:-]| (no|did|why|you|that|thats|i|this|what) )'
                    || '|(undo|revert|roll back|rollback)([^a-z]|$))'
                )
                and not regexp_matches(opening, '^[^a-z]*no[,.! ]+(thanks|thank you|problem|worries|need)')
            )
            -- What it holds: "that is wrong", "not what I asked", "I said", "you forgot", "still failing", "undo that".
            or regexp_matches(
                opening,
                '(^|[^a-z])('
                || '(thats|that is|this is|its|it is|youre|you are|that was|this was)'
                || ' (all |completely |totally |still |just |simply )?(wrong|incorrect|not right|not correct|not true)'
                || '|not what i (asked|wanted|meant|said|need)'
                || '|i (already |just |explicitly |clearly )?(said|told you|asked you|asked for|meant)'
                || '|i (didnt|did not|never) (ask|want|say|mean|tell)'
                || '|you (still )?(didnt|did not|havent|have not|forgot|missed|ignored|misunderstood|broke)'
                || '|still (broken|failing|fails|wrong|not working|not fixed|doesnt work|does not work|isnt|is not)'
                || '|(that|this|it) (doesnt|does not|didnt|did not) work'
                || '|(undo|revert) (that|this|it|your|those|these|the last)'
                || ')([^a-z]|$)'
            ),
            false
        ) as is_correction,
        repeated_prompts.id is not null as is_repeat
    from opened_prompts
    left join repeated_prompts on opened_prompts.id = repeated_prompts.id
),

signals as (
    select *
    from judged_prompts
    where is_interruption or is_correction or is_repeat
),

-- Requests and prompts of a session in one order; a prompt of the very instant of a request comes before it.
main_thread as (
    select
        session_id,
        ts,
        1 as place,
        key as request_key,
        null as prompt_id
    from requests
    -- An advisor's answer is nothing that a user comments on.
    where not is_sidechain and origin <> 'advisor' and session_id in (select session_id from signals)
    union all
    select
        session_id,
        ts,
        0 as place,
        null as request_key,
        id as prompt_id
    from signals
),

placed_prompts as (
    select
        prompt_id,
        last_value(request_key ignore nulls) over (
            partition by session_id
            order by ts, place, request_key, prompt_id
            rows between unbounded preceding and current row
        ) as key
    from main_thread
)

select
    placed_prompts.key,
    signals.id,
    signals.session_id,
    signals.ts,
    signals.kind,
    signals.is_interruption,
    signals.is_correction,
    signals.is_repeat,
    signals.text,
    signals.project,
    signals.host,
    signals.file_id,
    signals."offset"
from signals
inner join placed_prompts on signals.id = placed_prompts.prompt_id
