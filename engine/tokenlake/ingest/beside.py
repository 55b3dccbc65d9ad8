"""The files of lines that lie beside an agent's `projects/`: which there are, and which have something new.

They are known to the ledger by kinds of their own (store.ledger), and planned and read as transcripts are.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tokenlake.ingest.discover import Discovery, FoundFile, file_id
from tokenlake.ingest.plan import Plan, plan
from tokenlake.ingest.salvage import storable
from tokenlake.schema import Table, arrow_schema
from tokenlake.store.ledger import Entry

if TYPE_CHECKING:
    import pyarrow as pa

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = tuple[Any, ...]
"""A row of a kind's table; the first of it is its time."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of these files: its name in the ledger, the table of what is told, and how a record tells it.

    `rows_of` takes a record, host, file_id and offset; it gives rows and the number of odd fields, and raises
    ValueError with the reason where there is nothing to be told. `resume` is how a record starts that another was cut
    off by.
    """

    name: str
    table: Table
    rows_of: Callable[[Mapping[str, Any], str, int, int], tuple[list[Row], int]]
    resume: re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be done about the files of a kind that are of one machine."""

    kind: Kind
    host: str
    todo: Plan


def look(kind: Kind, places: Mapping[str, str], entries: Mapping[int, Entry]) -> list[Look]:
    """Compares the paths where such files may lie, each with the machine it is of, with the ledger."""
    known = {number: entry for number, entry in entries.items() if entry.kind == kind.name}
    looks = []
    for host in sorted(set(places.values())):
        paths = sorted(path for path, of in places.items() if of == host)
        found, failed, warnings = [], [], []
        for path in paths:
            try:
                there = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                warnings.append(f"{path}: {error.strerror or error}; not read")
                failed.append(path)
                continue
            if stat.S_ISREG(there.st_mode):  # a link might lead out of the root
                found.append(FoundFile(file_id(host, path), path, kind.name, there.st_size, there.st_mtime_ns))
        looks.append(Look(kind, host, plan(Discovery(tuple(paths), tuple(found), (), tuple(failed)), known, host)))
        looks[-1].todo.warnings[:0] = warnings
    return looks


def text_of(value: object) -> str | None:
    """A string that may be stored: lone surrogates become U+FFFD (accounting rule 2); None for all else."""
    return storable(value) if isinstance(value, str) and value else None


def is_odd_text(value: object) -> bool:
    """Whether a field that should hold a string, or nothing, holds something else."""
    return value is not None and not isinstance(value, str)


def arrow_table(table: Table, rows: Sequence[Row]) -> pa.Table:
    """One row or more as an Arrow table with the columns of `table`."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True))
    schema = arrow_schema(table)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
