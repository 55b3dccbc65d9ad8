-- Blocks: the fixed windows of five hours that begin with a request
-- The first request begins a block, at its time rounded down to the full UTC hour (--floor). A request more than
-- five hours (--hours) after that start begins the next one; exactly five hours after it still belongs
-- (--boundary ge: no longer). By default blocks are those of `ccusage blocks`. They do not break at days or months.
-- start_ts, end_ts       the block's limits: end = start + --hours
-- last_ts                time of the last that it holds: a request, or a message of the program's own (--origin)
-- duration               last_ts - start_ts; of a gap: end_ts - start_ts
-- requests, *_tokens     what was made in it; cache_write_tokens is 5m and 1h writes, total_tokens all kinds
-- cost*                  dollars of its priced requests; cost_api = cost_input + cost_output
-- is_active              now is before its end, and less than --hours after its last request
-- is_gap                 no block: the idle time from last_ts + --hours to the next request (--gaps)
-- burn_tokens_per_min    total_tokens per minute between the first and the last that it holds; with --project, --model
--                        or --session, of the requests that are counted
-- projected_tokens       of the active block: total_tokens if it went on at that rate until its end
-- projected_cost         the same in dollars
-- total_per_api_cost     cost / cost_api, of the requests whose cost is not from the log
-- unpriced_requests      requests whose model has no price, in no cost column
-- host                   the machine whose blocks these are, with --by host; else `all`
-- --origin assistant, as ccusage: requests from transcripts of their own, at the time of the row that ccusage keeps;
-- the program's own `<synthetic>` messages begin and prolong blocks too, without counting as requests.
-- --origin all: every request at its own time, also those known from agent_progress records or advisor calls alone.
-- --since and --until choose blocks by their start, and --project, --model and --session choose the requests that are
-- counted (a block without any is not shown): none of them moves a limit, last_ts or is_active. --host does.
--
-- note: select 'left out (--origin all): requests known from agent_progress records alone: ' || count(*) from selected where origin = 'agent_progress' and $origin = 'assistant' having count(*) > 0
-- $hours integer = 5 {1..87600}: length of a block
-- $floor text = '60' {60|10|1|0}: minutes to which a start is rounded down; 0 for the request's own instant
-- $boundary text = 'gt' {gt|ge}: whether a request exactly at the end belongs to the block (gt) or begins the next (ge)
-- $gaps boolean = false: show the idle times between blocks too
-- $origin text = 'assistant' {assistant|all}: what makes blocks
-- $by text = 'none' {none|host}: one sequence of blocks for the whole account, or one for each machine
-- example: tokenlake windows blocks --since 7d
-- example: tokenlake windows blocks --by host --gaps

-- Blocks hang on one another, so they must be found in turn; but only few instants can matter. Time is told in ticks:
-- of every unit (--floor) one tick for its first instant, at which an older block may end, and one for the rest.
with entries as (
    select
        case when $by = 'host' then coalesce(host, '(none)') else 'all' end as account,
        epoch_us(ts) as first_us,
        case when $origin = 'all' then epoch_us(ts) else epoch_us(last_ts) end as last_us,
        greatest($floor::bigint * 60000000, 1) as unit_us
    from deduped
    where ($host is null or host = $host) and ($origin = 'all' or origin = 'assistant')
),

-- A request lasts from its first row to its last. Where all of that is one tick, the block is known ...
steady_ticks as (
    select
        account,
        2 * (first_us // unit_us) + (first_us % unit_us > 0)::bigint as tick,
        min(last_us) as first_us,
        max(first_us) as last_us
    from entries
    where first_us = last_us or (first_us // unit_us = last_us // unit_us and first_us % unit_us > 0)
    group by 1, 2
),

-- ... and what the others are, and which was the first or the last of its tick, hangs on the row that ccusage keeps.
long_requests as (
    select
        case when $by = 'host' then coalesce(host, '(none)') else 'all' end as account,
        file_id,
        "offset",
        origin,
        epoch_us(ts) as first_us,
        epoch_us(last_ts) as last_us,
        greatest($floor::bigint * 60000000, 1) as unit_us
    from deduped
    where $origin = 'assistant'
        and ($host is null or host = $host)
        and ((origin = 'assistant' and last_ts > ts) or origin = 'agent_progress')
),

unsettled_requests as (
    select
        long_requests.account,
        long_requests.file_id,
        long_requests."offset",
        long_requests.origin,
        long_requests.first_us
    from long_requests
    left join steady_ticks
        on long_requests.account = steady_ticks.account
        and 2 * (long_requests.first_us // unit_us) + (long_requests.first_us % unit_us > 0)::bigint = steady_ticks.tick
    where long_requests.origin = 'agent_progress'
        or steady_ticks.tick is null
        or long_requests.first_us < steady_ticks.first_us
        or long_requests.last_us > steady_ticks.last_us
        or long_requests.first_us // unit_us <> long_requests.last_us // unit_us
        or long_requests.first_us % unit_us = 0
),

unsettled_keys as (
    select
        unsettled_requests.account,
        unsettled_requests.file_id,
        unsettled_requests."offset",
        unsettled_requests.origin,
        unsettled_requests.first_us,
        usage_rows.key
    from unsettled_requests
    left join usage_rows
        on unsettled_requests.file_id = usage_rows.file_id
        and unsettled_requests."offset" = usage_rows."offset"
        and unsettled_requests.origin = usage_rows.origin
),

-- The rows of these, in the order in which ccusage prefers them.
preferred_rows as (
    select
        usage_rows.key,
        epoch_us(usage_rows.ts) as entry_us,
        row_number() over (
            partition by usage_rows.key
            order by
                usage_rows.is_sidechain,
                usage_rows.input_tokens::decimal(38, 0) + usage_rows.output_tokens + usage_rows.cache_write_5m_tokens
                    + usage_rows.cache_write_1h_tokens + usage_rows.cache_read_tokens desc,
                files.path,
                usage_rows.host,
                usage_rows."offset"
        ) as place
    from usage_rows
    inner join (select distinct key from unsettled_keys) as keys on usage_rows.key = keys.key
    left join files on usage_rows.file_id = files.file_id
    where usage_rows.origin = 'assistant'
),

-- A request that agent_progress records alone tell of is none here.
settled_requests as (
    select
        unsettled_keys.account,
        unsettled_keys.file_id,
        unsettled_keys."offset",
        coalesce(preferred_rows.entry_us, unsettled_keys.first_us) as entry_us
    from unsettled_keys
    left join preferred_rows on unsettled_keys.key = preferred_rows.key and preferred_rows.place = 1
    where unsettled_keys.origin = 'assistant' or preferred_rows.key is not null
),

singled_entries as (
    select
        account,
        entry_us,
        greatest($floor::bigint * 60000000, 1) as unit_us
    from settled_requests
    union all
    select
        case when $by = 'host' then coalesce(host, '(none)') else 'all' end as account,
        epoch_us(ts) as entry_us,
        greatest($floor::bigint * 60000000, 1) as unit_us
    from events
    where type = 'assistant' and $origin = 'assistant' and ($host is null or host = $host)
),

all_ticks as (
    select
        account,
        tick,
        first_us,
        last_us
    from steady_ticks
    union all
    select
        account,
        2 * (entry_us // unit_us) + (entry_us % unit_us > 0)::bigint as tick,
        entry_us as first_us,
        entry_us as last_us
    from singled_entries
),

-- Ticks with anything in them, in spans as long as a block: no span holds the beginnings of two blocks.
ticks as (
    select
        account,
        tick,
        tick * greatest($floor::bigint * 60000000, 1) // ($hours * 7200000000) as span,
        min(first_us) as first_us,
        max(last_us) as last_us
    from all_ticks
    group by account, tick
),

spans as (
    select
        account,
        span,
        list(tick) as ticks
    from ticks
    group by account, span
),

-- The first tick of every block, from span to span: the first that lies beyond the end of the block before it.
folds as (
    select
        account,
        list_reduce(
            list_sort(list(ticks)),
            lambda newest_first, span_ticks: list_concat(
                list_filter(
                    [
                        list_min(
                            list_filter(
                                span_ticks,
                                lambda tick: tick >= newest_first[1] - newest_first[1] % 2
                                    + $hours * 7200000000 // greatest($floor::bigint * 60000000, 1)
                                    + ($boundary = 'gt')::bigint
                            )
                        )
                    ],
                    lambda tick: tick is not null
                ),
                newest_first
            ),
            -- Long before everything: so the first tick of all begins a block.
            [-1000000000000000000]::bigint[]
        ) as first_ticks
    from spans
    group by account
),

begun_ticks as (
    select
        account,
        unnest(first_ticks) as first_tick
    from folds
),

begun as (
    select
        account,
        first_tick,
        first_tick * greatest($floor::bigint * 60000000, 1) // ($hours * 7200000000) as span
    from begun_ticks
    where first_tick >= 0
),

-- Of each span, the block that runs into it, and the one that begins in it.
blocks_of_spans as (
    select
        spans.account,
        spans.span,
        begun.first_tick as begun_tick,
        max(begun.first_tick) over (
            partition by spans.account
            order by spans.span
            rows between unbounded preceding and 1 preceding
        ) as earlier_tick
    from spans
    left join begun on spans.account = begun.account and spans.span = begun.span
),

limits as (
    select
        ticks.account,
        case
            when ticks.tick >= blocks_of_spans.begun_tick then blocks_of_spans.begun_tick
            else blocks_of_spans.earlier_tick
        end as first_tick,
        min(ticks.first_us) as first_us,
        max(ticks.last_us) as last_us
    from ticks
    inner join blocks_of_spans on ticks.account = blocks_of_spans.account and ticks.span = blocks_of_spans.span
    group by 1, 2
),

counted_requests as (
    select
        case when $by = 'host' then coalesce(costs.host, '(none)') else 'all' end as account,
        coalesce(settled_requests.entry_us, epoch_us(costs.ts)) as entry_us,
        greatest($floor::bigint * 60000000, 1) as unit_us,
        costs.input_tokens,
        costs.output_tokens,
        costs.cache_write_5m_tokens,
        costs.cache_write_1h_tokens,
        costs.cache_read_tokens,
        costs.cost_input_pico,
        costs.cost_output_pico,
        costs.cost_cache_write_pico,
        costs.cost_cache_read_pico,
        costs.cost_web_search_pico,
        costs.cost_api_pico,
        costs.cost_pico,
        costs.is_priced
    from costs
    left join settled_requests
        on costs.file_id = settled_requests.file_id and costs."offset" = settled_requests."offset"
    where ($host is null or costs.host = $host)
        and (
            $origin = 'all'
            or costs.origin = 'assistant'
            or (costs.origin = 'agent_progress' and settled_requests.file_id is not null)
        )
        and ($project is null or contains(lower(costs.project), lower($project)))
        and ($model is null or contains(lower(costs.model), lower($model)))
        and ($session is null or starts_with(costs.session_id, $session))
),

placed_requests as (
    select
        counted_requests.*,
        2 * (entry_us // unit_us) + (entry_us % unit_us > 0)::bigint as tick,
        entry_us // ($hours * 3600000000) as span
    from counted_requests
),

sums as (
    select
        placed_requests.account,
        case
            when placed_requests.tick >= blocks_of_spans.begun_tick then blocks_of_spans.begun_tick
            else blocks_of_spans.earlier_tick
        end as first_tick,
        min(entry_us) as first_counted_us,
        max(entry_us) as last_counted_us,
        count(*) as requests,
        count(*) filter (not is_priced) as unpriced_requests,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens) as cache_write_tokens,
        sum(cache_read_tokens) as cache_read_tokens,
        sum(cost_input_pico) as cost_input_pico,
        sum(cost_output_pico) as cost_output_pico,
        sum(cost_cache_write_pico) as cost_cache_write_pico,
        sum(cost_cache_read_pico) as cost_cache_read_pico,
        sum(cost_web_search_pico) as cost_web_search_pico,
        sum(cost_api_pico) as cost_api_pico,
        sum(cost_pico) as cost_pico
    from placed_requests
    inner join blocks_of_spans
        on placed_requests.account = blocks_of_spans.account and placed_requests.span = blocks_of_spans.span
    group by 1, 2
),

blocks as (
    select
        limits.account,
        limits.first_tick // 2 * greatest($floor::bigint * 60000000, 1) as start_us,
        $hours * 3600000000 as length_us,
        limits.first_us,
        limits.last_us,
        sums.first_counted_us,
        sums.last_counted_us,
        lead(limits.first_us) over (partition by limits.account order by limits.first_tick) as next_us,
        epoch_us($now::timestamptz) as now_us,
        coalesce(sums.requests, 0) as requests,
        coalesce(sums.unpriced_requests, 0) as unpriced_requests,
        coalesce(sums.input_tokens, 0) as input_tokens,
        coalesce(sums.output_tokens, 0) as output_tokens,
        coalesce(sums.cache_write_tokens, 0) as cache_write_tokens,
        coalesce(sums.cache_read_tokens, 0) as cache_read_tokens,
        coalesce(sums.input_tokens + sums.output_tokens + sums.cache_write_tokens + sums.cache_read_tokens, 0)
            as total_tokens,
        (sums.cost_input_pico * 0.000000000001)::decimal(38, 12) as cost_input,
        (sums.cost_output_pico * 0.000000000001)::decimal(38, 12) as cost_output,
        (sums.cost_cache_write_pico * 0.000000000001)::decimal(38, 12) as cost_cache_write,
        (sums.cost_cache_read_pico * 0.000000000001)::decimal(38, 12) as cost_cache_read,
        (sums.cost_web_search_pico * 0.000000000001)::decimal(38, 12) as cost_web_search,
        (sums.cost_api_pico * 0.000000000001)::decimal(38, 12) as cost_api,
        (sums.cost_pico * 0.000000000001)::decimal(38, 12) as cost
    from limits
    left join sums on limits.account = sums.account and limits.first_tick = sums.first_tick
),

rated_blocks as (
    select
        blocks.*,
        now_us >= start_us and now_us < start_us + length_us and now_us - last_us < length_us as is_active,
        case
            when $project is null and $model is null and $session is null then last_us - first_us
            else last_counted_us - first_counted_us
        end / 60000000.0 as worked_min,
        round((start_us + length_us - now_us) / 60000000.0) as left_min
    from blocks
    where ($since is null or start_us >= epoch_us($since::timestamptz))
        and ($until is null or start_us < epoch_us($until::timestamptz))
        and (requests > 0 or ($project is null and $model is null and $session is null))
),

gaps as (
    select
        account,
        last_us + length_us as start_us,
        next_us as end_us
    from blocks
    where $gaps
        and next_us - last_us > length_us
        and ($since is null or last_us + length_us >= epoch_us($since::timestamptz))
        and ($until is null or last_us + length_us < epoch_us($until::timestamptz))
),

shown as (
    select
        account,
        start_us,
        start_us + length_us as end_us,
        last_us,
        last_us - start_us as duration_us,
        requests,
        input_tokens,
        output_tokens,
        cache_write_tokens,
        cache_read_tokens,
        total_tokens,
        cost_input,
        cost_output,
        cost_cache_write,
        cost_cache_read,
        cost_web_search,
        cost_api,
        cost,
        is_active,
        false as is_gap,
        total_tokens / nullif(worked_min, 0) as burn_tokens_per_min,
        case when is_active then total_tokens * (1 + left_min / nullif(worked_min, 0)) end as projected_tokens,
        case when is_active then cost::double * (1 + left_min / nullif(worked_min, 0)) end as projected_cost,
        unpriced_requests
    from rated_blocks
    union all
    select
        account,
        start_us,
        end_us,
        null as last_us,
        end_us - start_us as duration_us,
        0 as requests,
        0 as input_tokens,
        0 as output_tokens,
        0 as cache_write_tokens,
        0 as cache_read_tokens,
        0 as total_tokens,
        null as cost_input,
        null as cost_output,
        null as cost_cache_write,
        null as cost_cache_read,
        null as cost_web_search,
        null as cost_api,
        null as cost,
        false as is_active,
        true as is_gap,
        null as burn_tokens_per_min,
        null as projected_tokens,
        null as projected_cost,
        0 as unpriced_requests
    from gaps
)

select
    make_timestamptz(start_us) as start_ts,
    make_timestamptz(end_us) as end_ts,
    make_timestamptz(last_us) as last_ts,
    duration_us // 3600000000 || 'h ' || duration_us // 60000000 % 60 || 'm' as duration,
    requests,
    input_tokens,
    output_tokens,
    cache_write_tokens,
    cache_read_tokens,
    total_tokens,
    cost_input,
    cost_output,
    cost_cache_write,
    cost_cache_read,
    cost_web_search,
    cost_api,
    cost,
    is_active,
    is_gap,
    burn_tokens_per_min,
    round(projected_tokens)::decimal(38, 0) as projected_tokens,
    projected_cost::decimal(38, 12) as projected_cost,
    (cost_input + cost_output + cost_cache_write + cost_cache_read + cost_web_search)::double
        / nullif(cost_api::double, 0) as total_per_api_cost,
    unpriced_requests,
    account as host
from shown
order by start_us, is_gap desc, account
