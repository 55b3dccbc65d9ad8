"""One golden result of hard types through every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenlake_cli import values

# Two rows: hard values of every type, then nulls.
SQL = r"""
select * from (values (
    9007199254740993::bigint, 99999999999999999999999999999999999999::hugeint,
    1234.500000000::decimal(18,9),
    0.1::double, 'nan'::double, true, date '2026-03-29', timestamptz '2026-03-29 14:00:00.1+02',
    timestamp '2026-03-29 12:00:00.000001', interval '2 days 4 hours 11 minutes',
    [1, null], {'a': 'x"y', 'b': 1.5},
    '\x01\xFF'::blob, 'it''s | "quoted", <b>' || chr(10) || chr(27) || '[31m' || chr(8238) || 'émoji 👍 漢'
), (null, null, null, null, null, null, null, null, null, null, null, null, null, null))
as rows(int64, int128, money, ratio, nan, flag, day, instant, wall, span, list, struct, bytes, text)
"""

COLUMNS = [
    "int64",
    "int128",
    "money",
    "ratio",
    "nan",
    "flag",
    "day",
    "instant",
    "wall",
    "span",
    "list",
    "struct",
    "bytes",
    "text",
]
HARD_TEXT = 'it\'s | "quoted", <b>\n\x1b[31m\u202eémoji 👍 漢'
AS_TEXT = [
    "9007199254740993",
    "99999999999999999999999999999999999999",
    "1234.500000000",
    "0.1",
    "nan",
    "true",
    "2026-03-29",
    "2026-03-29T12:00:00.100Z",
    "2026-03-29T12:00:00.000001",
    "P2DT4H11M0S",
    "[1, null]",
    '{"a": "x\\"y", "b": 1.5}',
    "Af8=",
    HARD_TEXT,
]


def test_json_is_a_list_of_objects_with_exact_numbers(report) -> None:
    ran = report("sql", SQL, "--format", "json")
    first, second = json.loads(ran.out)
    assert list(first) == list(second) == COLUMNS
    assert first["int64"] == 9007199254740993
    assert first["text"] == HARD_TEXT
    assert (first["nan"], first["list"], first["struct"]) == (None, [1, None], {"a": 'x"y', "b": 1.5})
    assert set(second.values()) == {None}
    assert '"int128": 99999999999999999999999999999999999999, "money": 1234.500000000, "ratio": 0.1,' in ran.out
    assert '"instant": "2026-03-29T12:00:00.100Z", "wall": "2026-03-29T12:00:00.000001"' in ran.out


def test_jsonl_is_an_object_a_line(report) -> None:
    lines = report("sql", SQL, "--format", "jsonl").out.split("\n")
    assert [list(json.loads(line)) for line in lines[:2]] == [COLUMNS, COLUMNS]
    assert lines[2:] == [""]


def test_csv_is_exact_and_empty_for_null(report) -> None:
    rows = list(csv.reader(io.StringIO(report("sql", SQL, "--format", "csv").out, newline="")))
    assert rows == [COLUMNS, AS_TEXT, [""] * 14]


def test_table_escapes_what_would_write_to_the_terminal(report) -> None:
    ran = report("sql", SQL)
    header, rule, first, *_ = ran.out.split("\n")
    assert header.split() == COLUMNS
    assert set(rule) == {"─"}
    assert "9,007,199,254,740,993" in first
    assert "\\n\\x1b[31m\\u202eémoji 👍 漢" in first
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


def test_markdown_is_one_line_a_row(report) -> None:
    lines = report("sql", SQL, "--format", "markdown").out.split("\n")
    assert len(lines) == 5
    assert lines[1] == "| ---: | ---: | ---: | ---: | ---: |" + " --- |" * 9
    assert lines[2].startswith("| 9007199254740993 | 99999999999999999999999999999999999999 | 1234.500000000 | 0.1 |")
    assert 'it\'s \\| "quoted", &lt;b>\\n\\x1b\\[31m' in lines[2]
    assert lines[3] == "|  |" + "  |" * 13


def test_parquet_and_arrow_keep_the_types(report, tmp_path: Path) -> None:
    text = "select * exclude (span) from (" + SQL + ")"
    assert report("sql", text, "--format", "parquet", "--output", str(tmp_path / "x.parquet")).code == 0
    assert report("sql", text, "--format", "arrow", "--output", str(tmp_path / "x.arrow")).code == 0
    parquet = pq.read_table(tmp_path / "x.parquet")
    arrow = pa.ipc.open_file(tmp_path / "x.arrow").read_all()
    assert parquet.to_pydict()["text"] == arrow.to_pydict()["text"] == [HARD_TEXT, None]
    for table in (parquet, arrow):
        assert table.schema.field("int64").type == pa.int64()
        assert table.schema.field("money").type == pa.decimal128(18, 9)
        assert table.schema.field("instant").type == pa.timestamp("us", tz="UTC")
        assert table.schema.field("bytes").type == pa.binary()


def test_parquet_says_what_it_cannot_hold(report, tmp_path: Path) -> None:
    ran = report("sql", "select interval 1 day as span", "--format", "parquet", "--output", str(tmp_path / "x"))
    assert ran.code == 2
    assert "parquet cannot hold this result" in ran.err


@pytest.mark.parametrize("name", ["cache overhead --by day", "cost daily --by-model", "lake coverage", "lake days"])
def test_table_and_csv_agree_cell_for_cell(report, name: str) -> None:
    """Grouping and rounding taken back, the table holds the values of the csv, in their places."""
    asked = [*name.split(), "--tz", "Europe/Berlin"]
    rows = list(csv.reader(io.StringIO(report(*asked, "--format", "csv").out)))
    grid, _, _ = report(*asked).out.partition("\n\n")
    head, _, body = grid.partition("─\n")
    lines = body.split("\n")
    left_out: list[str] = []
    if lines[-1].startswith("Left out, for they are 0 or empty in every row: "):
        left_out = lines.pop().partition(": ")[2].rstrip(".").split(", ")
    for name in left_out:
        place = rows[0].index(name)
        assert {row.pop(place) for row in rows} <= {name, "", "0", "0.0", "0.000000000000"}
    # Headers may be broken to several lines, from below upwards: the last parts stand right above the cells.
    assert len(head.split("\n")[-2].split()) == len(rows[0])
    for line, row in zip(lines, rows[1:], strict=True):
        words = line.split()
        cells = [cell for cell in row if cell]
        assert len(words) == len(cells)
        for word, cell in zip(words, cells, strict=True):
            try:
                assert float(word.replace(",", "")) == pytest.approx(float(cell), abs=5.1e-3, rel=5e-5)
            except ValueError:
                assert word == cell


def test_limit_takes_the_first_rows_in_every_format(report, tmp_path: Path) -> None:
    text = "select range as n from range(5) order by n desc"
    ran = report("sql", text, "--limit", "2", "--format", "csv")
    assert ran.out == "n\n4\n3\n"
    assert "showing 2 of 5 rows" in ran.err
    assert "showing 2 of 5 rows" in report("sql", text, "--limit", "2").out
    report("sql", text, "--limit", "2", "--format", "parquet", "--output", str(tmp_path / "x"))
    assert pq.read_table(tmp_path / "x").to_pydict() == {"n": [4, 3]}
    assert report("sql", text, "--limit", "0", "--format", "json").out == "[\n]\n"


def test_output_goes_to_the_file_alone(report, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    assert report("sql", "select 'ä' as a", "--format", "csv", "--output", str(path)).out == ""
    assert path.read_bytes() == "a\nä\n".encode()


def test_an_output_that_cannot_be_written_is_named(report, tmp_path: Path) -> None:
    ran = report("sql", "select 1", "--output", str(tmp_path / "no" / "x"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"tokenlake: --output {tmp_path}/no/x: No such file or directory\n"


@pytest.mark.parametrize(
    ("microseconds", "text"), [(0, "00.000"), (100_000, "00.100"), (100_001, "00.100001"), (1, "00.000001")]
)
def test_instants_keep_every_digit_that_counts(microseconds: int, text: str) -> None:
    import datetime as dt

    moment = dt.datetime(2026, 3, 29, 1, 30, 0, microseconds, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert values.instant(moment) == f"2026-03-28T23:30:{text}Z"


def test_negative_spans() -> None:
    import datetime as dt

    assert values.duration(dt.timedelta(hours=-1, microseconds=-500_000)) == "-PT1H0M0.5S"


# Sums beyond 64 bits beside one that fits.
WIDE = "select unnest([9223372036854775807, 1])::hugeint * 3 as wide, unnest([4, 5])::hugeint as narrow"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", '[\n {"wide": 27670116110564327421, "narrow": 4},\n {"wide": 3, "narrow": 5}\n]\n'),
        ("jsonl", '{"wide": 27670116110564327421, "narrow": 4}\n{"wide": 3, "narrow": 5}\n'),
        ("csv", "wide,narrow\n27670116110564327421,4\n3,5\n"),
        ("markdown", "| wide | narrow |\n| ---: | ---: |\n| 27670116110564327421 | 4 |\n| 3 | 5 |\n"),
    ],
)
def test_sums_beyond_64_bits_are_whole_numbers(report, form: str, text: str) -> None:
    assert report("sql", WIDE, "--format", form).out == text


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_sums_beyond_64_bits_are_decimals_beside_integers(report, tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    report("sql", WIDE, "--format", form, "--output", str(path))
    table = pq.read_table(path) if form == "parquet" else pa.ipc.open_file(path).read_all()
    assert table.schema.types == [pa.decimal128(38, 0), pa.int64()]
    assert table.to_pydict() == {"wide": [27670116110564327421, 3], "narrow": [4, 5]}


def test_sums_beyond_64_bits_are_grouped_in_a_table(report) -> None:
    assert "27,670,116,110,564,327,421" in report("sql", WIDE).out
