"""Saved queries on a made-up lake, each in a process of its own: how long, how much memory, and whether it is right."""

import json
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field, replace
from fractions import Fraction
from functools import partial
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.dollars import dollars
from benchmarks.lakes import MadeLake
from benchmarks.measure import FailedRunError, Measurement, measure, median_of
from benchmarks.windows import blocks, rolling_peaks
from tokenlake.synth.truth import Counts

Rows = list[dict[str, Any]]
Check = Callable[[Rows, MadeLake], list[str]]

ZONE = "Asia/Taipei"
ONE_PERSON_REQUESTS = 300_000
MOST_MEMORY_BYTES = 6_000_000_000
_TOKENS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")


@dataclass(frozen=True, slots=True)
class Case:
    """One saved query with its options; `target_s` is the wall time it should stay below, None without one."""

    name: str
    options: tuple[str, ...] = ()
    target_s: float | None = None
    check: Check | None = None

    @property
    def title(self) -> str:
        """The command, as a person types it."""
        return " ".join((*self.name.split("/"), *self.options))


@dataclass(slots=True)
class QueryOutcome:
    """What the runs of one case took, the most bytes it spilled to disk, and where its answer was wrong."""

    case: Case
    measurements: list[Measurement] = field(default_factory=list)
    spilled_bytes: int = 0
    rows: int = 0
    wrong: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def median(self) -> Measurement:
        """The median of each figure."""
        return median_of(self.measurements)

    @property
    def is_on_target(self) -> bool:
        """Whether it ran, was right, and stayed below its targets."""
        if self.error or self.wrong:
            return False
        limit_s = self.case.target_s
        middle = self.median
        return middle.peak_rss_bytes < MOST_MEMORY_BYTES and (limit_s is None or middle.wall_s < limit_s)


def cases_at(requests: int, chosen: Sequence[str], *, every: bool) -> list[Case]:
    """Give what is measured on a lake of this size: every saved query on a small one, those with targets on a large.

    `chosen` names queries instead. Queries with a parameter that must be given are left out.
    """
    from tokenlake.query import saved

    large = {case.title: case for case in _large_cases()}
    if requests > ONE_PERSON_REQUESTS * 10 and not every and not chosen:
        return list(large.values())
    by_name = {case.name: case for case in reversed(large.values())}
    cases = []
    for name, query in sorted(saved.load_all().queries.items()):
        if chosen and name not in chosen:
            continue
        if any(parameter.required for parameter in query.parameters):
            continue
        target_s = None
        if requests == ONE_PERSON_REQUESTS:
            target_s = 3.0 if name.startswith("whatif/") else 1.0
        check = by_name[name].check if name in by_name and not by_name[name].options else _CHECKS.get(name)
        cases.append(Case(name, (), target_s, check))
        # With the options for which the right answer is known.
        cases += [replace(case, target_s=target_s) for case in large.values() if case.name == name and case.options]
    return cases


def run_queries(program: Sequence[str], lake: MadeLake, cases: Sequence[Case], runs: int) -> Iterator[QueryOutcome]:
    """Measure each case `runs` times, one case after the other; a case that fails is told with its error."""
    for case in cases:
        outcome = QueryOutcome(case)
        command = [*program, *case.name.split("/"), *case.options]
        command += ["--lake", str(lake.root), "--no-refresh", "--format", "json"]
        try:
            for _ in range(runs):
                with tempfile.TemporaryDirectory(prefix="tokenlake-bench-") as folder, _spilling(folder) as spilled:
                    measurement, output = measure(command, {"TMPDIR": folder, "TZ": "UTC"})
                outcome.spilled_bytes = max(outcome.spilled_bytes, spilled())
                outcome.measurements.append(measurement)
            rows: Rows = json.loads(output, parse_float=Fraction)
            outcome.rows = len(rows)
            if case.check is not None:
                outcome.wrong = case.check(rows, lake)
        except FailedRunError as error:
            outcome.error = str(error).strip().splitlines()[-1]
        yield outcome


@contextmanager
def _spilling(folder: str) -> Iterator[Callable[[], int]]:
    """Watch a folder for temporary files; gives what tells the most bytes that lay there at a time."""
    most, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            size = 0
            for place, _, names in os.walk(folder):
                for name in names:
                    try:
                        size += os.stat(os.path.join(place, name)).st_size
                    except OSError:  # it is gone again
                        continue
            most[0] = max(most[0], size)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: most[0]
    finally:
        stop.set()
        watcher.join()


# --- what is right --------------------------------------------------------------------------------------------------


def _counts(row: Mapping[str, Any]) -> tuple[int, ...]:
    return (row["requests"], *(row[name] for name in _TOKENS))


def _difference(what: str, found: object, right: object) -> list[str]:
    return [] if found == right else [f"{what}: {found} instead of {right}"]


def check_sums(rows: Rows, lake: MadeLake) -> list[str]:
    """The rows' requests and tokens, and their dollars where they have any, sum up to those of the lake."""
    found = [sum(column) for column in zip(*map(_counts, rows), strict=True)]
    wrong = _difference("sums", found, list(astuple(lake.truth.total)))
    if rows and "cost" in rows[0]:
        wrong += _difference("dollars", sum(Fraction(row["cost"] or 0) for row in rows), dollars(lake.truth.priced))
    return wrong


def check_days(rows: Rows, lake: MadeLake, zone: str) -> list[str]:
    """Every local day is right, and so are the dollars of all."""
    days = lake.truth.by_day(ZoneInfo(zone))
    found = {row["day"]: Counts(*_counts(row)) for row in rows}
    wrong = [f"{day}: {found.get(day)} instead of {right}" for day, right in days.items() if found.get(day) != right]
    wrong += [f"{day}: no such day" for day in found.keys() - days.keys()]
    return wrong[:3] + check_sums(rows, lake)


def check_blocks(rows: Rows, lake: MadeLake) -> list[str]:
    """Every block starts where a plain fold over all requests starts it, and holds the same."""
    expected = [(block.start, block.counts[0], sum(block.counts[1:])) for block in blocks(lake.truth)]
    found = [(row["start_ts"][:13], row["requests"], row["total_tokens"]) for row in rows if not row.get("is_gap")]
    pairs = [_difference(f"block {n}", one, other) for n, (one, other) in enumerate(zip(found, expected, strict=False))]
    return _difference("blocks", len(found), len(expected)) + [line for lines in pairs for line in lines][:3]


def check_rolling(rows: Rows, lake: MadeLake) -> list[str]:
    """Every UTC day's peaks of both windows are those of plain sums over all requests."""
    # In a process of its own: what this one holds in memory would count as the next query's peak.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        peaks = {hours: pool.submit(rolling_peaks, lake.root, hours).result() for hours in (5, 168)}
    wrong = []
    for hours, days in peaks.items():
        found = {row["by"]: row["peak"] for row in rows if row["window_hours"] == hours}
        wrong += _difference(f"days of {hours} h", sorted(found), sorted(days))
        wrong += [
            f"{day}, {hours} h: {found.get(day)} instead of {days[day]}" for day in days if found.get(day) != days[day]
        ]
    return wrong[:3]


_CHECKS: dict[str, Check] = {
    "cache/overhead": check_sums,
    **{
        f"cost/{name}": check_sums
        for name in ("daily", "weekly", "monthly", "hour", "project", "session", "model", "version", "host")
    },
}


def _large_cases() -> list[Case]:
    return [
        Case("cache/overhead", (), 2.0, check_sums),
        Case("cost/daily", ("--tz", ZONE), 8.0, partial(check_days, zone=ZONE)),
        Case("windows/blocks", ("--origin", "all"), 30.0, check_blocks),
        Case("windows/blocks", (), 30.0),
        Case("windows/rolling", (), 120.0, check_rolling),
    ]


# --- told -----------------------------------------------------------------------------------------------------------


def table(outcomes: Sequence[QueryOutcome], lake: MadeLake) -> str:
    """Make a markdown table of medians."""
    total = lake.truth.total
    runs = max(len(outcome.measurements) for outcome in outcomes)
    lines = [
        f"### queries on {total.requests:,} requests",
        "",
        f"{sum(astuple(total)[1:]):,} tokens, {lake.bytes / 1e9:.2f} GB of Parquet (seed {lake.truth.seed}); "
        f"medians of {runs} runs, each a whole process.",
        "",
        "| query | wall s | target s | CPU s | peak MB | spilled MB | rows | answer |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for outcome in outcomes:
        if outcome.error:
            lines.append(f"| {outcome.case.title} | | | | | | | failed: {outcome.error} |")
            continue
        middle = outcome.median
        target = "" if outcome.case.target_s is None else f"{outcome.case.target_s:g}"
        answer = "wrong: " + "; ".join(outcome.wrong) if outcome.wrong else "right" if outcome.case.check else ""
        missed = "" if outcome.is_on_target or outcome.wrong else " **missed**"
        lines.append(
            f"| {outcome.case.title} | {middle.wall_s:.2f}{missed} | {target} | {middle.cpu_s:.2f} | "
            f"{middle.peak_rss_bytes / 1e6:,.0f} | {outcome.spilled_bytes / 1e6:,.0f} | {outcome.rows:,} | {answer} |"
        )
    slowest = median(outcome.median.wall_s for outcome in outcomes if outcome.measurements)
    return "\n".join([*lines, "", f"Median over the queries: {slowest:.2f} s.", ""])


def as_json(outcomes: Sequence[QueryOutcome], lake: MadeLake) -> dict[str, Any]:
    """Give the outcomes for a file of results."""
    return {
        "lake": {
            "seed": lake.truth.seed,
            "bytes": lake.bytes,
            "rows": lake.truth.rows,
            "total": asdict(lake.truth.total),
        },
        "queries": [
            {
                "command": outcome.case.title,
                "target_s": outcome.case.target_s,
                "median": asdict(outcome.median) if outcome.measurements else None,
                "runs": [asdict(measurement) for measurement in outcome.measurements],
                "spilled_bytes": outcome.spilled_bytes,
                "rows": outcome.rows,
                "checked": outcome.case.check is not None and not outcome.error,
                "wrong": outcome.wrong,
                "error": outcome.error or None,
            }
            for outcome in outcomes
        ],
    }
