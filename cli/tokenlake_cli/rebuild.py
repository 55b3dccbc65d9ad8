"""`tokenlake rebuild`: the lake made anew from the lines that it kept, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokenlake_cli import lakes, messages, options, progress, render

if TYPE_CHECKING:
    from tokenlake.ingest.summary import RebuildSummary


def rebuild(lake: Path | None, keep_others: bool, jobs: int | None, format_: str) -> None:
    """Make the lake anew from the lines that --keep-raw kept.

    Of use after damage to a table, and to have what a newer version reads out of old lines; no transcript is needed.
    The old tables stay until the new ones are whole. Transcripts of which not every line was kept cannot be made
    anew: they are named, and nothing is done, unless --keep-others.
    """
    from tokenlake.lake import Lake

    whole = Lake(lake)
    with progress.bar(what="rebuild") as advance:
        summary = whole.rebuild(keep_others=keep_others, jobs=jobs, progress=advance, waiting=messages.say)
    render.write_rows(lakes.facts(_described(whole.path, summary), format_), render.Output(format_))


def _described(path: Path, summary: RebuildSummary) -> lakes.Facts:
    """Names and values of the summary, those of the whole lake last."""
    return [
        ("lake", str(path)),
        ("files", summary.files),
        ("files_taken_over", summary.files_taken_over),
        ("lines", summary.lines),
        ("bytes_read", summary.bytes_read),
        ("records", summary.records),
        ("rejects", summary.rejects),
        ("odd_fields", summary.odd_fields),
        ("seconds", round(summary.seconds, 3)),
        *lakes.totals(summary.lake),
    ]


command = click.Command(
    "rebuild",
    callback=rebuild,
    params=[
        options.lake_option(),
        click.Option(
            ["--keep-others"],
            is_flag=True,
            help="Take the rows of transcripts that cannot be made anew over as they are.",
        ),
        options.jobs_option(),
        options.summary_format_option(),
    ],
    help=rebuild.__doc__,
    epilog="\b\nExample:\n  tokenlake rebuild --lake /backup/lake",
)
