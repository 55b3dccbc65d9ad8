"""`tokenlake completion`: the script by which a shell completes commands, options and their values."""

from __future__ import annotations

import click

from tokenlake_cli import render
from tokenlake_cli.wrong_words import Choice


def show(shell: str) -> None:
    """Print the completion script of a shell, to be read by its start-up file."""
    from click.shell_completion import get_completion_class

    from tokenlake_cli.main import COMPLETE, tokenlake

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(tokenlake, {}, "tokenlake", COMPLETE).source()
    # click's script for fish takes a description's first comma for its end.
    render.write_text(script.replace('string split ","', 'string split --max 1 ","'))


command = click.Command(
    "completion",
    callback=show,
    params=[click.Argument(["shell"], type=Choice(("bash", "zsh", "fish")))],
    help=show.__doc__,
    epilog=(
        "\b\nExample:\n  tokenlake completion bash >> ~/.bashrc\n"
        "  tokenlake completion zsh >> ~/.zshrc  # below the line that runs compinit\n"
        "  tokenlake completion fish > ~/.config/fish/completions/tokenlake.fish"
    ),
)
