"""`tokenlake ingest`: transcripts into the lake, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokenlake.store import catalog
from tokenlake_cli import lakes, messages, options, render
from tokenlake_cli.render import Output

if TYPE_CHECKING:
    from tokenlake.ingest.summary import IngestSummary


def ingest(
    roots: tuple[Path, ...],
    lake: Path | None,
    host: str | None,
    text: bool | None,
    keep_raw: bool | None,
    jobs: int | None,
    format_: str,
) -> None:
    """Read transcripts into the lake.

    Only what was appended since the last time is read; a file that is gone keeps its rows. The first lines
    of the summary speak of this ingest, those from `requests` on of the whole lake.
    """
    from tokenlake.lake import Lake

    with lakes.said_if_new(Lake(lake).path):
        path, summary = lakes.ingest(lake, roots, host=host, keep_text=text, keep_raw=keep_raw, jobs=jobs)
    is_there = catalog.exists(path)
    if not is_there:
        messages.say(f"tokenlake: no lake was made at {path}: there is nothing to put into it")
    if is_there or format_ != "table":
        render.write_rows(lakes.facts(described(path if is_there else None, summary), format_), Output(format_))


def described(path: Path | None, summary: IngestSummary) -> lakes.Facts:
    """Names and values of the summary, in the order of reading; no path where no lake was made."""
    rate = summary.bytes_read / 1e6 / summary.seconds if summary.seconds else 0.0
    return [
        ("lake", None if path is None else str(path)),
        ("files_found", summary.files_found),
        ("files_read", summary.files_read),
        ("files_unchanged", summary.files_unchanged),
        ("files_departed", summary.files_departed),
        ("files_refused", summary.files_refused),
        ("bytes_read", summary.bytes_read),
        ("lines", summary.lines),
        ("records", summary.records),
        ("rejects", summary.rejects),
        ("odd_fields", summary.odd_fields),
        ("pending_bytes", summary.pending_bytes),
        ("seconds", round(summary.seconds, 3)),
        ("mb_per_second", round(rate, 1)),
        *lakes.totals(summary),
    ]


command = click.Command(
    "ingest",
    callback=ingest,
    params=[
        options.root_option(),
        options.lake_option(),
        click.Option(
            ["--host"], metavar="NAME", help="Name of the machine whose logs these are [default: this one's]."
        ),
        click.Option(
            ["--text/--no-text"],
            default=None,
            help="Keep the text of prompts and answers, or not, from now on; remembered by the lake [default: keep].",
        ),
        click.Option(
            ["--keep-raw/--no-keep-raw"],
            default=None,
            help="Keep every record's bytes too, texts and all, from now on; remembered by the lake [default: not].",
        ),
        options.jobs_option(),
        options.summary_format_option(),
    ],
    help=ingest.__doc__,
    epilog="\b\nExample:\n  tokenlake ingest --root ~/.claude --root /backup/laptop --host laptop",
)
