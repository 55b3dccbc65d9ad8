"""JSON as transcripts hold it, read character by character: any depth, any number, any bytes in strings."""

from __future__ import annotations

import json
import re
from typing import Any

STRING = re.compile(r'"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"', re.DOTALL)
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
WORDS = {"true": True, "false": False, "null": None}
NO_NUMBER = re.compile(r"-?(?:nan|inf(?:inity)?+)", re.IGNORECASE)
SPACE = " \t\r\n"


class BrokenError(ValueError):
    """No JSON value starts here."""


def value_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value at `start` and where it ends; raises BrokenError.

    More lenient than the standard in three ways: a comma may follow the last item, a number may be NaN or infinite,
    and strings may hold control characters. Of a name given twice the first counts; lone surrogates become U+FFFD.
    """
    open_ones: list[tuple[Any, list[str]]] = []  # each object or list, and the name that waits for its value
    at = start
    while True:
        at = skip(text, at)
        holder, name = open_ones[-1] if open_ones else (None, [])
        needs_name = isinstance(holder, dict) and not name
        if (text[at : at + 1] == "]" and isinstance(holder, list)) or (text[at : at + 1] == "}" and needs_name):
            value: Any = holder
            open_ones.pop()
            at += 1
        elif needs_name:
            found, at = string_at(text, at)
            name.append(found)
            at = skip(text, at)
            if text[at : at + 1] != ":":
                raise BrokenError
            at += 1
            continue
        elif text[at : at + 1] in ("{", "["):
            open_ones.append(({} if text[at] == "{" else [], []))
            at += 1
            continue
        else:
            value, at = scalar_at(text, at)
        if not open_ones:
            return value, at
        holder, name = open_ones[-1]
        if isinstance(holder, dict):
            holder.setdefault(name.pop(), value)
        else:
            holder.append(value)
        at = skip(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != ("}" if isinstance(holder, dict) else "]"):
            raise BrokenError


def skip(text: str, at: int) -> int:
    """The next character that is no white space."""
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def string_at(text: str, at: int) -> tuple[str, int]:
    """The string at a place and where it ends."""
    found = STRING.match(text, at)
    if not found:
        raise BrokenError
    return re.sub("[\ud800-\udfff]", "\ufffd", json.loads(found[0], strict=False)), found.end()


def scalar_at(text: str, at: int) -> tuple[Any, int]:
    """The string, number or word at a place and where it ends."""
    if text[at : at + 1] == '"':
        return string_at(text, at)
    for word, value in WORDS.items():
        if text.startswith(word, at):
            return value, at + len(word)
    found = NUMBER.match(text, at)
    if found:
        # Numbers too large for anything are floats, as good as any other number that is no count.
        whole = found[1] is None and found[2] is None and len(found[0]) < 400
        return int(found[0]) if whole else float(found[0]), found.end()
    found = NO_NUMBER.match(text, at)
    if found:
        return float("nan"), found.end()
    raise BrokenError
