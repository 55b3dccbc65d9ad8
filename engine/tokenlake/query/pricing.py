"""What a report that reads costs must say of its prices: where they are from, and what they do not cover."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A model as logged, None where none was, with its requests that have no cost and their tokens in all."""

    model: str | None
    requests: int
    tokens: int


READS = "selected_cost_sums price_sources"
"""The views and tables that the functions of this module read."""

SUMS = ("selected_quarter_hours", "selected_cost_groups")
"""The views that have few rows and hold what is said here; reports that read one keep it as a table."""


def sources(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """The sources of the price table, each with its version or date."""
    return tuple(source for (source,) in connection.execute("select source from price_sources").fetchall())


def kept_sums(read: Container[str]) -> str | None:
    """The one of SUMS that a report reads, if it reads one: `read` names what it reads."""
    return next((name for name in SUMS if name in read), None)


def unpriced(connection: duckdb.DuckDBPyConnection, read: Container[str] = ()) -> tuple[Unpriced, ...]:
    """The selected requests without a cost, by model, the most tokens first; `<synthetic>` ones are no requests.

    `read` names what the report reads: where one of SUMS is among it, the answer is there already.
    """
    source = kept_sums(read) or "selected_cost_sums"
    rows = connection.execute(
        f"select model, sum(unpriced_requests)::bigint, sum(unpriced_tokens) from {source} "
        "where unpriced_requests > 0 and model is distinct from '<synthetic>' "
        "group by model order by 3 desc, 2 desc, 1"
    )
    return tuple(Unpriced(model, requests, int(tokens)) for model, requests, tokens in rows.fetchall())
