"""`python -m benchmarks [SCENARIO]`: measure, check, print a table, keep the figures; all if none is named."""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import charts, crashes, fuzz, verdicts
from benchmarks.contenders import all_cold, find_aiburn, find_ccusage, find_tokenlake, version_of
from benchmarks.corpus import Corpus, make_corpus, open_corpus, read_through
from benchmarks.disputed import judge
from benchmarks.disputed_rows import all_disputes
from benchmarks.lakes import make_lake, open_lake
from benchmarks.measure import FailedRunError
from benchmarks.queries import ONE_PERSON_REQUESTS, as_json, cases_at, run_queries, table
from benchmarks.report import RESULTS, markdown, save, save_content
from benchmarks.rounds import Outcome
from benchmarks.scenarios import cold, startup, warm
from benchmarks.sizes import extremes, measure_extremes
from tokenlake.synth.options import bytes_from_text

DEFAULT_BYTES = (100_000_000, 1_000_000_000, 10_000_000_000)
DAMAGE_SHARE = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one scenario, or all; the exit status is 1 when tokenlake was wrong or failed."""
    options = _parser().parse_args(arguments)
    try:
        return SCENARIOS[options.scenario](options)
    except (FailedRunError, subprocess.CalledProcessError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def _all(options: argparse.Namespace) -> int:
    """Correctness first, then speed and memory by size, then the charts of both."""
    steps = (_disputed, _damaged, _cold, _warm, _startup, _charts)
    return max(step(options) for step in steps)


def _disputed(options: argparse.Namespace) -> int:
    """Every contender on every disputed row."""
    contenders, missing = all_cold()
    _say_missing(missing)
    disputes = all_disputes()
    found = judge(contenders, disputes)
    print(verdicts.verdict_table(disputes, found))
    content = verdicts.as_json(disputes, found)
    _say_written(save_content(options.results, "disputed", _versions(), content, "disputed"))
    return 1 if any(verdict.wrong for verdict in found if verdict.contender.startswith("tokenlake")) else 0


def _damaged(options: argparse.Namespace) -> int:
    """The smallest tree with damaged lines: everybody's totals against the truth."""
    size = min(options.size or DEFAULT_BYTES)
    return _measured("damaged", partial(cold, only=options.only), [size], options, options.damage_share or DAMAGE_SHARE)


def _cold(options: argparse.Namespace) -> int:
    return _measured(
        "cold", partial(cold, only=options.only), options.size or DEFAULT_BYTES, options, options.damage_share
    )


def _warm(options: argparse.Namespace) -> int:
    return _measured("warm", warm, options.size or DEFAULT_BYTES, options, options.damage_share)


def _measured(
    name: str,
    scenario: Callable[[Corpus, int], list[Outcome]],
    sizes: Sequence[int],
    options: argparse.Namespace,
    damage_share: float,
) -> int:
    """Run a scenario over a tree of each size."""
    _say_missing(all_cold()[1])
    worst = 0
    for size in sizes:
        corpus = open_corpus(size, options.seed, damage_share)
        read_through(corpus.root)
        worst = max(worst, _finish(name, scenario(corpus, options.runs), corpus, options.results))
    return worst


def _startup(options: argparse.Namespace) -> int:
    return _finish("startup", startup(options.runs), None, options.results)


def _sizes(options: argparse.Namespace) -> int:
    """Trees of extreme sizes."""
    return _finish("sizes", measure_extremes(extremes(), options.runs), None, options.results)


def _charts(options: argparse.Namespace) -> int:
    """Draw the kept results, where the library for it is installed."""
    try:
        written = charts.draw(options.results)
    except ImportError as error:
        print(f"skipped: charts: {error} (pip install '.[bench]')", file=sys.stderr)
        return 0
    for path in written:
        _say_written(path)
    return 0


def _corpus(options: argparse.Namespace) -> int:
    print(make_corpus((options.size or DEFAULT_BYTES)[0], options.seed, options.damage_share))
    return 0


def _lake(options: argparse.Namespace) -> int:
    print(make_lake(options.requests, options.seed, options.lake, usage_rows=options.usage_rows))
    return 0


def _queries(options: argparse.Namespace) -> int:
    """Measure saved queries on a made-up lake; the exit status is 1 when one failed, was wrong or missed its target."""
    program = find_tokenlake()
    if isinstance(program, str):
        print(program, file=sys.stderr)
        return 1
    lake = open_lake(options.requests, options.seed, options.lake, usage_rows=options.usage_rows)
    cases = cases_at(options.requests, options.query or (), every=options.all)
    outcomes = []
    for outcome in run_queries(program, lake, cases, options.runs):
        outcomes.append(outcome)
        took = "failed" if outcome.error else f"{outcome.median.wall_s:.2f} s"
        print(f"{outcome.case.title}: {took}", file=sys.stderr)
    if not outcomes:
        print("nothing to measure", file=sys.stderr)
        return 1
    print(table(outcomes, lake))
    if not options.query:
        name = f"queries-{text_from_count(options.requests)}"
        versions = {"tokenlake": version_of(program)}
        _say_written(save_content(options.results, name, versions, as_json(outcomes, lake)))
    return 0 if all(outcome.is_on_target for outcome in outcomes) else 1


SCENARIOS: dict[str, Callable[[argparse.Namespace], int]] = {
    "all": _all,
    "disputed": _disputed,
    "damaged": _damaged,
    "cold": _cold,
    "warm": _warm,
    "startup": _startup,
    "sizes": _sizes,
    "charts": _charts,
    "queries": _queries,
    "corpus": _corpus,
    "lake": _lake,
    "crashes": crashes.run,
    "fuzz": fuzz.run,
}


def text_from_count(count: int) -> str:
    """Write a count short, as in the names of results: 300k, 100M."""
    for factor, unit in ((10**6, "M"), (10**3, "k")):
        if count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def _finish(scenario: str, outcomes: list[Outcome], corpus: Corpus | None, results: Path) -> int:
    """Print and keep the outcomes; gives the exit status."""
    print(markdown(scenario, outcomes, corpus))
    _say_written(save(results, scenario, outcomes, corpus, _versions()))
    return 1 if any(outcome.wrong for outcome in outcomes if outcome.name.startswith("tokenlake")) else 0


def _versions() -> dict[str, str]:
    programs = {"tokenlake": find_tokenlake(), "ccusage": find_ccusage(), "aiburn": find_aiburn()}
    return {name: version_of(found) for name, found in programs.items() if isinstance(found, list)}


def _say_missing(missing: Sequence[str]) -> None:
    for reason in missing:
        print(f"skipped: {reason}", file=sys.stderr)


def _say_written(path: Path) -> None:
    print(f"written: {path}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", nargs="?", choices=tuple(SCENARIOS), default="all")
    parser.add_argument("--size", type=bytes_from_text, action="append", help="size of the tree (1GB); may be repeated")
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender (5)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the tree or lake (1)")
    parser.add_argument("--damage-share", type=float, default=0.0, help="share of damaged lines in the tree (0)")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="cold: contenders of this name")
    lakes = parser.add_argument_group("queries, lake")
    lakes.add_argument(
        "--requests", type=bytes_from_text, default=ONE_PERSON_REQUESTS, help="requests of the made-up lake (300k)"
    )
    lakes.add_argument("--lake", type=Path, help="folder of the made-up lake: used as it is, or made there")
    lakes.add_argument("--usage-rows", action="store_true", help="write the rows as logged into a large lake too")
    lakes.add_argument("--query", action="append", metavar="NAME", help="measure this one only; keeps no results")
    lakes.add_argument("--all", action="store_true", help="every saved query, on a large lake too")
    parser.add_argument("--seconds", type=float, default=300.0, help="fuzz: how long damaged lines are tried (300)")
    parser.add_argument("--kills", type=int, default=300, help="crashes: commands to be killed (300)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="crashes: every Nth step fails only (1)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
