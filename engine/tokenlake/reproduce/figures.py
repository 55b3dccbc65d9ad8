"""Figures as published and as computed: how the two are compared, digit by digit, and what is said of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from tokenlake.query.result import Meta, Result, of_rows
from tokenlake.synth.specs import Published

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = int | float | Decimal | Fraction | str | None

_NUMBER: Final = re.compile(r"(\$?)(\d[\d,]*(?:\.\d+)?)(.*)")
_PRECISE: Final = Context(prec=60)
_MORE_DIGITS: Final = 2


class Verdict(StrEnum):
    """What a comparison of the two came to."""

    EXACT = "exact"
    ROUNDED = "exact after rounding"
    INCONSISTENT = "published figure is inconsistent"
    DIFFERENT = "not reproduced"
    NOT_COMPUTED = "not computed"


@dataclass(frozen=True, slots=True)
class Answer:
    """One figure as the saved queries give it: `name` is that of the published one, `of` what it is about.

    `value` is in the unit of the published text, a share in percent; None where the lake has nothing to say.
    """

    name: str
    value: Value
    formula: str
    query: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the result: a published figure, what was computed for it, and the verdict."""

    id: str
    source: str
    figure: str
    published: str
    computed: str | None
    formula: str
    verdict: Verdict
    note: str


def compared(source: str, published: Published, answer: Answer | None) -> Figure:
    """The published figure beside the computed one.

    Where the publication says what its own inputs do not give (`holds`), the computed figure must be that one.
    """
    if answer is None or answer.value is None:
        verdict = Verdict.NOT_COMPUTED if published.why and not published.holds else Verdict.DIFFERENT
        return Figure(published.id, source, published.name, published.text, None, "", verdict, published.why)
    if published.holds:
        fits = _fits(published.holds, answer.value) is not None
        verdict = Verdict.INCONSISTENT if fits else Verdict.DIFFERENT
    else:
        verdict = _fits(published.text, answer.value) or Verdict.DIFFERENT
    note = "; ".join(part for part in (published.why, answer.of) if part)
    return Figure(
        published.id,
        source,
        published.name,
        published.text,
        worded(answer.value, published.holds or published.text),
        f"{answer.formula} ({answer.query})",
        verdict,
        note,
    )


def worded(value: Value, like: str) -> str | None:
    """A value in the form of a published text, with two digits more where it has them."""
    if value is None or isinstance(value, str):
        return value
    number = _NUMBER.fullmatch(like)
    before, _, after = number.groups() if number else ("", "", "")
    places = _places(like)
    exact = _decimal(value)
    if exact != _rounded(exact, places):
        places += _MORE_DIGITS
    return f"{before}{_rounded(exact, places):,f}{after}"


def _fits(text: str, value: Value) -> Verdict | None:
    """Whether a value is a published one, to every digit that this has; None where it is not."""
    number = _NUMBER.fullmatch(text)
    if value is None or isinstance(value, str) or number is None:
        return Verdict.EXACT if value == text else None
    printed = Decimal(number[2].replace(",", ""))
    if _is_equal(value, printed):
        return Verdict.EXACT
    return Verdict.ROUNDED if _rounded(_decimal(value), _places(text)) == printed else None


def _is_equal(value: int | float | Decimal | Fraction, printed: Decimal) -> bool:
    return Fraction(value) == Fraction(printed)


def _decimal(value: int | float | Decimal | Fraction) -> Decimal:
    if isinstance(value, Fraction):
        return _PRECISE.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _PRECISE)


def _places(text: str) -> int:
    """The decimal places that a published text has."""
    number = _NUMBER.fullmatch(text)
    return len(number[2].partition(".")[2]) if number else 0


def as_result(title: str, kind: type[DataclassInstance], rows: Sequence[DataclassInstance]) -> Result:
    """Rows of one dataclass as a result, for every form that a report's has; all columns are texts."""
    return of_rows([field.name for field in fields(kind)], [astuple(row) for row in rows], Meta(title))
