"""How a table is made to fit its terminal: what is broken, shortened and left out, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tokenlake_cli.column import Column, length

GAP = 2
"""Terminal cells between two columns."""

_READABLE_WIDTH = 160  # what a pipe is likely to end in: a pager, a log, a paste
_LEAST_TEXT = 16
_LEAST_NUMBERS = 2
_UNITS = ("", "k", "M", "B", "T", "e15", "e18")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

_FIRST_TO_LEAVE = tuple(
    map(
        re.compile,
        (
            # Parts of a sum that stays, what is said below the table too, times beside the first column's, and ends
            # of spans of which the next row has the beginning.
            *(r"cost_web_search", r"cost_input", r"cost_output", r"cost_cache_read", r"cost_cache_write", r"cost_api"),
            *(r"partial_.*", r"unpriced_tokens", r"unpriced_.*", r".*_ts", r"(valid|prompt)_to"),
            *(r"cache_write_1h_tokens", r"cache_write_5m_tokens", r"cache_write_tokens", r"cache_read_tokens"),
            *(r"input_tokens", r"output_tokens"),
        ),
    )
)
_LAST_TO_LEAVE = ("requests", "total_tokens", "cost")
"""Of the numbers; names and other texts stay longer still."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table as it is drawn: its columns, their headers, and what was done to make it fit."""

    columns: list[Column]
    headers: list[str]
    notes: list[str]


def fitted(table: list[Column], terminal_width: int | None) -> Fitted | None:
    """The table at the first step at which it fits; None where blocks are read more easily.

    Headers are broken to several lines; columns that say nothing are left out, then those that say one thing; numbers
    and times are shortened; columns are left out, those that are worth least first; long texts are broken to lines. A
    single row is left whole, for a block. Where stdout is no terminal, which is None, rows stay as they are but for
    what says nothing.
    """
    width = _READABLE_WIDTH if terminal_width is None else terminal_width
    names = [column.name for column in table]
    if _width(table, names) <= width:
        return Fitted(table, names, [])
    if _fits(table, width):
        return _folded(table, [])
    telling = [column for index, column in enumerate(table) if index == 0 or column.is_telling]
    left_out = [column.name for column in table if column not in telling]
    notes = [f"Left out, for they are 0 or empty in every row: {', '.join(left_out)}."] if left_out else []
    if terminal_width is None or _fits(telling, width):
        return _folded(telling, notes)
    if len(table[0].cells) == 1:
        return None
    several = [column for index, column in enumerate(telling) if index == 0 or not column.is_one_text]
    ones = [f"{column.name} {column.cells[0]}" for column in telling if column not in several]
    notes += [f"The same in every row: {'; '.join(ones)}."] if ones else []
    if _fits(several, width):
        return _folded(several, notes)
    short = [shortened(column) for column in several]
    if short != several:
        notes.append("Numbers and times are shortened: k, M, B, T; --format csv has them whole.")
    return _with_less(short, width, notes)


def _with_less(table: list[Column], width: int, notes: list[str]) -> Fitted | None:
    """The table without the columns that there is no room for, its long texts broken where nothing else helps."""
    if _fits(table, width):
        return _folded(table, notes)
    steps = [table, *_without_numbers(table)]
    for few in steps:
        if _fits(few, width):
            return _folded(few, [*notes, _left_out(table, few)])
    # Then texts are what is too wide: with all numbers, and else with those that are worth most.
    fewest = steps[-1]
    for few in (table, fewest, *_without_texts(fewest)):
        if (broken := _broken(few, width)) is not None:
            return _folded(broken, [*notes, _left_out(table, few)] if len(few) < len(table) else notes)
    return None


def _left_out(table: list[Column], few: list[Column]) -> str:
    dropped = [column.name for column in table if column not in few]
    return f"Left out for lack of room: {', '.join(dropped)}; --format csv has them."


def _without_numbers(table: list[Column]) -> Iterator[list[Column]]:
    """The table without the first to leave, one more at each step, then without its numbers from the right."""
    few = list(table)
    by_name = [c for name in _FIRST_TO_LEAVE for c in table[:0:-1] if name.fullmatch(c.name)]
    numbers = [c for c in table[:0:-1] if c.is_number and c.name not in _LAST_TO_LEAVE]
    least = min(_LEAST_NUMBERS, sum(c.is_number for c in table))
    for leaving in dict.fromkeys(map(id, (*by_name, *numbers))):
        few = [column for column in few if id(column) != leaving]
        if sum(column.is_number for column in few) < least:
            return
        yield few


def _without_texts(table: list[Column]) -> Iterator[list[Column]]:
    """The table without its texts from the right, but for the first column."""
    few = list(table)
    for column in [column for column in table[:0:-1] if not column.is_number]:
        few = [other for other in few if other is not column]
        yield few


def _broken(table: list[Column], width: int) -> list[Column] | None:
    """The table with its long texts broken to lines, all to the same width; None where that leaves them too narrow."""
    widest = max((column.width for column in table if not column.is_number), default=0)
    for limit in range(widest, _LEAST_TEXT - 1, -1):
        if _fits([_of_width(column, min(column.width, limit)) for column in table], width):
            return [_wrapped(column, limit) for column in table]
    return None


def _of_width(column: Column, width: int) -> Column:
    """A stand-in for a column whose texts are broken."""
    return column if column.is_number else Column(column.name, ["-" * width], False)


def _wrapped(column: Column, limit: int) -> Column:
    if column.is_number or column.width <= limit:
        return column
    from rich.console import Console
    from rich.text import Text

    console = Console(width=limit)
    cells = ["\n".join(line.plain for line in Text(cell).wrap(console, limit)) for cell in column.cells]
    return Column(column.name, cells, False)


def shortened(column: Column) -> Column:
    """Whole numbers of five digits and more to three: 1,234,567 is 1.23M; times to the minute, or to the second."""
    if not column.is_number:
        return _shortened_times(column)
    if any("." in cell for cell in column.cells):
        return column
    return Column(column.name, [_short(cell) for cell in column.cells], True)


def _shortened_times(column: Column) -> Column:
    filled = [cell for cell in column.cells if cell]
    if not all(map(_TIME.fullmatch, filled)):
        return column
    digits = len("2026-05-04T09:00") + 3 * any(cell[17:23] != "00.000" for cell in filled)
    return Column(column.name, [cell and f"{cell[:digits]}Z" for cell in column.cells], False)


def _short(cell: str) -> str:
    value = float(cell.replace(",", "") or 0)
    if abs(value) < 10_000:
        return cell
    thousands = 0
    while abs(value) >= 999.5:  # what would be written as 1000 takes the next unit
        value /= 1000
        thousands += 1
    return f"{value:.3g}{_UNITS[thousands]}"


def _folded(table: list[Column], notes: list[str]) -> Fitted:
    return Fitted(table, list(map(_broken_name, table)), notes)


def _fits(table: list[Column], width: int) -> bool:
    return _width(table, list(map(_broken_name, table))) <= width


def _width(table: list[Column], headers: list[str]) -> int:
    parts = [max(c.width, *map(length, h.split("\n"))) for c, h in zip(table, headers, strict=True)]
    return sum(parts) + GAP * (len(parts) - 1)


def _broken_name(column: Column) -> str:
    """The column's name broken at underscores to lines no longer than its cells, where it can be."""
    lines: list[str] = []
    for part in column.name.split("_"):
        if lines and len(lines[-1]) + 1 + len(part) <= max(column.width, 7):
            lines[-1] += f"_{part}"
        else:
            lines.append(part)
    return "_\n".join(lines)
