"""What stands for the requests where only sums are asked for: the sums that the lake keeps, as far as they are exact.

They are for the dedup mode `max`, and for those data files of which every row is proven: its requests lie between the
same two steps of the prices, and on the same side of --since and --until. The requests of the other files stand for
themselves, as sums of one. So every figure is the same, with sums or without; and no report needs to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenlake.query.filters import Filters
from tokenlake.schema import REQUEST_SUMS, REQUESTS
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot
from tokenlake.store.sums import lacking, path_of, query

if TYPE_CHECKING:
    import duckdb

VIEW = "sums_of_mode"
"""The view that this module makes."""

_SINGLE = """
    ts as first_ts,
    ts as last_ts,
    session_id,
    project,
    host,
    version,
    model,
    is_sidechain,
    coalesce(speed = 'fast', false) as is_fast,
    coalesce(inference_geo = 'us', false) as is_us,
    coalesce(service_tier = 'batch', false) as is_batch,
    1::bigint as requests,
    case when output_is_partial then 1 else 0 end::bigint as partial_requests,
    context_tokens as min_context_tokens,
    context_tokens as max_context_tokens,
    input_tokens,
    output_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    cache_read_tokens,
    coalesce(web_searches, 0) as web_searches,
    cost_logged"""


def of_requests(source: str, logged_cost: tuple[str, str]) -> str:
    """SQL that gives each request of `source` as a sum of one, with its logged cost as a cost mode takes it.

    `logged_cost` is, in SQL, what that is in picodollars, and whether prices count for the request.
    """
    return f"select{_SINGLE},{_of_mode(logged_cost)}\nfrom {source}"


def kept(snapshot: Snapshot) -> str:
    """SQL for the rows of table `request_sums`, those made here of which the snapshot has no file."""
    columns = ", ".join(f'"{name}"' for name in REQUEST_SUMS.names)
    parts = [partitions.relation(REQUEST_SUMS, snapshot.paths(REQUEST_SUMS.name))]
    if without := [str(snapshot.root / name) for name in lacking(snapshot)]:
        parts.append(f"({query(without)})")
    return " union all ".join(f"select {columns} from {part}" for part in parts)


def models_of(snapshot: Snapshot) -> str:
    """SQL for every model name of a lake's requests."""
    sums, without = _beside(snapshot)
    parts = [partitions.relation(REQUEST_SUMS, list(sums.values())), partitions.relation(REQUESTS, without)]
    return " union ".join(f"select distinct model from {part}" for part in parts)


def of_lake(
    connection: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    filters: Filters,
    logged_cost: tuple[str, str],
    *,
    with_prices: bool,
) -> str:
    """The same as `of_requests` of a whole lake, from the sums that it keeps where these are proven.

    The connection holds the values of the filters and, `with_prices`, the view price_rates. Raises duckdb.Error where a
    data file cannot be read.
    """
    sums, without = _beside(snapshot)
    doubted = _doubted(connection, list(sums.values()), filters, with_prices)
    proven = [path for path in sums.values() if path not in doubted]
    single = [*without, *(requests for requests, path in sums.items() if path in doubted)]
    parts = []
    if proven:
        columns = ",\n    ".join(REQUEST_SUMS.names)
        source = partitions.relation(REQUEST_SUMS, proven)
        parts.append(f"select\n    {columns},{_of_mode(logged_cost)}\nfrom {source}")
    if single or not proven:
        parts.append(of_requests(partitions.relation(REQUESTS, single), logged_cost))
    return "\nunion all\n".join(parts)


def _beside(snapshot: Snapshot) -> tuple[dict[str, str], list[str]]:
    """The paths of the sums files by those of their requests files, and of requests files that have none."""
    root, without = snapshot.root, lacking(snapshot)
    having = sorted({*snapshot.files.get(REQUESTS.name, ())}.difference(without))
    return {str(root / name): str(root / path_of(name)) for name in having}, [str(root / name) for name in without]


def _of_mode(logged_cost: tuple[str, str]) -> str:
    logged_pico, is_calculated = logged_cost
    return f"\n    {logged_pico} as logged_pico,\n    {is_calculated} as is_calculated"


def _doubted(
    connection: duckdb.DuckDBPyConnection, paths: list[str], filters: Filters, with_prices: bool
) -> frozenset[str]:
    """Those of the sums files that have a row of which it is not sure that all its requests are alike."""
    if not paths:
        return frozenset()
    doubts = ["input_tokens is null"]
    if with_prices:
        # Prices begin with UTC days, and so with quarter hours.
        steps = "select from_tokens, list(distinct model) from price_rates where from_tokens > 0 group by from_tokens"
        for step, models in connection.execute(steps).fetchall():
            names = ", ".join(map(partitions.quoted, models))
            doubts.append(f"min_context_tokens < {step} and max_context_tokens >= {step} and model in ({names})")
    dates = [name for name in ("since", "until") if name in filters.in_use]
    doubts += [f"first_ts < getvariable('{name}') and last_ts >= getvariable('{name}')" for name in dates]
    rows = connection.execute(
        f"select distinct filename from {partitions.relation(REQUEST_SUMS, paths, filename=True)}"
        f" where {' or '.join(f'({doubt})' for doubt in doubts)}"
    )
    return frozenset(path for (path,) in rows.fetchall())
