-- Which model of the price table each logged name stands for; names that stand for none are not here.
--
-- A logged name is tried in three spellings, the first that fits counts, a name from the user's own prices
-- before all others:
--   1. exactly as logged: the only spelling in which models of other makers are found;
--   2. in small letters, without a suffix in brackets such as `[1m]`;
--   3. without the path or region before it (`anthropic/`, `us.anthropic.`, the ARN of an inference profile),
--      without a version such as `-v1:0`, without a date or `latest` behind `-` or `@`, with dots as dashes.
-- Bare family names, `opus` or `sonnet`, stand for the newest model of the family on the day: such a name has
-- several rows, told apart by valid_from and valid_to (first and last UTC day, null for no bound).
with shortened as (
    select
        model,
        lower(split_part(trim(model), '[', 1)) as short
    from logged_models
),

unrouted as (
    select
        model,
        short,
        regexp_replace(regexp_replace(short, '^.*/', ''), '^([a-z-]+[.])?anthropic[.]', '') as unrouted_name
    from shortened
),

spelled as (
    select
        model,
        short,
        replace(
            regexp_replace(
                regexp_replace(unrouted_name, '-v[0-9]+(:.*)?$', ''),
                '[-@](20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2}|latest|default)$', ''
            ),
            '.', '-'
        ) as plain
    from unrouted
),

spellings as (
    select model, model as spelling, 1 as place from spelled
    union all
    select model, short as spelling, 2 as place from spelled
    union all
    select model, plain as spelling, 3 as place from spelled
),

found as (
    select
        spellings.model,
        price_aliases.price_model,
        price_aliases.valid_from,
        price_aliases.valid_to,
        price_aliases.name_rank * 10 + spellings.place as preference
    from spellings
    inner join price_aliases on spellings.spelling = price_aliases.name
    -- A name of another maker's model must be exactly it: a spelling that fits by chance is no price.
    where price_aliases.name_rank < 2 or spellings.place = 1
),

best as (
    select
        model,
        min(preference) as preference
    from found
    group by model
)

select
    found.model,
    found.price_model,
    found.valid_from,
    found.valid_to
from found
inner join best on found.model = best.model and found.preference = best.preference
