"""The laws that `python -m benchmarks fuzz` tries: they hold, and they notice what they are there for."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from benchmarks import fuzz
from benchmarks.mutations import sample_lines

from fuzz.agreement import lake_of
from tokenlake.ingest import parse
from tokenlake.ingest.salvage import Salvaged, salvage
from tokenlake.query import saved

POOL = sample_lines()


def test_the_laws_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.run(Namespace(seconds=0.5, seed=3, results=tmp_path)) == 0
    kept = json.loads((tmp_path / "fuzz.json").read_text("utf-8"))
    assert (kept["failures"], kept["seed"], kept["reports"]) == ([], 3, kept["rounds"] * fuzz.REPORTS)
    assert fuzz.FILES <= kept["inputs"] / kept["rounds"] <= fuzz.FILES + 1
    assert min(kept[name] for name in ("bytes", "records", "rejects", "odd_fields", "witnesses")) > 0
    assert "failures" in capsys.readouterr().out


def test_equal_seeds_give_equal_trees() -> None:
    assert fuzz.damaged_tree(POOL, Random("1:0"), 9) == fuzz.damaged_tree(POOL, Random("1:0"), 9)
    assert fuzz.damaged_tree(POOL, Random("1:0"), 9) != fuzz.damaged_tree(POOL, Random("1:1"), 9)


def no_rejects(found: Salvaged) -> None:
    found.rejects.clear()


def no_records(found: Salvaged) -> None:
    found.records.clear()


def one_blank_more(found: Salvaged) -> None:
    found.blank_bytes += 1


@pytest.mark.parametrize("spoil", [no_rejects, no_records, one_blank_more])
def test_a_salvage_that_loses_something_is_noticed(monkeypatch: pytest.MonkeyPatch, spoil: Any) -> None:
    def spoiled(*line: Any) -> Salvaged:
        found = salvage(*line)
        spoil(found)
        return found

    monkeypatch.setattr(parse, "salvage", spoiled)
    assert list(fuzz.broken_laws(*fuzz.damaged_tree(POOL, Random("1:0"), 9)))


def test_a_whole_record_that_is_lost_is_noticed() -> None:
    tree, witnesses = fuzz.damaged_tree(POOL, Random("1:0"), 2)
    (name, keys) = next(iter(witnesses.items()))
    without = {**tree, name: tree[name].replace(keys[0].encode(), b"another")}
    assert any(keys[0] in problem for problem in fuzz.broken_laws(without, witnesses))


@pytest.mark.parametrize("dedup", ["max", "ccusage"])
def test_every_report_answers_over_counts_near_the_end_of_their_type(dedup: str) -> None:
    """A dozen requests of counts that are legal and that nobody has: no report fails, and its sums are exact."""
    rng = Random(9)
    lines = [fuzz.absurd(f"absurd-{n}", rng) for n in range(12)]
    with lake_of({"-p/a.jsonl": b"".join(lines)}) as (lake, _):
        assert list(fuzz.wrong_sums(lake)) == []
        known = saved.load_all().queries.values()
        for query in known:
            if not any(parameter.required for parameter in query.parameters):
                lake.run(query.name, tz="UTC", dedup=dedup).to_pylist()


def test_a_sum_that_is_off_is_noticed() -> None:
    kinds = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
    counts = dict.fromkeys(kinds, 2**63 - 1)
    rows = [{**counts, "cache_read_tokens": 1}] * 2
    found = [{**dict.fromkeys(counts, 2**64 - 2), "cache_read_tokens": 1}]

    class Spoiled:
        def sql(self, _: str) -> Any:
            return Namespace(to_pylist=lambda: rows)

        def run(self, _: str, **params: str) -> Any:
            return Namespace(to_pylist=lambda: found)

    assert list(fuzz.wrong_sums(Spoiled())) == ["cost/daily: cache_read_tokens 1 instead of 2"]  # type: ignore[arg-type]


def test_an_exception_is_a_failure_with_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*line: Any) -> Salvaged:
        raise ZeroDivisionError

    monkeypatch.setattr(parse, "salvage", failing)
    monkeypatch.setattr(fuzz, "FILES", 3)
    tried = fuzz.fuzz(0.01, 1)
    assert tried.failures
    assert "ZeroDivisionError" in tried.failures[0]["problems"][0]
    assert tried.failures[0]["base64"]
