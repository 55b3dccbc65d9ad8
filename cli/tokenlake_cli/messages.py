"""What is said on stderr, which is everything that is not data."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """One line on stderr; a reader that has gone is no error."""
    with contextlib.suppress(OSError, ValueError):
        print(_one_line(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """A warning on stderr."""
    say(f"tokenlake: warning: {text}")


def fail(text: str) -> None:
    """The one line on stderr that says why a command failed."""
    say(f"tokenlake: {text}")


def _one_line(text: str) -> str:
    # Paths and reasons come from data: they must not be able to write to the terminal.
    return "".join(char if char.isprintable() else " " if char in "\n\t" else repr(char)[1:-1] for char in text)


def say_text(text: str) -> None:
    """A text of several lines on stderr."""
    with contextlib.suppress(OSError, ValueError):
        print("\n".join(map(_one_line, text.split("\n"))), file=sys.stderr, flush=True)
