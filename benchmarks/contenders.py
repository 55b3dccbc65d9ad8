"""The programs that are measured: how each is found and called, and how its totals are read."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

from benchmarks.answers import Totals

TOTALS_SQL = (
    "select count(*) as requests, sum(input_tokens)::bigint as input_tokens, "
    "sum(output_tokens)::bigint as output_tokens, "
    "sum(cache_write_5m_tokens)::bigint as cache_write_5m_tokens, "
    "sum(cache_write_1h_tokens)::bigint as cache_write_1h_tokens, "
    "sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cost)::varchar as dollars from costs"
)
_CCUSAGE_PACKAGE = Path("node_modules/@ccusage/ccusage-linux-x64/bin/ccusage")


@dataclass(frozen=True, slots=True)
class Run:
    """The places of one run: the tree that is read, and a folder for what is built from it."""

    tree: Path
    lake: Path


def _do_nothing(run: Run) -> None:
    """Prepare nothing."""


def _no_totals(run: Run, output: bytes) -> Totals:
    """Give no totals: the command prints none."""
    return {}


@dataclass(frozen=True, slots=True)
class Contender:
    """One measured command.

    `prepare` is called before each run and not measured; `command` gives the arguments, the program first;
    `totals` reads the totals after the run, from its output or by another, unmeasured command.
    """

    name: str
    command: Callable[[Run], list[str]]
    env: Callable[[Run], Mapping[str, str]] = field(default=lambda run: {})
    prepare: Callable[[Run], None] = _do_nothing
    totals: Callable[[Run, bytes], Totals] = _no_totals


def find_tokenlake() -> list[str] | str:
    """Give the start of a tokenlake command line, or why there is none."""
    script = Path(sys.executable).parent / "tokenlake"
    if os.access(script, os.X_OK):
        return [str(script)]
    if find_spec("tokenlake_cli") and find_spec("tokenlake_cli.main"):
        return [sys.executable, "-m", "tokenlake_cli.main"]
    return "tokenlake: not installed in this Python"


def find_ccusage() -> list[str] | str:
    """Give the start of a ccusage command line, or why there is none.

    Looked for in CCUSAGE_BIN, on the PATH, and in node_modules below the current folder.
    """
    for place in (os.environ.get("CCUSAGE_BIN"), shutil.which("ccusage"), str(_CCUSAGE_PACKAGE.absolute())):
        if place and Path(place).is_file():
            if os.access(place, os.X_OK):
                return [place]
            return f"ccusage: {place} is not executable"
    return "ccusage: not found (set CCUSAGE_BIN, or put it on the PATH)"


def find_aiburn() -> list[str] | str:
    """Give the start of an aiburn command line, or why there is none: looked for in this Python and on the PATH."""
    for place in (str(Path(sys.executable).parent / "aiburn"), shutil.which("aiburn")):
        if place and os.access(place, os.X_OK):
            return [place]
    return "aiburn: not found (pip install aiburn)"


def version_of(program: list[str]) -> str:
    """Give what a program says of its version, or an empty text."""
    done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def ccusage_daily(program: list[str]) -> Contender:
    """Count the tree with ccusage, which keeps nothing between runs."""
    arguments = ["claude", "daily", "--json", "--offline", "-m", "calculate", "-z", "UTC"]
    return Contender(
        "ccusage daily",
        command=lambda run: [*program, *arguments],
        env=lambda run: {"CLAUDE_CONFIG_DIR": str(run.tree), "TZ": "UTC"},
        totals=lambda run, output: ccusage_totals(output),
    )


def tokenlake_ingest(program: list[str]) -> Contender:
    """Ingest the tree into the run's lake."""
    return Contender(
        "tokenlake ingest",
        command=lambda run: [*program, "ingest", "--root", str(run.tree), "--lake", str(run.lake)],
        totals=lambda run, output: tokenlake_totals(program, run),
    )


def tokenlake_report(program: list[str]) -> Contender:
    """Report the cost by day from the lake as it is."""
    return Contender(
        "tokenlake cost daily",
        command=lambda run: [
            *program,
            "cost",
            "daily",
            "--lake",
            str(run.lake),
            "--no-refresh",
            "--format",
            "json",
        ],
        totals=lambda run, output: tokenlake_totals(program, run),
    )


def tokenlake_totals(program: list[str], run: Run) -> Totals:
    """Read the totals of a lake."""
    command = [*program, "sql", "--lake", str(run.lake), "--no-refresh", "--format", "json", TOTALS_SQL]
    done = subprocess.run(command, capture_output=True, check=True)
    [row] = json.loads(done.stdout)
    dollars = row.pop("dollars")
    return {kind: int(value or 0) for kind, value in row.items()} | {"dollars": Fraction(dollars or 0)}


def ccusage_totals(output: bytes) -> Totals:
    """Read the totals from a daily report."""
    totals = json.loads(output)["totals"]
    return {
        "input_tokens": totals["inputTokens"],
        "output_tokens": totals["outputTokens"],
        "cache_write_tokens": totals["cacheCreationTokens"],
        "cache_read_tokens": totals["cacheReadTokens"],
        "dollars": Fraction(totals["totalCost"]),
    }


def aiburn_daily(program: list[str]) -> Contender:
    """Count the tree with aiburn, which keeps nothing between runs and has writes and reads of the cache in one."""
    return Contender(
        "aiburn daily",
        command=lambda run: [*program, "daily", "--claude", "--json"],
        env=lambda run: {"CLAUDE_CONFIG_DIR": str(run.tree), "TZ": "UTC"},
        totals=lambda run, output: aiburn_totals(output),
    )


def aiburn_totals(output: bytes) -> Totals:
    """Add up the groups of a daily report."""
    groups = json.loads(output)["groups"]
    tokens = {f"{kind}_tokens": sum(group[kind] for group in groups) for kind in ("input", "output", "cache")}
    return {**tokens, "dollars": sum((Fraction(group["cost"]) for group in groups), Fraction(0))}


def naive_script(*, by_id: bool) -> Contender:
    """Count the tree with the script that people write first; it knows no prices."""
    script = str(Path(__file__).parent / "naive.py")
    return Contender(
        "naive script, last row of an id" if by_id else "naive script",
        command=lambda run: [sys.executable, script, str(run.tree), *(["--by-id"] if by_id else [])],
        totals=lambda run, output: json.loads(output),
    )


def all_cold() -> tuple[list[Contender], list[str]]:
    """Give everybody who counts a whole tree in one command, and for those not installed why not.

    Ratios are to the last, which is ccusage where it is installed.
    """
    programs: tuple[tuple[list[str] | str, Callable[[list[str]], Contender]], ...] = (
        (find_tokenlake(), tokenlake_ingest),
        ([], lambda program: naive_script(by_id=False)),
        ([], lambda program: naive_script(by_id=True)),
        (find_aiburn(), aiburn_daily),
        (find_ccusage(), ccusage_daily),
    )
    found = [contender(program) for program, contender in programs if isinstance(program, list)]
    return found, [program for program, _ in programs if isinstance(program, str)]
