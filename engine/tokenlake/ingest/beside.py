"""What history.py and quota.py do alike with the files of lines that lie beside an agent's `projects/`."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tokenlake.schema import Table, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether it is a file itself: a link might lead out of the root."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def text_of(value: object) -> str | None:
    """A string that may be stored: lone surrogates become U+FFFD (accounting rule 2); None for all else."""
    return _LONE_SURROGATE.sub("\ufffd", value) if isinstance(value, str) and value else None


def arrow_table(table: Table, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """One row or more as an Arrow table with the columns of `table`."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True))
    schema = arrow_schema(table)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
