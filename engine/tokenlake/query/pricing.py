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


READS = "selected selected_costs price_rates price_sources"
"""The views and tables that the functions of this module read."""

SUMS = "selected_quarter_hours"
"""The view that has few rows and holds what is said here; reports of periods read it, and keep it as a table."""

_LARGEST = 1_000_000_000
"""Tokens of a request, or thousands of its searches, from which on there is no price for it."""


def sources(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """The sources of the price table, each with its version or date."""
    return tuple(source for (source,) in connection.execute("select source from price_sources").fetchall())


def unpriced(connection: duckdb.DuckDBPyConnection, cost_mode: str, read: Container[str] = ()) -> tuple[Unpriced, ...]:
    """The selected requests without a cost, by model, the most tokens first; `<synthetic>` ones are no requests.

    `read` names what the report reads: where SUMS is among it, the answer is there already.
    """
    if SUMS in read:
        rows = connection.execute(
            f"select model, sum(unpriced_requests)::bigint, sum(unpriced_tokens)::bigint from {SUMS} "
            "where unpriced_requests > 0 and model is distinct from '<synthetic>' "
            "group by model order by 3 desc, 2 desc, 1"
        )
        return tuple(Unpriced(*row) for row in rows.fetchall())
    restriction = "true" if cost_mode == "display" else _doubts(connection)
    if restriction is None:
        return ()
    rows = connection.execute(
        "select model, count(*), sum(context_tokens::hugeint + output_tokens) from selected_costs "
        f"where not is_priced and model is distinct from '<synthetic>' and {restriction} "
        "group by model order by 3 desc, 2 desc, 1"
    )
    return tuple(Unpriced(*row) for row in rows.fetchall())


def _doubts(connection: duckdb.DuckDBPyConnection) -> str | None:
    """A condition that every request without a price fulfils; None where all surely have one.

    To price all requests once more, only to count those that have no price, would take as long as a report.
    """
    ((context, output, searches),) = connection.execute(
        "select max(context_tokens), max(output_tokens), max(web_searches) from selected"
    ).fetchall()
    rows = connection.execute(_UNCOVERED, {"searches": bool(searches)}).fetchall()
    if max(context or 0, output or 0, (searches or 0) * 1000) >= _LARGEST:
        return "true"
    if not rows:
        return None
    models = {row[0] for row in rows}
    named = ", ".join("'" + model.replace("'", "''") + "'" for model in sorted(models - {None})) or "null"
    conditions = [f"(model in ({named}) or model is null)" if None in models else f"model in ({named})"]
    for column, (name, value) in enumerate(_FACTORS, 1):
        # A plain condition on the column: it reaches the statistics of the files, and skips most of them.
        if all(row[column] for row in rows):
            conditions.append(f"{name} = '{value}'")
    return " and ".join(conditions)


_FACTORS = (("speed", "fast"), ("inference_geo", "us"), ("service_tier", "batch"))
"""The columns and values that stand for the factors of price_rates."""

# A combination of model and factors is covered where its rates fill the plane of all days and contexts: they never
# overlap. The factors are looked for one by one, as files without them are skipped then.
_UNCOVERED = """
with combinations as (
    select distinct model, false as is_fast, false as is_us, false as is_batch
    from selected
    union
    select distinct model, true, coalesce(inference_geo = 'us', false), coalesce(service_tier = 'batch', false)
    from selected where speed = 'fast'
    union
    select distinct model, coalesce(speed = 'fast', false), true, coalesce(service_tier = 'batch', false)
    from selected where inference_geo = 'us'
    union
    select distinct model, coalesce(speed = 'fast', false), coalesce(inference_geo = 'us', false), true
    from selected where service_tier = 'batch'
),
covered as (
    select model, is_fast, is_us, is_batch
    from price_rates
    where not $searches or web_search_price_pico is not null
    group by model, is_fast, is_us, is_batch
    having sum((to_us::hugeint - from_us) * (to_tokens - from_tokens)) = 18000000000000000000::hugeint * 1000000000
)
select combinations.*
from combinations
left join covered using (model, is_fast, is_us, is_batch)
where covered.model is null and combinations.model is distinct from '<synthetic>'
"""
