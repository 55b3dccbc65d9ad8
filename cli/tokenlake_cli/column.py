"""A column of a result as people read it: its name, its cells in words, and the room that they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import floor, log10
from typing import Any

from tokenlake_cli import values


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its cells as shown, and whether they are numbers."""

    name: str
    cells: list[str]
    is_number: bool

    @property
    def width(self) -> int:
        """Terminal cells that the widest cell, or line of a broken one, takes; its name left out."""
        return max(map(length, "\n".join(self.cells).split("\n")))

    @property
    def is_telling(self) -> bool:
        """Whether any cell says more than nothing or 0; of no rows, every column does."""
        silent = "0.," if self.is_number else ""
        return not self.cells or any(cell.strip(silent) if silent else cell for cell in self.cells)

    @property
    def is_one_text(self) -> bool:
        """Whether several rows all say the same in words."""
        return not self.is_number and len(self.cells) > 1 and len(set(self.cells)) == 1


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
    if all(map(_is_whole, filled)):
        return Column(name, ["" if cell is None else f"{int(cell):,}" for cell in cells], True)
    form = _form(max(abs(cell) for cell in filled))
    return Column(name, ["" if cell is None else format(cell, form) for cell in cells], True)


def _is_whole(cell: int | float | Decimal) -> bool:
    """Whether it is of a type without places; sums beyond 64 bits are decimals of none."""
    return isinstance(cell, int) or (isinstance(cell, Decimal) and cell.as_tuple().exponent == 0)


def _form(largest: float | Decimal) -> str:
    """One number of decimals for a column: enough for shares and small ratios, fewer where they are large.

    Where all are smaller, as many as keep the largest from being shown as 0.
    """
    if not 0 < largest < _LEAST_OF_FOUR_PLACES:
        return ",.2f" if largest >= 100 else ",.4f"
    places = 1 - floor(log10(largest))
    return f".{places}f" if places <= _MOST_PLACES else ".1e"


_LEAST_OF_FOUR_PLACES = 0.00005
_MOST_PLACES = 12


def length(text: str) -> int:
    """Terminal cells that a text takes: two for wide characters."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
