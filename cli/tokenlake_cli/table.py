"""A result as a table for people: numbers grouped and aligned, ratios rounded, fitted to the terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from tokenlake_cli import fitting, values
from tokenlake_cli.column import Column, length
from tokenlake_cli.fitting import GAP

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 1_000_000  # no line is broken where no terminal limits the width


def draw(table: list[Column], notes: Sequence[str], terminal_width: int | None) -> str:
    """The table, and the notes below it; `terminal_width` is None where stdout is no terminal.

    A table that is too wide is made to fit, and a note says how; one of a single row, or still too wide, is one block
    a row.
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
    fitted = fitting.fitted(table, terminal_width)
    if fitted is not None:
        _draw_grid(console, fitted.columns, fitted.headers)
    else:
        for index in range(n_rows):
            _draw_block(console, table, index)
    if not n_rows:
        console.print(Text("(no rows)", style="dim"))
    for note in fitted.notes if fitted is not None else ():
        console.print(Text(values.visible(note), style="dim"))
    if notes:
        console.print()
    for number, note in enumerate(notes):
        console.print(Text(values.visible(note), style="bold" if number == 0 else "dim"))
    assert isinstance(console.file, io.StringIO)
    return "".join(line.rstrip(" ") + "\n" for line in console.file.getvalue().split("\n")[:-1])


def _draw_grid(console: Console, table: list[Column], headers: list[str]) -> None:
    from rich.text import Text

    lines = [header.split("\n") for header in headers]
    height = max(map(len, lines))
    lines = [[""] * (height - len(header)) + header for header in lines]
    widths = [max(c.width, *map(length, header)) for c, header in zip(table, lines, strict=True)]
    for number in range(height):
        names = [header[number] for header in lines]
        console.print(Text(_joined(table, widths, names), style="bold"), soft_wrap=True)
    console.print(Text("─" * (sum(widths) + GAP * (len(widths) - 1))), soft_wrap=True)
    # The body is laid out here: a rich table takes 80 microseconds a cell, which long results would feel.
    rows: Iterable[tuple[str, ...]] = zip(*(column.cells for column in table), strict=True)
    if any("\n" in cell for column in table for cell in column.cells):
        rows = chain.from_iterable(zip_longest(*(cell.split("\n") for cell in row), fillvalue="") for row in rows)
    console.file.writelines(_joined(table, widths, row) + "\n" for row in rows)


def _joined(table: list[Column], widths: list[int], cells: Sequence[str]) -> str:
    padded = (
        " " * (width - length(cell)) + cell if column.is_number else cell + " " * (width - length(cell))
        for column, width, cell in zip(table, widths, cells, strict=True)
    )
    return (" " * GAP).join(padded).rstrip()


def _draw_block(console: Console, table: list[Column], index: int) -> None:
    from rich.text import Text

    left = max(length(column.name) for column in table)
    right = max((column.width for column in table if column.is_number), default=0)
    if index:
        console.print()
    for column in table:
        cell = column.cells[index]
        line = Text(column.name.ljust(left), style="bold").append("  ", style="")
        console.print(line + Text(cell.rjust(right) if column.is_number else cell, style="not bold"), soft_wrap=True)
