"""Every disputed row of the benchmark: the lake gives the answer worked out by hand; the table says who does not."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from benchmarks import naive
from benchmarks.answers import Answer, mismatches
from benchmarks.contenders import Contender
from benchmarks.disputed import Dispute, Verdict, judge
from benchmarks.disputed_rows import all_disputes
from benchmarks.verdicts import as_json, verdict_table

from tokenlake import Lake
from tokenlake.synth.truth import Counts

DISPUTES = all_disputes()


@pytest.mark.parametrize("dispute", DISPUTES, ids=lambda dispute: dispute.name)
def test_the_lake_gives_the_answer(dispute: Dispute, tmp_path: Path) -> None:
    for name, content in dispute.files.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    lake = Lake(tmp_path / "lake")
    lake.refresh([tmp_path / "tree"])
    [row] = lake.sql(
        "select count(*)::bigint as requests, sum(input_tokens)::bigint as input_tokens,"
        " sum(output_tokens)::bigint as output_tokens, sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens,"
        " sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens,"
        " sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cost) as dollars from costs"
    ).to_pylist()
    dollars = Fraction(row.pop("dollars"))
    assert mismatches(row, dispute.answer) == []
    assert dollars == dispute.answer.dollars


def test_every_dispute_of_the_issue_is_there() -> None:
    names = " ".join(dispute.name for dispute in DISPUTES)
    wanted = "null, space, split {0,0}, requestId, two records, NUL, surrogate, web searches, above 200,000"
    wanted += ", fast mode, advisor, <synthetic>, fork, subagent, streaming"
    assert [word for word in wanted.split(", ") if word not in names] == []
    assert len({dispute.name for dispute in DISPUTES}) == len(DISPUTES)


@pytest.mark.parametrize(
    ("totals", "wrong"),
    [
        ({"input_tokens": 14, "cache_tokens": 51_500}, []),
        ({"input_tokens": 15}, ["input_tokens 15 instead of 14"]),
        ({"cache_write_tokens": 1_500, "dollars": Fraction("0.015001")}, []),
        ({"dollars": Fraction("0.0151")}, ["$0.015100 instead of $0.015000"]),
    ],
)
def test_mismatches_of_totals(totals: dict[str, int | Fraction], wrong: list[str]) -> None:
    answer = Answer(Counts(2, 14, 540, 1_000, 500, 50_000), Fraction("0.015"))
    assert mismatches(totals, answer) == wrong


def test_naive_script_counts_every_row_or_the_last_of_an_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"type": "assistant", "message": {"id": key, "usage": {"input_tokens": 1, "output_tokens": output}}}
        for key, output in (("a", 1), ("a", 30), ("b", 7))
    ]
    lines = [*map(json.dumps, rows), "no JSON", '{"type":"user","message":{"usage":{"input_tokens":99}}}']
    (tmp_path / "one.jsonl").write_text("\n".join(lines), encoding="utf-8")
    naive.main([str(tmp_path)])
    naive.main([str(tmp_path), "--by-id"])
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["input_tokens"], one["output_tokens"]) for one in counted] == [(3, 38), (2, 37)]


def test_naive_script_runs_on_its_own(tmp_path: Path) -> None:
    command = [sys.executable, naive.__file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert set(json.loads(done.stdout).values()) == {0}


def test_judging_and_the_table_of_it() -> None:
    """A contender that answers 20 input tokens to everything, and one that cannot run."""
    says_20 = Contender(
        "twenty",
        command=lambda run: [sys.executable, "-c", "print(20)"],
        totals=lambda run, output: {"input_tokens": int(output), "dollars": Fraction(0)},
    )
    fails = Contender("failing", command=lambda run: [sys.executable, "-c", "raise SystemExit(3)"])
    disputes = [
        Dispute("twenty", {}, Answer(Counts(1, 20), Fraction(0))),
        Dispute("seventeen", {}, Answer(Counts(1, 17), Fraction("0.5"))),
    ]
    verdicts = judge([says_20, fails], disputes)
    assert [bool(verdict.wrong) for verdict in verdicts] == [False, True, True, True]
    assert verdict_table(disputes, verdicts).splitlines() == [
        "| disputed row | twenty | failing |",
        "|---|---|---|",
        "| twenty | right | failed |",
        "| seventeen | +3 tokens<br>-$0.5000 | failed |",
        "| **right, of 2** | **1** | **0** |",
    ]
    counts = as_json(disputes, verdicts)["disputes"][1]["counts"]
    assert counts[0]["totals"] == {"input_tokens": 20, "dollars": 0.0}
    assert counts[1]["error"].startswith("exit status 3")
    assert isinstance(verdicts[0], Verdict)
