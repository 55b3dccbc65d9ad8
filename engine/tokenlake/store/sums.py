"""The sums of requests, which stand beside each of their data files: how they are made, and where they lie.

A sums file comes and goes with its requests file in the catalog, so it never tells of other requests. Its rows are of
requests that share all by which reports group and filter them and by which prices differ, as far as it is known before
any prices are: a reader proves of each that its requests lie between the same two steps of the prices at hand (by the
least and the largest context; days of prices begin with quarter hours), or reads the requests. They are derived wholly:
one that is lost costs speed until the next ingest that writes makes it again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.schema import REQUEST_SUMS, REQUESTS
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot
from tokenlake.store.checksums import checksum

if TYPE_CHECKING:
    import duckdb

_STEPS: dict[str, tuple[int, ...]] = {
    "contains(model, 'haiku')": (100_001, 200_001),
    "contains(model, 'claude') or model in ('opus', 'sonnet')": (200_001,),
    "true": (32_001, 100_001, 128_001, 200_000, 200_001, 256_001, 272_001, 512_001),
}
"""Contexts from which on models have, or may come to have, another price: a row has requests of one side.

For steps that are not here no figure is wrong: files with rows across them are passed over, which takes longer.
"""

_LARGEST_TOKENS = 1_000_000_000
_LARGEST_SEARCHES = 1_000_000
_LARGEST_DOLLARS = 1_000_000

_QUARTER_HOUR_US = 900_000_000

_ALIKE = ("session_id", "project", "host", "version", "model", "is_sidechain")
_COUNTED = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")


def query(paths: Sequence[str]) -> str:
    """SQL for the rows of `request_sums` that stand for the requests of these data files."""
    bands = " ".join(f"when {models} then {_band(steps)}" for models, steps in _STEPS.items())
    counts = ", ".join(f"sum({name}) as {name}" for name in _COUNTED)
    known = " and ".join(f"count({name}) = count(*)" for name in _COUNTED)
    summed = ", ".join(f"case when is_summed then {name}::bigint end as {name}" for name in _COUNTED)
    return f"""
with groups as (
  select min(ts) as first_ts, max(ts) as last_ts, {", ".join(_ALIKE)},
    coalesce(speed = 'fast', false) as is_fast,
    coalesce(inference_geo = 'us', false) as is_us,
    coalesce(service_tier = 'batch', false) as is_batch,
    count(*) as requests,
    count(*) filter (output_is_partial) as partial_requests,
    min(context_tokens) as min_context_tokens, max(context_tokens) as max_context_tokens,
    {counts}, coalesce(sum(web_searches), 0) as web_searches,
    -- What was logged may be any number: one of a million dollars counts for none (see `views.COST_MODES`).
    sum(cost_logged) filter (cost_logged >= 0 and cost_logged < {_LARGEST_DOLLARS}) as cost_logged,
    {known} and count(context_tokens) = count(*) as is_known
  from {partitions.relation(REQUESTS, paths)}
  group by {", ".join(_ALIKE)}, is_fast, is_us, is_batch,
    -- Rounded down, also before 1970.
    epoch_us(ts) // {_QUARTER_HOUR_US} - (epoch_us(ts) % {_QUARTER_HOUR_US} < 0)::bigint,
    coalesce(cost_logged >= 0 and cost_logged < {_LARGEST_DOLLARS}, false),
    coalesce(web_searches > 0, false),
    case {bands} end
),
judged as (
  -- Within these, tokens times price fit 64 bits, and no request is of those that view priced leaves out.
  select *, is_known and {" + ".join(_COUNTED)} < {_LARGEST_TOKENS} and max_context_tokens < {_LARGEST_TOKENS}
    and web_searches < {_LARGEST_SEARCHES} and coalesce(cost_logged < {_LARGEST_DOLLARS}, true) as is_summed
  from groups
)
select * replace (
  {summed}, case when is_summed then web_searches::bigint end as web_searches,
  case when is_summed then cost_logged::decimal(18, 9) end as cost_logged)
from judged"""


def _band(steps: Sequence[int]) -> str:
    """How many of the steps a request's context has reached, in SQL."""
    return " + ".join(f"(context_tokens >= {step})::tinyint" for step in steps)


def tag_of(requests: str) -> str:
    """The tag that `partitions.write` takes for the sums of a requests file to lie where `path_of` says."""
    return Path(requests).stem


def path_of(requests: str) -> str:
    """The path, or name, of the sums of a requests file: `request_sums/month=2026-05/000007-1.parquet`."""
    return REQUEST_SUMS.name.join(requests.rsplit(REQUESTS.name, 1))


def present(snapshot: Snapshot) -> Snapshot:
    """The snapshot with just those sums files that are there; one stat each."""
    named = snapshot.files.get(REQUEST_SUMS.name, ())
    there = tuple(name for name in named if os.path.exists(snapshot.root / name))
    return snapshot if there == named else replace(snapshot, files={**snapshot.files, REQUEST_SUMS.name: there})


def lacking(snapshot: Snapshot) -> list[str]:
    """The names of those requests files for which the snapshot has no sums."""
    there = set(snapshot.files.get(REQUEST_SUMS.name, ()))
    return [name for name in snapshot.files.get(REQUESTS.name, ()) if path_of(name) not in there]


def complete(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, staging: Path) -> Snapshot:
    """The snapshot with the sums of every requests file: those that are not there are written into `staging`.

    Raises duckdb.Error where the requests cannot be read.
    """
    snapshot = present(snapshot)
    for requests in lacking(snapshot):
        rows = query([str(snapshot.root / requests)])
        written = partitions.write(con, REQUEST_SUMS, rows, staging, tag_of(requests))
        snapshot = snapshot.changed(REQUEST_SUMS.name, [], [str(path.relative_to(snapshot.root)) for path in written])
    return snapshot


def damaged(snapshot: Snapshot) -> str | None:
    """The path of a sums file whose bytes are not those that were written, or, not knowing these, make no rows."""
    for name in snapshot.files.get(REQUEST_SUMS.name, ()):
        path, known = snapshot.root / name, snapshot.checksums.get(name)
        with suppress(OSError):  # lost, or not to be opened: that is another matter
            with open(path, "rb") as file:
                is_sound = checksum(file) == known if known else _makes_rows(str(path))
            if not is_sound:
                return str(path)
    return None


def _makes_rows(path: str) -> bool:
    import duckdb

    try:
        with duckdb.connect() as con:
            con.execute(f"select {', '.join(REQUEST_SUMS.names)} from {partitions.relation(REQUEST_SUMS, [path])}")
            while con.fetchmany(1 << 16):
                pass
    except duckdb.Error:
        return False
    return True
