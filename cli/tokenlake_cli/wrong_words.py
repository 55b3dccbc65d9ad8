"""Groups of commands and choices that, told a word that is none of theirs, say which one may have been meant."""

from __future__ import annotations

from typing import Any

import click

from tokenlake.errors import did_you_mean


class Commands(click.Group):
    """A group whose subclass lists its commands and loads each by its name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names. Raises UsageError where none does."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if args[0].startswith("-"):
                raise
            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"No such command {args[0]!r}{hint}", ctx) from None


class Choice(click.Choice[str]):
    """One of some words."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Which words there are, and the one that is near."""
        return super().get_invalid_choice_message(value, ctx).rstrip(".") + did_you_mean(str(value), self.choices)
