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


WIDE = (["name", "input_tokens", "nothing", "cost"], [("a", 1_234_567, 0, Decimal("1.5")), ("b", 999_999, None, None)])


def test_columns_that_say_nothing_are_left_out_of_a_table_that_is_too_wide() -> None:
    """Broken headers take 9 + 7 + 7 + 6 cells and the gaps; without the third column 2 + 7 less."""
    lines = [_plain(line) for line in drawn(*WIDE, 28)]
    assert lines[:5] == [
        "         input_",
        "name     tokens    cost",
        "───────────────────────",
        "a     1,234,567  1.5000",
        "b       999,999",
    ]
    assert lines[-1] == "Left out, for they are 0 or empty in every row: nothing."
    assert "nothing" in "".join(drawn(*WIDE, 40)[:2])


def test_numbers_are_shortened_where_that_is_not_enough() -> None:
    lines = [_plain(line) for line in drawn(*WIDE, 22)]
    assert lines[3:5] == ["a      1.23M  1.5000", "b         1M"]
    assert lines[-1] == "Numbers are shortened: k, M, B, T; --format csv has them whole."


def test_in_many_rows_numbers_of_the_middle_are_left_out() -> None:
    """Six rows of a text and five numbers, each 7 cells under its folded header, with gaps of 2."""
    names = ["day", *(f"n{place}_tokens" for place in range(1, 6))]
    lines = [_plain(line) for line in drawn(names, [("x", *range(1, 6))] * 6, 5 + 3 * 9)]
    assert lines[1].split() == ["day", "tokens", "tokens", "tokens"]
    assert lines[0].split() == ["n1_", "n2_", "n5_"]
    assert lines[3].split() == ["x", "1", "2", "5"]
    assert lines[-1] == "Left out for lack of room: n3_tokens, n4_tokens; --format csv has them."
    assert _plain(drawn(names, [("x", *range(1, 6))] * 5, 5 + 3 * 9)[0]) == "day        x"
    assert _plain(drawn(names, [("x", *range(1, 6))] * 6, 20)[0]) == "day        x"


def test_short_numbers() -> None:
    cells = [0, 9_999, 10_000, 12_345, 999_499, 999_500, 5_092_500_074, 10_000_000_000_000, -1_234_567, None]
    (column,) = table.columns(["n"], [(cell,) for cell in cells])
    assert table.shortened(column).cells == [
        "0",
        "9,999",
        "10k",
        "12.3k",
        "999k",
        "1M",
        "5.09B",
        "10T",
        "-1.23M",
        "",
    ]


def test_in_a_pipe_numbers_stay_whole_and_a_row_a_line() -> None:
    names = [f"cache_write_{n}_tokens" for n in range(12)]
    lines = drawn(names, [(*[10**9] * 11, 0), (*[5] * 11, 0)])
    assert [line.split() for line in lines if line[-1:].isdigit()] == [["1,000,000,000"] * 11, ["5"] * 11]
    assert max(map(len, lines)) <= 12 * 15
    assert "cache_write_11_tokens" in lines[-1]


def test_no_rows_are_said() -> None:
    assert drawn(["a"], [])[-1] == "(no rows)"


def test_colours_are_for_terminals() -> None:
    assert "\x1b[" not in "".join(drawn(["a"], [(1,)]))


def _plain(line: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip()
