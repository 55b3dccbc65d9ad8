"""`tokenlake queries`: the list of saved queries, the SQL of one, a new one, and the check of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tokenlake.errors import QueryError, UsageError
from tokenlake.query import saved
from tokenlake_cli import messages, render, values
from tokenlake_cli.exits import ExitCode
from tokenlake_cli.render import Output, Sheet
from tokenlake_cli.wrong_words import Choice


def show(name: str | None, new: str | None, check: bool, format_: str | None) -> None:
    """List the saved queries, all or those of a group, show the SQL of one, start one, or check them.

    Your own are the .sql files of $TOKENLAKE_QUERIES, else of tokenlake/queries in your configuration
    folder; each becomes a command, and of two with one name yours counts.
    """
    if sum((name is not None and not check, new is not None, check, format_ is not None)) > 1:
        raise UsageError("give one of NAME, --new, --check and --format: each is an answer of its own")
    if new is not None:
        _create(new)
    elif check:
        _check(name)
    elif name is not None and (below := _names(f"{name.rstrip('/')}/")) and name not in saved.files():
        _list("table", below)
    elif name is not None:
        render.write_text(saved.load(name).text)
    else:
        _list(format_ or "table", list(saved.files()))


def _create(name: str) -> None:
    from tokenlake.query import template
    from tokenlake_cli.main import BUILT_IN

    path = template.create(name, BUILT_IN)
    render.write_text(str(path))
    command = " ".join(["tokenlake", *name.split("/")])
    messages.say(f"edit this file; `{command}` runs it, and `tokenlake queries --check {name}` checks it")


def _check(wanted: str | None) -> None:
    """Problems are the answer: they go to stdout, a line each; the exit code says whether there are any."""
    from tokenlake.query import checked
    from tokenlake_cli.main import BUILT_IN

    files = 0
    problems = 0
    for file in checked.check_all(BUILT_IN) if wanted is None else [checked.check_file(*_named(wanted), BUILT_IN)]:
        files += 1
        problems += len(file.problems)
        for problem in file.problems:
            render.write_text(values.visible(" ".join(problem.split())))
        if file.needs_external:
            messages.say(
                f"{file.path}: reads more than the lake: it runs with --allow-external only, and was not planned"
            )
    what = "1 query" if files == 1 else f"{files} queries"
    messages.say(f"{what} checked: {problems or 'no'} problem{'s' * (problems != 1)}")
    if problems:
        raise click.exceptions.Exit(int(ExitCode.USAGE))


def _named(wanted: str) -> tuple[str, Path]:
    """Name and path of a query given by name, or by its file, which may lie anywhere."""
    if wanted in (known := saved.files()):
        return wanted, known[wanted]
    path = Path(wanted)
    if path.suffix == ".sql" or path.is_file():
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file")
        near = (name for name, file in known.items() if file.resolve() == path.resolve())
        return next(near, path.stem), path
    return wanted, saved.path_of(wanted)


def _list(format_: str, names: Sequence[str]) -> None:
    rows = []
    known = saved.files()
    for name in names:
        path = known[name]
        try:
            query = saved.header(name, path)
        except QueryError as error:
            messages.fail(str(error))
            continue
        parameters = " ".join(f"${parameter.name}" for parameter in query.parameters)
        rows.append((name, query.title, parameters or None, _whose(name, path), str(path)))
    render.write_rows(Sheet(("name", "title", "parameters", "whose", "file"), rows), Output(format_))


def _whose(name: str, path: Path) -> str:
    if not saved.is_own(path):
        return "shipped"
    return "own, in place of the shipped one" if (saved.shipped_folder() / f"{name}.sql").is_file() else "own"


command = click.Command(
    "queries",
    callback=show,
    params=[
        click.Argument(["name"], required=False, shell_complete=lambda ctx, param, incomplete: _names(incomplete)),
        click.Option(["--new"], metavar="NAME", help="Start a query of your own (GROUP/NAME) from an example."),
        click.Option(
            ["--check"],
            is_flag=True,
            help="Check every query, or the one named (a file's path will do): header, parameters, SQL, columns.",
        ),
        click.Option(
            ["--format", "format_"],
            type=Choice(("table", "json", "jsonl", "csv", "markdown")),
            help="Form of the list.  [default: table]",
        ),
    ],
    help=show.__doc__,
    epilog=(
        "\b\nExample:\n  tokenlake queries cache/overhead\n"
        "  tokenlake queries --new mine/sessions\n  tokenlake queries --check"
    ),
)


def _names(incomplete: str) -> list[str]:
    return [name for name in saved.files() if name.startswith(incomplete)]
