"""The check of saved queries: every problem of every file, found over a lake without rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenlake.errors import QueryError
from tokenlake.query import saved
from tokenlake.query.guard import refuse_external
from tokenlake.query.parameters import COMMON, Value
from tokenlake.query.saved import SavedQuery, explained
from tokenlake.query.template import refusal
from tokenlake.store.catalog import Snapshot

EMPTY = Snapshot(Path("/nonexistent"))
"""A lake without data files: its tables are there, with their columns, and hold nothing."""

_SAMPLES: dict[str, Value] = {
    "text": "",
    "integer": 1,
    "number": 1.0,
    "boolean": False,
    "date": dt.date(2000, 1, 1),
    "timestamp": dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
}
"""What stands in for a parameter that has no default."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One file and its problems, each `file:line: reason`; none where the query runs.

    One that `needs_external` runs with `allow_external` only, and was not planned: whether it runs then is not known.
    """

    name: str
    path: Path
    problems: tuple[str, ...]
    needs_external: bool = False


def check_all(taken: Container[str] = ()) -> Iterator[Checked]:
    """Every saved query, shipped and the user's own; `taken` are first words of commands that are no queries."""
    for name, path in saved.files().items():
        yield check_file(name, path, taken)
    yield from _unsearched()


def check_file(name: str, path: Path, taken: Container[str] = ()) -> Checked:
    """One file as the query of a name: its header, its SQL by itself, then over the tables with its defaults."""
    query, problems = saved.examined(name, path)
    needs_external = False
    if query is not None and not problems:
        problems = saved.problems_of_sql(query)
        if not problems:
            problems, needs_external = _bound(query)
    found = [str(problem) for problem in problems]
    if saved.is_name(name) and (reason := refusal(name, taken)):
        found.insert(0, f"{path}:1: cannot be reached as a command: {reason}; rename the file")
    return Checked(name, path, tuple(found), needs_external)


def _bound(query: SavedQuery) -> tuple[list[QueryError], bool]:
    """What DuckDB says when it plans the query over an empty lake, and whether more than the lake is asked for.

    The former are unknown tables, columns, functions, types; of a query that asks for more they are not known.
    """
    import duckdb

    from tokenlake.query.connect import connect

    common: dict[str, object] = {**dict.fromkeys(COMMON), "tz": "UTC", "now": dt.datetime(2000, 1, 1, tzinfo=dt.UTC)}
    values = common | {p.name: (*p.choices, _SAMPLES[p.type])[0] if p.required else p.default for p in query.parameters}
    try:
        connection = connect(EMPTY, only_for=query.reads)
    except QueryError as error:  # a view that it reads
        return [error], False
    with connection:
        for text, first_line in ((query.text, 1), *((note.text, note.line) for note in query.notes)):
            (statement,) = connection.extract_statements(text)
            try:
                refuse_external(text, [statement])
            except QueryError:
                return [], True
            bound = {name: values[name] for name in statement.named_parameters}
            try:
                # Planned, not run: nothing that the query would take long for is done here.
                connection.execute(f"explain {text}", bound or None)
            except duckdb.PermissionException:
                return [], True
            except duckdb.Error as error:
                reason, line = explained(error)
                return [QueryError(f"{query.path}:{first_line - 1 + (line or 1)}: {reason}")], False
    return [], False


def _unsearched() -> Iterator[Checked]:
    """Files of the user's that look like queries and can never be one."""
    folder = saved.user_folder()
    for part in saved.NOT_SAVED:
        for path in sorted((folder / part).rglob("*.sql")):
            name = path.relative_to(folder).with_suffix("").as_posix()
            yield Checked(name, path, (f"{path}:1: the folder {part} is not searched for queries; move the file",))
