"""How the accounting tests read a lake."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenlake.lake import Lake

TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
)

Row = dict[str, Any]


def rows(lake: Lake, table: str, order: str = "1") -> list[Row]:
    """All rows of a table."""
    listed: list[Row] = lake.sql(f"select * from {table} order by {order}").to_pylist()
    return listed


def requests(lake: Lake) -> dict[str, Row]:
    """The requests by key."""
    return {row["key"]: row for row in rows(lake, "requests")}


def one(lake: Lake, table: str = "requests") -> Row:
    """The only row of a table."""
    (row,) = rows(lake, table)
    return row


def tokens(row: Row) -> tuple[int, ...]:
    """Input, output, 5m writes, 1h writes and reads of a row."""
    return tuple(row[name] for name in TOKENS)


def total(lake: Lake) -> tuple[int, ...]:
    """Requests, then the sums of the five token counts of the whole lake."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in TOKENS)
    (row,) = lake.sql(f"select count(*) as requests, {sums} from requests").to_pylist()
    return (row["requests"], *tokens(row))


def utc(text: str) -> datetime:
    """The instant that an ISO text with Z names."""
    return datetime.fromisoformat(text).astimezone(UTC)


def named(lake: Lake, name: str) -> str:
    """The path under which a file is in the lake, by how its path ends."""
    (row,) = [row for row in rows(lake, "files") if row["path"].endswith(name)]
    return str(row["path"])
