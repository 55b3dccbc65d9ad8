"""`tokenlake reproduce`: published figures worked out again, from exact corpora or beside the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokenlake.errors import UsageError
from tokenlake_cli import messages, options, render
from tokenlake_cli.exits import ExitCode
from tokenlake_cli.render import Output

if TYPE_CHECKING:
    from tokenlake.query.result import Meta


def answer(
    ids: tuple[str, ...],
    own: bool,
    sources: bool,
    format_: str | None,
    output: Path | None,
    limit: int | None,
    lake: Path | None,
    roots: tuple[Path, ...],
    refresh: bool,
    tz: str | None,
) -> None:
    """Reproduce published figures from exact corpora, or answer them from your own lake.

    Every published analysis is a spec that adds up to what was published. Its transcripts are made, ingested and
    asked by the saved queries, in a temporary folder; computed figures stand beside the published ones, with the
    formula and the verdict: exact (to every digit), exact after rounding, or that the published figure is
    inconsistent, and why. With --own the same questions are put to your own lake.

    ID is that of a figure (R1 ... R22) or of a source; without any, all are reproduced.
    """
    where = options.output(format_, output, limit, lake=lake, roots=roots)
    if own and sources:
        raise UsageError("give one of --own and --sources: each is an answer of its own")
    if not own and (lake is not None or roots or tz is not None or not refresh):
        raise UsageError("--lake, --root, --tz and --no-refresh are about your own lake: they go with --own")
    if sources:
        _sources(ids, where)
    elif own:
        _own(ids, where, lake, roots, refresh, tz)
    else:
        _published(ids, where)


def _published(ids: tuple[str, ...], where: Output) -> None:
    from tokenlake.reproduce.figures import Figure, Verdict, as_result
    from tokenlake.reproduce.run import reproduce

    metas: list[Meta] = []
    figures = list(reproduce(ids, begin=lambda spec: messages.say(f"{spec.source}: {spec.title}"), asked=metas.append))
    counts = {verdict: sum(figure.verdict is verdict for figure in figures) for verdict in Verdict}
    notes = [
        f"{len(figures)} figures: " + "; ".join(f"{verdict}: {count}" for verdict, count in counts.items() if count),
        "dedup max where the formula names no other; time zone UTC; weeks from Monday",
        *_prices(metas),
        "a corpus has the published totals; what else is in it is made up: tokenlake reproduce --sources",
    ]
    render.write_result(as_result("Published figures, reproduced", Figure, figures), where, notes)
    if wrong := [figure for figure in figures if figure.verdict is Verdict.DIFFERENT]:
        names = "; ".join(f"{figure.id} {figure.figure}" for figure in wrong[:3])
        messages.fail(f"{len(wrong)} of {len(figures)} figures are not as published: {names}{_own_files()}")
        raise click.exceptions.Exit(int(ExitCode.FINDINGS))


def _own(
    ids: tuple[str, ...], where: Output, lake: Path | None, roots: tuple[Path, ...], refresh: bool, tz: str | None
) -> None:
    from tokenlake_cli import lakes

    path = lakes.for_report(lake, roots, refresh).root
    from tokenlake.lake import Lake
    from tokenlake.query.zones import machine_zone
    from tokenlake.reproduce.figures import as_result
    from tokenlake.reproduce.run import OwnFigure, own

    metas: list[Meta] = []
    figures = list(own(Lake(path), ids, tz=tz, asked=metas.append))
    notes = [
        f"dedup max where the formula names no other; time zone {tz or machine_zone()}; weeks from Monday",
        *_prices(metas),
    ]
    shares = [meta.partial_share for meta in metas if meta.dedup == "max" and meta.partial_share is not None]
    if shares:
        notes.insert(1, f"{max(shares):.1%} of requests have partial output")
    render.write_result(as_result("Published figures, and your own", OwnFigure, figures), where, notes)


def _sources(ids: tuple[str, ...], where: Output) -> None:
    from tokenlake.reproduce.figures import as_result
    from tokenlake.reproduce.run import Source, chosen

    rows = [Source.of(spec) for spec, _ in chosen(ids)]
    render.write_result(as_result("Sources of the published figures", Source, rows), where)


def _prices(metas: list[Meta]) -> list[str]:
    prices = dict.fromkeys(price for meta in metas for price in meta.prices)
    unpriced = dict.fromkeys(
        render.unpriced_text(found) for meta in metas if meta.dedup == "max" for found in meta.unpriced
    )
    notes = [f"prices: {', '.join(prices)}"] if prices else []
    return [*notes, *([f"unpriced: {'; '.join(unpriced)}"] if unpriced else [])]


def _own_files() -> str:
    """What of the user's own may be the reason."""
    from tokenlake.query import saved
    from tokenlake.query.prices import sheets

    own = [str(path) for path in saved.files().values() if saved.is_own(path)]
    if sheets.own_path().is_file():
        own.append(str(sheets.own_path()))
    return f" (your own prices or queries are in use: {', '.join(own[:3])})" if own else ""


command = click.Command(
    "reproduce",
    callback=answer,
    params=[
        click.Argument(["ids"], nargs=-1, metavar="[ID]...", shell_complete=lambda ctx, param, part: _ids(part)),
        click.Option(["--own"], is_flag=True, help="Answer the same questions from your own lake."),
        click.Option(["--sources"], is_flag=True, help="List the sources, and what of each corpus is made up."),
        click.Option(["--tz"], metavar="ZONE", help="With --own: zone of days and weeks [default: the machine's]."),
        *options.output_options(),
        options.limit_option(),
        options.lake_option(),
        options.root_option(),
        options.refresh_option("With --own: read new transcripts first, or answer from the lake as it is."),
    ],
    help=answer.__doc__,
    epilog="\b\nExample:\n  tokenlake reproduce R1\n  tokenlake reproduce --own R1 R5 --no-refresh",
)


def _ids(part: str) -> list[str]:
    from tokenlake.reproduce.run import QUESTIONS

    return [name for name in QUESTIONS if name.startswith(part.upper())]
