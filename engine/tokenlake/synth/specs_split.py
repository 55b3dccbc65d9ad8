"""Splitting exact totals: by largest remainder, within limits, and a cell's tokens over its requests."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from tokenlake.synth.draws import quantile_table
from tokenlake.synth.truth import Counts

_GROWTH_REQUESTS: Final = 48
"""Requests in which a context grows from its least to its largest, then to be compacted."""

_WRITE: Final = quantile_table((0, 90), (0.5, 650), (0.75, 1900), (0.9, 6000), (0.99, 24_000), (1, 40_000))
_OUTPUT: Final = quantile_table((0, 50), (0.4, 190), (0.7, 480), (0.9, 1500), (0.99, 4000), (1, 5000))
_INPUT: Final = quantile_table((0, 1), (0.8, 6), (1, 40))
_MORE_ROWS: Final = quantile_table((0, 0), (0.27, 0), (0.2701, 1), (0.77, 1), (0.7701, 2), (0.935, 2), (1, 17))

MOST_ROWS: Final = 18
"""Rows that one request is logged as, at most (accounting rule 9)."""


class Request(NamedTuple):
    """The tokens of one request by kind, and the rows that it is logged as."""

    input_tokens: int
    output_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    rows: int


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Splits `total` in proportion to the weights: every part within one of its exact share, their sum exact.

    What rounding down leaves goes, one each, to the parts with the largest remainders, the earlier of equal ones.
    Weights that are all 0 count as equal.
    """
    weight = sum(weights)
    if not weight:
        weights, weight = [1] * len(weights), len(weights)
    parts, remainders = [], []
    for index, own in enumerate(weights):
        part, remainder = divmod(total * own, weight)
        parts.append(part)
        remainders.append((-remainder, index))
    for _, index in sorted(remainders)[: total - sum(parts)]:
        parts[index] += 1
    return parts


def within_limits(total: int, weights: Sequence[int], limits: Sequence[int]) -> list[int]:
    """Splits `total` in proportion to the weights as far as the limits allow; the rest goes where there is room.

    Raises ValueError where the limits hold less than the total.
    """
    if total > sum(limits):
        raise ValueError(f"{total:,} do not fit into {sum(limits):,}")
    parts = [0] * len(weights)
    open_ = list(range(len(weights)))
    while total:
        own = [weights[index] for index in open_]
        if not any(own):
            own = [limits[index] - parts[index] for index in open_]
        for index, more in zip(open_, largest_remainder(total, own), strict=True):
            taken = min(more, limits[index] - parts[index])
            parts[index] += taken
            total -= taken
        open_ = [index for index in open_ if parts[index] < limits[index]]
    return parts


def requests(counts: Counts, rows: int, context_limit_tokens: int, seed: str) -> list[Request]:
    """The requests of a cell: their tokens add up to `counts`, their rows to `rows`, in the same way for a seed.

    Contexts grow from request to request and fall back, as compactions make them; none exceeds the limit. Raises
    ValueError where that cannot be, or where a request would have no row or more than 18.
    """
    count = counts.requests
    if not count <= rows <= MOST_ROWS * count:
        raise ValueError(f"{rows:,} rows for {count:,} requests: it must be 1 to {MOST_ROWS} each")
    random = Random(seed).random
    cached = counts.cache_write_5m_tokens + counts.cache_write_1h_tokens + counts.cache_read_tokens
    try:
        contexts = within_limits(
            counts.input_tokens + cached,
            _growing(count, counts.input_tokens + cached, context_limit_tokens),
            [context_limit_tokens] * count,
        )
    except ValueError:
        least = -(-(counts.input_tokens + cached) // context_limit_tokens)
        raise ValueError(f"contexts of {context_limit_tokens:,} tokens at most need {least:,} requests") from None
    # Each kind takes its part of the context; what is left of it was read, and adds up to the reads.
    left = contexts
    taken = []
    for total, table in (
        (counts.cache_write_5m_tokens, _WRITE),
        (counts.cache_write_1h_tokens, _WRITE),
        (counts.input_tokens, _INPUT),
    ):
        part = within_limits(total, [table[int(random() * 1024)] for _ in range(count)], left)
        left = [room - own for room, own in zip(left, part, strict=True)]
        taken.append(part)
    output = largest_remainder(counts.output_tokens, [_OUTPUT[int(random() * 1024)] for _ in range(count)])
    more_rows = [_MORE_ROWS[int(random() * 1024)] for _ in range(count)]
    if rows % count == 0:  # a multiple is meant: the rows then add up to that multiple of every kind
        more_rows = [1] * count
    extra = within_limits(rows - count, more_rows, [MOST_ROWS - 1] * count)
    return [
        Request(*own) for own in zip(taken[2], output, taken[0], taken[1], left, (1 + n for n in extra), strict=True)
    ]


def _growing(count: int, context_tokens: int, limit_tokens: int) -> list[int]:
    """Weights that rise from well below their mean to as far above it as the limit allows, again and again."""
    mean = context_tokens // count
    swing = max(min(mean // 2, limit_tokens - mean - limit_tokens // 200), 0)
    if not mean:
        return [1] * count
    return [
        mean - swing + 2 * swing * (index % _GROWTH_REQUESTS) // (_GROWTH_REQUESTS - 1) + 1 for index in range(count)
    ]
