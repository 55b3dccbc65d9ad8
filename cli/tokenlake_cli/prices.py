"""`tokenlake prices`: the price table with the source of every row, and what the models of a lake cost by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tokenlake.errors import UsageError
from tokenlake_cli import options, render

if TYPE_CHECKING:
    from tokenlake.store.catalog import Snapshot

_TABLE = """
select
    model, provider, valid_from, valid_to, prompt_from, prompt_to,
    input, output, cache_write_5m, cache_write_1h, cache_read, web_search, source, source_version
from prices
where ($every or provider = 'anthropic' or source <> 'genai-prices' or model in (select price_model from price_names))
    and contains(lower(model), lower(coalesce($part, '')))
order by provider is distinct from 'anthropic', provider, model, valid_from nulls first, prompt_from
"""

_FACTORS = """
select kind, model, valid_from, valid_to, factor, source
from price_factors
where contains(lower(model), lower(coalesce($part, ''))) or model = '*'
order by kind, model, valid_from nulls first
"""

_USED = """
with used as (
    select
        model,
        count(*) as requests,
        sum(total_tokens) as tokens,
        count(*) filter (not is_priced) as unpriced_requests,
        coalesce(sum(total_tokens) filter (not is_priced), 0) as unpriced_tokens,
        sum(cost)::decimal(38, 12) as cost
    from (
        select *, input_tokens::decimal(38, 0) + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens
            + cache_read_tokens as total_tokens
        from costs
    )
    where contains(lower(coalesce(model, '')), lower(coalesce($part, '')))
    group by model
),
resolved as (
    select model, string_agg(distinct price_model, ', ' order by price_model) as price_model
    from price_names
    group by model
)
select used.model, resolved.price_model, requests, tokens, unpriced_requests, unpriced_tokens, cost
from used
left join resolved on used.model = resolved.model
order by tokens desc, used.model
"""


def show(used: bool, factors: bool, every: bool, own: bool, model: str | None, **values: Any) -> None:
    """Show the price table: dollars per million tokens, per 1,000 web searches, and the source of each row.

    A row holds from valid_from to valid_to (UTC days), for requests whose whole context has prompt_from to
    prompt_to tokens. Prices are those of the package genai-prices, with the project's corrections, and your own
    on top. Below stands which models of the lake have no price, with their tokens; the lake is taken as it is.
    """
    if used + factors + every + own > 1:
        raise UsageError("give one of --used, --factors, --all and --own: each is an answer of its own")
    if own:
        render.write_text(_own_text())
        return
    from tokenlake.query.run import sql

    output = options.output(values["format_"], values["output"], values["limit"], lake=values["lake"])
    snapshot = _snapshot(values["lake"])
    notes: list[str] = []
    if used:
        result = sql(snapshot, _USED, {"part": model})
    elif factors:
        result = sql(snapshot, _FACTORS, {"part": model})
    else:
        result = sql(snapshot, _TABLE, {"part": model, "every": every})
        # Asked without the filter: what has no price is in no row of the table.
        unpriced = sql(snapshot, "select 1 from selected_costs limit 0").meta.unpriced
        notes = [f"unpriced: {render.unpriced_text(found)}" for found in unpriced]
    render.write_result(result, output, notes)


def _snapshot(lake: Path | None) -> Snapshot:
    """The lake as it is; an empty one where there is none: prices stand without it."""
    from tokenlake.lake import Lake
    from tokenlake.store import catalog
    from tokenlake.store.catalog import Snapshot

    path = Lake(lake).path
    return catalog.read(path) if lake is not None or catalog.exists(path) else Snapshot(path)


def _own_text() -> str:
    """Where the user's own prices lie, and what they are."""
    from tokenlake.query.prices import sheets

    path = sheets.own_path()
    width = max(map(len, sheets.OWN_COLUMNS))
    return "\n".join(
        [
            f"{path} ({'there' if path.is_file() else 'not there yet'}; $TOKENLAKE_PRICES names another file)",
            "",
            "A CSV file in UTF-8, its columns in any order; lines that begin with # do not count:",
            *(f"  {name:{width}}  {text}" for name, text in sheets.OWN_COLUMNS.items()),
            "",
            "On the days of its rows a model has these prices and no others, from the least prompt_from on. They count",
            "from the next report on, also for what the lake holds already. Example:",
            "  model,input,output,cache_write_5m,cache_write_1h,cache_read",
            "  my-gateway/claude,4,20,5,8,0.4",
        ]
    )


command = click.Command(
    "prices",
    callback=show,
    params=[
        click.Option(["--used"], is_flag=True, help="The models of the lake: what each name stands for, and its cost."),
        click.Option(["--factors"], is_flag=True, help="What fast mode, US inference and the batch tier multiply by."),
        click.Option(["--all", "every"], is_flag=True, help="Also the models of all other makers and gateways."),
        click.Option(["--own"], is_flag=True, help="Where a file of your own prices belongs, and what is in it."),
        click.Option(["--model"], metavar="TEXT", help="Only models whose name holds this text."),
        *options.output_options(),
        options.limit_option(),
        options.lake_option(),
    ],
    help=show.__doc__,
    epilog="\b\nExample:\n  tokenlake prices --model opus\n  tokenlake prices --used --format csv",
)
