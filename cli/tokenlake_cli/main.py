"""The program: finds the command asked for, runs it, and turns an error into a line and a code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from tokenlake.errors import TokenlakeError
from tokenlake_cli import messages
from tokenlake_cli.exits import ExitCode
from tokenlake_cli.wrong_words import Commands

COMPLETE = "_TOKENLAKE_COMPLETE"
"""The variable by which the shell's completion script says what it wants."""

BUILT_IN = {
    "ingest": "Read transcripts into the lake.",
    "sql": "Answer SQL as typed, from a file or from stdin.",
    "queries": "List the saved queries, show the SQL of one, start your own, check them.",
    "schema": "Describe the tables and views: columns, types, units, sources.",
    "prices": "Show the prices, the source of each, and the models without one.",
    "reproduce": "Reproduce published figures from exact corpora, or answer them from your own lake.",
    "reconcile": "Put ccusage's totals beside the lake's and explain every difference by rule.",
    "doctor": "Check the lake, the logs and the versions, and say what to do.",
    "merge": "Bring another lake's rows into this one.",
    "rebuild": "Make the lake anew from the lines that --keep-raw kept.",
    "synth": "Write made-up transcripts of any size, with the exact answer.",
    "demo": "Ingest the samples that come with the program, and show their cache overhead.",
    "completion": "Print the shell's completion script.",
    "help": "Show the help of a command.",
}
"""The commands that are no saved queries, each in a module of its name."""


class Tokenlake(Commands):
    """Built-in commands, and a group for every folder of saved queries; each is loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, the built-in ones first."""
        from tokenlake_cli.reports import names_below

        return [*BUILT_IN, *(name for name in names_below("") if name not in BUILT_IN)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; its module or file is read here."""
        if cmd_name in BUILT_IN:
            found = import_module(f"tokenlake_cli.{cmd_name}").command
            assert isinstance(found, click.Command)
            return found
        from tokenlake_cli.reports import command

        return command(cmd_name, completing=ctx.resilient_parsing)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with a line each, without loading any."""
        from tokenlake_cli.reports import described

        names = self.list_commands(ctx)
        with formatter.section("Commands"):
            formatter.write_dl([(name, BUILT_IN[name]) for name in names if name in BUILT_IN])
        with formatter.section("Reports"):
            formatter.write_dl([(name, described(name)) for name in names if name not in BUILT_IN])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """An example, and the exit codes."""
        with formatter.section("Example"):
            formatter.write_text("tokenlake cache overhead --by day --since 30d")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), code.text) for code in ExitCode])


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from tokenlake import __version__
        from tokenlake_cli import render

        render.write_text(f"tokenlake {__version__}")
        ctx.exit()


@click.group(cls=Tokenlake, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def tokenlake(debug: bool) -> None:
    """Answer questions about tokens, cache overhead and cost from Claude Code's session logs.

    The logs are read into a lake of Parquet files once; each report reads what was appended since, then
    answers.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point: never returns, never shows a traceback unless --debug asks for it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _open_streams()
    sys.exit(int(run(given)))


def run(arguments: list[str]) -> ExitCode:
    """Runs one command line; what it should exit with."""
    debug = "--debug" in arguments
    if debug:  # accepted anywhere: people add it at the end of the line that failed
        arguments = ["--debug", *(argument for argument in arguments if argument != "--debug")]
    try:
        # Not click's main(): it takes a reader that has left for a failure.
        if wish := os.environ.get(COMPLETE):
            from click.shell_completion import shell_complete

            shell_complete(tokenlake, {}, "tokenlake", COMPLETE, wish)
            return ExitCode.OK
        with tokenlake.make_context("tokenlake", arguments) as context:
            tokenlake.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as exit_:
        return ExitCode(exit_.exit_code)
    except BrokenPipeError:
        _forget_stdout()
        return ExitCode.OK
    except (KeyboardInterrupt, click.Abort):
        messages.fail("interrupted")
        return ExitCode.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        messages.say_text(error.format_message())
        return ExitCode.USAGE
    except click.ClickException as error:
        _trace(debug)
        messages.fail(_worded(error))
        return ExitCode.USAGE
    except TokenlakeError as error:
        _trace(debug)
        messages.fail(str(error))
        return ExitCode(error.exit_code)
    except Exception as error:
        if isinstance(error, RuntimeError) and str(error) == "Query interrupted":  # as DuckDB says it
            messages.fail("interrupted")
            return ExitCode.INTERRUPTED
        _trace(debug)
        place = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        messages.fail(f"{type(error).__name__}: {place}{'' if debug else '; run with --debug for the traceback'}")
        return ExitCode.UNEXPECTED
    return ExitCode.OK


def _open_streams() -> None:
    """Where the caller closed one (`>&-`), there is nothing to read, and nobody to be told: no error."""
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - to the end


def _trace(debug: bool) -> None:
    """The traceback of the error in hand, before the line that says what it is."""
    if debug:
        from traceback import format_exc

        messages.say_text(format_exc().rstrip("\n"))


def _worded(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split())
    if text.startswith("Got unexpected extra argument") and isinstance(error, click.UsageError):
        of_command = error.ctx.command.params if error.ctx is not None else []
        text += "; a folder of transcripts is named with --root" * any("--root" in param.opts for param in of_command)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{text.rstrip('.')} (see {error.ctx.command_path} --help)"
    return text


def _forget_stdout() -> None:
    """Keeps the interpreter from writing, at its end, to a reader that has left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main()
