-- Break-even: after how many more requests clearing the context pays, by model
-- A row is a model and a lifetime of its cache writes. Prices are those of the model's latest request, in dollars per
-- million tokens. Clearing leaves A stale tokens behind and writes S + H tokens again: S the static prefix with a first
-- prompt, H what it takes to be at work again.
-- requests                  requests of the model
-- write_per_read            w / r: price of a write / price of a read
-- prefix_tokens, head_tokens, stale_tokens   S, H and A
-- break_even_requests       w / r * (S + H) / A: clearing pays when more requests than this follow
-- net_break_even_requests   (w / r - 1) * (S + H) / A: the same, less the read of S + H that their write replaces
-- expiries                  requests of main threads after a pause longer than this lifetime: the context was lost, or
--                           would have been
-- fresh_cheaper_expiries    those of them that follow a context larger than S + H: a fresh start writes less
-- A model without a price has no prices and no break-even; neither has any where there are no stale tokens.
--
-- $prefix_tokens integer = null {0..1000000000000}: S; default: the median context of the first requests of sessions
-- $head_tokens integer = null {0..1000000000000}: H; default: the median of what requests 2 to 5 of a session of five or more write together
-- $stale_tokens integer = null {0..1000000000000}: A; default: the median context of main threads, less S and H
-- example: tokenlake whatif break-even --stale-tokens 100000

with chosen_requests as (
    select
        coalesce(model, '(none)') as model,
        session_id,
        coalesce(not is_sidechain and agent_id is null and origin <> 'advisor', false) as is_main,
        chain_request,
        epoch_us(ts) as ts_us,
        gap_us,
        prev_context_tokens,
        context_tokens,
        cache_write_5m_tokens::decimal(38, 0) + cache_write_1h_tokens as write_tokens,
        is_priced,
        cache_write_5m_price_pico,
        cache_write_1h_price_pico,
        cache_read_price_pico
    from selected_chains
),

session_starts as (
    select
        session_id,
        count(*) as requests,
        min(context_tokens) filter (chain_request = 1) as prefix_tokens,
        sum(write_tokens) filter (chain_request > 1) as head_tokens
    from chosen_requests
    where is_main and chain_request <= 5
    group by session_id
),

fresh_sizes as (
    select
        coalesce($prefix_tokens, round(quantile_cont(prefix_tokens, 0.5))::decimal(38, 0), 0) as prefix_tokens,
        -- Of the sessions that have five requests.
        coalesce(
            $head_tokens, round(quantile_cont(case when requests = 5 then head_tokens end::double, 0.5))::decimal(38, 0), 0
        ) as head_tokens
    from session_starts
),

main_contexts as (
    select round(quantile_cont(context_tokens, 0.5))::decimal(38, 0) as context_tokens
    from chosen_requests
    where is_main
),

sizes as (
    select
        fresh_sizes.prefix_tokens,
        fresh_sizes.head_tokens,
        fresh_sizes.prefix_tokens + fresh_sizes.head_tokens as fresh_tokens,
        greatest(
            coalesce(
                $stale_tokens, main_contexts.context_tokens - fresh_sizes.prefix_tokens - fresh_sizes.head_tokens, 0
            ),
            0
        ) as stale_tokens
    from fresh_sizes
    cross join main_contexts
),

priced_kinds as (
    select
        model,
        cache_write_5m_price_pico,
        cache_write_1h_price_pico,
        cache_read_price_pico,
        row_number() over (
            partition by model
            order by max(ts_us) desc, cache_read_price_pico, cache_write_5m_price_pico, cache_write_1h_price_pico
        ) as place
    from chosen_requests
    where is_priced
    group by model, cache_write_5m_price_pico, cache_write_1h_price_pico, cache_read_price_pico
),

lifetimes as (
    select
        lifetime,
        lifetime_us
    from (values ('5m', 300000000), ('1h', 3600000000)) as names (lifetime, lifetime_us)
),

models as (
    select
        chosen_requests.model,
        lifetimes.lifetime,
        lifetimes.lifetime_us,
        count(*) as requests,
        count(*) filter (is_main and gap_us > lifetime_us) as expiries,
        count(*) filter (is_main and gap_us > lifetime_us and prev_context_tokens > fresh_tokens)
            as fresh_cheaper_expiries
    from chosen_requests
    cross join lifetimes
    cross join sizes
    group by chosen_requests.model, lifetimes.lifetime, lifetimes.lifetime_us
),

priced_models as (
    select
        models.*,
        case models.lifetime
            when '5m' then priced_kinds.cache_write_5m_price_pico
            when '1h' then priced_kinds.cache_write_1h_price_pico
        end as write_price_pico,
        priced_kinds.cache_read_price_pico as read_price_pico
    from models
    left join priced_kinds on models.model = priced_kinds.model and priced_kinds.place = 1
)

select
    priced_models.model,
    priced_models.lifetime,
    priced_models.requests,
    (priced_models.write_price_pico * 0.000001)::decimal(38, 12) as write_price,
    (priced_models.read_price_pico * 0.000001)::decimal(38, 12) as read_price,
    priced_models.write_price_pico::double / nullif(priced_models.read_price_pico, 0) as write_per_read,
    sizes.prefix_tokens,
    sizes.head_tokens,
    sizes.stale_tokens,
    priced_models.write_price_pico::double / nullif(priced_models.read_price_pico, 0)
        * sizes.fresh_tokens / nullif(sizes.stale_tokens, 0) as break_even_requests,
    (priced_models.write_price_pico::double / nullif(priced_models.read_price_pico, 0) - 1)
        * sizes.fresh_tokens / nullif(sizes.stale_tokens, 0) as net_break_even_requests,
    priced_models.expiries,
    priced_models.fresh_cheaper_expiries
from priced_models
cross join sizes
order by priced_models.requests desc, priced_models.model, priced_models.lifetime_us
