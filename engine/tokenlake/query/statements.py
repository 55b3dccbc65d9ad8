"""Statements run on a connection: values bound, what they may not do refused, errors told with their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import QueryError
from tokenlake.query.filters import NAMES
from tokenlake.query.guard import ALLOWING, refuse_external
from tokenlake.query.result import RESULT_TABLE
from tokenlake.query.saved import SavedQuery, explained

if TYPE_CHECKING:
    import duckdb


def execute(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    values: Mapping[str, object],
    path: Path | None = None,
    shut_in: bool = False,
) -> None:
    """Runs `text`, read from `path`; the rows of its last statement become the connection's result.

    What is `shut_in` is refused where it would do more than read the lake.
    """
    import duckdb

    lines_before = 0
    try:
        statements = connection.extract_statements(text)
        if not statements:
            raise QueryError("there is no SQL to run")
        if shut_in:
            refuse_external(text, statements)
        _refuse_lost_rows(text, statements)
        for number, statement in enumerate(statements):
            lines_before = _lines_before(text, [s.query for s in statements[:number]], statement.query)
            bound = {name: _value(values, name) for name in statement.named_parameters}
            if number < len(statements) - 1:
                connection.execute(statement.query, bound or None)
            else:
                _hold_rows(connection, statement.query, bound)
    except duckdb.Error as error:
        reason, line = _refusal(error, shut_in)
        number_text = str(lines_before + line) if line else ""
        place = f"{path}:{number_text}".rstrip(":") if path else f"line {number_text}" if line else "SQL"
        raise QueryError(f"{place}: {reason}") from error


def _refusal(error: duckdb.Error, shut_in: bool) -> tuple[str, int | None]:
    """DuckDB's reason, with what allows it where that is the matter, and the line."""
    import duckdb

    reason, line = explained(error)
    return (f"{reason}; {ALLOWING}" if shut_in and isinstance(error, duckdb.PermissionException) else reason), line


def said(
    connection: duckdb.DuckDBPyConnection, query: SavedQuery, values: Mapping[str, object], *, shut_in: bool
) -> Iterator[str]:
    """What the notes of a query say; rows without a text say nothing."""
    import duckdb

    for note in query.notes:
        (statement,) = connection.extract_statements(note)
        if shut_in:
            refuse_external(note, [statement])
        bound = {name: _value(values, name) for name in statement.named_parameters}
        try:
            rows = connection.execute(note, bound or None).fetchall()
        except duckdb.Error as error:
            raise QueryError(f"{query.path}: note: {_refusal(error, shut_in)[0]}") from error
        yield from (str(text) for text, *_ in rows if text is not None)


def _refuse_lost_rows(text: str, statements: Sequence[duckdb.Statement]) -> None:
    """Raises QueryError where a statement before the last one gives rows: nobody would see them."""
    for number, statement in enumerate(statements[:-1]):
        if str(statement.type).rsplit(".", 1)[-1] in ("SELECT", "EXPLAIN"):
            line = 1 + _lines_before(text, [s.query for s in statements[:number]], statement.query)
            raise QueryError(f"line {line}: this statement's rows would be lost: only the last one may give rows")


def _hold_rows(connection: duckdb.DuckDBPyConnection, statement: str, bound: dict[str, object]) -> None:
    import duckdb

    try:
        connection.execute(f"create table {RESULT_TABLE} as {statement.strip().rstrip(';')}", bound or None)
    except duckdb.ParserException:  # EXPLAIN, SET and their like make no table; a true mistake is raised here again
        cursor = connection.execute(statement, bound or None)
        columns = cursor.description or []
        rows = cursor.fetchall()
        named = ", ".join(f'"{column[0]}" {column[1]}' for column in columns)
        connection.execute(f"create table {RESULT_TABLE} ({named})")
        if rows:
            connection.executemany(f"insert into {RESULT_TABLE} values ({', '.join('?' * len(columns))})", rows)


def _value(values: Mapping[str, object], name: str) -> object:
    if name not in values:
        raise QueryError(f"${name} has no value; the common parameters are $tz, $now, ${', $'.join(NAMES)}")
    return values[name]


def _lines_before(text: str, earlier: list[str], statement: str) -> int:
    """How many lines of `text` lie before `statement`, which follows the `earlier` ones."""
    position = 0
    for part in earlier:
        position = text.find(part, position) + len(part)
    return text.count("\n", 0, max(text.find(statement.strip(), position), 0))
