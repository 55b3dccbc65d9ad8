"""Result: the same rows as Arrow, Polars and Python values, read as often as wanted."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from tokenlake.query.run import sql
from tokenlake.store.catalog import Snapshot

NOON = dt.datetime(2026, 3, 29, 12, 0, 0, 123000, tzinfo=dt.UTC)


def test_every_form_holds_the_same_rows(lake: Snapshot) -> None:
    result = sql(lake, "select key, ts, input_tokens from requests order by ts limit 2")
    rows = [
        ("r1", dt.datetime(2026, 3, 27, 9, tzinfo=dt.UTC), 10),
        ("r2", dt.datetime(2026, 3, 27, 9, 10, tzinfo=dt.UTC), 5),
    ]
    assert result.columns == ("key", "ts", "input_tokens")
    assert list(result.rows()) == rows
    assert list(result.rows(limit=1)) == rows[:1]
    assert [tuple(row.values()) for row in result.to_pylist()] == rows
    assert [tuple(row.values()) for row in result.arrow().to_pylist()] == rows
    assert result.pl().rows() == rows
    assert len(result) == 2
    assert list(result.rows()) == rows


def test_it_speaks_the_arrow_stream_protocol(lake: Snapshot) -> None:
    result = sql(lake, "select 1::bigint as one")
    assert pa.table(result).to_pydict() == {"one": [1]}
    assert pl.DataFrame(result).to_dict(as_series=False) == {"one": [1]}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("timestamptz '2026-03-29 14:00:00.123+02'", NOON),
        ("timestamp '2026-03-29 12:00:00.123'", NOON.replace(tzinfo=None)),
        ("[timestamptz '2026-03-29 12:00:00.123+00', null]", [NOON, None]),
        ("{'at': timestamptz '2026-03-29 12:00:00.123+00', 'n': 1}", {"at": NOON, "n": 1}),
        ("map {'a': [timestamptz '2026-03-29 12:00:00.123+00']}", {"a": [NOON]}),
        ("null::timestamptz", None),
        ("1.5::decimal(18,9)", Decimal("1.500000000")),
        ("sum(170141183460469231731687303715884105727::hugeint)", "170141183460469231731687303715884105727"),
    ],
)
def test_values_are_exact_and_instants_are_aware(lake: Snapshot, expression: str, value: object) -> None:
    assert list(sql(lake, f"select {expression} as value").rows()) == [(value,)]


WIDE = "select unnest([5, 7])::hugeint as fits, unnest([9223372036854775807, 1])::hugeint + 1 as does_not"


def test_whole_numbers_are_64_bits_wide_where_all_of_a_column_fit(lake: Snapshot) -> None:
    result = sql(lake, WIDE)
    rows = [(5, 2**63), (7, 2)]
    assert list(map(str, result.types)) == ["BIGINT", "DECIMAL(38,0)"]
    assert result.arrow().schema.types == [pa.int64(), pa.decimal128(38, 0)]
    assert [tuple(row.values()) for row in result.arrow().to_pylist()] == rows
    assert result.pl().dtypes == [pl.Int64, pl.Decimal(38, 0)]
    assert result.pl().rows() == rows
    assert list(result.rows()) == rows


@pytest.mark.parametrize(
    ("expression", "type_", "arrow", "value"),
    [
        ("7::decimal(38, 0)", "DECIMAL(38,0)", pa.decimal128(38, 0), Decimal(7)),
        ("7::uhugeint", "BIGINT", pa.int64(), 7),
        ("18446744073709551616::uhugeint", "DECIMAL(38,0)", pa.decimal128(38, 0), Decimal(2**64)),
        ("99999999999999999999999999999999999999::hugeint", "DECIMAL(38,0)", pa.decimal128(38, 0), Decimal(10**38 - 1)),
        ("100000000000000000000000000000000000000::hugeint", "VARCHAR", pa.string(), "1" + 38 * "0"),
        ("-170141183460469231731687303715884105727::hugeint", "VARCHAR", pa.string(), str(-(2**127) + 1)),
        ("340282366920938463463374607431768211455::uhugeint", "VARCHAR", pa.string(), str(2**128 - 1)),
        ("[1::hugeint, null]", "BIGINT[]", None, [1, None]),
        ("[9223372036854775808::hugeint, 1]", "DECIMAL(38,0)[]", None, [Decimal(2**63), Decimal(1)]),
        ("array_value(1::hugeint, 2)", "BIGINT[2]", None, (1, 2)),
        (
            "{'HUGEINT': 1::hugeint, 'a \"b': [2::uhugeint], 'd': 3::decimal(38, 0)}",
            None,
            None,
            {"HUGEINT": 1, 'a "b': [2], "d": Decimal(3)},
        ),
        ("map {'a': 1::hugeint}", "MAP(VARCHAR, BIGINT)", None, {"a": 1}),
        ("[100000000000000000000000000000000000000::hugeint]", "VARCHAR[]", None, ["1" + 38 * "0"]),
    ],
)
def test_wide_whole_numbers_alone_become_narrower(
    lake: Snapshot, expression: str, type_: str | None, arrow: pa.DataType | None, value: object
) -> None:
    result = sql(lake, f"select {expression} as value")
    assert "HUGEINT" not in str(result.types[0]).removeprefix("STRUCT(HUGEINT ").removeprefix('STRUCT("HUGEINT" ')
    assert type_ is None or str(result.types[0]) == type_
    assert arrow is None or result.arrow().schema.types == [arrow]
    ((found,),) = result.rows()
    assert found == value
    assert type(found) is type(value)


def test_sums_have_the_type_of_what_they_sum_up(lake: Snapshot) -> None:
    (row,) = sql(lake, "select sum(input_tokens) as tokens, sum(null::bigint) as nothing from requests").to_pylist()
    assert (type(row["tokens"]), row["nothing"]) == (int, None)
    (kind, nothing) = sql(lake, "select sum(input_tokens) as tokens, sum(null::bigint) as n from requests").types
    assert (str(kind), str(nothing)) == ("BIGINT", "BIGINT")


def test_long_results_come_whole_and_in_order(lake: Snapshot) -> None:
    result = sql(lake, "select range as n from range(25000) order by n desc")
    assert [n for (n,) in result.rows()] == list(range(24999, -1, -1))


def test_two_results_do_not_disturb_each_other(lake: Snapshot) -> None:
    result = sql(lake, "select range as n from range(20000)")
    rows = result.rows()
    assert next(iter(rows)) == (0,)
    assert len(result) == 20000
    assert next(iter(rows)) == (1,)
