-- Usage rows that ccusage looks at, as it reads them (accounting rule 13)
-- It opens no archives, and leaves out the rows whose ccusage_skips says why.
--
-- message_id: message.id as logged; an advisor's call has it with its number in the record, as a message of its own
-- path: transcript of the row; its order decides between rows that are alike
-- is_replayable: of a subagent's own record: what ccusage reads of a progress record does not say whose it is
-- cache_write_5m_tokens: tokens written to the 5-minute cache; where a split of the writes is given it stands for
--     all of them, also one of {0, 0} under a flat count
-- weight: what the row costs, in twentieths of a token of input: it decides between rows of one size
select
    usage_rows.file_id,
    usage_rows."offset",
    usage_rows.line,
    files.path,
    usage_rows.host,
    usage_rows.key,
    case
        when usage_rows.origin = 'advisor'
            then usage_rows.message_id || ':advisor:' || row_number() over (
                partition by usage_rows.origin, usage_rows.file_id, usage_rows."offset"
                order by length(usage_rows.key), usage_rows.key
            ) - 1
        else usage_rows.message_id
    end as message_id,
    usage_rows.request_id,
    usage_rows.session_id,
    usage_rows.is_sidechain and usage_rows.origin <> 'agent_progress' as is_replayable,
    usage_rows.origin,
    usage_rows.ts,
    usage_rows.model,
    -- That of the request is not the advisor's.
    case when usage_rows.origin <> 'advisor' then usage_rows.speed end as speed,
    usage_rows.input_tokens,
    usage_rows.output_tokens,
    case
        when usage_rows.cache_split_present
            then usage_rows.cache_write_5m_tokens - usage_rows.cache_write_unsplit_tokens
        else usage_rows.cache_write_5m_tokens
    end as cache_write_5m_tokens,
    usage_rows.cache_write_1h_tokens,
    usage_rows.cache_read_tokens,
    usage_rows.cost_logged,
    case
        when usage_rows.model is null or usage_rows.model = '<synthetic>' then 0
        else
            usage_rows.input_tokens::double * 20 + usage_rows.output_tokens::double * 100
                + case when usage_rows.cache_split_present then 0 else usage_rows.cache_write_unsplit_tokens end * 25
                + (usage_rows.cache_write_5m_tokens::double - usage_rows.cache_write_unsplit_tokens) * 25
                + usage_rows.cache_write_1h_tokens::double * 40 + usage_rows.cache_read_tokens::double * 2
    end as weight
from usage_rows
left join files using (file_id)
where usage_rows.ccusage_skips is null and files.path like '%_.jsonl'
    and (usage_rows.origin <> 'advisor' or usage_rows.model <> '')
