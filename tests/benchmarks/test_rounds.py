"""Rounds of the benchmark: a contender that fails is told as failed, and the others are measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from benchmarks import charts
from benchmarks.answers import Answer
from benchmarks.contenders import Contender
from benchmarks.report import markdown, save
from benchmarks.rounds import Outcome, run_rounds

from tokenlake.synth.truth import Counts

FINE = Contender(
    "fine",
    command=lambda run: [sys.executable, "-c", "print(20)"],
    totals=lambda run, output: {"input_tokens": int(output)},
)


def fails_from(round_: int, calls: Path) -> Contender:
    """A contender that fails in a round and would not in the next."""
    code = "import sys; from pathlib import Path; p = Path(sys.argv[1]); n = len(p.read_text()) + 1;"
    code += "p.write_text('x' * n); print(20); sys.exit('no memory' if n == int(sys.argv[2]) else 0)"
    calls.touch()
    return Contender(
        "failing",
        command=lambda run: [sys.executable, "-c", code, str(calls), str(round_)],
        totals=lambda run, output: {"input_tokens": int(output)},
    )


@pytest.fixture
def answer() -> Answer:
    return Answer(Counts(1, 20), None)


@pytest.mark.parametrize("round_", [1, 2])
@pytest.mark.parametrize("last", [True, False])
def test_a_contender_that_fails(tmp_path: Path, answer: Answer, round_: int, last: bool) -> None:
    contenders = [FINE, fails_from(round_, tmp_path / "calls")]
    outcomes = run_rounds(contenders if last else contenders[::-1], tmp_path, 3, lambda: answer)
    fine, failed = outcomes if last else outcomes[::-1]
    assert (len(fine.measurements), fine.wrong, fine.has_failed) == (3, [], False)
    assert (failed.measurements, failed.has_failed) == ([], True)
    [reason] = failed.wrong
    assert reason.startswith("failed: exit status 1 from ")
    assert "no memory" in reason
    assert len((tmp_path / "calls").read_text()) == round_

    rows = markdown("cold", outcomes, None).splitlines()[4:]
    cells = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]] for row in rows}
    assert cells["failing"][:5] == [""] * 5
    assert cells["failing"][5].startswith("failed: exit status 1")
    assert cells["fine"][4:] == ["1", "right"]

    saved = json.loads(save(tmp_path, "cold", outcomes, None, {}).read_text())
    by_name = {contender["name"]: contender for contender in saved["contenders"]}
    assert by_name["failing"]["median"] is by_name["failing"]["wall_ratio_to_last"] is None
    assert by_name["failing"]["totals_wrong"] == [reason]
    assert by_name["fine"]["wall_ratio_to_last"] == {"median": 1, "min": 1, "max": 1}


def test_all_contenders_fail(tmp_path: Path) -> None:
    outcomes = run_rounds([fails_from(1, tmp_path / "calls")], tmp_path, 2, None)
    assert "| failing | | | | | | failed: exit status 1" in markdown("startup", outcomes, None)
    assert json.loads(save(tmp_path, "startup", outcomes, None, {}).read_text())["contenders"][0]["runs"] == []


def test_charts_leave_out_what_failed(tmp_path: Path) -> None:
    ran = {"name": "naive script", "median": {"wall_s": 2.0, "peak_rss_bytes": 3_000_000}}
    content = {"tree": {"bytes": 10**9}, "contenders": [{"name": "ccusage daily", "median": None}, ran]}
    (tmp_path / "cold-1000MB.json").write_text(json.dumps(content))
    names = {"naive script": "naive script", "ccusage daily": "ccusage daily"}
    assert charts._rows(tmp_path, "cold", names) == [
        {"bytes": 1.0, "program": "naive script", "seconds": 2.0, "peak_mb": 3.0}
    ]
    assert Outcome("fine", [], ["input_tokens 1 instead of 2"], True).has_failed is False
