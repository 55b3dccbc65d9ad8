"""A result as a table for people: numbers grouped and aligned, ratios rounded, fitted to the terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tokenlake_cli import values

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2
_PIPE_WIDTH = 1_000_000  # nothing is folded where no terminal limits the width


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its cells as shown, and whether they are numbers."""

    name: str
    cells: list[str]
    is_number: bool

    @property
    def width(self) -> int:
        """Terminal cells that the widest cell takes, its name left out."""
        return max(map(_length, self.cells), default=0)


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

    A table wider than the terminal gets headers of several lines; if it is still too wide, one block a row.
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
    if terminal_width is None or _width(table, [c.name for c in table]) <= terminal_width:
        _draw_grid(console, table, [c.name for c in table])
    elif _width(table, headers := [_folded(c) for c in table]) <= terminal_width:
        _draw_grid(console, table, headers)
    else:
        for index in range(n_rows):
            _draw_block(console, table, index)
    if not n_rows:
        console.print(Text("(no rows)", style="dim"))
    if notes:
        console.print()
    for number, note in enumerate(notes):
        console.print(Text(values.visible(note), style="bold" if number == 0 else "dim"), soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return "".join(line.rstrip(" ") + "\n" for line in console.file.getvalue().split("\n")[:-1])


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
    rows = zip(*(column.cells for column in table), strict=True)
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
