-- Limit hits: when a limit was met, until when, and what had been used by then
-- Every message of the program itself that speaks of a limit, in all wordings known, one row each.
-- kind                what was hit, by its words: 5-hour, weekly, spend (a monthly budget), usage (unsaid which), other
-- resets_ts           when it ends: a time of day is the next such time after the hit, in the zone that the text names
--                     or else in --tz; a date is the next such date; `wait N minutes` counts from the hit
-- reset_from          how that is known: epoch | date | time | wait; null where the text does not say
-- minutes_to_reset    resets_ts - ts, in minutes
-- *_5h, *_7d          what the 5 hours and the 7 days before it held, the hit's instant included: requests, tokens by
--                     kind (cache_write is 5m and 1h), and dollars of the priced requests
-- unpriced_requests_7d  of requests_7d, those whose model has no price
-- text                the message
-- The load is that of the whole account, or of --host; the other filters choose the hits.
--
-- example: tokenlake windows limits --since 30d

with hits as (
    select
        id,
        ts,
        epoch_us(ts) as hit_us,
        host,
        session_id,
        json_extract_string(detail, '$.text') as text
    from selected_events
    where type = 'assistant' and subtype in ('limit', 'api_error', 'synthetic') and ts is not null
),

-- Texts differ in their dots (U+00B7, U+2219) and spaces (also U+202F, before am and pm); none of these says anything.
worded_hits as (
    select
        id,
        ts,
        hit_us,
        host,
        session_id,
        text,
        regexp_replace(lower(text), '[\s\x{A0}\x{202F}]+', ' ', 'g') as words
    from hits
    where regexp_matches(lower(text), 'limit|wait [0-9]+ (second|minute|hour)')
),

read_hits as (
    select
        id,
        ts,
        hit_us,
        host,
        session_id,
        text,
        words,
        nullif(regexp_extract(words, '\|([0-9]{10})(?:[0-9]{3})?\b', 1), '') as epoch_text,
        nullif(regexp_extract(words, 'wait ([0-9]{1,6}) (?:second|minute|hour)', 1), '') as wait_text,
        regexp_extract(words, 'wait [0-9]{1,6} (second|minute|hour)', 1) as wait_unit,
        -- resets oct 31, 9am | resets october 31 at 9:30 pm
        nullif(regexp_extract(words, 'resets? (?:on )?([a-z]{3})[a-z]*\.? [0-9]{1,2}\b', 1), '') as month_text,
        nullif(regexp_extract(words, 'resets? (?:on )?[a-z]{3,9}\.? ([0-9]{1,2})\b', 1), '') as day_text,
        regexp_extract(
            words,
            'resets? (?:on )?(?:[a-z]{3,9}\.? [0-9]{1,2},? )?(?:at )?([0-9]{1,2}(?::[0-9]{2})? ?(?:[ap]\.?m\b)?)',
            1
        ) as clock_text,
        nullif(regexp_extract(text, '\(([A-Za-z]+(?:[/_+-][A-Za-z0-9]+)*)\)', 1), '') as zone_text
    from worded_hits
),

-- A name in parentheses that is no zone stands for nothing.
zoned_hits as (
    select
        read_hits.*,
        coalesce(zones.name, $tz) as zone,
        (strpos('janfebmaraprmayjunjulaugsepoctnovdec', month_text) + 2) // 3 as month,
        nullif(regexp_extract(clock_text, '^[0-9]+'), '')::bigint as clock_hour,
        coalesce(nullif(regexp_extract(clock_text, ':([0-9]+)', 1), '')::bigint, 0) as clock_minute,
        regexp_extract(clock_text, '[ap]') as half
    from read_hits
    left join pg_timezone_names() as zones on lower(read_hits.zone_text) = lower(zones.name)
),

clocked_hits as (
    select
        zoned_hits.*,
        ts at time zone zone as local_ts,
        -- 12am is midnight, 12pm noon; without either the hours run to 23.
        case
            when clock_minute > 59 then null
            when half = '' and clock_hour <= 23 then clock_hour * 60 + clock_minute
            when half = 'a' and clock_hour between 1 and 12 then clock_hour % 12 * 60 + clock_minute
            when half = 'p' and clock_hour between 1 and 12 then (clock_hour % 12 + 12) * 60 + clock_minute
        end as day_minute
    from zoned_hits
),

-- The local days on which the time may lie: that of the hit and the next, or the date in that year and the next ones.
dated_hits as (
    select
        clocked_hits.*,
        places.place,
        case
            when month > 0
                then try_cast(year(local_ts) + places.place || '-' || lpad(month::varchar, 2, '0') || '-'
                    || lpad(day_text, 2, '0') as date)
            when places.place < 2 then local_ts::date + places.place::integer
        end as local_day
    from clocked_hits
    cross join (select unnest([0, 1, 2, 3, 4, 5, 6, 7, 8]) as place) as places
    where day_minute is not null
),

next_times as (
    select
        id,
        min(reset_us) as reset_us
    from (
        select
            id,
            hit_us,
            epoch_us(
                make_timestamp(epoch_us(local_day::timestamp) + day_minute * 60000000) at time zone zone
            ) as reset_us
        from dated_hits
        where local_day is not null
    ) as candidates
    where reset_us > hit_us
    group by id
),

resolved_hits as (
    select
        clocked_hits.id,
        clocked_hits.ts,
        clocked_hits.hit_us,
        clocked_hits.host,
        clocked_hits.session_id,
        clocked_hits.text,
        case
            when contains(words, 'weekly') then 'weekly'
            when contains(words, 'spend') then 'spend'
            when contains(words, '5-hour') or contains(words, 'session') then '5-hour'
            when contains(words, 'usage limit') or regexp_matches(words, '^limit reached|your limit') then 'usage'
            else 'other'
        end as kind,
        case
            when epoch_text is not null then 'epoch'
            when wait_text is not null then 'wait'
            when next_times.reset_us is null then null
            when month > 0 then 'date'
            else 'time'
        end as reset_from,
        case
            when epoch_text is not null then epoch_text::bigint * 1000000
            when wait_text is not null
                then clocked_hits.hit_us + wait_text::bigint
                    * case wait_unit when 'second' then 1000000 when 'minute' then 60000000 else 3600000000 end
            else next_times.reset_us
        end as reset_us
    from clocked_hits
    left join next_times on clocked_hits.id = next_times.id
),

loads as (
    select
        hits.id,
        count(*) filter (in_5h) as requests_5h,
        sum(input_tokens) filter (in_5h) as input_tokens_5h,
        sum(output_tokens) filter (in_5h) as output_tokens_5h,
        sum(cache_write_tokens) filter (in_5h) as cache_write_tokens_5h,
        sum(cache_read_tokens) filter (in_5h) as cache_read_tokens_5h,
        sum(cost_pico) filter (in_5h) as cost_pico_5h,
        count(*) as requests_7d,
        sum(input_tokens) as input_tokens_7d,
        sum(output_tokens) as output_tokens_7d,
        sum(cache_write_tokens) as cache_write_tokens_7d,
        sum(cache_read_tokens) as cache_read_tokens_7d,
        sum(cost_pico) as cost_pico_7d,
        count(*) filter (not is_priced) as unpriced_requests_7d
    from (
        select
            resolved_hits.id,
            epoch_us(costs.ts) > resolved_hits.hit_us - 18000000000 as in_5h,
            costs.input_tokens,
            costs.output_tokens,
            costs.cache_write_5m_tokens::decimal(38, 0) + costs.cache_write_1h_tokens as cache_write_tokens,
            costs.cache_read_tokens,
            costs.cost_pico,
            costs.is_priced
        from resolved_hits
        inner join costs
            on epoch_us(costs.ts) > resolved_hits.hit_us - 604800000000
            and epoch_us(costs.ts) <= resolved_hits.hit_us
        where $host is null or costs.host = $host
    ) as hits
    group by hits.id
)

select
    resolved_hits.ts,
    resolved_hits.kind,
    make_timestamptz(resolved_hits.reset_us) as resets_ts,
    resolved_hits.reset_from,
    (resolved_hits.reset_us - resolved_hits.hit_us) / 60000000.0 as minutes_to_reset,
    coalesce(requests_5h, 0) as requests_5h,
    coalesce(input_tokens_5h, 0) as input_tokens_5h,
    coalesce(output_tokens_5h, 0) as output_tokens_5h,
    coalesce(cache_write_tokens_5h, 0) as cache_write_tokens_5h,
    coalesce(cache_read_tokens_5h, 0) as cache_read_tokens_5h,
    (cost_pico_5h * 0.000000000001)::decimal(38, 12) as cost_5h,
    coalesce(requests_7d, 0) as requests_7d,
    coalesce(input_tokens_7d, 0) as input_tokens_7d,
    coalesce(output_tokens_7d, 0) as output_tokens_7d,
    coalesce(cache_write_tokens_7d, 0) as cache_write_tokens_7d,
    coalesce(cache_read_tokens_7d, 0) as cache_read_tokens_7d,
    (cost_pico_7d * 0.000000000001)::decimal(38, 12) as cost_7d,
    coalesce(unpriced_requests_7d, 0) as unpriced_requests_7d,
    resolved_hits.session_id,
    resolved_hits.host,
    resolved_hits.text
from resolved_hits
left join loads on resolved_hits.id = loads.id
order by resolved_hits.ts, resolved_hits.id
