"""JSON objects in damaged lines: where each ends, what it says, and where the next whole record starts.

Time grows with the bytes of the line, whatever they are: what is inside an object that is never closed, or nested a
million deep, is looked at once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tokenlake.sources.claude.files import RESUME_POINT, looks_like_record

MAX_VALUES = 1_000_000
"""An object or list of more values than these is null inside a record: Python takes a hundred bytes for each.

A record that still has four times as many is given up.
"""

_MAX_DEPTH = 200
_MAX_DIGITS = 600
_MAX_REFUSALS = 16

# What the JSON engine takes for JSON: also a comma behind the last item, and numbers that are none. Strings may hold
# any byte here, control characters too.
_TOKEN = re.compile(
    rb"""[ \t\r\n]*+(?:
      ("(?:[^"\\]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
      |([{\[])|([}\]])|(,)|(:)
      |(true|false|null|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)
      |(-?(?i:nan|inf(?:inity)?+))
    )""",
    re.VERBOSE | re.DOTALL,
)
_STRING, _OPEN, _CLOSE, _COMMA, _COLON, _SCALAR, _NO_NUMBER = range(1, 8)
_STARTS = frozenset({_STRING, _OPEN, _SCALAR, _NO_NUMBER})
_BRACE = 0x7D
# What may come next.
_VALUE, _FIRST_VALUE, _NEXT_VALUE, _FIRST_KEY, _NEXT_KEY, _COLON_NEXT, _COMMA_NEXT = range(7)
_MAY_CLOSE = frozenset({_FIRST_VALUE, _NEXT_VALUE, _FIRST_KEY, _NEXT_KEY, _COMMA_NEXT})


@dataclass(frozen=True, slots=True)
class Found:
    """The object that starts at a byte: its end, and JSON for it that Python takes; or why there is none."""

    end: int
    problem: str | None = None
    strict: bytes | None = None


class Values:
    """The objects in the bytes of a line."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self._text = line.decode("latin-1")  # one character a byte: JSON's own syntax is ASCII
        # Whether there may be so many values that Python must not see them unasked.
        self._is_dense = len(line) > MAX_VALUES and sum(map(line.count, (b",", b"[", b"{"))) > MAX_VALUES
        self._unclosed: set[int] = set()
        self._refusals = 0

    def at(self, begin: int) -> Found:
        """The object at `begin`."""
        if not self.line.startswith(b"{", begin):
            return Found(begin, "not a JSON object")
        # Python's decoder is fast, but to say where an error is takes it as long as the line up to there.
        if not self._is_dense and self._refusals < _MAX_REFUSALS:
            try:
                return Found(_DECODER.raw_decode(self._text, begin)[1])
            except (ValueError, RecursionError):
                self._refusals += 1  # not JSON, or not for Python: told apart below
        return self._walk(begin)

    def next_record(self, start: int) -> int:
        """Where the next whole record starts at or behind `start`; the end of the line where there is none."""
        while mark := RESUME_POINT.search(self.line, start):
            start = mark.start() + 1
            if mark.start() in self._unclosed:
                continue
            found = self.at(mark.start())
            if found.problem:
                continue
            if looks_like_record(self.load(mark.start(), found)):
                return mark.start()
            start = found.end  # what is inside an object is a piece of it, not a record
        return len(self.line)

    def load(self, begin: int, found: Found) -> dict[str, Any]:
        """The object at `begin` as Python has it; what is nested too deeply for that is null."""
        try:
            value: dict[str, Any] = _load(self.line[begin : found.end] if found.strict is None else found.strict)
        except RecursionError:
            value = self.load_shallow(begin)
        return value

    def load_shallow(self, begin: int) -> dict[str, Any]:
        """The object at `begin`, where what is nested too deeply for Python is null."""
        found = self._walk(begin)
        value: dict[str, Any] = _load(self.line[begin : found.end] if found.strict is None else found.strict)
        return value

    def _walk(self, begin: int) -> Found:
        """The same token by token; remembers the starts of records that it finds not to be closed."""
        line, match = self.line, _TOKEN.match
        stack: list[tuple[int, bool, int, int]] = []  # of what is open: start, whether an object, values and edits then
        edits: list[tuple[int, int, bytes]] = []
        expected, position, comma, values = _VALUE, begin, -1, 0
        while (token := match(line, position)) is not None:
            kind, at = token.lastindex, position
            position = token.end()
            if kind == _COLON and expected == _COLON_NEXT:
                expected = _VALUE
            elif kind == _STRING and expected in (_FIRST_KEY, _NEXT_KEY):
                expected = _COLON_NEXT
            elif kind == _COMMA and expected == _COMMA_NEXT:
                comma = position
                expected = _NEXT_KEY if stack[-1][1] else _NEXT_VALUE
            elif kind == _CLOSE and expected in _MAY_CLOSE and (line[position - 1] == _BRACE) is stack[-1][1]:
                if expected in (_NEXT_KEY, _NEXT_VALUE):
                    edits.append((comma - 1, comma, b""))
                start, _, values_before, edits_before = stack.pop()
                if not stack:
                    if values > 4 * MAX_VALUES:
                        return Found(begin, "too many values")
                    return Found(position, None, _edited(line, begin, position, edits))
                if len(stack) == _MAX_DEPTH or values - values_before > MAX_VALUES:
                    values = values_before
                    del edits[edits_before:]
                    edits.append((start, position, b"null"))
                expected = _COMMA_NEXT
            elif expected in (_VALUE, _FIRST_VALUE, _NEXT_VALUE) and kind in _STARTS:
                values += 1
                expected = _COMMA_NEXT
                if kind == _OPEN:
                    is_object = line[position - 1] == _BRACE - 2
                    stack.append((position - 1, is_object, values, len(edits)))
                    expected = _FIRST_KEY if is_object else _FIRST_VALUE
                elif kind == _NO_NUMBER:
                    edits.append((token.start(kind), position, b"NaN"))  # as Python spells it
            else:
                position = at
                break
        self._unclosed.update(start for start, *_ in stack if RESUME_POINT.match(line, start))
        return Found(begin, "cut off" if _CUT.match(line, position) else "broken JSON")


# What an object that is cut off ends in: nothing, or a part of a string, a number or a word.
_CUT = re.compile(rb'[ \t\r\n]*+(?:"(?:[^"\\]++|\\.)*+\\?|[-+.0-9A-Za-z]*+)\Z', re.DOTALL)


def _edited(line: bytes, begin: int, end: int, edits: list[tuple[int, int, bytes]]) -> bytes | None:
    """The bytes from `begin` to `end` with the edits made, None where there are none."""
    if not edits:
        return None
    parts: list[bytes] = []
    for start, stop, instead in edits:
        parts += (line[begin:start], instead)
        begin = stop
    return b"".join([*parts, line[begin:end]])


_DECODER = json.JSONDecoder(strict=False)


def _load(raw: bytes) -> Any:
    return json.loads(
        raw.decode("utf-8", "replace"), strict=False, parse_int=_whole, object_pairs_hook=_first_of_each_name
    )


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _first_of_each_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that is written twice the first counts, as it does for the JSON engine."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else dict(reversed(pairs))
