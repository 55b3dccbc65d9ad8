"""Contenders in turn, round after round, and what came of it: figures, paired ratios, wrong totals."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.answers import Answer, mismatches
from benchmarks.contenders import Contender, Run
from benchmarks.measure import FailedRunError, Measurement, measure, median_of

_FAILED = "failed: "


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one contender did: a measurement a round, and where its totals were wrong (empty when right).

    One of which a run failed has no measurements, and its error for what was wrong.
    """

    name: str
    measurements: list[Measurement]
    wrong: list[str]
    checked: bool

    @property
    def has_failed(self) -> bool:
        """Whether a run of it failed."""
        return any(line.startswith(_FAILED) for line in self.wrong)

    @property
    def median(self) -> Measurement:
        """The median of each figure."""
        return median_of(self.measurements)


def run_rounds(
    contenders: Sequence[Contender],
    tree: Path,
    runs: int,
    answer: Callable[[], Answer] | None,
    lake: Path | None = None,
) -> list[Outcome]:
    """Measure the contenders in turn (A B A B ...), each `runs` times.

    Every run gets a fresh lake folder that is removed after it, or shares `lake` when one is given. `answer`
    gives the totals that are right at the moment; None leaves totals unchecked. A contender whose command
    fails is not run again.
    """
    outcomes = [Outcome(contender.name, [], [], answer is not None) for contender in contenders]
    for _ in range(runs):
        for contender, outcome in zip(contenders, outcomes, strict=True):
            if outcome.has_failed:
                continue
            with tempfile.TemporaryDirectory(prefix="tokenlake-bench-") as folder:
                run = Run(tree, lake or Path(folder) / "lake")
                contender.prepare(run)
                try:
                    measurement, output = measure(contender.command(run), contender.env(run))
                except FailedRunError as error:
                    outcome.measurements.clear()
                    outcome.wrong[:] = [f"{_FAILED}{error}"]
                    continue
                outcome.measurements.append(measurement)
                if answer is not None:
                    totals = contender.totals(run, output)
                    wrong = mismatches(totals, answer()) if totals else ["no totals"]
                    outcome.wrong.extend(line for line in wrong if line not in outcome.wrong)
    return outcomes


def paired_ratio(outcome: Outcome, base: Outcome) -> tuple[float, float, float]:
    """Give the median, least and greatest ratio of wall times of the runs of the same round."""
    ratios = [one.wall_s / other.wall_s for one, other in zip(outcome.measurements, base.measurements, strict=True)]
    return median(ratios), min(ratios), max(ratios)
