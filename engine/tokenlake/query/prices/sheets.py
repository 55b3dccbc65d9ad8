"""The price tables that are CSV files: corrections, factors and family names, and the user's own prices."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tokenlake.errors import UsageError
from tokenlake.query.prices.rows import LIMIT, MAKER, OWN, Factor, Name, Price

CORRECTIONS = "price_corrections.csv"
FACTORS = "price_factors.csv"
FAMILIES = "model_families.csv"
SHIPPED = (CORRECTIONS, FACTORS, FAMILIES)
"""The files of queries/tables that prices are made of."""

OWN_SOURCE = "own"
"""The `source` of a user's row that names none."""

_DOLLARS = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read", "web_search")
_DAYS = ("valid_from", "valid_to")

OWN_COLUMNS: Mapping[str, str] = {
    "model": "model as tokenlake resolves it, or a name exactly as it is logged; required",
    "valid_from": "first UTC day, YYYY-MM-DD; empty: since ever",
    "valid_to": "last UTC day; empty: for ever",
    "prompt_from": "least context in tokens from which the row holds, for the whole request; empty: 0",
    "input": "dollars per million tokens; required",
    "output": "dollars per million tokens; required",
    "cache_write_5m": "dollars per million tokens; empty: as input",
    "cache_write_1h": "dollars per million tokens; empty: as cache_write_5m",
    "cache_read": "dollars per million tokens; empty: as input",
    "web_search": "dollars per 1,000 searches; empty: searches are unpriced",
    "source": "where the price is from, free text",
}
"""The columns of the user's own file, and what each holds."""


def own_path() -> Path:
    """The user's own prices: $TOKENLAKE_PRICES, else `tokenlake/prices.csv` in the user's configuration."""
    if own := os.environ.get("TOKENLAKE_PRICES"):
        return Path(own).expanduser()
    from platformdirs import user_config_path

    return user_config_path("tokenlake", appauthor=False) / "prices.csv"


def own_text() -> bytes | None:
    """The bytes of the user's own file; None where there is none at the usual place.

    Raises UsageError for a file that $TOKENLAKE_PRICES names and that is not there, or cannot be read.
    """
    path = own_path()
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        if os.environ.get("TOKENLAKE_PRICES"):
            raise UsageError(f"{path}: there is no such file; write it, or unset $TOKENLAKE_PRICES") from error
        return None
    except OSError as error:
        raise UsageError(f"{path}: your prices cannot be read ({error.strerror}); mend or remove the file") from None


def own(data: bytes, path: Path) -> tuple[list[Price], list[Name]]:
    """The user's prices, and the names that they give them; UsageError names the line that is wrong."""
    rows = []
    seen: list[tuple[int, Price]] = []
    for line, row in _read(data, path, tuple(OWN_COLUMNS), ("model", "input", "output")):
        price = _price(row, line, path, OWN_SOURCE, "")
        _refuse_overlap(price, seen, line, path)
        seen.append((line, price))
        rows.append(price)
    return rows, [Name(model, model, OWN) for model in sorted({price.model for price in rows})]


def corrections(data: bytes, path: Path) -> list[Price]:
    """The project's corrections of the package's prices; `as_of` is the day on which they were checked."""
    columns = (*(name for name in OWN_COLUMNS if name != "source"), "as_of", "source")
    return [_price(row, line, path, "", row["as_of"]) for line, row in _read(data, path, columns, columns[:1])]


def factors(data: bytes, path: Path) -> list[Factor]:
    """What fast mode, US inference and the batch tier multiply prices by."""
    columns = ("kind", "model", *_DAYS, "factor", "source")
    return [
        Factor(row["kind"], row["model"], *_days(row, line, path), Decimal(row["factor"]), row["source"])
        for line, row in _read(data, path, columns, columns)
    ]


def families(data: bytes, path: Path) -> list[Name]:
    """Bare family names, such as `opus`: the newest model of the family on each day."""
    columns = ("name", "model", *_DAYS, "source")
    return [
        Name(row["name"], row["model"], MAKER, *_days(row, line, path))
        for line, row in _read(data, path, columns, columns)
    ]


def _read(
    data: bytes, path: Path, columns: tuple[str, ...], required: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields, by column, of every row; lines that begin with # and empty ones are none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: is not UTF-8; save the file as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    header: list[str] = []
    try:
        for fields in reader:
            fields = [field.strip() for field in fields]
            if not any(fields) or fields[0].startswith("#"):
                continue
            if not header:
                header = _header(fields, reader.line_num, path, columns, required)
                continue
            if len(fields) != len(header):
                raise UsageError(
                    f"{path}:{reader.line_num}: has {len(fields)} fields, the header has {len(header)}; "
                    "write a decimal point, and quote a text that holds a comma"
                )
            yield reader.line_num, dict.fromkeys(columns, "") | dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: is no CSV ({error}); check the quotes of this line") from None


def _header(fields: list[str], line: int, path: Path, columns: tuple[str, ...], required: tuple[str, ...]) -> list[str]:
    names = [field.lower() for field in fields]
    if unknown := [name for name in names if name not in columns]:
        raise UsageError(f"{path}:{line}: {unknown[0]!r} is no column of this table; it has {', '.join(columns)}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{path}:{line}: the column {twice[0]!r} is there twice; remove one")
    if missing := [name for name in required if name not in names]:
        raise UsageError(f"{path}:{line}: the column {missing[0]!r} is missing; add it to the header")
    return names


def _price(row: dict[str, str], line: int, path: Path, source: str, version: str) -> Price:
    if not row["model"]:
        raise UsageError(f"{path}:{line}: has no model; name one, or remove the line")
    dollars = {name: _dollars(row[name], name, line, path) for name in _DOLLARS}
    for name in ("input", "output"):
        if dollars[name] is None:
            raise UsageError(f"{path}:{line}: {name} is empty; give the dollars per million tokens, 0 for none")
    valid_from, valid_to = _days(row, line, path)
    return Price(
        model=row["model"],
        provider="",
        valid_from=valid_from,
        valid_to=valid_to,
        prompt_from=_tokens(row["prompt_from"], line, path),
        prompt_to=None,
        source=row["source"] or source,
        source_version=version,
        **dollars,  # type: ignore[arg-type]
    )


def _dollars(text: str, name: str, line: int, path: Path) -> Decimal | None:
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"{path}:{line}: {name} {text!r} is not a number; write dollars as in 0.25") from None
    if not value.is_finite() or not 0 <= value < LIMIT or value != round(value, 6):
        raise UsageError(
            f"{path}:{line}: {name} {text!r} is out of range; give 0 to {LIMIT} dollars, with six decimals at most"
        )
    return value


def _tokens(text: str, line: int, path: Path) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise UsageError(f"{path}:{line}: prompt_from {text!r} is not a count of tokens; write it as in 200001")
    return int(text or 0)


def _days(row: dict[str, str], line: int, path: Path) -> tuple[dt.date | None, dt.date | None]:
    found: list[dt.date | None] = []
    for name in _DAYS:
        try:
            found.append(dt.date.fromisoformat(row[name]) if row[name] else None)
        except ValueError:
            raise UsageError(f"{path}:{line}: {name} {row[name]!r} is not a day; write it as YYYY-MM-DD") from None
    first, last = found
    if first and last and last < first:
        raise UsageError(f"{path}:{line}: valid_to {last} is before valid_from {first}; swap them")
    return first, last


def _refuse_overlap(price: Price, seen: list[tuple[int, Price]], line: int, path: Path) -> None:
    """Two prices of one model for the same day and context would leave it to chance which one counts."""
    for earlier, other in seen:
        if (
            (other.model, other.prompt_from) == (price.model, price.prompt_from)
            and (other.valid_from or dt.date.min) <= (price.valid_to or dt.date.max)
            and (price.valid_from or dt.date.min) <= (other.valid_to or dt.date.max)
        ):
            raise UsageError(
                f"{path}:{line}: prices {price.model} on days that line {earlier} prices too; "
                "give them valid_from and valid_to that do not overlap, or remove one"
            )
