"""The options of every report: where the lake is, which requests count, and how the result is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tokenlake.errors import UsageError
from tokenlake.query.filters import FORMS, NAMES
from tokenlake.query.views import COST_MODES, DEDUP, reached
from tokenlake_cli import messages
from tokenlake_cli.render import FORMATS, Output
from tokenlake_cli.wrong_words import Choice

if TYPE_CHECKING:
    from tokenlake.query.result import Meta


class _Place(click.Path):
    """A path; an empty one, as of a variable that is not set, is refused: it would stand for the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = _Place(path_type=Path, readable=False)


def lake_option(default: str = "$TOKENLAKE_HOME, else the user's data folder") -> click.Option:
    """Where the lake is."""
    return click.Option(
        ["--lake"],
        type=FOLDER,
        metavar="DIR",
        help=f"The lake [default: {default}].",
    )


def root_option() -> click.Option:
    """Where the transcripts are."""
    return click.Option(
        ["--root", "roots"],
        type=FOLDER,
        metavar="DIR",
        multiple=True,
        help="Folder of transcripts, repeatable [default: where Claude Code keeps them].",
    )


def jobs_option() -> click.Option:
    """How many threads work."""
    return click.Option(
        ["--jobs"], type=click.IntRange(min=1), metavar="N", help="Threads to use [default: one a processor]."
    )


def summary_format_option() -> click.Option:
    """How the summary of a command that writes a lake is shown."""
    return click.Option(
        ["--format", "format_"],
        type=Choice(("table", "json", "jsonl", "csv", "markdown")),
        default="table",
        show_default=True,
        help="Form of the summary.",
    )


def output_options() -> list[click.Parameter]:
    """The form of a result, and the file that it goes to; `output` makes one of both."""
    return [
        click.Option(
            ["--format", "format_"],
            type=Choice(FORMATS),
            help="Form of the result [default: by the ending of --output, else table].",
        ),
        click.Option(["--output"], type=FOLDER, metavar="FILE", help="Write the result to this file; - is stdout."),
    ]


def limit_option() -> click.Option:
    """How many rows of a result are shown."""
    return click.Option(["--limit"], type=click.IntRange(0, 2**62), metavar="N", help="Only the first N rows.")


def refresh_option(text: str = "Read new transcripts first, or answer from the lake as it is.") -> click.Option:
    """Whether the lake is brought up to date before it is asked."""
    return click.Option(["--refresh/--no-refresh"], default=True, help=text)


def report_options(reads_costs: bool = True) -> list[click.Parameter]:
    """The options of every report, in the order of its help; the cost mode for those that read costs."""
    return [
        click.Option(["--since"], metavar="WHEN", help=f"From this local day or instant on: {FORMS}."),
        click.Option(["--until"], metavar="WHEN", help="To the end of this local day, or to this instant."),
        click.Option(["--now"], metavar="WHEN", help="What to take for the present, also of ages [default: it]."),
        click.Option(["--tz"], metavar="ZONE", help="Time zone of days, weeks and months [default: the machine's]."),
        click.Option(["--project"], metavar="TEXT", help="Only projects whose path holds this text."),
        click.Option(["--model"], metavar="TEXT", help="Only models whose name holds this text."),
        click.Option(["--session"], metavar="ID", help="Only sessions whose id begins like this."),
        click.Option(["--host"], metavar="NAME", help="Only this machine."),
        click.Option(
            ["--dedup"],
            type=Choice(tuple(DEDUP)),
            default="max",
            show_default=True,
            help="Which row of a request counts: largest, first, last, every one, or as ccusage has it.",
        ),
        *([_cost_mode_option()] if reads_costs else []),
        *output_options(),
        limit_option(),
        lake_option(),
        root_option(),
        refresh_option(),
    ]


def external_option() -> click.Option:
    """Whether SQL of the user's may leave the lake."""
    return click.Option(
        ["--allow-external"],
        is_flag=True,
        help="Let the SQL read and write other files, load extensions and use the network.",
    )


def reads_costs(text: str) -> bool:
    """Whether SQL reads what requests cost."""
    return "requests_of_mode" in reached(text)


def _cost_mode_option() -> click.Option:
    return click.Option(
        ["--cost-mode"],
        type=Choice(tuple(COST_MODES)),
        default="calculate",
        show_default=True,
        help="Costs by the price table, as logged where they were (auto), or as logged only (display).",
    )


@dataclass(frozen=True, slots=True)
class Report:
    """The options of one report by whom they concern; `params` are the query's own and the common ones."""

    params: Mapping[str, Any]
    output: Output
    lake: Path | None
    roots: tuple[Path, ...]
    refresh: bool


def report(values: Mapping[str, Any]) -> Report:
    """The options as click read them; raises UsageError for an output that cannot be."""
    own = dict(values)
    file = own.pop("output")
    format_, limit = own.pop("format_"), own.pop("limit")
    lake, roots, refresh = own.pop("lake"), own.pop("roots"), own.pop("refresh")
    where = output(format_, file, limit, lake=lake, roots=roots)
    return Report({name: value for name, value in own.items() if value is not None}, where, lake, roots, refresh)


def output(
    format_: str | None,
    file: Path | None,
    limit: int | None = None,
    *,
    lake: Path | None,
    roots: Sequence[Path] = (),
) -> Output:
    """Where a result goes, and how; the form is by the file's ending where it is not named, and - is stdout.

    Raises UsageError for bytes to a terminal, for an ending that stands for no form, and for a file that would lie
    among those of `lake`, below `roots` or in the place of a transcript.
    """
    file = None if str(file) == "-" else file
    where = Output(format_ or form_of(file), file, limit)
    where.check()
    if file is not None:
        from tokenlake_cli import places

        places.check(file, lake, roots)
    return where


def form_of(file: Path | None) -> str:
    """The form that a file's ending stands for; a table without one. Raises UsageError for one that is not known."""
    ending = file.suffix.lower() if file is not None else ""
    if ending not in _FORMS_OF_ENDINGS:
        known = ", ".join(filter(None, _FORMS_OF_ENDINGS))
        raise UsageError(f"--output {file}: {ending} stands for no form: name one with --format, or end with {known}")
    return _FORMS_OF_ENDINGS[ending]


_FORMS_OF_ENDINGS = {"": "table", ".txt": "table", ".md": "markdown", **{f".{name}": name for name in FORMATS[1:]}}
"""What the ending of a file stands for."""


def warn_of_idle_filters(report: Report, meta: Meta) -> None:
    """Says which of the filters given have no meaning for the query: silence would pass for an answer."""
    if idle := [f"--{name}" for name in NAMES if name in report.params and name not in meta.filters]:
        reader = meta.name or "the SQL does not read `selected` (the requests under the filters), and"
        messages.warn(f"{', '.join(idle)} has no effect here: {reader} reads no table that it is about")
