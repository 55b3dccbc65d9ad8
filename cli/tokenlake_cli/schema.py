"""`tokenlake schema`: what there is to ask - tables and views, their columns, and the SQL of a view."""

from __future__ import annotations

from pathlib import Path

import click

from tokenlake.errors import UsageError
from tokenlake_cli import options, render
from tokenlake_cli.wrong_words import Choice


def show(name: str | None, sql: bool, format_: str | None, output: Path | None, limit: int | None) -> None:
    """Describe the tables and views: columns, types, units, sources.

    Without NAME, all of them; with one, its columns, or the SQL that makes the view.
    """
    from tokenlake.query import documented

    if sql:
        if name is None:
            raise UsageError("--sql needs the name of a view")
        if format_ is not None or output is not None or limit is not None:
            raise UsageError("--sql shows a text: --format, --output and --limit are not for it")
        render.write_text(documented.sql(name))
        return
    to = options.report(
        {"format_": format_, "output": output, "limit": limit, "lake": None, "roots": (), "refresh": False}
    ).output
    render.write_result(documented.listed() if name is None else documented.described(name), to)


def _names(incomplete: str) -> list[str]:
    from tokenlake.query import documented

    return [name for name in documented.everything() if name.startswith(incomplete)]


command = click.Command(
    "schema",
    callback=show,
    params=[
        click.Argument(["name"], required=False, shell_complete=lambda ctx, param, incomplete: _names(incomplete)),
        click.Option(["--sql"], is_flag=True, help="Show the SQL of the view."),
        click.Option(
            ["--format", "format_"],
            type=Choice(render.FORMATS),
            help="Form of the result [default: by the ending of --output, else table].",
        ),
        click.Option(["--output"], type=options.FOLDER, metavar="FILE", help="Write the result to this file."),
        click.Option(["--limit"], type=click.IntRange(min=0), metavar="N", help="Only the first N rows."),
    ],
    help=show.__doc__,
    epilog="\b\nExample:\n  tokenlake schema requests\n  tokenlake schema selected_costs --format markdown",
)
