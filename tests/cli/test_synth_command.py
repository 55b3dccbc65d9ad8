"""`tokenlake synth`: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import csv
import io
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple
from datetime import date
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from tokenlake.lake import Lake
from tokenlake.synth.lakes_truth import load_lake_truth
from tokenlake.synth.options import SynthOptions
from tokenlake.synth.tree import write_tree
from tokenlake.synth.truth import load_truth


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let the system refuse to write more into a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_it_writes_the_tree_that_its_options_name(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "made"
    ran = run(
        *("synth", str(out), "--size", "400kB", "--seed", "5", "--months", "3", "--first-day", "2026-02-01"),
        *("--projects", "2", "--model", "claude-opus-4-6[1m]", "--model", "claude-haiku-4-5-20251001"),
        *("--ttl-1h-share", "0.9", "--fork-share", "0.2", "--duplicate-share", "0.3"),
        *("--disputed-share", "0.4", "--damage-share", "0.05"),
    )
    assert ran.code == 0
    options = SynthOptions(
        total_bytes=400_000,
        seed=5,
        months=3,
        first_day=date(2026, 2, 1),
        projects=2,
        models=("claude-opus-4-6[1m]", "claude-haiku-4-5-20251001"),
        ttl_1h_share=0.9,
        fork_share=0.2,
        duplicate_share=0.3,
        disputed_share=0.4,
        damage_share=0.05,
    )
    truth = write_tree(options, tmp_path / "same")
    assert load_truth(out / "truth.json") == truth
    for path in (tmp_path / "same" / "projects").rglob("*.*"):
        if path.is_file():
            assert (out / path.relative_to(tmp_path / "same")).read_bytes() == path.read_bytes()
    # The name is that of the folder, and what was written is said beside the figures.
    assert f"{out / 'truth.json'}" in ran.err


def test_a_table_has_the_figures_by_model_and_by_day(run: Run, tmp_path: Path) -> None:
    ran = run("synth", str(tmp_path / "made"), "--size", "300kB", "--damage-share", "0.8")
    truth = load_truth(tmp_path / "made" / "truth.json")
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["requests", f"{truth.total.requests:,}"] in lines
    assert ["rejects", f"{truth.rejects:,}"] in lines
    assert ["usage_rows", f"{truth.usage_rows:,}"] in lines
    assert ["damage_nul_runs", f"{truth.damage['nul_runs']:,}"] in lines
    for name, counts in {**truth.by_model, **truth.by_day}.items():
        assert [name, *(f"{value:,}" for value in astuple(counts))] in lines


@pytest.mark.parametrize("by", ["model", "day"])
def test_other_forms_have_one_table(by: str, run: Run, tmp_path: Path) -> None:
    ran = run("synth", str(tmp_path / "made"), "--size", "300kB", "--by", by, "--format", "csv")
    truth = load_truth(tmp_path / "made" / "truth.json")
    expected = {"model": truth.by_model, "day": truth.by_day}[by]
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    found = {row.pop(by): {name: int(value) for name, value in row.items()} for row in rows}
    assert found == {name: asdict(counts) for name, counts in expected.items()}


def test_the_figures_are_one_row_in_json(run: Run, tmp_path: Path) -> None:
    ran = run("synth", str(tmp_path / "made"), "--size", "300kB", "--output", str(tmp_path / "figures.json"))
    assert ran.out == ""
    (figures,) = json.loads((tmp_path / "figures.json").read_text())
    truth = load_truth(tmp_path / "made" / "truth.json")
    assert figures["tree"] == str(tmp_path / "made")
    assert figures["output_tokens"] == truth.total.output_tokens
    assert figures["bytes"] == sum(path.stat().st_size for path in (tmp_path / "made").rglob("*.jsonl"))


def test_a_made_tree_is_a_root(run: Run, tmp_path: Path) -> None:
    run("synth", str(tmp_path / "made"), "--size", "300kB", "--disputed-share", "0.5")
    ran = run("ingest", "--root", str(tmp_path / "made"), "--lake", str(tmp_path / "lake"), "--format", "json")
    (summary,) = json.loads(ran.out)
    truth = load_truth(tmp_path / "made" / "truth.json")
    assert {name: summary[name] for name in asdict(truth.total)} == asdict(truth.total)
    assert (summary["files_found"], summary["records"]) == (truth.files, truth.records)


def test_a_lake_is_made_without_transcripts(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "lake"
    ran = run(
        *("synth", str(out), "--lake", "--requests", "3k", "--months", "2", "--first-day", "2026-03-01"),
        *("--hosts", "3", "--projects", "2", "--no-usage-rows", "--format", "json"),
    )
    assert ran.code == 0
    (figures,) = json.loads(ran.out)
    truth = load_lake_truth(out / ".truth.json")
    assert figures["requests"] == truth.total.requests == 3000
    assert figures["cache_read_tokens"] == truth.total.cache_read_tokens
    assert "rows_usage_rows" not in figures
    answer = Lake(out).sql("select count(*), sum(cache_read_tokens)::bigint, count(distinct host) from requests")
    assert [tuple(row) for row in answer.rows()] == [(3000, truth.total.cache_read_tokens, 3)]


def test_a_lake_has_its_models_and_days(run: Run, tmp_path: Path) -> None:
    ran = run("synth", str(tmp_path / "lake"), "--lake", "--requests", "500", "--by", "model", "--format", "json")
    answer = Lake(tmp_path / "lake").sql("select model, count(*) from requests group by 1 order by 1")
    assert [(row["model"], row["requests"]) for row in json.loads(ran.out)] == [tuple(row) for row in answer.rows()]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--lake"]])
def test_a_folder_that_holds_anything_is_left_alone(more: list[str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    ran = run("synth", str(tmp_path), *more)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"tokenlake: {tmp_path} is not empty: name a new folder\n"
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


@pytest.mark.parametrize("more", [["--size", "100kB"], ["--lake", "--requests", "500"]])
def test_a_new_folder_is_its_owners_alone(more: list[str], run: Run, tmp_path: Path) -> None:
    assert run("synth", str(tmp_path / "made"), *more).code == 0
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700


def test_the_truth_of_logged_costs_is_printed(run: Run, tmp_path: Path) -> None:
    ran = run("synth", str(tmp_path / "made"), "--size", "1MB", "--first-day", "2025-05-01", "--format", "json")
    (figures,) = json.loads(ran.out)
    truth = load_truth(tmp_path / "made" / "truth.json")
    assert (figures["logged_requests"], figures["cost_logged_nanodollars"]) == (
        truth.logged_requests,
        truth.cost_logged_nanodollars,
    )
    assert 0 < truth.logged_requests < truth.total.requests


def test_an_empty_folder_is_taken(run: Run, tmp_path: Path) -> None:
    assert run("synth", str(tmp_path), "--size", "100kB").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["projects", "truth.json"]


def test_a_file_is_no_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        ran = run("synth", str(tmp_path / name))
        assert ran.code == 2
        assert ran.err.startswith(f"tokenlake: cannot make the folder {tmp_path / name}: ")


def test_what_does_not_fit_is_refused_before_it_is_begun(run: Run, tmp_path: Path) -> None:
    for options in (["--size", "900000TB"], ["--lake", "--requests", "900000000G"]):
        ran = run("synth", str(tmp_path / "made"), *options)
        assert ran.code == 2
        assert "MB free" in ran.err
        assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("more", "code"), [(["--size", "3MB"], 3), (["--lake", "--requests", "20k"], 4)])
def test_a_write_that_fails_leaves_nothing(more: list[str], code: int, run: Run, tmp_path: Path) -> None:
    with files_no_larger_than(50_000):
        ran = run("synth", str(tmp_path / "made"), *more)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(f"tokenlake: cannot write to {tmp_path / 'made'}: ")
    assert ran.err.endswith("what was written so far is removed\n")
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--size", "5"], "--size must be at least 20000"),
        (["--size", "much"], "not a size: 'much'"),
        (["--first-day", "2026-02-30"], "'2026-02-30' is no day"),
        (["--model", 'a"b'], "--model must be plain model ids"),
        (["--months", "0"], "--months"),
        (["--months", "999999999"], "--months must lie in the years"),
        (["--damage-share", "1.5"], "--damage-share"),
        (["--requests", "5"], "--requests belongs to a lake: add --lake"),
        (["--no-usage-rows"], "--[no-]usage-rows belongs to a lake"),
        (["--jobs", "1"], "--jobs belongs to a lake"),
        (["--lake", "--damage-share", "1"], "--damage-share belongs to a tree"),
        (["--lake", "--size", "5MB", "--fork-share", "0"], "--size, --fork-share belong to a tree"),
        (["--lake", "--first-day", "2026-02-03"], "--first-day must be the first of a month"),
        (["--lake", "--months", "99999"], "--months"),
        (["--format", "parquet"], "--format"),
        (["--output", "figures.parquet"], "the figures are text"),
    ],
)
def test_senseless_options_are_refused_in_one_line(options: list[str], reason: str, run: Run, tmp_path: Path) -> None:
    ran = run("synth", str(tmp_path / "made"), *options)
    assert (ran.code, ran.out) == (2, "")
    assert reason in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "made").exists()
