"""A result as a table for people: numbers grouped and aligned, ratios rounded, fitted to the terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from tokenlake_cli import values

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2
_PIPE_WIDTH = 1_000_000  # no line is broken where no terminal limits the width
_READABLE_WIDTH = 160  # what a pipe is likely to end in: a pager, a log, a paste
_FEW_ROWS = 5
_LEAST_NUMBERS = 3
_LEAST_TEXT = 16
_UNITS = ("", "k", "M", "B", "T", "e15", "e18")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its cells as shown, and whether they are numbers."""

    name: str
    cells: list[str]
    is_number: bool

    @property
    def width(self) -> int:
        """Terminal cells that the widest cell, or line of a broken one, takes; its name left out."""
        return max(map(_length, "\n".join(self.cells).split("\n")))

    @property
    def is_telling(self) -> bool:
        """Whether any cell says more than nothing or 0; of no rows, every column does."""
        silent = "0.," if self.is_number else ""
        return not self.cells or any(cell.strip(silent) if silent else cell for cell in self.cells)


def columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Column]:
    """The columns of a result, names and cells worded."""
    return [_column(values.visible(name), [row[index] for row in rows]) for index, name in enumerate(names)]


def _column(name: str, cells: list[Any]) -> Column:
    filled = [cell for cell in cells if cell is not None]
    is_number = bool(filled) and all(
        isinstance(cell, int | float | Decimal) and not isinstance(cell, bool) for cell in filled
    )
    if not is_number:
        return Column(name, [values.visible(values.text(cell)) for cell in cells], False)
    if all(isinstance(cell, int) for cell in filled):
        return Column(name, ["" if cell is None else f"{cell:,}" for cell in cells], True)
    # One number of decimals for the whole column: enough for shares and small ratios, fewer where they are
    # large.
    places = 2 if max(abs(cell) for cell in filled) >= 100 else 4
    return Column(name, ["" if cell is None else f"{cell:,.{places}f}" for cell in cells], True)


def draw(table: list[Column], notes: Sequence[str], terminal_width: int | None) -> str:
    """The table, and the notes below it; `terminal_width` is None where stdout is no terminal.

    Of a table that is too wide, headers are broken to several lines, then columns that say nothing are left out, then
    numbers are shortened, then those in the middle left out, or long texts broken to lines; a table of few rows, or
    still too wide, is one block a row. Where stdout is no terminal, numbers stay whole and a row a line. A note says
    what was done.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=io.StringIO(),
        force_terminal=terminal_width is not None,
        width=terminal_width or _PIPE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
    n_rows = len(table[0].cells) if table else 0
    fitted = _fitted(table, terminal_width)
    if fitted is not None:
        _draw_grid(console, fitted.columns, fitted.headers)
    else:
        for index in range(n_rows):
            _draw_block(console, table, index)
    if not n_rows:
        console.print(Text("(no rows)", style="dim"))
    for note in fitted.notes if fitted is not None else ():
        console.print(Text(values.visible(note), style="dim"), soft_wrap=True)
    if notes:
        console.print()
    for number, note in enumerate(notes):
        console.print(Text(values.visible(note), style="bold" if number == 0 else "dim"), soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return "".join(line.rstrip(" ") + "\n" for line in console.file.getvalue().split("\n")[:-1])


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A table as it is drawn: its columns, their headers, and what was done to make it fit."""

    columns: list[Column]
    headers: list[str]
    notes: list[str]


def _fitted(table: list[Column], terminal_width: int | None) -> _Fitted | None:
    """The table at the first step at which it fits; None where it never does and a terminal would wrap it."""
    width = _READABLE_WIDTH if terminal_width is None else terminal_width
    names = [column.name for column in table]
    if _width(table, names) <= width:
        return _Fitted(table, names, [])
    if _width(table, headers := [_folded(column) for column in table]) <= width:
        return _Fitted(table, headers, [])
    telling = [column for index, column in enumerate(table) if index == 0 or column.is_telling]
    left_out = [column.name for column in table if column not in telling]
    notes = [f"Left out, for they are 0 or empty in every row: {', '.join(left_out)}."] if left_out else []
    headers = [_folded(column) for column in telling]
    if terminal_width is None or _width(telling, headers) <= width:
        return _Fitted(telling, headers, notes)
    short = [shortened(column) for column in telling]
    headers = [_folded(column) for column in short]
    if short != telling:
        notes.append("Numbers are shortened: k, M, B, T; --format csv has them whole.")
    if _width(short, headers) <= width:
        return _Fitted(short, headers, notes)
    if len(table[0].cells) <= _FEW_ROWS:  # as blocks they are read more easily than with less in them
        return None
    few = _without_middle(short, width)
    if few is None:
        broken = _broken(short, width)
        return _Fitted(broken, [_folded(column) for column in broken], notes) if broken else None
    dropped = [column.name for column in short if column not in few]
    notes.append(f"Left out for lack of room: {', '.join(dropped)}; --format csv has them.")
    return _Fitted(few, [_folded(column) for column in few], notes)


def _without_middle(table: list[Column], width: int) -> list[Column] | None:
    """The table without as many numbers from its middle as do not fit: what leads and what it comes to stays."""
    few = list(table)
    while _width(few, [_folded(column) for column in few]) > width:
        numbers = [index for index, column in enumerate(few) if column.is_number and index]
        if len(numbers) <= _LEAST_NUMBERS:
            return None
        del few[numbers[len(numbers) // 2]]
    return few


def _broken(table: list[Column], width: int) -> list[Column] | None:
    """The table with its long texts broken to lines, all to the same width; None where that leaves them too narrow."""
    from rich.console import Console
    from rich.text import Text

    texts = [column for column in table if not column.is_number]
    limit = max((column.width for column in texts), default=0)
    while limit >= _LEAST_TEXT:
        console = Console(width=limit)
        broken = [
            column
            if column.is_number
            else Column(
                column.name,
                ["\n".join(line.plain for line in Text(c).wrap(console, limit)) for c in column.cells],
                False,
            )
            for column in table
        ]
        excess = _width(broken, [_folded(column) for column in broken]) - width
        if excess <= 0:
            return broken
        limit -= -(-excess // len(texts))
    return None


def shortened(column: Column) -> Column:
    """Whole numbers of five digits and more to three: 1,234,567 is 1.23M."""
    if not column.is_number or any("." in cell for cell in column.cells):
        return column
    return Column(column.name, [_short(cell) for cell in column.cells], True)


def _short(cell: str) -> str:
    value = float(cell.replace(",", "") or 0)
    if abs(value) < 10_000:
        return cell
    thousands = 0
    while abs(value) >= 999.5:  # what would be written as 1000 takes the next unit
        value /= 1000
        thousands += 1
    return f"{value:.3g}{_UNITS[thousands]}"


def _width(table: list[Column], headers: list[str]) -> int:
    parts = [max(c.width, *(len(line) for line in h.split("\n"))) for c, h in zip(table, headers, strict=True)]
    return sum(parts) + _GAP * len(parts)


def _folded(column: Column) -> str:
    """The column's name broken at underscores to lines no longer than its cells, where it can be."""
    lines: list[str] = []
    for part in column.name.split("_"):
        if lines and len(lines[-1]) + 1 + len(part) <= max(column.width, 7):
            lines[-1] += f"_{part}"
        else:
            lines.append(part)
    return "_\n".join(lines)


def _draw_grid(console: Console, table: list[Column], headers: list[str]) -> None:
    from rich.text import Text

    lines = [header.split("\n") for header in headers]
    height = max(map(len, lines))
    lines = [[""] * (height - len(header)) + header for header in lines]
    widths = [max(c.width, *map(_length, header)) for c, header in zip(table, lines, strict=True)]
    for number in range(height):
        names = [header[number] for header in lines]
        console.print(Text(_joined(table, widths, names), style="bold"), soft_wrap=True)
    console.print(Text("─" * (sum(widths) + _GAP * (len(widths) - 1))), soft_wrap=True)
    # The body is laid out here: a rich table takes 80 microseconds a cell, which long results would feel.
    rows: Iterable[tuple[str, ...]] = zip(*(column.cells for column in table), strict=True)
    if any("\n" in cell for column in table for cell in column.cells):
        rows = chain.from_iterable(zip_longest(*(cell.split("\n") for cell in row), fillvalue="") for row in rows)
    console.file.writelines(_joined(table, widths, row) + "\n" for row in rows)


def _joined(table: list[Column], widths: list[int], cells: Sequence[str]) -> str:
    padded = (
        " " * (width - _length(cell)) + cell if column.is_number else cell + " " * (width - _length(cell))
        for column, width, cell in zip(table, widths, cells, strict=True)
    )
    return (" " * _GAP).join(padded).rstrip()


def _length(text: str) -> int:
    """Terminal cells that a text takes: two for wide characters."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _draw_block(console: Console, table: list[Column], index: int) -> None:
    from rich.text import Text

    left = max(_length(column.name) for column in table)
    right = max((column.width for column in table if column.is_number), default=0)
    if index:
        console.print()
    for column in table:
        cell = column.cells[index]
        line = Text(column.name.ljust(left), style="bold").append("  ", style="")
        console.print(line + Text(cell.rjust(right) if column.is_number else cell, style="not bold"), soft_wrap=True)
