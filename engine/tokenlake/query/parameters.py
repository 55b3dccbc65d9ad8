"""Parameters of a saved query: how the header of its file declares them, and how their values are read."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tokenlake.errors import QueryError, UsageError, did_you_mean

Value = str | int | float | bool | dt.date | dt.datetime | None

TYPES = ("text", "integer", "number", "boolean", "date", "timestamp")

COMMON: Mapping[str, str] = {
    "tz": "time zone of days, weeks and months",
    "now": "the present instant",
    "since": "first instant of the filters, or null",
    "until": "first instant after the filters, or null",
    "project": "filter: part of the project's path, or null",
    "model": "filter: part of the model's name, or null",
    "session": "filter: beginning of the session id, or null",
    "host": "filter: name of the machine, or null",
}
"""Parameters that every query may use without declaring them."""

RESERVED = frozenset(
    {
        *COMMON,
        "dedup",
        "cost_mode",
        "format",
        "format_",
        "output",
        "limit",
        "lake",
        "refresh",
        "no_refresh",
        "root",
        "roots",
        "allow_external",
        "help",
        "debug",
    }
)
"""Names that a saved query cannot declare: they are options of every report."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter: `choices` is empty where any value of the type will do.

    A number lies in `least`..`most`, both included, where these are given.
    """

    name: str
    type: str
    text: str
    line: int
    required: bool
    default: Value = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    def read(self, value: object) -> Value:
        """`value`, a text or a Python value, in this parameter's type; UsageError where it does not fit."""
        if value is None:
            if self.required:
                raise UsageError(f"{self.name} has no default: give it a value")
            return None
        result = _read(self.type, value)
        if result is None:
            raise UsageError(f"{self.name}: {value!r} is not a {_FORMS[self.type]}")
        if self.choices and result not in self.choices:
            hint = did_you_mean(str(value), self.choices)
            raise UsageError(f"{self.name}: {value!r} is none of {', '.join(self.choices)}{hint}")
        if isinstance(result, int | float):
            if self.least is not None and result < self.least:
                raise UsageError(f"{self.name}: {value} is less than {self.least:g}, the least that makes sense")
            if self.most is not None and result > self.most:
                raise UsageError(f"{self.name}: {value} is more than {self.most:g}, the most that makes sense")
        return result


_FORMS = {
    "text": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "boolean (true or false)",
    "date": "date (YYYY-MM-DD)",
    "timestamp": "timestamp (ISO 8601, UTC where it names no zone)",
}

_DECLARATION = re.compile(
    r"""\$(?P<name>[a-z][a-z0-9_]*)\s+
        (?P<type>[a-z]+)\s*
        (?:=\s*(?P<default>'(?:[^']|'')*'|[^\s:{]+)\s*)?
        (?:\{(?P<choices>[^}]*)\}\s*)?
        :\s*(?P<text>.*\S)\s*""",
    re.VERBOSE,
)

_RANGE = re.compile(r"(?P<least>-?\d+(?:\.\d+)?)?\.\.(?P<most>-?\d+(?:\.\d+)?)?")

FORM = "-- $name type = default {one|of|these}: what it does"


def declared(comment: str, line: int) -> Parameter:
    """The parameter that a header line declares; QueryError, with the reason only, for a malformed one.

    `comment` is the line without its dashes, for instance `$by text = 'day' {day|week}: rows of the result`, or
    `$top integer = 20 {1..}: how many rows`.
    A parameter without a default is required; `= null` makes it optional.
    """
    match = _DECLARATION.fullmatch(comment.strip())
    if not match:
        raise QueryError(f"not a parameter: write it as `{FORM}`")
    name, kind = match["name"], match["type"]
    if kind not in TYPES:
        raise QueryError(f"${name} has the unknown type {kind!r}: use one of {', '.join(TYPES)}")
    if name in RESERVED:
        raise QueryError(f"${name} is an option of every report: remove its line, or choose another name")
    choices, least, most = _allowed(name, kind, match["choices"])
    literal = match["default"]
    parameter = Parameter(name, kind, match["text"], line, literal is None, None, choices, least, most)
    if literal is None or literal == "null":
        return parameter
    text = literal[1:-1].replace("''", "'") if literal.startswith("'") else literal
    try:
        default = parameter.read(text)
    except UsageError as error:
        raise QueryError(f"the default of ${error}") from None
    return replace(parameter, default=default)


def _allowed(name: str, kind: str, braces: str | None) -> tuple[tuple[str, ...], float | None, float | None]:
    """What stands in the braces: the choices of a text, or the least and the most of a number."""
    parts = tuple(part.strip() for part in (braces or "").split("|") if part.strip())
    if not parts or kind == "text":
        return parts, None, None
    limits = _RANGE.fullmatch(parts[0]) if len(parts) == 1 else None
    if kind not in ("integer", "number") or limits is None:
        raise QueryError(
            f"${name} has the type {kind}: choices are for text, a range such as {{1..}} or {{0..100}} is for numbers"
        )
    least, most = (float(limit) if limit else None for limit in limits.groups())
    return (), least, most


def _read(kind: str, value: object) -> Value:
    """The value in the type, or None where it cannot be read as one."""
    if kind == "text":
        return value if isinstance(value, str) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if isinstance(value, bool):
        return None
    try:
        if kind == "integer":
            whole = value if isinstance(value, int) else int(value) if isinstance(value, str) else None
            return whole if whole is not None and abs(whole) < 1 << 62 else None
        if kind == "number":
            number = float(value) if isinstance(value, int | float | str) else math.nan
            return number if math.isfinite(number) else None
        if kind == "date":
            if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
                return value
            return dt.date.fromisoformat(value) if isinstance(value, str) else None
        moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
