"""`python -m benchmarks cold|warm|startup|queries|corpus|lake`: measure, check, print a table, keep the figures."""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.contenders import find_ccusage, find_tokenlake, version_of
from benchmarks.corpus import Corpus, make_corpus, open_corpus, read_through
from benchmarks.lakes import make_lake, open_lake
from benchmarks.measure import FailedRunError
from benchmarks.queries import ONE_PERSON_REQUESTS, as_json, cases_at, run_queries, table
from benchmarks.report import RESULTS, markdown, save, save_content
from benchmarks.rounds import Outcome
from benchmarks.scenarios import cold, startup, warm
from tokenlake.synth.options import bytes_from_text

DEFAULT_BYTES = 1_000_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one scenario; the exit status is 1 when a contender's totals were wrong or a command failed."""
    options = _parser().parse_args(arguments)
    sizes = options.size or [DEFAULT_BYTES]
    if options.scenario == "corpus":
        print(make_corpus(sizes[0], options.seed))
        return 0
    if options.scenario == "lake":
        print(make_lake(options.requests, options.seed, options.lake, usage_rows=options.usage_rows))
        return 0
    if options.scenario == "queries":
        return _queries(options)
    programs = {"tokenlake": find_tokenlake(), "ccusage": find_ccusage()}
    versions = {name: version_of(found) for name, found in programs.items() if isinstance(found, list)}
    for found in programs.values():
        if isinstance(found, str):
            print(f"skipped: {found}", file=sys.stderr)
    if not versions and options.scenario != "startup":
        print("nothing to measure", file=sys.stderr)
        return 1
    try:
        if options.scenario == "startup":
            return _finish("startup", startup(options.runs), None, versions, options.results)
        scenario: Callable[[Corpus, int], list[Outcome]] = cold if options.scenario == "cold" else warm
        worst = 0
        for size in sizes:
            corpus = open_corpus(size, options.seed)
            read_through(corpus.root)
            outcomes = scenario(corpus, options.runs)
            worst = max(worst, _finish(options.scenario, outcomes, corpus, versions, options.results))
        return worst
    except (FailedRunError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1


def _queries(options: argparse.Namespace) -> int:
    """Measure saved queries on a made-up lake; the exit status is 1 when one failed, was wrong or missed its target."""
    program = find_tokenlake()
    if isinstance(program, str):
        print(program, file=sys.stderr)
        return 1
    try:
        lake = open_lake(options.requests, options.seed, options.lake, usage_rows=options.usage_rows)
    except (subprocess.CalledProcessError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
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
        print(f"written: {save_content(options.results, name, versions, as_json(outcomes, lake))}", file=sys.stderr)
    return 0 if all(outcome.is_on_target for outcome in outcomes) else 1


def text_from_count(count: int) -> str:
    """Write a count short, as in the names of results: 300k, 100M."""
    for factor, unit in ((10**6, "M"), (10**3, "k")):
        if count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def _finish(
    scenario: str, outcomes: list[Outcome], corpus: Corpus | None, versions: dict[str, str], results: Path
) -> int:
    """Print and keep the outcomes; gives the exit status."""
    print(markdown(scenario, outcomes, corpus))
    print(f"written: {save(results, scenario, outcomes, corpus, versions)}", file=sys.stderr)
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", choices=("cold", "warm", "startup", "queries", "corpus", "lake"))
    parser.add_argument("--size", type=bytes_from_text, action="append", help="size of the tree (1GB); may be repeated")
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender (5)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the tree or lake (1)")
    lakes = parser.add_argument_group("queries, lake")
    lakes.add_argument(
        "--requests", type=bytes_from_text, default=ONE_PERSON_REQUESTS, help="requests of the made-up lake (300k)"
    )
    lakes.add_argument("--lake", type=Path, help="folder of the made-up lake: used as it is, or made there")
    lakes.add_argument("--usage-rows", action="store_true", help="write the rows as logged into a large lake too")
    lakes.add_argument("--query", action="append", metavar="NAME", help="measure this one only; keeps no results")
    lakes.add_argument("--all", action="store_true", help="every saved query, on a large lake too")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
