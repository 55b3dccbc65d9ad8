"""What ccusage says: its JSON by day, as rows of day and model."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tokenlake.errors import SourceError

_COUNTS = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens")
_WANTED = "the output of `ccusage claude daily --json`"


@dataclass(frozen=True, slots=True)
class Total:
    """Tokens and dollars of a day and a model as ccusage names it; None for what it counts under no model.

    The day is None where it is before the calendar's year 1.
    """

    day: dt.date | None
    model: str | None
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    cost: float
    has_price: bool


def read(text: str, source: str) -> list[Total]:
    """The rows of a report by day; raises SourceError, which names `source`, for anything else."""
    try:
        content = json.loads(text)
        return [total for day in content["daily"] for total in _of_day(day)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise SourceError(f"{source}: is not {_WANTED}: {reason}") from None


def _of_day(found: dict[str, Any]) -> Iterator[Total]:
    day = None if found["date"].startswith("0000-") else dt.date.fromisoformat(found["date"])
    models = found["modelBreakdowns"]
    for model in models:
        priced = not model.get("missingPricing", False)
        yield Total(day, str(model["modelName"]), *_counts(model), float(model["cost"]), priced)
    # What no model is named for is in the totals of the day only.
    sums = [sum(model[name] for model in models) for name in _COUNTS]
    rest = [whole - part for whole, part in zip(_counts(found), sums, strict=True)]
    cost = float(found["totalCost"]) - sum(float(model["cost"]) for model in models)
    if any(rest) or abs(cost) > 1e-9:
        yield Total(day, None, rest[0], rest[1], rest[2], rest[3], cost, True)


def _counts(found: dict[str, Any]) -> tuple[int, int, int, int]:
    counts = [found[name] for name in _COUNTS]
    if any(isinstance(count, bool) or not isinstance(count, int) for count in counts):
        raise TypeError(f"tokens that are no whole numbers: {counts}")
    return counts[0], counts[1], counts[2], counts[3]
