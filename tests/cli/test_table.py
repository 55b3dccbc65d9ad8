"""Tables for people: alignment, rounding, and what happens when the terminal is narrow."""

from __future__ import annotations

from decimal import Decimal

from tokenlake_cli import table


def drawn(names: list[str], rows: list[tuple[object, ...]], width: int | None = None) -> list[str]:
    return table.draw(table.columns(names, rows), (), width).split("\n")[:-1]


def test_numbers_are_grouped_and_aligned_right_texts_left() -> None:
    assert drawn(["name", "tokens"], [("a", 1234567), ("long name", 5), (None, None)]) == [
        "name          tokens",
        "────────────────────",
        "a          1,234,567",
        "long name          5",
        "",
    ]


def test_a_column_has_one_number_of_decimals() -> None:
    """Four for shares and small ratios, two from 100 on."""
    lines = drawn(["a", "b", "c"], [(0.99679508, 300.0965, Decimal("0.5")), (1.0, 2.0, None)])
    assert [line.split() for line in lines[2:]] == [["0.9968", "300.10", "0.5000"], ["1.0000", "2.00"]]


def test_wide_characters_take_two_cells() -> None:
    lines = drawn(["text", "n"], [("漢字", 1), ("ab", 2)])
    assert lines[2:] == ["漢字  1", "ab    2"]


def test_a_narrow_terminal_breaks_headers_before_anything_else() -> None:
    lines = [_plain(line) for line in drawn(["input_tokens", "cache_read_tokens"], [(1, 2)], 20)]
    assert lines == [
        "         cache_",
        " input_   read_",
        " tokens  tokens",
        "───────────────",
        "      1       2",
    ] or lines == [
        "        cache_",
        "input_   read_",
        "tokens  tokens",
        "──────────────",
        "     1       2",
    ]


def test_a_terminal_too_narrow_for_that_gets_a_block_a_row() -> None:
    lines = [_plain(line) for line in drawn(["by", "input_tokens"], [("a", 1), ("b", 1000)], 7)]
    assert lines == [
        "by            a",
        "input_tokens      1",
        "",
        "by            b",
        "input_tokens  1,000",
    ]


def test_no_rows_are_said() -> None:
    assert drawn(["a"], [])[-1] == "(no rows)"


def test_colours_are_for_terminals() -> None:
    assert "\x1b[" not in "".join(drawn(["a"], [(1,)]))


def _plain(line: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip()
