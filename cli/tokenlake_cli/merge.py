"""`tokenlake merge`: another lake's rows into this one, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokenlake_cli import lakes, messages, options, progress, render

if TYPE_CHECKING:
    from tokenlake.ingest.summary import MergeSummary


def merge(other: Path, lake: Path | None, jobs: int | None, format_: str) -> None:
    """Bring another lake's rows into this one, as if all transcripts had been ingested here.

    OTHER_LAKE, a folder that was copied from another machine or is mounted from there, is only read. A request that
    both lakes hold counts once; of a transcript that both know, the state that was written later counts, and texts
    that this lake lacks come over. Merging again changes nothing. A lake that is not there yet is made.
    """
    from tokenlake.lake import Lake

    into = Lake(lake)
    with lakes.said_if_new(into.path), progress.bar(what="merge") as advance:
        summary = into.merge(other, jobs=jobs, progress=advance, waiting=messages.say)
    for warning in summary.warnings:
        messages.warn(warning)
    render.write_rows(lakes.facts(_described(into.path, other, summary), format_), render.Output(format_))


def _described(path: Path, other: Path, summary: MergeSummary) -> lakes.Facts:
    """Names and values of the summary, those of the whole lake last."""
    return [
        ("lake", str(path)),
        ("other_lake", str(other)),
        ("files_other", summary.files_other),
        ("files_new", summary.files_new),
        ("files_replaced", summary.files_replaced),
        ("files_same", summary.files_same),
        ("files_older", summary.files_older),
        ("seconds", round(summary.seconds, 3)),
        ("requests_before", summary.requests_before),
        ("requests_other", summary.requests_other),
        *lakes.totals(summary.lake),
    ]


command = click.Command(
    "merge",
    callback=merge,
    params=[
        click.Argument(["other"], type=options.FOLDER, metavar="OTHER_LAKE"),
        options.lake_option(),
        options.jobs_option(),
        options.summary_format_option(),
    ],
    help=merge.__doc__,
    epilog="\b\nExample:\n  tokenlake merge /mnt/laptop/tokenlake",
)
