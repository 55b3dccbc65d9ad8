"""The ordinary ingest of made-up trees: every number of their truth, from the tables of the lake."""

from dataclasses import astuple, replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from benchmarks.dollars import dollars

from synth.test_tree import LOGGED_COSTS, REPEATED_AGENTS, WIDE_MODELS
from tokenlake.lake import Lake
from tokenlake.synth.options import SynthOptions
from tokenlake.synth.tree import write_tree
from tokenlake.synth.truth import Truth

SUMS = (
    "count(*), sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cache_write_5m_tokens)::bigint,"
    " sum(cache_write_1h_tokens)::bigint, sum(cache_read_tokens)::bigint"
)
DAY = "strftime(ts at time zone 'UTC', '%Y-%m-%d')"

CASES = {
    "clean": SynthOptions(total_bytes=20_000_000, seed=21, fork_share=0.3, duplicate_share=0.2),
    "damaged": SynthOptions(total_bytes=12_000_000, seed=22, fork_share=0.3, damage_share=0.1),
    "logged-costs": replace(LOGGED_COSTS, seed=25),
    "agent-progress": replace(REPEATED_AGENTS, total_bytes=8_000_000, seed=23, disputed_share=0.3, damage_share=0.1),
    "everything": SynthOptions(
        total_bytes=20_000_000,
        seed=24,
        months=5,
        first_day=date(2026, 4, 1),
        models=WIDE_MODELS,
        fork_share=0.5,
        duplicate_share=0.4,
        disputed_share=0.6,
        damage_share=0.2,
    ),
}


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Lake]:
    folder = tmp_path_factory.mktemp(request.param)
    truth = write_tree(CASES[request.param], folder)
    lake = Lake(folder / "lake")
    lake.refresh([folder], host="h")
    return truth, lake


def rows(lake: Lake, text: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in lake.sql(text).rows()]


def test_its_files_lines_records_and_rejects_are_found(made: tuple[Truth, Lake]) -> None:
    truth, lake = made
    found = rows(
        lake,
        "select count(*), sum(size)::bigint, sum(lines)::bigint, sum(records)::bigint, sum(rejects)::bigint,"
        " count(*) filter (pending_bytes > 0), sum(odd_fields)::bigint from files",
    )
    pending = truth.pending_lines + truth.damage.get("nul_tails", 0)
    ended = truth.lines - truth.pending_lines
    assert found == [(truth.files, truth.bytes, ended, truth.records, truth.rejects, pending, 0)]
    assert rows(lake, "select count(*) from rejects") == [(truth.rejects,)]
    assert rows(lake, "select count(*) from sessions") == [(truth.sessions,)]


def test_its_rows_as_logged_are_found(made: tuple[Truth, Lake]) -> None:
    truth, lake = made
    kind = "case when model = '<synthetic>' then 'synthetic' else origin end"
    found = dict(rows(lake, f"select {kind}, count(*) from usage_rows group by 1"))
    expected = {
        "assistant": truth.usage_rows,
        "agent_progress": truth.progress_usage_rows,
        "advisor": truth.advisor_usage_rows,
        "synthetic": truth.synthetic_rows,
    }
    assert found == {name: count for name, count in expected.items() if count}


def test_its_requests_are_found(made: tuple[Truth, Lake]) -> None:
    truth, lake = made
    assert rows(lake, f"select {SUMS} from requests") == [astuple(truth.total)]
    by_day = {day: tuple(sums) for day, *sums in rows(lake, f"select {DAY}, {SUMS} from requests group by 1")}
    assert by_day == {day: astuple(counts) for day, counts in truth.by_day.items()}
    by_model = {model: tuple(sums) for model, *sums in rows(lake, f"select model, {SUMS} from requests group by 1")}
    assert by_model == {model: astuple(counts) for model, counts in truth.by_model.items()}
    partial = "count(*) filter (output_is_partial), coalesce(sum(web_searches), 0)::bigint"
    assert rows(lake, f"select {partial} from requests") == [(truth.partial_requests, truth.web_searches)]


def test_what_decides_about_prices_is_found(made: tuple[Truth, Lake]) -> None:
    truth, lake = made
    cells = rows(
        lake,
        f"""select {DAY}, model, coalesce(speed = 'fast', false), coalesce(inference_geo = 'us', false),
            coalesce(service_tier = 'batch', false), (context_tokens > 100000)::int + (context_tokens > 200000)::int,
            cost_logged is not null, coalesce(sum(web_searches), 0)::bigint,
            coalesce(sum(cost_logged * 1000000000), 0)::bigint, {SUMS}
        from requests group by all""",
    )
    assert {cell[:7]: cell[7:] for cell in cells} == {
        (cell.day, cell.model, cell.is_fast, cell.is_us, cell.is_batch, cell.band, cell.is_logged): (
            cell.web_searches,
            cell.cost_logged_nanodollars,
            *astuple(cell.counts),
        )
        for cell in truth.priced
    }


@pytest.mark.parametrize("cost_mode", ["calculate", "auto", "display"])
def test_its_cost_is_found_in_every_cost_mode(cost_mode: str, made: tuple[Truth, Lake]) -> None:
    truth, lake = made
    answer = lake.run("cost/daily", cost_mode=cost_mode, tz="UTC")
    day, cost = answer.columns.index("day"), answer.columns.index("cost")
    found = {str(row[day]): row[cost] or 0 for row in answer.rows()}
    expected: dict[str, Fraction] = {}
    for cell in truth.priced:
        expected[cell.day] = expected.get(cell.day, Fraction(0)) + dollars([cell], cost_mode)
    assert {name: Fraction(value) for name, value in found.items()} == expected


def test_a_tree_of_versions_that_logged_costs_has_a_cost_of_its_own_in_each_mode(made: tuple[Truth, Lake]) -> None:
    truth, _ = made
    modes = {mode: dollars(truth.priced, mode) for mode in ("calculate", "auto", "display")}
    if truth.logged_requests:
        assert 0 < truth.logged_requests < truth.total.requests
        assert len(set(modes.values())) == 3
        assert 0 < modes["display"] < modes["auto"]
        assert modes["display"] * 10**9 == truth.cost_logged_nanodollars
    else:
        assert (modes["auto"], modes["display"]) == (modes["calculate"], 0)
