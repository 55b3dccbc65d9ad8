"""`tokenlake demo`: from the samples that come with the program to an answer, in one command."""

from __future__ import annotations

from pathlib import Path

import click

from tokenlake.errors import SourceError
from tokenlake.query import saved
from tokenlake_cli import lakes, options, render
from tokenlake_cli.render import FORMATS
from tokenlake_cli.wrong_words import Choice


def demo(lake: Path | None, format_: str, output: Path | None) -> None:
    """Ingest the samples that come with the program, and show their cache overhead.

    The lake is a new one in the temporary folder, or the one named with --lake; it stays, to be asked more, until
    you delete it.
    """
    where = options.output(format_, output, lake=lake)
    logs = samples() / "logs"
    if not logs.is_dir():
        raise SourceError(f"the samples are missing: there is no {logs}; install tokenlake again")
    is_temporary = lake is None
    if lake is None:
        from tempfile import mkdtemp

        lake = Path(mkdtemp(prefix="tokenlake-demo-")) / "lake"
    path, summary = lakes.ingest(lake, [logs])
    snapshot = lakes.for_report(path, (), refresh=False)
    from tokenlake.query.run import run

    result = run(snapshot, "cache/overhead", {"tz": "UTC"})
    made = f"{summary.files_read:,} transcripts were read into the lake {path}"
    more = f"ask it more: tokenlake cost daily --lake {path}"
    rid = [f"when you are done with it, delete {path.parent}: nothing else is there"] if is_temporary else []
    render.write_result(result, where, (made, more, *rid))


def samples() -> Path:
    """The folder data-samples: beside the shipped queries, in the installed package and in the checkout."""
    return saved.shipped_folder().parent / "data-samples"


command = click.Command(
    "demo",
    callback=demo,
    params=[
        options.lake_option("a new one in the temporary folder"),
        click.Option(
            ["--format", "format_"],
            type=Choice(FORMATS),
            default="table",
            show_default=True,
            help="Form of the result.",
        ),
        click.Option(["--output"], type=options.FOLDER, metavar="FILE", help="Write the result to this file."),
    ],
    help=demo.__doc__,
    epilog="\b\nExample:\n  tokenlake demo --lake /tmp/lake",
)
