"""`tokenlake help`: the help of a command, for those who ask for it by a word."""

from __future__ import annotations

import click


def show(words: tuple[str, ...]) -> None:
    """Show the help of a command, as its --help does; without one, that of the program."""
    from tokenlake_cli.main import tokenlake

    with tokenlake.make_context("tokenlake", [*words, "--help"]) as context:
        tokenlake.invoke(context)


command = click.Command(
    "help",
    callback=show,
    params=[click.Argument(["words"], nargs=-1, metavar="[COMMAND]...")],
    help=show.__doc__,
    epilog="\b\nExample:\n  tokenlake help cache overhead",
)
