"""`python -m benchmarks cold|warm|startup|corpus`: measure, check, print a table, keep the figures."""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.contenders import find_ccusage, find_tokenlake, version_of
from benchmarks.corpus import Corpus, make_corpus, open_corpus, read_through
from benchmarks.measure import FailedRunError
from benchmarks.report import RESULTS, markdown, save
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


def _finish(
    scenario: str, outcomes: list[Outcome], corpus: Corpus | None, versions: dict[str, str], results: Path
) -> int:
    """Print and keep the outcomes; gives the exit status."""
    print(markdown(scenario, outcomes, corpus))
    print(f"written: {save(results, scenario, outcomes, corpus, versions)}", file=sys.stderr)
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", choices=("cold", "warm", "startup", "corpus"))
    parser.add_argument("--size", type=bytes_from_text, action="append", help="size of the tree (1GB); may be repeated")
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender (5)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the tree (1)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
