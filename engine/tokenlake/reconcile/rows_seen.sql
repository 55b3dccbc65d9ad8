-- The rows of view ccusage_rows, of the transcripts as ccusage finds them: those that it does not see are left out, and
-- those that the lake does not hold as they are were read now. Between rows of one size decides what they cost.
with rows_of_both as (
    select ccusage_rows_ingested.* exclude (weight)
    from ccusage_rows_ingested
    inner join transcripts using (file_id)
    where transcripts.state = 'as ingested'
    union all
    select
        file_id,
        "offset",
        line,
        path,
        '' as host,
        key,
        message_id,
        request_id,
        session_id,
        is_replayable,
        origin,
        ts,
        model,
        speed,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        cost_logged
    from rows_read_now
)

select
    rows_of_both.*,
    case
        when $cost_mode <> 'calculate' and (rows_of_both.cost_logged is not null or $cost_mode = 'display')
            then coalesce(rows_of_both.cost_logged, 0) * 1000000000000
        else
            coalesce(
                input_tokens * input_pico + greatest(input_tokens - 200000, 0) * (input_above_pico - input_pico)
                + output_tokens * output_pico
                + greatest(output_tokens - 200000, 0) * (output_above_pico - output_pico)
                + cache_write_5m_tokens * cache_write_5m_pico
                + greatest(cache_write_5m_tokens - 200000, 0) * (cache_write_5m_above_pico - cache_write_5m_pico)
                + cache_write_1h_tokens * cache_write_1h_pico
                + greatest(cache_write_1h_tokens - 200000, 0) * (cache_write_1h_above_pico - cache_write_1h_pico)
                + cache_read_tokens * cache_read_pico
                + greatest(cache_read_tokens - 200000, 0) * (cache_read_above_pico - cache_read_pico),
                0
            )
    end::double as weight
from rows_of_both
left join their_rates
    on rows_of_both.model = their_rates.model and coalesce(rows_of_both.speed = 'fast', false) = their_rates.is_fast
