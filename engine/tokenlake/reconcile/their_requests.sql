-- The requests that ccusage counts, each by the row that it keeps, beside the request of the lake that the row is of.
with kept_rows as (
    select *
    from ccusage_places
    where place = 1
),

counted as (
    select
        kept_rows.file_id,
        kept_rows."offset",
        kept_rows.line,
        kept_rows.path,
        kept_rows.key,
        kept_rows.message_id,
        kept_rows.request_id,
        kept_rows.origin,
        kept_rows.is_replayable,
        kept_rows.size_tokens,
        kept_rows.ts,
        -- ccusage's day of what is before year 1 is none here.
        case
            when (kept_rows.ts at time zone $tz)::date >= date '0001-01-01' then (kept_rows.ts at time zone $tz)::date
        end as day,
        kept_rows.model,
        kept_rows.speed,
        coalesce(logged.speed, kept_rows.speed) as own_speed,
        logged.inference_geo,
        logged.service_tier,
        kept_rows.cost_logged::double as cost_logged,
        kept_rows.input_tokens::hugeint as input_tokens,
        kept_rows.output_tokens::hugeint as output_tokens,
        kept_rows.cache_write_5m_tokens::hugeint as cache_write_5m_tokens,
        kept_rows.cache_write_1h_tokens::hugeint as cache_write_1h_tokens,
        kept_rows.cache_read_tokens::hugeint as cache_read_tokens,
        -- What the lake reads of the same row.
        coalesce(logged.cache_write_5m_tokens, kept_rows.cache_write_5m_tokens)::hugeint as own_write_5m_tokens,
        logged.key is not null as is_usage_row,
        transcripts.reason
    from kept_rows
    inner join transcripts on kept_rows.file_id = transcripts.file_id
    left join usage_rows as logged
        on kept_rows.file_id = logged.file_id and kept_rows.line = logged.line and kept_rows.key = logged.key
),

-- Of several for one request of the lake the one with its own row stands for it, else the largest.
matched as (
    select
        counted.*,
        own_requests.key is not null as is_known,
        coalesce(
            counted.file_id = own_requests.file_id and counted."offset" = own_requests."offset", false
        ) as is_own_row,
        row_number() over (
            partition by counted.key
            order by
                coalesce(counted.file_id = own_requests.file_id and counted."offset" = own_requests."offset", false) desc,
                counted.size_tokens desc, counted.path, counted.file_id, counted."offset"
        ) as place_of_key
    from counted
    left join own_requests on counted.key = own_requests.key
)

select
    matched.* exclude (place_of_key),
    is_known and place_of_key = 1 as is_match,
    row_number() over () as number
from matched
