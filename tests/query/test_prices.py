"""The price table: layers, names, the user's own file, and what is kept between reports."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.query import lakes

from tokenlake.errors import UsageError
from tokenlake.query.connect import connect
from tokenlake.query.prices import package, sheets, table
from tokenlake.query.prices.names import spellings
from tokenlake.query.prices.rows import Price, holding, laid_over
from tokenlake.query.run import run, sql
from tokenlake.query.saved import shipped_folder
from tokenlake.store.catalog import Snapshot

Own = Callable[[str], Path]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    """Writes the user's own prices."""
    path = tmp_path / "own prices.csv"
    monkeypatch.setenv("TOKENLAKE_PRICES", str(path))

    def write(text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        return path

    return write


def prices(model: str, lake: Snapshot | None = None) -> list[dict[str, Any]]:
    """The rows of a model in the table in force."""
    text = "select * from prices where model = $m order by valid_from nulls first, prompt_from"
    return sql(lake or Snapshot(Path("/nowhere")), text, {"m": model}).to_pylist()


def resolved(tmp_path: Path, *models: str | None, ts: str = "2026-11-20") -> dict[str | None, str | None]:
    """The model of the table that each logged name stands for."""
    rows = [lakes.request(f"r{n:03}", ts, (1, 1, 1, 1, 1), model=model) for n, model in enumerate(models)]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    return dict(sql(lake, "select model, price_model from costs order by key").rows())


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-opus-4-6[1m]", "claude-opus-4-6"),
        ("claude-opus-4-6[1M]", "claude-opus-4-6"),
        ("Claude-Opus-4-6", "claude-opus-4-6"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-sonnet-4-5-20250929[1m]", "claude-sonnet-4-5"),
        ("claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("claude-opus-4-20250514", "claude-opus-4-0"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("claude-3-5-haiku-20241022", "claude-3-5-haiku-latest"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-latest"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet-latest"),
        ("claude-opus-5-latest", "claude-opus-5"),
        ("anthropic/claude-opus-4-5", "claude-opus-4-5"),
        ("anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("openrouter/anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
        ("anthropic/claude-4.6-opus-20260205", "claude-opus-4-6"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("bedrock/us.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-1-20250805-v1:0",
            "claude-opus-4-1",
        ),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("claude-haiku-5-5@default", "claude-haiku-5-5"),
        ("claude-haiku-4-5-2025-10-01", "claude-haiku-4-5"),
        ("opus", "claude-opus-5-5"),
        ("sonnet", "claude-sonnet-5-5"),
        ("haiku[1m]", "claude-haiku-5-5"),
        ("anthropic/claude-opus-4.6-fast", "anthropic/claude-opus-4.6-fast"),
        ("openai/gpt-5", "openai/gpt-5"),
        # What looks like a known model is none.
        ("claude-opus-4-55", None),
        ("claude-opus-4-5-preview", None),
        ("my-claude-opus-4-5", None),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123", None),
        ("opusplan", None),
        ("gpt-5[1m]", None),
        ("", None),
        ("[1m]", None),
        (None, None),
    ],
)
def test_names_resolve(tmp_path: Path, name: str | None, model: str | None) -> None:
    assert resolved(tmp_path, name) == {name: model}


@pytest.mark.parametrize(
    ("ts", "model"),
    [
        ("2025-11-23T23:59:59.999", "claude-opus-4-1"),
        ("2025-11-24T00:00:00", "claude-opus-4-5"),
        ("2026-09-20T23:59:59.999", "claude-opus-5"),
        ("2026-09-21T00:00:00", "claude-opus-5-5"),
        ("2024-01-01T00:00:00", "claude-opus-4-0"),
    ],
)
def test_a_family_is_its_newest_model_of_the_day(tmp_path: Path, ts: str, model: str) -> None:
    assert resolved(tmp_path, "opus", ts=ts) == {"opus": model}


def test_families_have_no_gaps_and_no_two_models_a_day() -> None:
    data = (shipped_folder() / "tables" / sheets.FAMILIES).read_bytes()
    by_name: dict[str, list[Any]] = {}
    for name in sheets.families(data, Path(sheets.FAMILIES)):
        by_name.setdefault(name.name, []).append(name)
    known = {price.model for price in package.read()[0]}
    for names in by_name.values():
        assert (names[0].valid_from, names[-1].valid_to) == (None, None)
        for earlier, later in pairwise(names):
            assert earlier.valid_to + dt.timedelta(days=1) == later.valid_from
        assert {name.model for name in names} <= known


@given(
    st.lists(
        st.text("claude-opus4.5/@[]1mv:0 2025anthropicus_", max_size=40)
        | st.sampled_from(["us.anthropic.claude-x-v1:0[1m]", "a/b/c@latest", "x.anthropic.y-20250101"]),
        min_size=1,
        unique=True,
    )
)
def test_python_and_sql_spell_names_alike(tmp_path_factory: pytest.TempPathFactory, models: list[str]) -> None:
    """The spellings exist twice: a user's name must find what a logged one does."""
    found = connect(Snapshot(tmp_path_factory.mktemp("none")), only_for="price_names")
    view = (shipped_folder() / "views" / "price_names.sql").read_text().partition("found as (")[0].rstrip().rstrip(",")
    found.execute("drop table logged_models")
    found.execute("create table logged_models as select unnest($models) as model", {"models": models})
    rows = found.execute(f"{view} select model, spelling from spellings order by model, place").fetchall()
    by_model: dict[str, list[str]] = {}
    for model, spelling in rows:
        by_model.setdefault(model, []).append(spelling)
    assert by_model == {model: list(spellings(model)) for model in models}


def test_every_row_has_its_source_and_version() -> None:
    rows = sql(Snapshot(Path("/nowhere")), "select source, source_version, provider from prices").rows()
    from importlib.metadata import version

    installed = version("genai-prices")
    for source, source_version, provider in rows:
        assert source
        assert provider
        assert source_version == (installed if source == "genai-prices" else "2026-11-22")


def test_rows_of_a_model_never_overlap_and_leave_no_gap() -> None:
    """Of every model of the package, each day and context has one price."""
    text = """
        select model, sum((coalesce(valid_to, date '2100-12-31') - coalesce(valid_from, date '2000-01-01') + 1)::hugeint
            * (coalesce(prompt_to, 999999999) - prompt_from + 1)) as area
        from prices group by model
    """
    days = (dt.date(2100, 12, 31) - dt.date(2000, 1, 1)).days + 1
    areas = sql(Snapshot(Path("/nowhere")), text).to_pylist()
    assert len(areas) > 1000
    assert [row["model"] for row in areas if row["area"] != days * 1_000_000_000] == []


def test_corrections_stand_beside_what_they_correct() -> None:
    """Rule 22: reads of Sonnet 5.5; and what the package has by itself of Haiku 5.5."""
    sonnet = prices("claude-sonnet-5-5")
    assert [(row["valid_from"], row["valid_to"], row["cache_read"]) for row in sonnet] == [
        (None, dt.date(2026, 10, 6), Decimal("0.20")),
        (dt.date(2026, 10, 7), None, Decimal("0.10")),
    ]
    assert [row["source"] == "genai-prices" for row in sonnet] == [False, True]
    haiku = prices("claude-haiku-5-5")
    assert [(row["prompt_from"], row["prompt_to"]) for row in haiku] == [(0, 100_000), (100_001, None)]
    assert [haiku[1][name] for name in ("input", "output", "cache_read")] == [
        Decimal("0.5"), Decimal("2.5"), Decimal("0.05"),
    ]  # fmt: skip


def test_corrections_are_needed_still() -> None:
    """A correction that the package has come to agree with is to be removed."""
    base = package.read()[0]
    for name in sheets.SHIPPED[:1]:
        path = shipped_folder() / "tables" / name
        for price in sheets.corrections(path.read_bytes(), path):
            day = price.valid_from or price.valid_to or dt.date(2026, 1, 1)
            held = holding((row for row in base if row.model == price.model), day)
            (below, *_) = [row for row in reversed(held) if row.prompt_from <= price.prompt_from]
            kinds = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
            assert [getattr(below, kind) for kind in kinds] != [getattr(price, kind) for kind in kinds]


def test_batch_is_half_in_the_package_too() -> None:
    """Our factor of the batch tier against the package's own rates."""
    providers = pytest.importorskip("genai_prices.data").providers
    (anthropic,) = (provider for provider in providers if provider.id == "anthropic")
    seen = 0
    for model in anthropic.models:
        for variant in model.price_variants or ():
            if variant.when == {"processing": "batch"}:
                standard = model.get_prices(dt.datetime(2026, 11, 20, tzinfo=dt.UTC))
                for key in ("input_mtok", "output_mtok", "cache_write_mtok", "cache_write_1h_mtok", "cache_read_mtok"):
                    full, half = getattr(standard, key), getattr(variant.prices, key)
                    assert getattr(half, "base", half) * 2 == getattr(full, "base", full)
                    seen += 1
    assert seen >= 50


def price(**columns: Any) -> Price:
    """A price of model m, for ever and for any context; its input tells it apart."""
    empty = dict.fromkeys(("valid_from", "valid_to", "prompt_to", "cache_write_5m", "cache_write_1h", "cache_read"))
    whole = {"model": "m", "provider": "", "prompt_from": 0, "output": Decimal(1), "web_search": None}
    return Price(**{**whole, **empty, "source": "s", "source_version": "", **columns})


DAY = dt.date(2026, 1, 1)


@given(
    layers=st.lists(
        st.lists(
            st.tuples(
                st.none() | st.integers(0, 9), st.none() | st.integers(0, 9), st.sampled_from([0, 100, 200]),
            ),
            max_size=4,
        ),
        min_size=1,
        max_size=3,
    )
)  # fmt: skip
def test_layers_are_laid_over_each_other(layers: list[list[tuple[int | None, int | None, int]]]) -> None:
    """On each day and at each context: the row of the uppermost layer that begins at or below it there."""
    made: list[list[Price]] = []
    number = 0
    for layer in layers:
        rows: list[Price] = []
        for first, last, prompt_from in layer:
            number += 1
            start = None if first is None else DAY + dt.timedelta(first)
            end = None if last is None else DAY + dt.timedelta(last)
            row = price(valid_from=start, valid_to=end, prompt_from=prompt_from, input=Decimal(number))
            clash = any(
                other.prompt_from == prompt_from
                and (other.valid_from or dt.date.min) <= (end or dt.date.max)
                and (start or dt.date.min) <= (other.valid_to or dt.date.max)
                for other in rows
            )
            if not clash and (start or dt.date.min) <= (end or dt.date.max):
                rows.append(row)
        made.append(rows)
    found = laid_over(made)
    for day in (DAY + dt.timedelta(n) for n in range(-1, 12)):
        for context in (0, 99, 100, 199, 200, 10**9):
            expected = None
            for layer_rows in made:
                below = [row for row in holding(layer_rows, day) if row.prompt_from <= context]
                if below:
                    expected = below[-1].input
            held = [
                row.input
                for row in holding(found, day)
                if row.prompt_from <= context and (row.prompt_to is None or context <= row.prompt_to)
            ]
            assert held == ([] if expected is None else [expected])


def test_own_prices_count_before_all_others(own: Own, tmp_path: Path) -> None:
    path = own(
        "# my contract\n"
        "model,input,output,cache_read,valid_from,valid_to\n"
        "claude-opus-4-5,1,2,0.5,2026-05-04,2026-05-05\n"
        "in-house/llm,7,8,,,\n"
    )
    rows = [
        lakes.request("before", "2026-05-03T23:59:59.999", (1_000_000, 0, 0, 0, 0)),
        lakes.request("first", "2026-05-04T00:00:00", (1_000_000, 0, 0, 0, 0)),
        lakes.request("last", "2026-05-05T23:59:59.999", (1_000_000, 0, 0, 0, 0)),
        lakes.request("after", "2026-05-06T00:00:00", (1_000_000, 0, 0, 0, 0)),
        lakes.request("mine", "2026-05-06", (1_000_000, 0, 1_000_000, 1_000_000, 1_000_000), model="in-house/llm"),
        lakes.request("fast", "2026-05-04", (1_000_000, 0, 0, 0, 0), inference_geo="us"),
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    result = sql(lake, "select key, cost from costs")
    assert {key: str(cost.normalize()) for key, cost in result.rows()} == {
        "before": "5", "first": "1", "last": "1", "after": "5", "mine": "28", "fast": "1.1",
    }  # fmt: skip
    assert result.meta.prices[-1] == f"own {path}"
    assert {row["source"] for row in prices("in-house/llm", lake)} == {"own"}


def test_an_own_price_of_a_dated_name_is_of_that_name_and_keeps_the_other_days(own: Own, tmp_path: Path) -> None:
    own("model,valid_from,input,output\nclaude-opus-4-6-20260205,2026-06-01,1,1\n")
    rows = [
        lakes.request("old", "2026-05-31", (1_000_000, 0, 0, 0, 0), model="claude-opus-4-6-20260205"),
        lakes.request("new", "2026-06-01", (1_000_000, 0, 0, 0, 0), model="claude-opus-4-6-20260205"),
        lakes.request("plain", "2026-06-01", (1_000_000, 0, 0, 0, 0), model="claude-opus-4-6"),
        lakes.request("fast", "2026-06-01", (1_000_000, 0, 0, 0, 0), model="claude-opus-4-6-20260205", speed="fast"),
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    found = sql(lake, "select key, cost from costs").rows()
    assert {key: str(cost.normalize()) for key, cost in found} == {"old": "5", "new": "1", "plain": "5", "fast": "6"}


def test_an_own_row_from_some_context_on_keeps_what_lies_below(own: Own) -> None:
    own("model,prompt_from,input,output\nclaude-opus-4-5,200001,10,50\n")
    assert [(row["prompt_from"], row["prompt_to"], row["input"]) for row in prices("claude-opus-4-5")] == [
        (0, 200_000, Decimal(5)),
        (200_001, None, Decimal(10)),
    ]


def test_own_prices_take_effect_with_the_next_report(own: Own, tmp_path: Path) -> None:
    """The same size and, as some editors write, the same time: what counts is what is in the file."""
    lake = lakes.publish(tmp_path / "lake", {"requests": [lakes.request("r", "2026-05-04", (1_000_000, 0, 0, 0, 0))]})
    for dollars in ("1", "2", "1"):
        path = own(f"model,input,output\nclaude-opus-4-5,{dollars},1\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        (row,) = run(lake, "cost/daily", {"tz": "UTC"}).to_pylist()
        assert row["cost_input"] == Decimal(dollars)
    path.unlink()
    with pytest.raises(UsageError, match=r"own prices\.csv: there is no such file; write it, or unset"):
        run(lake, "cost/daily", {"tz": "UTC"})


def test_without_a_named_file_none_need_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TOKENLAKE_PRICES")
    monkeypatch.setattr("platformdirs.user_config_path", lambda *args, **kwargs: tmp_path / "config")
    assert sheets.own_path() == tmp_path / "config" / "prices.csv"
    assert sheets.own_text() is None


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("model,input\nm,1\n", 1, "the column 'output' is missing; add it"),
        ("model,input,output,cached\n", 1, "'cached' is no column of this table; it has model"),
        ("model,input,output,input\n", 1, "the column 'input' is there twice; remove one"),
        ("model,input,output\n\n# x\nm,1,5\nm,one,5\n", 5, "input 'one' is not a number; write dollars as in 0.25"),
        ("model,input,output\nm,1,-5\n", 2, "output '-5' is out of range; give 0 to 1000 dollars"),
        ("model,input,output\nm,1,1000\n", 2, "output '1000' is out of range"),
        ("model,input,output\nm,NaN,1\n", 2, "input 'NaN' is out of range"),
        ("model,input,output\nm,0.0000001,1\n", 2, "input '0.0000001' is out of range.*six decimals"),
        ("model,input,output\nm,,1\n", 2, "input is empty; give the dollars"),
        ("model,input,output\n,1,1\n", 2, "has no model; name one"),
        ("model,input,output\nm,1,5,2\n", 2, "has 4 fields, the header has 3; write a decimal point"),
        ("model,input,output\nm,1\n", 2, "has 2 fields, the header has 3"),
        ('model,input,output\n"m,1,5\n', 2, "is no CSV .*; check the quotes"),
        ("model,input,output,valid_from\nm,1,1,1.5.2026\n", 2, "valid_from '1.5.2026' is not a day; write it as YYYY"),
        (
            "model,input,output,valid_from,valid_to\nm,1,1,2026-02-02,2026-02-01\n",
            2,
            "valid_to .* is before valid_from",
        ),
        ("model,input,output,prompt_from\nm,1,1,200k\n", 2, "prompt_from '200k' is not a count of tokens"),
        ("model,input,output\nm,1,1\nn,1,1\nm,2,2\n", 4, "prices m on days that line 2 prices too; give them"),
    ],
)
def test_a_broken_file_is_one_clear_error(own: Own, lake: Snapshot, text: str, line: int, reason: str) -> None:
    """With file, line and remedy; reports that read no costs do not mind."""
    path = own(text)
    with pytest.raises(UsageError, match=reason) as error:
        run(lake, "cost/daily", {"tz": "UTC"})
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(error.value)
    assert len(run(lake, "lake/rejects")) == 1


def test_a_file_in_another_encoding_is_named(own: Own, lake: Snapshot) -> None:
    own("").write_bytes("model,input,output\nm,1,1\nmodèle,1,1\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"own prices\.csv:3: is not UTF-8; save the file as UTF-8"):
        run(lake, "cost/daily", {"tz": "UTC"})


def test_a_spreadsheet_s_file_is_read(own: Own) -> None:
    """A byte order mark, CRLF, quotes, capitals in the header, spaces."""
    own("").write_bytes(b'\xef\xbb\xbfModel,Input, Output\r\n"my,model", 1.50 ,2\r\n\r\n')
    assert [(row["input"], row["output"]) for row in prices("my,model")] == [(Decimal("1.5"), Decimal(2))]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("TOKENLAKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "prices"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for every time that the package is read."""
    seen: list[int] = []
    read = package.read

    def counted() -> Any:
        seen.append(1)
        return read()

    monkeypatch.setattr(package, "read", counted)
    return seen


def total(lake: Snapshot) -> Decimal:
    ((cost,),) = sql(lake, "select sum(cost) from selected_costs").rows()
    assert isinstance(cost, Decimal)
    return cost


def test_the_table_is_made_once(lake: Snapshot, cache: Path, readings: list[int]) -> None:
    first, second = total(lake), total(lake)
    assert first == second > 0
    assert len(readings) == 1
    (kept,) = cache.iterdir()
    assert kept.suffix == ".duckdb"


def test_reports_without_costs_make_none(lake: Snapshot, cache: Path, readings: list[int]) -> None:
    run(lake, "lake/days", {"tz": "UTC"})
    run(lake, "lake/coverage", {"tz": "UTC"})
    assert readings == []
    assert not cache.exists()


def test_another_version_of_the_package_takes_effect(
    lake: Snapshot, cache: Path, readings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    total(lake)
    monkeypatch.setattr(table, "_package_state", lambda: "another version")
    total(lake)
    assert len(readings) == 2
    assert len(list(cache.iterdir())) == 2


def test_what_tells_versions_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its place, the name of its metadata, and size and time of its data."""
    folder = tmp_path / "genai_prices"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "data.py").write_text("providers = []")
    (tmp_path / "genai_prices-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "genai_prices", raising=False)
    states = [table._package_state()]
    (tmp_path / "genai_prices-1.0.dist-info").rename(tmp_path / "genai_prices-1.1.dist-info")
    states.append(table._package_state())
    os.utime(folder / "data.py", ns=(1, 1))
    states.append(table._package_state())
    (folder / "data.py").write_text("providers = [1]")
    os.utime(folder / "data.py", ns=(1, 1))
    states.append(table._package_state())
    assert len(set(states)) == 4


@pytest.mark.parametrize("damage", [b"", b"no database at all", b"\0" * 100_000])
def test_a_damaged_file_is_made_anew(lake: Snapshot, cache: Path, readings: list[int], damage: bytes) -> None:
    whole = total(lake)
    (kept,) = cache.iterdir()
    kept.write_bytes(damage)
    assert total(lake) == whole
    assert total(lake) == whole
    assert len(readings) == 2


def test_where_nothing_can_be_kept_only_time_is_lost(
    lake: Snapshot, cache: Path, readings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = total(lake)
    shutil.rmtree(cache)
    cache.parent.joinpath("prices").touch()  # a file where a folder should be: also root cannot write below it
    assert total(lake) == total(lake) == whole
    assert len(readings) == 3
    assert cache.read_bytes() == b""


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_read_only_cache_is_left_alone(lake: Snapshot, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert total(lake) > 0
        assert list(cache.iterdir()) == []
    finally:
        cache.chmod(stat.S_IRWXU)


def test_many_processes_make_one_table(lake: Snapshot, cache: Path) -> None:
    """Started at once over an empty cache, all answer alike, and leave one whole file and nothing half."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom tokenlake.query.run import sql\n"
        "from tokenlake.store import catalog\n"
        "print(*sql(catalog.read(Path(sys.argv[1])), 'select sum(cost) from costs').rows())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(lake.root)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = {process.communicate(timeout=120)[0] for process in started}
    assert len(answers) == 1
    assert "Decimal" in answers.pop()
    (kept,) = cache.iterdir()
    with duckdb.connect(str(kept), read_only=True) as connection:
        assert connection.execute("select count(*) > 1000 from prices").fetchall() == [(True,)]


def test_old_files_are_swept_away(lake: Snapshot, cache: Path, own: Own) -> None:
    for dollars in range(1, 8):
        own(f"model,input,output\nm,{dollars},1\n")
        total(lake)
    assert len(list(cache.iterdir())) == 4


def test_a_connection_shows_the_prices(lake: Snapshot) -> None:
    connection = connect(lake)
    names = {name for (name,) in connection.execute("select table_name from information_schema.tables").fetchall()}
    assert {"prices", "price_factors", "costs", "selected_costs", "price_names", "price_rates"} <= names
    ((model,),) = connection.execute("select price_model from costs where key = 'r5'").fetchall()
    assert model == "claude-sonnet-4-5"
