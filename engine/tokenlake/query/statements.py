"""Statements run on a connection: values bound, what they may not do refused, errors told with their place."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import QueryError
from tokenlake.query.filters import NAMES
from tokenlake.query.guard import ALLOWING, refuse_external, tokens
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
    kind = ""
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
            kind = str(statement.type).rsplit(".", 1)[-1]
            if number < len(statements) - 1:
                connection.execute(statement.query, bound or None)
            else:
                _hold_rows(connection, statement.query, bound)
    except duckdb.Error as error:
        reason, line = _refusal(error, shut_in, kind)
        number_text = str(lines_before + line) if line else ""
        place = f"{path}:{number_text}".rstrip(":") if path else f"line {number_text}" if line else "SQL"
        raise QueryError(f"{place}: {reason}") from error


def _refusal(error: duckdb.Error, shut_in: bool, kind: str = "") -> tuple[str, int | None]:
    """DuckDB's reason, with what allows it or why nothing does where that is the matter, and the line."""
    import duckdb

    reason, line = explained(error)
    if shut_in and (file := _NAMES_A_FILE.search(reason)):
        reason = f"{file[1]} is not read: SQL reads the lake and no other file; {ALLOWING}"
    elif shut_in and isinstance(error, duckdb.PermissionException):
        reason += f"; {ALLOWING}"
    elif kind in _CHANGING or "the configuration has been locked" in reason:
        reason += f"; {_ONLY_READS}"
    return reason, line


_ONLY_READS = "SQL only reads the lake: it changes no table, view or setting"
_CHANGING = frozenset(["INSERT", "UPDATE", "DELETE", "MERGE_INTO", "ALTER", "DROP"])
_NAMES_A_FILE = re.compile(r"Table with name (\S*[/\\]\S*) does not exist")


def said(
    connection: duckdb.DuckDBPyConnection, query: SavedQuery, values: Mapping[str, object], *, shut_in: bool
) -> Iterator[str]:
    """What the notes of a query say; rows without a text say nothing."""
    import duckdb

    for note in query.notes:
        place = f"{query.path}:{note.line}: note"
        (statement,) = connection.extract_statements(note.text)
        bound = {name: _value(values, name) for name in statement.named_parameters}
        try:
            if shut_in:
                refuse_external(note.text, [statement])
            rows = connection.execute(note.text, bound or None).fetchall()
        except QueryError as error:
            raise QueryError(f"{place}: {error}") from None
        except duckdb.Error as error:
            raise QueryError(f"{place}: {_refusal(error, shut_in)[0]}") from error
        yield from (str(text) for text, *_ in rows if text is not None)


def _refuse_lost_rows(text: str, statements: Sequence[duckdb.Statement]) -> None:
    """Raises QueryError where a statement before the last one gives rows: nobody would see them."""
    for number, statement in enumerate(statements[:-1]):
        if _gives_rows(statement):
            line = 1 + _lines_before(text, [s.query for s in statements[:number]], statement.query)
            raise QueryError(f"line {line}: this statement's rows would be lost: only the last one may give rows")


def _gives_rows(statement: duckdb.Statement) -> bool:
    """Whether a statement is there for its rows; CALL and PRAGMA are for what they do."""
    words = [word if not is_quoted else "" for word, is_quoted in tokens(statement.query)]
    match str(statement.type).rsplit(".", 1)[-1]:
        case "SELECT" | "EXPLAIN" | "EXECUTE":
            return True
        case "MULTI":  # of PIVOT: what the values are, and then the rows or a table of them
            return words[0] not in ("create", "insert")
        case "INSERT" | "UPDATE" | "DELETE" | "MERGE_INTO":  # the word is a name behind AS alone
            return any(word == "returning" and before != "as" for before, word in itertools.pairwise(words))
    return False


def _hold_rows(connection: duckdb.DuckDBPyConnection, statement: str, bound: dict[str, object]) -> None:
    import duckdb

    try:
        if statement.lstrip()[:4].lower() == "show":  # among the tables would be the one that is made of it
            raise duckdb.ParserException
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
