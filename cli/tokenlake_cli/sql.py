"""`tokenlake sql`: SQL as typed, from a file or from stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tokenlake.errors import UsageError
from tokenlake_cli import lakes, options, render
from tokenlake_cli.render import Output
from tokenlake_cli.values import visible


def answer(query: str | None, file: Path | None, allow_external: bool, **values: Any) -> None:
    """Answer SQL as typed, from a file or from stdin.

    Every table of the lake is a view. `selected` is the requests under the filters and the dedup mode;
    selected_tool_calls, selected_texts, selected_prompts, selected_events, selected_sessions,
    selected_files and selected_rejects are the other tables under those filters that have a meaning there.
    $tz and the filters may be used as parameters.

    The SQL reads the lake and nothing else: no other file, no extension, no network, and it writes none,
    unless --allow-external.
    """
    asked = options.report(values)
    text = _text(query, file)
    snapshot = lakes.for_report(asked.lake, asked.roots, asked.refresh)
    from tokenlake.query.run import sql

    result = sql(snapshot, text, asked.params, allow_external=allow_external)
    options.warn_of_idle_filters(asked, result.meta)
    if result.columns == ("explain_key", "explain_value") and asked.output == Output():
        for _, plan in result.rows():  # a drawing, which is no cell of a table
            render.write_text("\n".join(map(visible, plan.split("\n"))))
        return
    render.write_result(result, asked.output)


def _text(query: str | None, file: Path | None) -> str:
    if (query is None) == (file is None):
        raise UsageError("give the SQL as an argument, as -f FILE, or as - to read it from stdin")
    if query == "-" or (file is not None and str(file) == "-"):
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    if query is not None:
        return query
    assert file is not None
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: cannot be read: it is not UTF-8 ({error.reason} at byte {error.start})") from None


command = click.Command(
    "sql",
    callback=answer,
    params=[
        click.Argument(["query"], required=False, metavar="[SQL]"),
        click.Option(
            ["-f", "--file", "file"], type=options.FOLDER, metavar="FILE", help="Read the SQL from this file."
        ),
        options.external_option(),
        *options.report_options(),
    ],
    help=answer.__doc__,
    epilog=(
        '\b\nExample:\n  tokenlake sql --format json "select model, count(*) from selected group by model"\n'
        "  tokenlake sql --no-refresh - < question.sql"
    ),
)
