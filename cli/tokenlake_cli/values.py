"""How a value of a result is written: exactly, as text and as JSON; every text form begins here."""

from __future__ import annotations

import base64
import datetime as dt
import math
from decimal import Decimal
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any


def text(value: Any) -> str:
    """A value as CSV and tables have it: exact, nothing for null, ISO 8601 for times, base64 for bytes."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime):
        return instant(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return duration(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, list | tuple | dict):
        return json(value)
    return str(value)


def json(value: Any) -> str:
    """A value as JSON: numbers with all their digits; null for NaN and infinities, which JSON lacks."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "null"
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else "null"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(text(key))}: {json(item)}" for key, item in value.items()) + "}"
    return _quoted(text(value))


def _quoted(value: str) -> str:
    """A JSON string in which nothing can write to a terminal: such characters are escaped, and read back the same."""
    quoted = encode_basestring(value)
    if quoted.isprintable():
        return quoted
    return "".join(
        char if char.isprintable() or char in _JOINERS else encode_basestring_ascii(char)[1:-1] for char in quoted
    )


def instant(value: dt.datetime) -> str:
    """ISO 8601 to the millisecond or, where needed, microsecond; UTC with a Z, no zone for a naive value."""
    precision = "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
    if value.tzinfo is None:
        return value.isoformat(timespec=precision)
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def duration(value: dt.timedelta) -> str:
    """ISO 8601: P2DT4H11M0.5S."""
    sign, value = ("-", -value) if value < dt.timedelta() else ("", value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    days = f"{value.days}D" if value.days else ""
    return f"{sign}P{days}T{hours}H{minutes}M{seconds}{fraction}S"


def visible(value: str) -> str:
    """The text with everything that a terminal would not print as a character of its own escaped."""
    if value.isprintable():
        return value
    return "".join(
        char if char.isprintable() or char in _JOINERS else char.encode("unicode_escape").decode("ascii")
        for char in value
    )


_JOINERS = "\u200c\u200d"  # they hold emoji and some scripts together, and write nothing themselves
