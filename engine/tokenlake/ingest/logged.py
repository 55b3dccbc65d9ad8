"""Rows as logged: what a segment adds to each table, as queries."""

from __future__ import annotations

from dataclasses import dataclass

from tokenlake.sources.claude import rows


@dataclass(frozen=True, slots=True)
class Logged:
    """The rows that a segment adds to each table, as queries: rows as logged, of whole transcripts or their tails.

    `made_before` are statements that make what these queries read, but for `session_files`.
    """

    session_files: str
    usage_rows: str
    tool_rows: str
    texts: str
    prompts: str
    events: str
    made_before: tuple[str, ...] = ()


PARSED_RECORDS = Logged(
    rows.SESSION_FILES,
    rows.USAGE_ROWS,
    rows.TOOL_ROWS,
    rows.TEXTS,
    rows.PROMPTS,
    rows.EVENTS,
    made_before=(
        f"create or replace view record_log as {rows.RECORD_LOG}",
        f"create or replace table embedded as {rows.EMBEDDED}",
        f"create or replace table times as {rows.TIMES}",
        f"create or replace table turns as {rows.TURNS}",
        f"create or replace view said as {rows.SAID}",
        f"create or replace view results as {rows.RESULTS}",
    ),
)
