"""What is right: the tokens and dollars of a tree, and where a contender's totals differ from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tokenlake.synth.truth import Counts

Totals = Mapping[str, int | Fraction]
"""A contender's totals by name; it may lack kinds, or have several of them in one."""

_LEAST_DOLLARS = Fraction(1, 100_000)
_FLOAT_SHARE = Fraction(1, 10_000_000)


@dataclass(frozen=True, slots=True)
class Answer:
    """The right totals of a tree; `dollars` is None where nobody worked them out."""

    counts: Counts
    dollars: Fraction | None = None


def mismatches(totals: Totals, answer: Answer) -> list[str]:
    """Say where totals differ from the answer, in the order of the totals.

    Dollars are right within a thousandth of a cent and a ten-millionth: the peers add up floats or rounded parts.
    """
    right = right_totals(answer)
    found = []
    for kind, value in totals.items():
        if kind == "dollars":
            if answer.dollars is not None and not _is_near(Fraction(value), answer.dollars):
                found.append(f"${float(value):,.6f} instead of ${float(answer.dollars):,.6f}")
        elif value != right[kind]:
            found.append(f"{kind} {int(value):,} instead of {right[kind]:,}")
    return found


def right_totals(answer: Answer) -> dict[str, int]:
    """Give the right number of every kind that any contender reports."""
    counts = answer.counts
    writes = counts.cache_write_5m_tokens + counts.cache_write_1h_tokens
    return {
        "requests": counts.requests,
        "input_tokens": counts.input_tokens,
        "output_tokens": counts.output_tokens,
        "cache_write_5m_tokens": counts.cache_write_5m_tokens,
        "cache_write_1h_tokens": counts.cache_write_1h_tokens,
        "cache_write_tokens": writes,
        "cache_read_tokens": counts.cache_read_tokens,
        "cache_tokens": writes + counts.cache_read_tokens,
    }


def _is_near(value: Fraction, right: Fraction) -> bool:
    return abs(value - right) <= _LEAST_DOLLARS + _FLOAT_SHARE * right
