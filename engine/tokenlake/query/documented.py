"""What there is to ask: every table and view with its columns, their types, units, meaning and source.

The tables of the lake are documented by tokenlake.schema, a view by the header of its file:

    -- Requests with their cost (what a row is)
    -- Any number of lines that say more.
    -- cost_input: dollars for uncached input; a line for every column that is not simply that of a table
    --     or view it reads, continued by indenting
    -- cost_api, cost  several names may share a line, *_pico stands for all that end so, and two blanks
    --     separate as a colon does

The price tables, and the views that stand for a setting, such as `selected`, are by tokenlake.query.descriptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from tokenlake import schema
from tokenlake.errors import QueryError
from tokenlake.query import views
from tokenlake.query.descriptions import GENERATED, GENERATED_COLUMNS, PRICES
from tokenlake.query.filters import Filters
from tokenlake.query.saved import header_lines, shipped_folder

if TYPE_CHECKING:
    from tokenlake.query.result import Result

_COLUMN = re.compile(r"([a-z*][a-z0-9_*]*(?:, [a-z*][a-z0-9_*]*)*)(?:: +|  +)(\S.*)")
_READ = re.compile(r"\b(?:from|join)\s+(\w+)")
_RULE = re.compile(r"\s*\(((?:accounting )?rules? [^)]*)\)")


@dataclass(frozen=True, slots=True)
class Documented:
    """A table or view: `text` says what a row is, `columns` documents its own."""

    name: str
    kind: str
    text: str
    help: str
    columns: Mapping[str, str]
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class ColumnOf:
    """One column of a table or view; `source` is what it is taken from and the rule that it follows."""

    name: str
    type: str
    unit: str | None
    text: str | None
    source: str | None


def everything() -> dict[str, Documented]:
    """Tables, then views, by name."""
    found = {
        table.name: Documented(table.name, "table", table.text, "", {c.name: c.text for c in table.columns})
        for table in schema.TABLES
    }
    for name, (text, columns) in PRICES.items():
        found[name] = Documented(name, "prices", text, "", columns)
    known = {**views.shipped(shipped_folder() / "views"), **views.of_settings("max", "calculate", Filters())}
    names = found.keys() | known.keys()
    for name, view in sorted(known.items()):
        if name in views.FILTERED and views.FILTERED[name][0] not in names:
            continue
        if view.path is None:
            text, help_ = GENERATED.get(name) or f"{views.FILTERED[name][0]} under the filters", ""
            columns = GENERATED_COLUMNS.get(name, {})
        else:
            text, help_, columns = read_header(view.text)
        found[name] = Documented(name, "view", text, help_, columns, view.text)
    return found


def read_header(text: str) -> tuple[str, str, dict[str, str]]:
    """Title, further text and documented columns of a view's file."""
    title, *rest = [comment for _, comment in header_lines(text)] or [""]
    help_lines: list[str] = []
    columns: dict[str, str] = {}
    last: list[str] = []
    for comment in rest:
        if match := _COLUMN.fullmatch(comment):
            last = match[1].split(", ")
            columns.update(dict.fromkeys(last, match[2]))
        elif last and comment.startswith("  "):
            columns.update({name: f"{columns[name]} {comment.strip()}" for name in last})
        else:
            last = []
            help_lines.append(comment)
    return title.rstrip("."), "\n".join(help_lines).strip("\n"), columns


def columns(name: str) -> list[ColumnOf]:
    """The columns of a table or view, in their order; QueryError where there is none of the name."""
    known = everything()
    _named(name, known)
    return [
        ColumnOf(column, type_, unit(column, type_), *_worded(column, name, known))
        for column, type_ in _types()[name].items()
    ]


def listed() -> Result:
    """Every table and view: name, kind, what a row is, number of columns, what it reads."""
    known = everything()
    rows = [
        (item.name, item.kind, item.text, len(_types()[item.name]), ", ".join(reads(item, known)) or None)
        for item in known.values()
    ]
    types = {"name": "VARCHAR", "kind": "VARCHAR", "one_row_is": "VARCHAR", "columns": "BIGINT", "reads": "VARCHAR"}
    return _result("Tables and views: `tokenlake schema NAME` shows the columns of one", "", types, rows)


def described(name: str) -> Result:
    """The columns of a table or view: name, type, unit, meaning, source."""
    rows = [(c.name, c.type, c.unit, c.text, c.source) for c in columns(name)]
    item = everything()[name]
    types = dict.fromkeys(("column", "type", "unit", "meaning", "source"), "VARCHAR")
    return _result(f"{name} ({item.kind}): {item.text}", item.help, types, rows)


def sql(name: str) -> str:
    """The SQL of a view; QueryError for a table, and where there is none of the name."""
    known = everything()
    text = _named(name, known).sql
    if text is None:
        raise QueryError(f"{name} is no view: it holds rows, and has no SQL")
    return text


def unit(column: str, type_: str) -> str | None:
    """The unit of a column, which its name carries where it is not obvious."""
    if type_.startswith("TIMESTAMP"):
        return "instant, UTC"
    for pattern, found in _UNITS:
        if re.search(pattern, column):
            return found
    return "count" if type_ in ("BIGINT", "HUGEINT", "INTEGER") else None


_UNITS = (
    (r"_price_pico$", "picodollars (1e-12 $) a token"),
    (r"_pico$", "picodollars (1e-12 $)"),
    (r"_(id|hash)$", None),
    (r"tokens$", "tokens"),
    (r"chars$", "characters"),
    (r"^(offset|size)$|bytes$|_offset$", "bytes"),
    (r"^cost(_|$)", "dollars"),
    (r"^(input|output|cache_write_5m|cache_write_1h|cache_read)$", "dollars per million tokens"),
    (r"^web_search$", "dollars per 1,000 searches"),
    (r"_ms$", "milliseconds"),
    (r"_us$", "microseconds"),
    (r"_ns$", "nanoseconds"),
    (r"_share$|_ratio$", "0 to 1"),
    (r"^line$", "number, from 1"),
    (r"_order$", None),
)


def _named(name: str, known: Mapping[str, Documented]) -> Documented:
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`tokenlake schema` lists them"
        raise QueryError(f"there is no table or view {name!r}: {hint}")
    return known[name]


def reads(item: Documented, known: Mapping[str, Documented]) -> tuple[str, ...]:
    """The tables and views that a view reads, in the order in which its SQL names them."""
    found = _READ.findall(re.sub(r"--.*", "", item.sql or ""))
    return tuple(dict.fromkeys(name for name in found if name in known and name != item.name))


def _worded(column: str, name: str, known: Mapping[str, Documented]) -> tuple[str | None, str | None]:
    """A column's meaning and source: its own words, else those of the nearest table or view that is read."""
    for item in _nearest(name, known):
        text = item.columns.get(column) or next((item.columns[p] for p in item.columns if fnmatchcase(column, p)), None)
        if text is not None:
            rules = [f"accounting {rule.removeprefix('accounting ')}" for rule in _RULE.findall(text)]
            sources = ([item.name] if item.name != name else []) + rules
            return _RULE.sub("", text), ", ".join(sources) or None
    return None, None


def _nearest(name: str, known: Mapping[str, Documented]) -> Iterator[Documented]:
    """The item itself, what it reads, what these read, and so on."""
    level, seen = [name], {name}
    while level:
        yield from (known[each] for each in level)
        below = (name for each in level for name in reads(known[each], known))
        level = list(dict.fromkeys(name for name in below if name not in seen))
        seen.update(level)


@cache
def _types() -> dict[str, dict[str, str]]:
    """The columns of every table and view with their types, in order, as DuckDB has them over an empty lake."""
    from tokenlake.query.checked import EMPTY
    from tokenlake.query.connect import connect

    with connect(EMPTY) as connection:
        rows = connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where schema_name = 'main' and not internal order by table_name, column_index"
        ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for table, column, type_ in rows:
        found.setdefault(table, {})[column] = type_.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    return found


def _result(title: str, help_: str, types: Mapping[str, str], rows: Sequence[tuple[object, ...]]) -> Result:
    """Rows as a result, for every form that a report's has."""
    import duckdb

    from tokenlake.query.result import RESULT_TABLE, Meta, Result

    connection = duckdb.connect()
    named = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
    connection.execute(f"create table {RESULT_TABLE} ({named})")
    connection.executemany(f"insert into {RESULT_TABLE} values ({', '.join('?' * len(types))})", rows)
    return Result(connection, Meta(title, help_, name="schema"))
