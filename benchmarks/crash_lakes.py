"""What a lake holds, table by table and row by row, in a form that can be compared with another lake's."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.schema import FILES, KNOWN_PROMPTS, QUOTA_SAMPLES, RECORDS, REJECTS, REQUEST_SUMS, REQUESTS
from tokenlake.store import catalog, lock

if TYPE_CHECKING:
    import pyarrow as pa

Tables = Mapping[str, "pa.Table"]
"""The tables of a lake that have rows, further copies included, each sorted by all of its columns."""


def tables(root: Path) -> Tables:
    """Read every data file of the lake's newest snapshot.

    Of a transcript that is gone only that it is gone is kept: when that was noticed differs from run to run.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    snapshot = catalog.read(root)
    found = {}
    for name in snapshot.files:
        parts = [pq.read_table(path, partitioning=None) for path in snapshot.paths(name)]
        if not any(part.num_rows for part in parts):
            continue
        table = pa.concat_tables(parts).combine_chunks()
        if "departed_at" in table.column_names:
            place = table.column_names.index("departed_at")
            table = table.set_column(place, "departed", table["departed_at"].is_valid())
        if name == REQUEST_SUMS.name:
            table = _added_up(table)
        found[name] = table.sort_by([(column, "ascending") for column in table.column_names])
    return found


def _added_up(sums: "pa.Table") -> "pa.Table":
    """Sums of requests by what they share: how many rows these are depends on the data files of the requests."""
    import duckdb

    shared = "session_id, project, host, version, model, is_sidechain, is_fast, is_us, is_batch"
    least = "min(first_ts) as first_ts, max(last_ts) as last_ts, min(min_context_tokens) as least_context_tokens"
    summed = "requests partial_requests input_tokens output_tokens cache_write_5m_tokens cache_write_1h_tokens"
    summed += " cache_read_tokens web_searches cost_logged"
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("sums", sums)
        columns = ", ".join(f"sum({name}) as {name}" for name in summed.split())
        query = f"select {shared}, {least}, max(max_context_tokens) as most_context_tokens, {columns}"
        return con.sql(f"{query} from sums group by {shared}").to_arrow_table()


def leftovers(lake: Path) -> set[str]:
    """Files in a lake's folder that its catalog does not name; FileNotFoundError for a named one that is gone."""
    named = {name for names in catalog.read(lake).files.values() for name in names}
    present = {str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file()}
    if gone := named - present:
        raise FileNotFoundError(f"{lake}: the catalog names {', '.join(sorted(gone))}")
    others = present - named - {catalog.CATALOG_NAME, catalog.SAMPLES_NAME}
    # Beside the lock may lie who held it last: the next who takes it says so anew.
    return {name for name in others if not name.startswith(lock.LOCK_NAME)}


def state(lake: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder of a lake, to see whether any was touched: its mode, size and time of change."""
    places = (lake, *lake.rglob("*")) if lake.exists() else ()
    found = {str(path.relative_to(lake)): path.stat() for path in sorted(places)}
    return {name: (stat.st_mode, stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


def forget(lake: Path, draws: random.Random) -> None:
    """Take some of those tables out of a lake that a rebuild makes anew, as if they were lost."""
    snapshot = catalog.read(lake)
    lost = {name for name in sorted(snapshot.files) if name not in _NOT_MADE_ANEW and draws.random() < 0.5}
    lost |= {REQUESTS.name, REQUEST_SUMS.name}  # at least
    for name in lost:
        for path in snapshot.paths(name):
            Path(path).unlink()
    kept = {name: names for name, names in snapshot.files.items() if name not in lost}
    catalog.publish(replace(snapshot, commit=snapshot.commit + 1, files=kept))


_NOT_MADE_ANEW = frozenset(table.name for table in (FILES, REJECTS, RECORDS, QUOTA_SAMPLES, KNOWN_PROMPTS))


def rows_of(found: Tables) -> int:
    """How many rows there are in all tables together."""
    return sum(table.num_rows for table in found.values())


def missing(found: Tables, expected: Tables) -> int:
    """How many of the expected rows are not there."""
    count = 0
    for name, table in expected.items():
        present = found.get(name, table.slice(0, 0))
        if not table.equals(present):
            count += (Counter(map(repr, table.to_pylist())) - Counter(map(repr, present.to_pylist()))).total()
    return count


def difference(found: Tables, expected: Tables) -> str | None:
    """Say where two lakes differ, with the first differing row of the first such table; None where they do not."""
    for name in sorted({*found, *expected}):
        mine, other = found.get(name), expected.get(name)
        if mine is None or other is None:
            present = mine if mine is not None else other
            assert present is not None
            return f"{name}: {present.num_rows} rows on one side only ({'found' if mine else 'expected'})"
        if mine.equals(other):
            continue
        if mine.column_names != other.column_names:
            return f"{name}: other columns"
        rows, wanted = mine.to_pylist(), other.to_pylist()
        for row, want in zip(rows, wanted, strict=False):
            if row != want:
                fields = {key: (row[key], want[key]) for key in row if row[key] != want[key]}
                return f"{name}: {len(rows)} rows, {len(wanted)} expected; (found, expected) differ in {fields}"
        return f"{name}: {len(rows)} rows, {len(wanted)} expected"
    return None
