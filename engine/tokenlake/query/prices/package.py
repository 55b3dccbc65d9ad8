"""The prices that the genai-prices package knows, as rows of the price table, with names and fast factors."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tokenlake.query.prices.names import spellings
from tokenlake.query.prices.rows import GATEWAY, LIMIT, MAKER, Factor, Name, Price

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

MAKER_ID = "anthropic"
"""The provider whose models logs may name in many ways; of all others only exact names count."""

PACKAGE = "genai-prices"

_KINDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "cache_read": "cache_read_mtok",
    "web_search": "web_searches_kcount",
}

_MICRO = Decimal("0.000001")


def read() -> tuple[list[Price], list[Name], list[Factor]]:
    """Prices of all models for text, the names they go by, and the factors of fast mode.

    A name that several providers price differently belongs to the one whose own names look like it, as in
    the package; where there is no such one it has no price. Models priced by the hour of the day are left
    out, as are prices beyond the limits of the table.
    """
    from genai_prices.data import providers

    prices: list[Price] = []
    names: list[Name] = []
    factors: list[Factor] = []
    maker = next(provider for provider in providers if provider.id == MAKER_ID)
    for model in maker.models:
        if found := _prices(model, maker, model.id):
            prices += found
            names += [Name(name, model.id, MAKER) for name in sorted(_maker_names(model))]
            factors += _fast_factors(model)
    taken = {name.name for name in names}
    offers: dict[str, list[tuple[Provider, list[Price]]]] = defaultdict(list)
    for provider in providers:
        if provider is maker:
            continue
        for model in provider.models:
            for name in sorted({model.id, *_equal_names(model.match)} - taken):
                if found := _prices(model, provider, name):
                    offers[name].append((provider, found))
    for name, offered in sorted(offers.items()):
        if chosen := _chosen(name, offered):
            prices += chosen
            names.append(Name(name, name, GATEWAY))
    return prices, names, factors


def _prices(model: ModelInfo, provider: Provider, name: str) -> list[Price]:
    """The rows of one model under a name; none where it cannot be priced by date, context and tokens."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    conditions = [] if not isinstance(model.prices, list) else [price.constraint for price in model.prices]
    if any(isinstance(condition, TimeOfDateConstraint) for condition in conditions):
        return []
    starts = {c.start_date for c in conditions if isinstance(c, StartDateConstraint)}
    days = [dt.date.min, *sorted(starts)]
    rows: list[Price] = []
    for day, following in zip(days, [*days[1:], None], strict=True):
        # The package asks for an instant; of the least date only a later year can be one in every zone.
        noon = dt.datetime.combine(max(day, dt.date(1971, 1, 1)), dt.time(12), dt.UTC)
        held = model.get_prices(noon)
        for prompt_from, dollars in _bands(held):
            if dollars is None:
                return []
            rows.append(
                Price(
                    model=name,
                    provider=provider.id,
                    valid_from=None if day == dt.date.min else day,
                    valid_to=following - dt.timedelta(days=1) if following else None,
                    prompt_from=prompt_from,
                    prompt_to=None,
                    source=PACKAGE,
                    source_version="",
                    **dollars,
                )
            )
    return rows


def _bands(held: ModelPrice) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Least context and prices of each band; None for prices where tokens of input or output have none."""
    found = {kind: getattr(held, key) for kind, key in _KINDS.items()}
    # A tier holds above its start, not at it.
    starts = {tier.start + 1 for price in found.values() for tier in getattr(price, "tiers", ())}
    for prompt_from in sorted({0, *starts}):
        dollars = {kind: _at(price, prompt_from) for kind, price in found.items()}
        usable = dollars["input"] is not None and dollars["output"] is not None
        within = all(price is None or 0 <= price < LIMIT for price in dollars.values())
        yield prompt_from, dollars if usable and within else None


def _at(price: Any, prompt_from: int) -> Decimal | None:
    """The price that holds for a context; what a conversion has left below a picodollar a token is rounded away."""
    if price is None:
        return None
    reached = [tier.price for tier in getattr(price, "tiers", ()) if tier.start < prompt_from]
    found = reached[-1] if reached else getattr(price, "base", price)
    return Decimal(found).quantize(_MICRO)


def _fast_factors(model: ModelInfo) -> Iterator[Factor]:
    """The factor of fast mode, where one number stands between all its prices and the standard ones."""
    from genai_prices.types import StartDateConstraint

    for variant in model.price_variants or ():
        if variant.when != {"speed": "fast"}:
            continue
        start = variant.constraint.start_date if isinstance(variant.constraint, StartDateConstraint) else None
        standard = model.get_prices(dt.datetime.combine(start or dt.date(2100, 1, 1), dt.time(12), dt.UTC))
        ratios = {
            getattr(variant.prices, key) / getattr(standard, key)
            for kind, key in _KINDS.items()
            if kind != "web_search"
            and isinstance(getattr(standard, key), Decimal)
            and isinstance(getattr(variant.prices, key), Decimal)
        }
        if len(ratios) == 1:
            yield Factor("fast", model.id, start, None, ratios.pop(), PACKAGE)


def _maker_names(model: ModelInfo) -> set[str]:
    """The names of a model without date and with dashes: its id and all that the package matches it by."""
    spelled = {model.id, *_equal_names(model.match), *_beginnings(model.match)}
    return {text for name in spelled if (text := _plain(name)) not in ("", "claude")}


def _plain(name: str) -> str:
    """The plain spelling of a name; a beginning may end within what follows a name: a dash, or a date."""
    return re.sub(r"-20[0-9]{0,6}$", "", spellings(name)[2].rstrip("-@")).rstrip("-@")


def _equal_names(match: Any) -> Iterator[str]:
    if hasattr(match, "or_"):
        for part in match.or_:
            yield from _equal_names(part)
    elif hasattr(match, "equals"):
        yield match.equals


def _beginnings(match: Any) -> Iterator[str]:
    if hasattr(match, "or_"):
        for part in match.or_:
            yield from _beginnings(part)
    elif hasattr(match, "starts_with"):
        yield match.starts_with


def _chosen(name: str, offered: list[tuple[Provider, list[Price]]]) -> list[Price]:
    if len({tuple(_compared(price) for price in prices) for _, prices in offered}) == 1:
        return offered[0][1]
    own = [prices for provider, prices in offered if provider.model_match and provider.model_match.is_match(name)]
    return own[0] if len(own) == 1 else []


def _compared(price: Price) -> tuple[object, ...]:
    return (
        price.valid_from, price.prompt_from, price.input, price.output, price.cache_write_5m,
        price.cache_write_1h, price.cache_read, price.web_search,
    )  # fmt: skip
