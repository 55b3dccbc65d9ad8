"""`tokenlake prices`, the cost mode of reports, and what stands below a report that shows costs."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from tests.query import lakes

from tokenlake.query.prices import sheets


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    """A lake of a priced model, one whose cost was logged, and two that nobody knows."""
    rows = [
        lakes.request("a", "2026-05-04", (1_000_000, 0, 0, 0, 0), model="claude-opus-4-5-20251101[1m]"),
        lakes.request("b", "2026-05-04", (10, 5, 0, 0, 0), model="mystery/one", cost_logged=Decimal("0.25")),
        lakes.request("c", "2026-05-04", (1000, 0, 0, 0, 2000), model="mystery/two"),
        lakes.request("d", "2026-05-04", (1000, 0, 0, 0, 0), model="mystery/two"),
    ]
    return str(lakes.publish(tmp_path / "mixed", {"requests": rows}).root)


def test_it_shows_the_table_with_sources_and_what_has_no_price(run, mixed: str) -> None:
    ran = run("prices", "--lake", mixed)
    assert ran.code == 0
    lines = ran.out.split("\n")
    (opus,) = [line.split() for line in lines if line.startswith("claude-opus-4-5 ")]
    assert opus[0:2] == ["claude-opus-4-5", "anthropic"]
    assert "genai-prices" in opus
    assert any(line.startswith("claude-sonnet-5-5") and "Anthropic's price list" in line for line in lines)
    assert "prices: genai-prices 0." in ran.out
    assert "unpriced: model mystery/two (2 requests, 4,000 tokens)" in lines
    assert "unpriced: model mystery/one (1 request, 15 tokens)" in lines


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "markdown", "parquet", "arrow"])
def test_every_form(run, mixed: str, form: str, tmp_path: Path) -> None:
    file = tmp_path / f"prices.{form}"
    ran = run("prices", "--model", "opus-4-6", "--lake", mixed, "--format", form, "--output", str(file))
    assert ran.code == 0
    assert file.stat().st_size > 100
    assert "unpriced: model mystery/two (2 requests, 4,000 tokens)" in ran.err


def test_rows_in_csv(run, mixed: str) -> None:
    ran = run("prices", "--model", "opus-4-6", "--lake", mixed, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [(row["valid_from"], row["valid_to"], row["prompt_from"], row["input"]) for row in rows] == [
        ("", "2026-03-12", "0", "5.000000"),
        ("", "2026-03-12", "200001", "10.000000"),
        ("2026-03-13", "", "0", "5.000000"),
    ]


def test_used_shows_what_each_name_stands_for(run, mixed: str) -> None:
    ran = run("prices", "--used", "--lake", mixed, "--format", "json")
    assert [list(row.values()) for row in json.loads(ran.out, parse_float=Decimal)] == [
        ["claude-opus-4-5-20251101[1m]", "claude-opus-4-5", 1, 1_000_000, 0, 0, Decimal(5)],
        ["mystery/two", None, 2, 4000, 2, 4000, None],
        ["mystery/one", None, 1, 15, 1, 15, None],
    ]
    assert "unpriced: model mystery/two (2 requests, 4,000 tokens); model mystery/one (1 request" in ran.err


def test_all_shows_other_makers(run, mixed: str) -> None:
    few = json.loads(run("prices", "--lake", mixed, "--format", "json").out)
    every = json.loads(run("prices", "--all", "--lake", mixed, "--format", "json").out)
    assert len(every) > 10 * len(few)
    assert "gpt-5" in {row["model"] for row in every} - {row["model"] for row in few}
    assert {row["provider"] for row in few} == {"anthropic"}


def test_factors(run, mixed: str) -> None:
    rows = json.loads(run("prices", "--factors", "--lake", mixed, "--format", "json").out)
    found = {(row["kind"], row["model"]): row["factor"] for row in rows}
    assert found["fast", "claude-opus-4-6"] == 6
    assert found["fast", "claude-opus-5-5"] == 2
    assert found["us", "*"] == 1.1
    assert found["batch", "*"] == 0.5
    assert all(row["source"] for row in rows)


def test_own_prints_path_and_every_column(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOKENLAKE_PRICES", str(tmp_path / "mine.csv"))
    ran = run("prices", "--own")
    assert ran.code == 0
    assert ran.out.startswith(f"{tmp_path / 'mine.csv'} (not there yet; $TOKENLAKE_PRICES")
    assert all(f"  {name} " in ran.out for name in sheets.OWN_COLUMNS)
    example = [line.strip() for line in ran.out.split("\n") if "," in line and line.startswith("  m")][-2:]
    sheets.own("\n".join(example).encode(), Path("example"))


def test_own_prices_are_in_the_table(run, mixed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("model,input,output,source\nmystery/two,3,4,contract of May\n")
    monkeypatch.setenv("TOKENLAKE_PRICES", str(file))
    ran = run("prices", "--lake", mixed)
    (line,) = [line for line in ran.out.split("\n") if line.startswith("mystery/two")]
    assert "contract of May" in line
    assert f"own {file}" in ran.out
    assert "unpriced: model mystery/two" not in ran.out


def test_a_broken_file_is_one_line(run, mixed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("model,input,output\nm,x,1\n")
    monkeypatch.setenv("TOKENLAKE_PRICES", str(file))
    ran = run("prices", "--lake", mixed)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"tokenlake: {file}:2: input 'x' is not a number; write dollars as in 0.25\n"
    ran = run("cost", "daily", "--no-refresh", "--lake", mixed)
    assert (ran.code, ran.err.count("\n")) == (2, 1)


def test_prices_need_no_lake(run) -> None:
    ran = run("prices", "--model", "haiku", "--format", "json")
    assert ran.code == 0
    assert len(json.loads(ran.out)) >= 4
    assert json.loads(run("prices", "--used", "--format", "json").out) == []


def test_one_answer_at_a_time(run) -> None:
    ran = run("prices", "--used", "--own")
    assert ran.code == 2
    assert "give one of --used, --factors, --all and --own" in ran.err


def test_a_report_with_costs_names_mode_prices_and_unpriced_models(run, mixed: str) -> None:
    ran = run("cost", "daily", "--no-refresh", "--lake", mixed, "--tz", "UTC")
    assert "cost mode calculate" in ran.out
    assert "\nprices: genai-prices 0." in ran.out
    assert (
        "\nunpriced: model mystery/two (2 requests, 4,000 tokens); model mystery/one (1 request, 15 tokens)\n"
        in ran.out
    )
    ran = run("cost", "daily", "--no-refresh", "--lake", mixed, "--tz", "UTC", "--format", "json")
    assert "unpriced: model mystery/two" in ran.err


@pytest.mark.parametrize(("mode", "cost"), [("calculate", 5), ("auto", 5.25), ("display", 0.25)])
def test_cost_modes_of_a_report(run, mixed: str, mode: str, cost: float) -> None:
    ran = run(
        "cost", "daily", "--no-refresh", "--lake", mixed, "--tz", "UTC", "--cost-mode", mode, "--format", "json"
    )  # fmt: skip
    assert [row["cost"] for row in json.loads(ran.out)] == [cost]
    assert f"cost mode {mode}" in ran.err


def test_the_cost_mode_is_an_option_of_reports_that_read_costs(run) -> None:
    assert "--cost-mode [calculate|auto|display]" in run("cost", "daily", "--help").out
    assert "--cost-mode" not in run("lake", "days", "--help").out
    ran = run("lake", "days", "--cost-mode", "auto")
    assert (ran.code, "--cost-mode" in ran.err) == (2, True)
    ran = run("cost", "daily", "--cost-mode", "guess")
    assert (ran.code, "'guess' is not one of" in ran.err) == (2, True)


def test_many_unpriced_models_are_counted(run, tmp_path: Path) -> None:
    rows = [lakes.request(f"r{n}", "2026-05-04", (10 - n, 0, 0, 0, 0), model=f"m{n}") for n in range(8)]
    lake = lakes.publish(tmp_path / "many", {"requests": rows})
    ran = run("cost", "daily", "--no-refresh", "--lake", str(lake.root))
    assert "model m0 (1 request, 10 tokens)" in ran.out
    assert "model m4 (1 request, 6 tokens); and 3 more models" in ran.out


def test_names_of_models_cannot_write_to_the_terminal(run, tmp_path: Path) -> None:
    rows = [lakes.request("r", "2026-05-04", (1, 0, 0, 0, 0), model="\x1b[31mred\n")]
    lake = lakes.publish(tmp_path / "odd", {"requests": rows})
    ran = run("cost", "daily", "--no-refresh", "--lake", str(lake.root))
    assert "\x1b" not in ran.out
    assert "unpriced: model \\x1b[31mred\\n (1 request, 1 tokens)" in ran.out
