"""Saved queries as commands: every parameter a typed option, every folder a group.

Listing commands opens no module but this: what a report needs is imported when one is made or run.
"""

from __future__ import annotations

from typing import Any

import click

from tokenlake.errors import QueryError
from tokenlake.query import saved
from tokenlake.query.parameters import Parameter
from tokenlake.query.saved import SavedQuery
from tokenlake_cli import messages
from tokenlake_cli.wrong_words import Choice, Commands


class QueryGroup(Commands):
    """The saved queries of one folder; each file is read when asked for, so a broken one hurts no other."""

    def __init__(self, folder: str) -> None:
        """The group of a folder, named by its path below the folders of queries."""
        super().__init__(folder.rsplit("/", 1)[-1], no_args_is_help=True)
        self.folder = folder
        self.help = f"Reports of the folder {folder}, one a saved query."

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the folder's queries and of the folders in it."""
        return names_below(self.folder)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a query, or the group of a folder."""
        return command(f"{self.folder}/{cmd_name}", completing=ctx.resilient_parsing)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example of the folder's first query."""
        below = (name for name in saved.files() if name.startswith(f"{self.folder}/"))
        if example := next((text for name in below for text in _examples_of(name)), None):
            with formatter.section("Example"):
                formatter.write_text(example)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every query with its title; a broken one with the reason."""
        rows = [(name, described(f"{self.folder}/{name}")) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def names_below(folder: str) -> list[str]:
    """The names that follow a folder in the names of the queries; those of the top for an empty folder."""
    prefix = f"{folder}/" if folder else ""
    names = (name.removeprefix(prefix) for name in saved.files() if name.startswith(prefix))
    return sorted({name.partition("/")[0] for name in names})


def described(name: str) -> str:
    """The line that stands beside a query or a folder in a list of commands."""
    if below := names_below(name):
        return f"Reports: {', '.join(below)}."
    try:
        return saved.header(name, saved.files()[name]).title
    except QueryError as error:
        return f"(broken: {error})"


def _examples_of(name: str) -> tuple[str, ...]:
    try:
        return saved.header(name, saved.files()[name]).examples
    except QueryError:
        return ()


def command(name: str, completing: bool = False) -> click.Command | None:
    """The command or group of a name: of a file and a folder with one name the folder counts.

    Raises QueryError for a broken file; while the shell completes, its command is one without options, so that the
    words of the others are still found.
    """
    if names_below(name):
        return QueryGroup(name)
    path = saved.files().get(name)
    if path is None:
        return None
    if completing:
        try:
            saved.header(name, path)
        except QueryError:
            return click.Command(name.rsplit("/", 1)[-1], short_help="(broken)")
    from tokenlake_cli import options

    query = saved.header(name, path)
    external = [options.external_option()] if saved.is_own(path) else []

    def answer(allow_external: bool = False, **values: Any) -> None:
        report(query, values, allow_external)

    return click.Command(
        name.rsplit("/", 1)[-1],
        callback=answer,
        params=[
            *map(_option, query.parameters),
            *external,
            *options.report_options(reads_costs=options.reads_costs(query.reads)),
        ],
        help=_help(query),
        short_help=query.title,
        epilog=_examples(query),
    )


def report(query: SavedQuery, values: dict[str, Any], allow_external: bool) -> None:
    """Runs a saved query with the options as click read them, and writes its result."""
    from tokenlake_cli import lakes, options, render

    asked = options.report(values)
    snapshot = lakes.for_report(asked.lake, asked.roots, asked.refresh)
    from tokenlake.query.run import run

    result = run(snapshot, query.name, asked.params, allow_external=allow_external)
    options.warn_of_idle_filters(asked, result.meta)
    render.write_result(result, asked.output)
    if not len(result):
        from tokenlake_cli import no_rows

        messages.say(no_rows.explained(snapshot, query, asked.params, result.meta.filters))


def _option(parameter: Parameter) -> click.Option:
    name = parameter.name.replace("_", "-")
    text = parameter.text[:1].upper() + parameter.text[1:].rstrip(".") + "."
    if parameter.type == "boolean":
        flags = f"--{name}/--no-{name}"
        return click.Option([flags], default=parameter.default, required=parameter.required, help=text)
    kind = Choice(parameter.choices) if parameter.choices else _number(parameter) or str
    if parameter.required:
        return click.Option([f"--{name}"], type=kind, required=True, help=text)
    return click.Option(
        [f"--{name}"],
        type=kind,
        default=parameter.default,
        show_default=parameter.default is not None,
        help=text,
    )


def _number(parameter: Parameter) -> click.ParamType[Any] | None:
    """The type of a number, in its range."""
    if parameter.type == "integer":
        least, most = (None if limit is None else int(limit) for limit in (parameter.least, parameter.most))
        return click.IntRange(least, most) if (least, most) != (None, None) else click.INT
    if parameter.type == "number":
        limits = (parameter.least, parameter.most)
        return click.FloatRange(*limits) if limits != (None, None) else click.FLOAT
    return None


def _help(query: SavedQuery) -> str:
    paragraphs = [part for part in query.help.split("\n\n") if part.strip()]
    return "\n\n".join([query.title, *(f"\b\n{part}" for part in paragraphs)])


def _examples(query: SavedQuery) -> str | None:
    if not query.examples:
        return None
    lines = "\n".join(f"  {example}" for example in query.examples)
    return f"\b\nExample:\n{lines}"
