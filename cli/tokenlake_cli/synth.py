"""`tokenlake synth`: made-up transcripts, or a made-up lake, of any size, with what a right count must find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, fields
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tokenlake.errors import LakeError, SourceError, UsageError
from tokenlake.synth.options import SynthOptions, bytes_from_text
from tokenlake_cli import messages, options, progress, render
from tokenlake_cli.new_folder import check_space, filled
from tokenlake_cli.render import BINARY_FORMATS, FORMATS, Output, Sheet
from tokenlake_cli.wrong_words import Choice

if TYPE_CHECKING:
    from tokenlake.synth.lakes_truth import LakeTruth
    from tokenlake.synth.truth import Counts, Truth

TRUTH_NAME = "truth.json"

_FORMATS = tuple(name for name in FORMATS if name not in BINARY_FORMATS)
_DEFAULTS = SynthOptions()
_TREE_ONLY = {
    "size": "--size",
    "models": "--model",
    "ttl_1h_share": "--ttl-1h-share",
    "fork_share": "--fork-share",
    "duplicate_share": "--duplicate-share",
    "disputed_share": "--disputed-share",
    "damage_share": "--damage-share",
}
_LAKE_ONLY = {"requests": "--requests", "hosts": "--hosts", "usage_rows": "--[no-]usage-rows", "jobs": "--jobs"}
_COMMON = ("seed", "months", "projects", "first_day")
_COUNTS = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
)
_OPTIONS = {"total_bytes": "--size", "models": "--model"}
_BARE_LAKE_BYTES, _LAKE_BYTES = 200, 350
"""What a request takes in a lake without and with its rows as logged: 180 and 314 were measured."""


def synth(out: Path, lake: bool, by: str, format_: str | None, output: Path | None, **given: Any) -> None:
    """Write made-up transcripts of any size into the folder OUT, with the exact answer.

    They have the shape of real ones: sizes of files and lines, several rows a request, subagents, forks that copy
    history, compactions, the habits of each release. The same options give the same bytes. What a right count must
    find is printed and saved as truth.json: OUT holds that and `projects`, and is a --root for any command.

    With --lake, OUT becomes a lake of Parquet files of --requests requests, without transcripts.
    """
    where = options.output(format_, output, lake=None)
    if where.format not in _FORMATS:
        raise UsageError(f"--output {output}: the figures are text, in one of the forms {', '.join(_FORMATS)}")
    wrong, other = (_TREE_ONLY, "a tree, without --lake") if lake else (_LAKE_ONLY, "a lake: add --lake")
    if foreign := [name for key, name in wrong.items() if given[key] is not None and given[key] != ()]:
        raise UsageError(f"{', '.join(foreign)} {'belongs' if len(foreign) == 1 else 'belong'} to {other}")
    common = {name: given[name] for name in _COMMON if given[name] is not None}
    with filled(out, LakeError if lake else SourceError):
        if lake:
            facts, sums = _write_lake(out, common, given)
        else:
            facts, sums = _write_tree(out, common, given)
    _show(by, facts, sums, where)


def _write_tree(out: Path, common: dict[str, Any], given: dict[str, Any]) -> tuple[Facts, Sums]:
    """Write the tree and its truth."""
    own = {name: given[name] for name in _TREE_ONLY if name not in ("size", "models") and given[name] is not None}
    if given["models"]:
        own["models"] = given["models"]
    if given["size"] is not None:
        own["total_bytes"] = given["size"]
    asked = _checked(lambda: SynthOptions(**common, **own))
    check_space(out, asked.total_bytes)
    from tokenlake.synth.tree import write_tree

    with progress.bar(0.5, "synth") as advance:
        truth = write_tree(asked, out, progress=advance)
    truth.save(out / TRUTH_NAME)
    messages.say(f"written: {out / 'projects'}, and the truth to {out / TRUTH_NAME}")
    return _tree_facts(out, truth), {"model": truth.by_model, "day": truth.by_day}


def _write_lake(out: Path, common: dict[str, Any], given: dict[str, Any]) -> tuple[Facts, Sums]:
    """Write the lake; its truth lies inside it."""
    from tokenlake.synth.lakes import TRUTH_NAME as LAKE_TRUTH_NAME
    from tokenlake.synth.lakes import LakeOptions, write_lake

    own = {name: given[name] for name in ("requests", "hosts", "usage_rows") if given[name] is not None}
    asked = _checked(lambda: LakeOptions(**common, **own))
    check_space(out, asked.requests * (_LAKE_BYTES if asked.usage_rows else _BARE_LAKE_BYTES))
    with progress.bar(0.5, "synth", unit="requests") as advance:
        truth = write_lake(out, asked, jobs=given["jobs"] or 2, progress=advance)
    messages.say(f"written: the lake {out}, and the truth to {out / LAKE_TRUTH_NAME}")
    return _lake_facts(out, truth), {"model": truth.by_model(), "day": truth.by_day()}


Facts = list[tuple[str, int | str]]
Sums = dict[str, "dict[str, Counts]"]


def _tree_facts(out: Path, truth: Truth) -> Facts:
    """Name and value of each single figure, then of each kind of damage and dispute."""
    facts: Facts = [("tree", str(out))]
    for field in fields(truth):
        value = getattr(truth, field.name)
        if isinstance(value, int):
            facts.append((field.name, value))
    facts += zip(_COUNTS, astuple(truth.total), strict=True)
    facts += [(f"damage_{name}", count) for name, count in truth.damage.items()]
    facts += [(f"disputed_{name}", count) for name, count in truth.disputed.items()]
    return facts


def _lake_facts(out: Path, truth: LakeTruth) -> Facts:
    """Name and value of each single figure, then the rows of each table."""
    facts: Facts = [("lake", str(out)), ("partial_requests", truth.partial_requests)]
    facts.append(("web_searches", sum(cell.web_searches for cell in truth.priced)))
    facts += zip(_COUNTS, astuple(truth.total), strict=True)
    facts += [(f"rows_{table}", rows) for table, rows in truth.rows.items()]
    return facts


def _show(by: str, facts: Facts, sums: Sums, where: Output) -> None:
    """Print the figures, by model and by day too where the form has room for three tables."""
    sheets = {
        name: Sheet((name, *_COUNTS), [(key, *astuple(found)) for key, found in sums[name].items()]) for name in sums
    }
    if by != "total":
        render.write_rows(sheets[by], where)
    elif where.format == "table":
        shown = [(name, value if isinstance(value, str) else f"{value:,}") for name, value in facts]
        render.write_rows(Sheet(("what", "count"), shown), where)
        for sheet in sheets.values() if where.path is None else ():
            render.write_text("")
            render.write_rows(sheet, where)
    else:
        render.write_rows(Sheet(tuple(name for name, _ in facts), [[value for _, value in facts]]), where)


def _checked(make: Callable[[], Any]) -> Any:
    """Make options; a value out of range is the user's, who knows its option."""
    try:
        return make()
    except ValueError as error:
        name, _, reason = str(error).partition(" ")
        raise UsageError(f"{_OPTIONS.get(name, '--' + name.replace('_', '-'))} {reason}") from None


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read a size or a count such as 1GB, 30MB, 300k."""
    try:
        return None if value is None else bytes_from_text(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    """Read a day such as 2026-01-31."""
    try:
        return None if value is None else datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        raise click.BadParameter(f"{value!r} is no day such as 2026-01-31", ctx, param) from None


def _share(name: str, text: str) -> click.Option:
    default = getattr(_DEFAULTS, name)
    return click.Option(
        [f"--{name.replace('_', '-')}", name],
        type=click.FloatRange(0, 1),
        metavar="0..1",
        help=f"{text} [default: {default:g}].",
    )


command = click.Command(
    "synth",
    callback=synth,
    params=[
        click.Argument(["out"], type=options.FOLDER, metavar="OUT"),
        click.Option(
            ["--size"], callback=_size, metavar="SIZE", help="Size of the tree: 500MB, 1.5GB [default: 30MB]."
        ),
        click.Option(["--seed"], type=int, metavar="N", help="Another number, another tree [default: 1]."),
        click.Option(
            ["--months"], type=click.IntRange(min=1), metavar="N", help="Months that it spreads over [default: 12]."
        ),
        click.Option(
            ["--first-day"],
            callback=_day,
            metavar="DAY",
            help="Its first day, UTC; that decides about the releases: those before June 2025 logged costs, for "
            "--cost-mode [default: 2025-09-01; a lake's: 2025-11-01].",
        ),
        click.Option(
            ["--projects"],
            type=click.IntRange(min=1),
            metavar="N",
            help="Projects [default: 12; a lake's: 8 a machine].",
        ),
        click.Option(
            ["--model", "models"],
            metavar="NAME",
            multiple=True,
            help="A model, repeatable, the most used first; NAME[1m] has a context of a million tokens "
            f"[default: {', '.join(_DEFAULTS.models)}].",
        ),
        _share("ttl_1h_share", "Sessions that write their cache for an hour, not five minutes"),
        _share("fork_share", "Sessions that start with a copy of another one's history"),
        _share("duplicate_share", "Sessions that are there twice: copied files, or every message logged twice"),
        _share("disputed_share", "Requests in a shape that readers disagree about: nulls, advisors, fast mode ..."),
        _share("damage_share", "Lines that are damaged: spliced, joined, cut off, NULs, surrogates, bad UTF-8"),
        click.Option(["--lake"], is_flag=True, help="Make a lake of Parquet files instead, for sizes beyond JSON."),
        click.Option(
            ["--requests"], callback=_size, metavar="N", help="Requests of the lake: 300k, 100M [default: 300,000]."
        ),
        click.Option(
            ["--hosts"],
            type=click.IntRange(min=1),
            metavar="N",
            help="Machines of the lake [default: two for 300,000 requests a year].",
        ),
        click.Option(
            ["--usage-rows/--no-usage-rows"],
            default=None,
            help="Write the lake's rows as logged too, or leave them out [default: write].",
        ),
        click.Option(["--jobs"], type=click.IntRange(min=1), metavar="N", help="Threads for the lake [default: 2]."),
        click.Option(
            ["--by"],
            type=Choice(("total", "model", "day")),
            default="total",
            show_default=True,
            help="Which figures to print; a table of totals is followed by the two others.",
        ),
        click.Option(
            ["--format", "format_"],
            type=Choice(_FORMATS),
            help="Form of the figures [default: by the ending of --output, else table].",
        ),
        click.Option(["--output"], type=options.FOLDER, metavar="FILE", help="Write the figures to this file."),
    ],
    help=synth.__doc__,
    epilog="\b\nExample:\n  tokenlake synth /tmp/made --size 1GB --damage-share 0.01\n"
    "  tokenlake synth /tmp/lake --lake --requests 1M",
)
