-- The lake's requests: what they count for, and the row that was kept of each.
select
    costs.key,
    (costs.ts at time zone $tz)::date as day,
    costs.model,
    costs.origin,
    costs.input_tokens::hugeint as input_tokens,
    costs.output_tokens::hugeint as output_tokens,
    costs.cache_write_5m_tokens::hugeint + costs.cache_write_1h_tokens as cache_write_tokens,
    costs.cache_read_tokens::hugeint as cache_read_tokens,
    costs.is_priced,
    coalesce(costs.cost_pico, 0)::hugeint as cost_pico,
    case when costs.is_priced then coalesce(costs.cost_web_search_pico, 0) else 0 end::hugeint as web_search_pico,
    costs.file_id,
    costs."offset",
    kept_rows.line,
    files.path,
    coalesce(kept_rows.is_sidechain, false) as is_sidechain,
    -- Why ccusage does not take the row that was kept; null where it does.
    case
        when transcripts.state = 'unseen' then 'not seen: ' || transcripts.reason
        when transcripts.file_id is null then 'not seen: another machine''s'
        when lines_left_out.reason is not null then 'left out: ' || lines_left_out.reason
        when costs.origin = 'advisor' and coalesce(costs.model, '') = '' then 'left out: advisor call without model'
        when transcripts.state = 'read now' and rows_read_now.key is null
            then case
                when transcripts.reason = '' then 'left out: ' || coalesce(kept_rows.ccusage_skips, 'another row of the line counts')
                else 'not seen: ' || transcripts.reason
            end
        when transcripts.state = 'as ingested' then 'left out: ' || kept_rows.ccusage_skips
    end as fate
from costs
left join usage_rows as kept_rows
    on costs.file_id = kept_rows.file_id and costs."offset" = kept_rows."offset" and costs.key = kept_rows.key
left join files on costs.file_id = files.file_id
left join transcripts on costs.file_id = transcripts.file_id
left join lines_left_out
    on costs.file_id = lines_left_out.file_id and kept_rows.line = lines_left_out.line
left join rows_read_now
    on costs.file_id = rows_read_now.file_id and costs."offset" = rows_read_now."offset"
    and costs.key = rows_read_now.key
