"""`tokenlake completion`: the script by which a shell completes commands, options and their values."""

from __future__ import annotations

import click

from tokenlake_cli import render


def show(shell: str) -> None:
    """Print the completion script of a shell, to be read by its start-up file."""
    from click.shell_completion import get_completion_class

    from tokenlake_cli.main import COMPLETE, tokenlake

    kind = get_completion_class(shell)
    assert kind is not None
    render.write_text(kind(tokenlake, {}, "tokenlake", COMPLETE).source())


command = click.Command(
    "completion",
    callback=show,
    params=[click.Argument(["shell"], type=click.Choice(("bash", "zsh", "fish")))],
    help=show.__doc__,
    epilog=(
        "\b\nExample:\n  tokenlake completion bash >> ~/.bashrc\n"
        "  tokenlake completion fish > ~/.config/fish/completions/tokenlake.fish"
    ),
)
