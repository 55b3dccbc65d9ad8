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
