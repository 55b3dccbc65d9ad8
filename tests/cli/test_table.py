"""Tables for people: alignment, rounding, and what happens when the terminal is narrow."""

from __future__ import annotations

from decimal import Decimal

from tokenlake_cli import fitting, table
from tokenlake_cli.column import Column, columns


def drawn(names: list[str], rows: list[tuple[object, ...]], width: int | None = None) -> list[str]:
    return table.draw(columns(names, rows), (), width).split("\n")[:-1]


def unwrapped(lines: list[str]) -> list[str]:
    """The lines, each note on one again; they end with a full stop."""
    begin = next((n for n, line in enumerate(lines) if line.startswith(("Left", "The same", "Numbers"))), len(lines))
    joined = " ".join(line.strip() for line in lines[begin:])
    return [*lines[:begin], *(f"{note}." for note in joined.removesuffix(".").split(". ") if note)]


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


def test_small_numbers_have_the_places_that_tell_them_from_0() -> None:
    """Two digits of the largest, so that what is left out for being 0 is 0."""
    rows = [(Decimal("0.000025000000"), 3e-20, 0.0, 0.00005), (Decimal("0.000000100000"), None, 0.0, 0.0)]
    first, second = drawn(["a", "b", "c", "d"], rows)[2:]
    assert first.split() == ["0.000025", "3.0e-20", "0.0000", "0.0001"]
    assert second.split() == ["0.000000", "0.0000", "0.0000"]
    names, wide = ["name", "cost", "nothing", "long_text"], [("a", Decimal("0.000025"), Decimal("0.00"), "x" * 60)] * 2
    lines = unwrapped([_plain(line) for line in drawn(names, wide, 75)])
    assert lines[2].split()[1] == "0.000025"
    assert lines[4] == "Left out, for they are 0 or empty in every row: nothing."


def test_whole_numbers_of_any_size_have_no_decimals() -> None:
    """Beyond 64 bits they are decimals without places."""
    assert drawn(["n"], [(Decimal("170141183460469231731687303715884105727"),), (Decimal(5),)])[2:] == [
        "170,141,183,460,469,231,731,687,303,715,884,105,727",
        "5".rjust(51),
    ]


def test_notes_are_broken_between_words_where_a_terminal_ends() -> None:
    lines = table.draw(columns(["n"], [(1,), (2,)]), ("Title", "one two three four five six"), 14).split("\n")
    assert [_plain(line) for line in lines] == ["n", "─", "1", "2", "", "Title", "one two three", "four five six", ""]
    assert table.draw(columns(["n"], [(1,)]), ("Title", "word " * 90), None).count("\n") == 6


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
    assert unwrapped(lines)[-1] == "Left out, for they are 0 or empty in every row: nothing."
    assert "nothing" in "".join(drawn(*WIDE, 40)[:2])


def test_numbers_are_shortened_where_that_is_not_enough() -> None:
    lines = [_plain(line) for line in drawn(*WIDE, 22)]
    assert lines[3:5] == ["a      1.23M  1.5000", "b         1M"]
    assert unwrapped(lines)[-1] == "Numbers and times are shortened: k, M, B, T; --format csv has them whole."


COST = (
    [
        *("day", "model", "requests", "input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
        *("total_tokens", "cost_input", "cost_output", "cost", "unpriced_requests"),
    ],
    [
        (f"2026-05-0{day}", "all", 3, 4, 5, 6, 15, Decimal("1.0"), Decimal("2.0"), Decimal("3.0"), 1)
        for day in range(1, 3)
    ],
)
"""With broken headers 10, 5, 8, seven of 6 and 9 cells wide, with ten gaps of 2: 94."""


def shown(names: list[str], rows: list[tuple[object, ...]], width: int) -> list[str]:
    """The names of the columns that are there at a width, as their notes say."""
    lines = [_plain(line) for line in drawn(names, rows, width)]
    assert max(len(line) for line in lines) <= width
    lines = unwrapped(lines)
    gone = [name for line in lines if line.startswith("Left out") for name in _named(line)]
    same = [name.split()[0] for line in lines if line.startswith("The same") for name in _named(line)]
    return [name for name in names if name not in gone + same]


def _named(note: str) -> list[str]:
    return note.split(": ")[1].removesuffix(".").replace("; --format csv has them", "").replace("; ", ", ").split(", ")


def test_what_is_worth_least_leaves_first() -> None:
    """Parts of the cost, what is unpriced, parts of the tokens; then numbers from the right; what it comes to stays."""
    assert shown(*COST, 94) == COST[0]
    leaving = ["model", "cost_input", "cost_output", "unpriced_requests"]
    leaving += ["cache_write_1h_tokens", "cache_write_5m_tokens", "input_tokens"]
    for gone, width in enumerate((94, 87, 79, 71, 60, 52, 44, 36)):
        left = [name for name in COST[0] if name not in leaving[:gone]]
        assert shown(*COST, width) == left
        if gone < 7:
            assert len(shown(*COST, width - 1)) == len(left) - 1
    assert _plain(drawn(*COST, 35)[0]).split() == ["day", "2026-05-01"]


def test_other_numbers_leave_from_the_right() -> None:
    """A day of 1 cell and five numbers, each 7 cells under its folded header, with gaps of 2."""
    names = ["day", *(f"n{place}_tokens" for place in range(1, 5)), "cost"]
    rows = [("x", *range(1, 5), Decimal("1.0"))] * 2
    lines = [_plain(line) for line in drawn(names, rows, 3 + 2 * 9 + 8)]
    assert [lines[0].split(), lines[1].split()] == [["n1_", "n2_"], ["day", "tokens", "tokens", "cost"]]
    assert lines[3].split() == ["x", "1", "2", "1.0000"]
    assert unwrapped(lines)[-1] == "Left out for lack of room: n3_tokens, n4_tokens; --format csv has them."


def test_a_text_that_all_rows_share_is_said_once() -> None:
    lines = [
        _plain(line) for line in drawn(["day", "model", "n"], [("a", "every model", 1), ("b", "every model", 2)], 9)
    ]
    assert unwrapped(lines) == ["day  n", "──────", "a    1", "b    2", "The same in every row: model every model."]


def test_times_are_shortened_to_what_differs() -> None:
    def times(*cells: str) -> list[str]:
        return fitting.shortened(Column("ts", list(cells), False)).cells

    assert times("2026-05-04T09:00:00.000Z", "", "2026-05-04T10:30:00.000Z") == [
        "2026-05-04T09:00Z",
        "",
        "2026-05-04T10:30Z",
    ]
    assert times("2026-05-04T09:00:00.000Z", "2026-05-04T09:00:07.125Z") == [
        "2026-05-04T09:00:00Z",
        "2026-05-04T09:00:07Z",
    ]
    assert times("2026-05-04T09:00:00.000Z", "later") == ["2026-05-04T09:00:00.000Z", "later"]


def test_long_texts_are_broken_where_numbers_are_not_what_is_too_wide() -> None:
    lines = [_plain(line) for line in drawn(["what", "n"], [("one two three four five", 1), ("x", 2)], 20)]
    assert lines[2:] == ["one two three   1", "four five", "x               2"]


def test_texts_leave_last_from_the_right() -> None:
    names = ["id", "title", "project", "cost"]
    rows = [("i" * 20, "t" * 20, "p" * 20, Decimal("1.0")), ("j" * 20, "u" * 20, "q" * 20, Decimal("1.0"))]
    lines = [_plain(line) for line in drawn(names, rows, 47)]
    assert lines[0].split() == ["id", "title", "cost"]
    assert unwrapped(lines)[-1] == "Left out for lack of room: project; --format csv has them."
    assert max(map(len, lines)) <= 47


def test_one_row_is_a_block_and_whole() -> None:
    (names, rows) = COST
    lines = [_plain(line) for line in drawn(names, rows[:1], 60)]
    assert lines[0].split() == ["day", "2026-05-01"]
    assert [line.split()[0] for line in lines] == names


def test_short_numbers() -> None:
    cells = [0, 9_999, 10_000, 12_345, 999_499, 999_500, 5_092_500_074, 10_000_000_000_000, -1_234_567, None]
    (column,) = columns(["n"], [(cell,) for cell in cells])
    assert fitting.shortened(column).cells == [
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
