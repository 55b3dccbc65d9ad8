"""Published and computed figures side by side: what is exact, what is rounded, and what is another figure."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from tokenlake.reproduce.figures import Answer, Figure, Value, Verdict, as_result, compared, worded
from tokenlake.synth.specs import Published


def figure(text: str, value: Value, holds: str = "", why: str = "") -> Figure:
    answer = Answer("f", value, "a / b", "cost/daily", "2026-02-08")
    return compared("s", Published("R0", "f", text, holds, why), answer)


@pytest.mark.parametrize(
    ("text", "value", "verdict", "computed"),
    [
        ("5,092,500,074", 5_092_500_074, Verdict.EXACT, "5,092,500,074"),
        ("5,092,500,074", 5_092_500_075, Verdict.DIFFERENT, "5,092,500,075"),
        ("1,310 : 1", 1309.8806521, Verdict.ROUNDED, "1,309.88 : 1"),
        ("1,310 : 1", 1309.4999, Verdict.DIFFERENT, "1,309.50 : 1"),
        ("$45.18", Decimal("45.180131000000"), Verdict.ROUNDED, "$45.1801"),
        ("$10.69", Decimal("10.690000000000"), Verdict.EXACT, "$10.69"),
        # Half is rounded up, and an exact half is exact.
        ("2.3%", Fraction(225, 100), Verdict.ROUNDED, "2.250%"),
        ("2.2%", Fraction(225, 100), Verdict.DIFFERENT, "2.250%"),
        ("2.125x", Fraction(17, 8), Verdict.EXACT, "2.125x"),
        ("99.93%", Fraction(9_992_627, 100_000), Verdict.ROUNDED, "99.9263%"),
        ("0", 0, Verdict.EXACT, "0"),
        ("4h 11m", "4h 11m", Verdict.EXACT, "4h 11m"),
        ("4h 11m", "4h 12m", Verdict.DIFFERENT, "4h 12m"),
        ("9:00", "9:00", Verdict.EXACT, "9:00"),
        # A third has no last digit: it is never exact.
        ("0.333", Fraction(1, 3), Verdict.ROUNDED, "0.33333"),
        ("2.4", Decimal("2.4000000001"), Verdict.ROUNDED, "2.400"),
    ],
)
def test_a_computed_figure_is_compared_to_the_printed_digits(
    text: str, value: Value, verdict: Verdict, computed: str
) -> None:
    row = figure(text, value)
    assert (row.verdict, row.computed) == (verdict, computed)
    assert (row.formula, row.note) == ("a / b (cost/daily)", "2026-02-08")


def test_an_inconsistent_figure_must_be_what_its_own_inputs_give() -> None:
    """86% in 1.55 hours are 55.48 an hour, not the 56.0 that was printed."""
    rate = Fraction(86) / Fraction("1.55")
    row = figure("56.0", rate, "55.5", "86 / 1.55")
    assert (row.verdict, row.computed, row.note) == (Verdict.INCONSISTENT, "55.484", "86 / 1.55; 2026-02-08")
    # To be as published is as wrong here as any other figure.
    assert figure("56.0", 56, "55.5", "86 / 1.55").verdict is Verdict.DIFFERENT
    assert figure("56.0", rate).verdict is Verdict.DIFFERENT


def test_without_an_answer_a_figure_is_not_reproduced_unless_its_inputs_are_unknown() -> None:
    known, unknown = Published("R0", "f", "1"), Published("R0", "f", "1,500x", why="no inputs")
    assert compared("s", known, None).verdict is Verdict.DIFFERENT
    assert compared("s", known, Answer("f", None, "", "")).verdict is Verdict.DIFFERENT
    row = compared("s", unknown, None)
    assert (row.verdict, row.computed, row.note) == (Verdict.NOT_COMPUTED, None, "no inputs")


def test_values_are_worded_like_the_published_ones() -> None:
    assert worded(Fraction(2, 3), "$45.18") == "$0.6667"
    assert worded(1234567, "12") == "1,234,567"
    assert worded(None, "12") is None


def test_rows_become_a_result_of_every_form() -> None:
    result = as_result("t", Figure, [figure("1", 1), figure("1", 2)])
    assert result.columns == ("id", "source", "figure", "published", "computed", "formula", "verdict", "note")
    assert [row["verdict"] for row in result.to_pylist()] == ["exact", "not reproduced"]
    assert result.arrow().num_rows == 2
    assert len(as_result("t", Figure, [])) == 0
