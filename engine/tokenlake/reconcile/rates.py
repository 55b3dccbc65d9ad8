"""What ccusage takes a token to cost: asked of the program with made-up rows, or as version 20.0.24 answered.

Its prices are built in and change with its version. But a report over rows of one kind of token each tells them
exactly: 100,000 tokens give the price, 300,000 the one of what lies above 200,000.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from importlib.resources import files
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenlake.reconcile import totals
from tokenlake.reconcile.program import Program

KINDS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")

KEPT = "rates.csv"

_FIRST_DAY = dt.date(2001, 1, 1)
_SMALL, _LARGE = 100_000, 300_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Picodollars (1e-12 dollars) a token of each kind, up to 200,000 tokens of it in a row and above."""

    model: str
    is_fast: bool
    has_price: bool
    input_pico: int = 0
    output_pico: int = 0
    cache_write_5m_pico: int = 0
    cache_write_1h_pico: int = 0
    cache_read_pico: int = 0
    input_above_pico: int = 0
    output_above_pico: int = 0
    cache_write_5m_above_pico: int = 0
    cache_write_1h_above_pico: int = 0
    cache_read_above_pico: int = 0


def ask(program: Program, models: Iterable[str]) -> list[Rate]:
    """What the program takes the models to cost, as they are logged, in the usual and in fast mode.

    Raises SourceError where it fails, or answers something else than a report.
    """
    names = sorted({model for model in models if model and model != "<synthetic>"})
    asked = list(product((False, True), KINDS, (_SMALL, _LARGE)))
    with TemporaryDirectory(prefix="tokenlake-rates-") as folder:
        transcript = Path(folder, "projects", "rates", "rates.jsonl")
        transcript.parent.mkdir(parents=True)
        with transcript.open("w", encoding="utf-8") as out:
            for (number, (is_fast, kind, tokens)), name in product(enumerate(asked), names):
                out.write(_line(f"{number} {name}", number, name, is_fast, kind, tokens))
        report = totals.read(program.daily([Path(folder)], "UTC"), program.path)
    costs = {(total.day, total.model): total for total in report}
    return [_rate(name, is_fast, asked, costs) for name in names for is_fast in (False, True)]


def kept() -> list[Rate]:
    """What version 20.0.24 was found to take Claude models to cost, by the names that logs have for them."""
    text = files("tokenlake.reconcile").joinpath(KEPT).read_text("utf-8")
    return [
        Rate(row["model"], row["is_fast"] == "true", True, *(int(row[field.name]) for field in fields(Rate)[3:]))
        for row in csv.DictReader(text.splitlines())
    ]


def as_csv(rates: Iterable[Rate]) -> Iterator[str]:
    """The lines of the file that `kept` reads; models without a price are in none."""
    yield ",".join(field.name for field in fields(Rate) if field.name != "has_price")
    for rate in rates:
        model, is_fast, has_price, *prices = astuple(rate)
        if has_price:
            yield ",".join([model, str(is_fast).lower(), *map(str, prices)])


def _line(name: str, day: int, model: str, is_fast: bool, kind: str, tokens: int) -> str:
    counts = dict.fromkeys(KINDS, 0) | {kind: tokens}
    usage = {
        "input_tokens": counts["input"],
        "output_tokens": counts["output"],
        "cache_read_input_tokens": counts["cache_read"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts["cache_write_5m"],
            "ephemeral_1h_input_tokens": counts["cache_write_1h"],
        },
    }
    if is_fast:
        usage["speed"] = "fast"
    record = {
        "type": "assistant",
        "timestamp": f"{_FIRST_DAY + dt.timedelta(days=day)}T12:00:00.000Z",
        "requestId": name,
        "message": {"id": name, "model": model, "usage": usage},
    }
    return json.dumps(record, separators=(",", ":")) + "\n"


def _rate(
    name: str,
    is_fast: bool,
    asked: list[tuple[bool, str, int]],
    costs: dict[tuple[dt.date | None, str | None], totals.Total],
) -> Rate:
    named = f"{name}-fast" if is_fast else name
    dollars = {}
    has_price = True
    for number, (fast, kind, tokens) in enumerate(asked):
        if fast == is_fast:
            total = costs.get((_FIRST_DAY + dt.timedelta(days=number), named))
            has_price = has_price and total is not None and total.has_price
            dollars[kind, tokens] = total.cost if total else 0.0
    # Dollars of 100,000 tokens, in picodollars a token.
    small = [round(dollars[kind, _SMALL] * 1e7) for kind in KINDS]
    above = [round((dollars[kind, _LARGE] - 2 * dollars[kind, _SMALL]) * 1e7) for kind in KINDS]
    return Rate(name, is_fast, has_price, *small, *above)
