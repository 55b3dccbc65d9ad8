"""Values of parameters: what each type takes, from text and from Python."""

from __future__ import annotations

import datetime as dt

import pytest

from tokenlake.errors import QueryError, UsageError
from tokenlake.query.parameters import declared


@pytest.mark.parametrize(
    ("kind", "given", "read"),
    [
        ("text", "a'b", "a'b"),
        ("integer", "12", 12),
        ("integer", -3, -3),
        ("number", "0.25", 0.25),
        ("number", 2, 2.0),
        ("boolean", "TRUE", True),
        ("boolean", False, False),
        ("date", "2026-03-29", dt.date(2026, 3, 29)),
        ("date", dt.date(2026, 3, 29), dt.date(2026, 3, 29)),
        ("timestamp", "2026-03-29T01:00:00", dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC)),
        ("timestamp", "2026-03-29T01:00:00+02:00", dt.datetime(2026, 3, 28, 23, tzinfo=dt.UTC)),
    ],
)
def test_values_that_fit(kind: str, given: object, read: object) -> None:
    assert declared(f"$x {kind}: text", 1).read(given) == read


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", 3),
        ("integer", "1.5"),
        ("integer", 1.5),
        ("integer", True),
        ("number", "much"),
        ("boolean", "maybe"),
        ("date", "2026-02-30"),
        ("date", dt.datetime(2026, 3, 29)),
        ("timestamp", "soon"),
    ],
)
def test_values_that_do_not(kind: str, given: object) -> None:
    with pytest.raises(UsageError, match=r"^x: "):
        declared(f"$x {kind}: text", 1).read(given)


def test_a_required_parameter_asks_for_its_value() -> None:
    with pytest.raises(UsageError, match="x has no default"):
        declared("$x text: text", 1).read(None)


def test_quotes_in_defaults_are_doubled() -> None:
    assert declared("$x text = 'it''s': text", 1).default == "it's"


def test_a_default_must_fit_its_type() -> None:
    with pytest.raises(QueryError, match=r"the default of \$x: 'a' is not a number"):
        declared("$x number = a: text", 1)


@pytest.mark.parametrize(
    ("line", "value", "reason"),
    [
        ("$top integer = 20 {1..}: rows", "0", "top: 0 is less than 1, the least that makes sense"),
        ("$top integer = 20 {1..}: rows", 1, None),
        ("$share number = 0.05 {0..1}: share", "1.5", "share: 1.5 is more than 1, the most that makes sense"),
        ("$share number = 0.05 {0..1}: share", "1", None),
        ("$delta integer = null {-5..5}: hours", "-6", "delta: -6 is less than -5, the least that makes sense"),
        ("$most integer = null {..5}: hours", "-600", None),
    ],
)
def test_a_number_keeps_to_its_range(line: str, value: object, reason: str | None) -> None:
    parameter = declared(line, 1)
    if reason is None:
        assert parameter.read(value) == float(str(value))
    else:
        with pytest.raises(UsageError) as caught:
            parameter.read(value)
        assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("$top integer = 0 {1..}: rows", "the default of $top: 0 is less than 1"),
        ("$top integer = 1 {one|two}: rows", "$top has the type integer: choices are for text"),
        ("$day date = null {1..}: day", "$day has the type date: choices are for text"),
        ("$top integer = 1 {1-5}: rows", "$top has the type integer: choices are for text"),
    ],
)
def test_a_range_that_cannot_be_is_refused(line: str, reason: str) -> None:
    with pytest.raises(QueryError) as caught:
        declared(line, 1)
    assert reason in str(caught.value)
