"""What a row of the price table is, and how one layer of rows is laid over another."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

LIMIT = Decimal(1000)
"""Prices lie below this many dollars per million: so a request's cost in picodollars fits 64 bits."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs on some days, for requests of some size (accounting rule 19).

    `valid_from` and `valid_to` are the first and last UTC day, None where there is no bound; `prompt_from`
    and `prompt_to` the least and greatest context in tokens. Prices are dollars per million tokens, and per
    1,000 web searches; None for a kind without a price of its own: its tokens cost what input does, its
    searches are unpriced. `source` says where the row is from, `source_version` of which version or date.
    """

    model: str
    provider: str
    valid_from: dt.date | None
    valid_to: dt.date | None
    prompt_from: int
    prompt_to: int | None
    input: Decimal
    output: Decimal
    cache_write_5m: Decimal | None
    cache_write_1h: Decimal | None
    cache_read: Decimal | None
    web_search: Decimal | None
    source: str
    source_version: str


@dataclass(frozen=True, slots=True)
class Name:
    """A name by which logs may call a model, on some days; of two that fit, the lesser `rank` counts."""

    name: str
    model: str
    rank: int
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """What `kind` (fast, us or batch) multiplies the token prices of a model by, `*` for every model (rule 20)."""

    kind: str
    model: str
    valid_from: dt.date | None
    valid_to: dt.date | None
    factor: Decimal
    source: str


OWN, MAKER, GATEWAY = range(3)
"""Ranks of names: the user's own, those of Claude models, and those that others give their models."""


def laid_over(layers: Iterable[Iterable[Price]]) -> list[Price]:
    """The rows of all layers, the later ones on top, without overlaps; sorted by model, day and context.

    On a day that a layer has rows for, it takes the place of what lies below from its least `prompt_from` on.
    """
    by_model: dict[str, list[list[Price]]] = defaultdict(list)
    for number, layer in enumerate(layers):
        for price in layer:
            stack = by_model[price.model]
            stack.extend([] for _ in range(number + 1 - len(stack)))
            stack[number].append(price)
    return [price for model in sorted(by_model) for price in _of_model(by_model[model])]


def bounds(prices: Iterable[Price]) -> list[dt.date]:
    """The days on which anything begins or ends to hold, sorted; the first stands for all days before it."""
    days = {dt.date.min}
    for price in prices:
        days.add(price.valid_from or dt.date.min)
        if price.valid_to is not None and price.valid_to < dt.date.max:
            days.add(price.valid_to + dt.timedelta(days=1))
    return sorted(days)


def holding(prices: Iterable[Price], day: dt.date) -> list[Price]:
    """The rows that hold on a day, by context."""
    found = (p for p in prices if (p.valid_from or dt.date.min) <= day <= (p.valid_to or dt.date.max))
    return sorted(found, key=lambda price: price.prompt_from)


def _of_model(stack: list[list[Price]]) -> Iterator[Price]:
    days = bounds(price for layer in stack for price in layer)
    periods: list[tuple[dt.date, list[Price]]] = []
    for day in days:
        held: list[Price] = []
        for layer in stack:
            if above := holding(layer, day):
                held = [price for price in held if price.prompt_from < above[0].prompt_from] + above
        if not periods or _bands(periods[-1][1]) != _bands(held):
            periods.append((day, held))
    for (day, held), following in zip(periods, [*periods[1:], None], strict=True):
        last = following[0] - dt.timedelta(days=1) if following else None
        first = None if day == dt.date.min else day
        for number, price in enumerate(held, 1):
            prompt_to = held[number].prompt_from - 1 if number < len(held) else None
            yield replace(price, valid_from=first, valid_to=last, prompt_to=prompt_to)


def _bands(held: list[Price]) -> list[Price]:
    """The rows without their days, by which two periods are told apart."""
    return [replace(price, valid_from=None, valid_to=None, prompt_to=None) for price in held]
