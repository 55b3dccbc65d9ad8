"""`tokenlake doctor`: what is wrong with the lake, what to know of the logs, and what to do."""

from __future__ import annotations

from pathlib import Path

import click

from tokenlake_cli import options, render
from tokenlake_cli.exits import ExitCode


def doctor(
    lake: Path | None,
    roots: tuple[Path, ...],
    host: str | None,
    quick: bool,
    format_: str | None,
    output: Path | None,
) -> None:
    """Check the lake, the logs and the versions, and say what to do.

    A row a check, its status ok, warning or problem. The lake: are its data files there, of the bytes that were
    written, and no others; do keys name one row, do rows lie in their month, do sums agree; may others read it. The
    logs: what could not be read, what was never seen before, what the agent will delete and the lake has not read.
    Nothing is written.

    The exit code is 5 where there is a problem, which is always one of the lake; warnings leave it at 0.
    """
    where = options.output(format_, output, lake=lake, roots=roots)
    from tokenlake.doctor import examination, findings
    from tokenlake.lake import Lake

    found = examination.examine(Lake(lake).path, roots, host=host, quick=quick)
    render.write_result(findings.as_result(found), where)
    if any(examination.problems(found)):
        raise click.exceptions.Exit(int(ExitCode.FINDINGS))


command = click.Command(
    "doctor",
    callback=doctor,
    params=[
        options.lake_option(),
        options.root_option(),
        click.Option(
            ["--host"], metavar="NAME", help="Name of the machine whose logs these are [default: this one's]."
        ),
        click.Option(["--quick"], is_flag=True, help="Leave out what reads every data file."),
        *options.output_options(),
    ],
    help=doctor.__doc__,
    epilog="\b\nExample:\n  tokenlake doctor\n  tokenlake doctor --quick --format json",
)
