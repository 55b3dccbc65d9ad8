"""`tokenlake queries`: the list of saved queries, and the SQL of one."""

from __future__ import annotations

import click

from tokenlake.errors import QueryError
from tokenlake.query import saved
from tokenlake_cli import messages, render
from tokenlake_cli.render import Output, Sheet


def show(name: str | None, format_: str) -> None:
    """List the saved queries, or show the SQL of one.

    Your own are the .sql files of $TOKENLAKE_QUERIES, else of tokenlake/queries in your configuration
    folder; each becomes a command, and of two with one name yours counts.
    """
    if name is not None:
        render.write_text(saved.load(name).text)
        return
    rows = []
    for known, path in saved.files().items():
        try:
            query = saved.header(known, path)
        except QueryError as error:
            messages.fail(str(error))
            continue
        rows.append((known, query.title, " ".join(f"${p.name}" for p in query.parameters) or None, str(path)))
    render.write_rows(Sheet(("name", "title", "parameters", "file"), rows), Output(format_))


command = click.Command(
    "queries",
    callback=show,
    params=[
        click.Argument(["name"], required=False, shell_complete=lambda ctx, param, incomplete: _names(incomplete)),
        click.Option(
            ["--format", "format_"],
            type=click.Choice(("table", "json", "jsonl", "csv", "markdown")),
            default="table",
            show_default=True,
            help="Form of the list.",
        ),
    ],
    help=show.__doc__,
    epilog="\b\nExample:\n  tokenlake queries cache/overhead",
)


def _names(incomplete: str) -> list[str]:
    return [name for name in saved.files() if name.startswith(incomplete)]
