"""Result: the answer of a query, as Arrow or as rows, with what a reader must know about it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenlake.errors import UsageError
from tokenlake.query.pricing import Unpriced

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa
    from duckdb.sqltypes import DuckDBPyType

Row = tuple[Any, ...]

RESULT_TABLE = "_result"
"""The table that holds a connection's result: its columns have distinct names, and it spills when large."""

_BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Meta:
    """What was asked, and how it was counted.

    `partial_share` is the share of the selected requests whose output was never finalised (accounting rule
    16), in 0 to 1, for queries that show output or cost; None for others, and where no request was
    selected. `notes` are the sentences that the query says beside its rows. `cost_mode`, the sources of
    `prices` with their versions, and the `unpriced` requests by model (accounting rules 21 to 24) are those
    of queries that read costs.
    """

    title: str
    help: str = ""
    name: str | None = None
    dedup: str | None = None
    tz: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, object] = field(default_factory=dict)
    partial_share: float | None = None
    notes: tuple[str, ...] = ()
    cost_mode: str | None = None
    prices: tuple[str, ...] = ()
    unpriced: tuple[Unpriced, ...] = ()


def of_rows(columns: Sequence[str], rows: Sequence[Row], meta: Meta) -> Result:
    """Rows of texts that were made without a query, as a result: for every form that a report's has."""
    import duckdb

    connection = duckdb.connect()
    texts = ", ".join(f'"{name}" varchar' for name in columns)
    connection.execute(f"create table {RESULT_TABLE} ({texts})")
    if rows:
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"insert into {RESULT_TABLE} values ({marks})", list(rows))
    return Result(connection, meta)


class Result:
    """A finished query: its rows lie in a table of its own connection, and leave it in the form asked for.

    Arrow for `arrow`, `pl`, `df` and everything that takes the Arrow stream protocol; plain Python values
    for `rows` and `to_pylist`, which need neither pyarrow nor polars. Timestamps with a zone are aware, in
    UTC. Whole numbers of more than 64 bits (HUGEINT and UHUGEINT, as sums of counts are), by themselves or in lists,
    structs and maps, are 64-bit integers in a column in which all of them fit, else decimals of 38 digits, and else,
    from 1e38 on, their digits as text. Other types, DECIMAL too, leave as they are.
    """

    __slots__ = ("_connection", "_table", "columns", "meta", "types")

    def __init__(self, connection: duckdb.DuckDBPyConnection, meta: Meta, *, narrow_decimals: bool = False) -> None:
        """The result that `connection` holds in RESULT_TABLE; the connection is the result's from now on.

        With `narrow_decimals` its DECIMAL(38,0) are wide whole numbers as well: those of the shipped queries, in which
        they stand for sums of several counts.
        """
        self._connection = connection
        self._table: pa.Table | None = None
        self.meta = meta
        _narrow(connection, narrow_decimals)
        relation = connection.table(RESULT_TABLE)
        self.columns: tuple[str, ...] = tuple(relation.columns)
        self.types: tuple[DuckDBPyType, ...] = tuple(relation.types)

    def __repr__(self) -> str:
        """Title, size and columns."""
        return f"Result({self.meta.title!r}, {len(self)} rows, columns {', '.join(self.columns)})"

    def __len__(self) -> int:
        """The number of rows."""
        ((count,),) = self._connection.execute(f"select count(*) from {RESULT_TABLE}").fetchall()
        return int(count)

    @property
    def table(self) -> pa.Table:
        """The whole result as an Arrow table."""
        if self._table is None:
            self._table = self._connection.table(RESULT_TABLE).to_arrow_table()
        return self._table

    def arrow(self) -> pa.Table:
        """The whole result as an Arrow table."""
        return self.table

    def pl(self) -> pl.DataFrame:
        """The whole result as a Polars frame."""
        import polars as pl

        frame = pl.from_arrow(self.table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def df(self) -> Any:
        """The whole result as a pandas frame; UsageError where pandas is not installed."""
        try:
            return self.table.to_pandas()
        except ImportError as error:
            raise UsageError(f"df() needs pandas ({error}): pip install pandas, or use .pl() or .arrow()") from None

    def rows(self, limit: int | None = None) -> Iterator[Row]:
        """The rows, or the first `limit` of them, as tuples of Python values, fetched in batches."""
        convert = [_converter(type_) for type_ in self.types]
        columns = ", ".join(
            f"{_quoted(name)}::{_without_zone(type_)}" if change else _quoted(name)
            for name, type_, change in zip(self.columns, self.types, convert, strict=True)
        )
        text = f"select {columns} from {RESULT_TABLE}" + (f" limit {limit:d}" if limit is not None else "")
        cursor = self._connection.cursor().execute(text)
        while batch := cursor.fetchmany(_BATCH_ROWS):
            if not any(convert):
                yield from batch
                continue
            for row in batch:
                yield tuple(
                    value if change is None or value is None else change(value)
                    for value, change in zip(row, convert, strict=True)
                )

    def to_pylist(self) -> list[dict[str, Any]]:
        """The rows as a list of dicts."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows()]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow stream protocol, by which other libraries take the result."""
        return self.table.__arrow_c_stream__(requested_schema)


def _narrow(connection: duckdb.DuckDBPyConnection, decimals: bool) -> None:
    """Gives each column of wide whole numbers the first type of _WHOLE that holds all its values.

    Sums are exact whatever the counts are (accounting rule 14 allows each up to 2^63 - 1), and still have the type
    that every reader of Arrow and Parquet has for them wherever they fit it.
    """
    import duckdb

    relation = connection.table(RESULT_TABLE)
    for name, type_ in zip(relation.columns, map(str, relation.types), strict=True):
        for whole in _WHOLE:
            narrower = whole if decimals and type_ == "DECIMAL(38,0)" else _with_whole(type_, whole)
            if narrower == type_:
                break
            try:
                connection.execute(f"alter table {RESULT_TABLE} alter {_quoted(name)} type {narrower}")
                break
            except duckdb.ConversionException:
                continue


_WHOLE = ("BIGINT", "DECIMAL(38,0)", "VARCHAR")
_WIDE = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|\bU?HUGEINT(?=[,)\[]|$)""")


def _with_whole(type_: str, whole: str) -> str:
    """A type with all wide whole numbers in it replaced; what is quoted are names of fields."""
    return _WIDE.sub(lambda found: found[1] or whole, type_)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _without_zone(type_: DuckDBPyType) -> str:
    """The type with TIMESTAMP for TIMESTAMPTZ: DuckDB's own Python values of the latter need pytz."""
    return str(type_).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMP")


def _converter(type_: DuckDBPyType) -> Callable[[Any], Any] | None:
    """What gives values of a type their zone back, or None for types that hold no TIMESTAMPTZ."""
    if type_.id == "timestamp with time zone":
        return _in_utc
    if type_.id not in ("list", "array", "struct", "map") or "WITH TIME ZONE" not in str(type_):
        return None
    children = [(name, _converter(child)) for name, child in type_.children if not isinstance(child, int | list)]
    if type_.id == "struct":
        return lambda value: {
            name: value[name] if change is None or value[name] is None else change(value[name])
            for name, change in children
        }
    if type_.id == "map":
        (_, of_key), (_, of_value) = children
        return lambda value: {
            (of_key(key) if of_key else key): (of_value(item) if of_value and item is not None else item)
            for key, item in value.items()
        }
    of_item = children[0][1]
    assert of_item is not None
    return lambda value: [None if item is None else of_item(item) for item in value]


def _in_utc(value: dt.datetime) -> dt.datetime:
    # "infinity" and dates beyond year 9999 arrive as they are.
    return value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) else value
