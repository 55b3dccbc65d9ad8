"""`tokenlake reconcile`: ccusage's totals beside the lake's, with a rule and rows for every difference."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokenlake.errors import SourceError, UsageError
from tokenlake.query.views import COST_MODES
from tokenlake.reconcile.report import BY
from tokenlake_cli import lakes, messages, options, render
from tokenlake_cli.exits import ExitCode
from tokenlake_cli.wrong_words import Choice

if TYPE_CHECKING:
    from tokenlake.reconcile import Reconciliation


def answer(
    by: str | None,
    rule: str | None,
    ccusage: str | None,
    report: Path | None,
    since: str | None,
    until: str | None,
    tz: str | None,
    host: str | None,
    cost_mode: str,
    format_: str | None,
    output: Path | None,
    limit: int | None,
    lake: Path | None,
    roots: tuple[Path, ...],
    refresh: bool,
) -> None:
    """Put ccusage's totals beside the lake's and explain every difference by rule.

    Runs ccusage, without network and with its own prices, over the folders that the lake was filled from; or takes its
    JSON with --json. Each request that the two count differently is followed from the lake's row to ccusage's: which
    row counts, on which day, how its tokens are read, what they cost. What is left when all rules are applied is
    unexplained: shown as it is, and the exit code is 5.

    By day and model: requests, tokens of all kinds and dollars of the lake, those of ccusage, the difference, and what
    of it is explained. ccusage_requests is what its rules lead to: its report has no requests. --by kind tells the
    kinds of tokens apart; --by rule has what each rule amounts to; --rows TEXT the rows behind the rules so named.
    """
    where = options.output(format_, output, limit, lake=lake, roots=roots)
    if by is not None and rule is not None:
        raise UsageError("give one of --by and --rows: each is an answer of its own")
    if report is not None and ccusage is not None:
        raise UsageError("give one of --json and --ccusage: a report that is there, or the program that makes one")
    from tokenlake.query.zones import machine_zone
    from tokenlake.reconcile import program, reconcile

    zone = tz or machine_zone()
    first_day, last_day = _days(since, until, zone)
    said = None if report is None else _read(report)
    if report is None:
        program.needed(ccusage)  # before the work, not after it
    snapshot = lakes.for_report(lake, roots, refresh)
    found = reconcile(
        snapshot,
        roots=roots or None,
        host=host,
        tz=zone,
        first_day=first_day,
        last_day=last_day,
        ccusage_path=ccusage,
        report=said,
        source="stdin" if str(report) == "-" else str(report),
        cost_mode=cost_mode,
    )
    if rule is not None:
        render.write_result(found.rows(rule), where, found.notes)
    elif by is None and where.format == "table" and output is None:
        render.write_result(found.table("day-model"), where)
        render.write_result(found.table("rule"), where, found.notes)
    else:
        render.write_result(found.table(by or "day-model"), where, found.notes)
    if not found.is_explained:
        messages.warn(_left(found, said is not None))
        raise click.exceptions.Exit(int(ExitCode.FINDINGS))


def _left(found: Reconciliation, was_given: bool) -> str:
    amount = f"{found.unexplained_tokens:,} tokens and {found.unexplained_cost:,.6f} dollars are unexplained"
    if was_given:
        return f"{amount}: was the report made in {found.tz}, in this cost mode, of these transcripts as they are now?"
    return f"{amount}: --by kind shows where; if transcripts were written meanwhile, run it again"


def _read(report: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(report) == "-" else report.read_bytes()
    except OSError as error:
        raise SourceError(f"{report}: cannot be read: {error.strerror or error}") from None
    return data.decode("utf-8", "replace")


def _days(since: str | None, until: str | None, tz: str) -> tuple[dt.date | None, dt.date | None]:
    """The first and the last local day; ccusage's totals are those of whole days."""
    from tokenlake.query.filters import read_since, read_until
    from tokenlake.query.zones import zone

    now, local = dt.datetime.now(dt.UTC), zone(tz)
    first = read_since(since, tz, now).astimezone(local) if since is not None else None
    end = read_until(until, tz, now) if until is not None else None
    last = (end - dt.timedelta(microseconds=1)).astimezone(local) if end is not None else None
    for name, value, edge in (("since", first, first), ("until", until and last, end and end.astimezone(local))):
        if value is not None and edge is not None and read_since(edge.date(), tz, now) != edge:
            raise UsageError(f"{name}: ccusage's totals are those of whole days; give a day, such as 2026-03-01")
    if first is not None and last is not None and last < first:
        raise UsageError(f"until: {until} ends before since, {since}, begins: no time lies between")
    return first.date() if first else None, last.date() if last else None


command = click.Command(
    "reconcile",
    callback=answer,
    params=[
        click.Option(["--by"], type=Choice(BY), help="What a row is [default: day-model, and the rules below]."),
        click.Option(
            ["--rows", "rule"],
            is_flag=False,
            flag_value="",
            metavar="[TEXT]",
            help="The rows behind the rules whose names hold this text; without it, all.",
        ),
        click.Option(
            ["--ccusage"], metavar="PROGRAM", help="The program [default: $CCUSAGE_BIN, else ccusage on the PATH]."
        ),
        click.Option(
            ["--json", "report"],
            type=options.FOLDER,
            metavar="FILE",
            help="The output of `ccusage claude daily --json`, instead of running it; - is stdin.",
        ),
        click.Option(["--since"], metavar="DAY", help="From this local day on."),
        click.Option(["--until"], metavar="DAY", help="To this local day."),
        click.Option(["--tz"], metavar="ZONE", help="Time zone of days [default: the machine's]."),
        click.Option(["--host"], metavar="NAME", help="The machine whose transcripts ccusage reads [default: this]."),
        click.Option(
            ["--cost-mode"],
            type=Choice(tuple(COST_MODES)),
            default="calculate",
            show_default=True,
            help="As ccusage's -m; its own default is auto.",
        ),
        *options.output_options(),
        options.limit_option(),
        options.lake_option(),
        options.root_option(),
        options.refresh_option(),
    ],
    help=answer.__doc__,
    epilog=(
        "\b\nExample:\n  tokenlake reconcile --since 30d\n  tokenlake reconcile --rows 'null in'\n"
        "  ccusage claude daily --json -m calculate -z UTC | tokenlake reconcile --tz UTC --json -"
    ),
)
