"""What a lake holds, table by table and row by row, in a form that can be compared with another lake's."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.store import catalog

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
        found[name] = table.sort_by([(column, "ascending") for column in table.column_names])
    return found


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
