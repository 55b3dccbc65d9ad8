"""Views: the SQL of queries/views in dependency order, and the filtered ones, which every report reads."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tokenlake.errors import QueryError, UsageError
from tokenlake.query.filters import NAMES, Filters

DEDUP: dict[str, str] = {
    "max": "requests",
    "first": "requests_first",
    "last": "requests_last",
    "none": "requests_none",
    "ccusage": "requests_ccusage",
}
"""The view behind each dedup mode (accounting rule 13)."""

# What each filter asks of a row, for the views that have the columns for it. A value stays in a variable of
# the connection: DuckDB folds `getvariable` to a constant when it plans, so conditions reach the Parquet
# statistics.
_SINCE = "ts >= getvariable('since')"
_UNTIL = "ts < getvariable('until')"
_SESSION = "starts_with(session_id, getvariable('session'))"
_HOST = "host = getvariable('host')"
_PROJECT = "contains(lower(project), lower(getvariable('project')))"
_MODEL = "contains(lower(model), lower(getvariable('model')))"

_OF_REQUEST = "key in (select key from selected)"
_OF_SESSION = "session_id in (select session_id from selected)"
_TIMED = {"since": _SINCE, "until": _UNTIL, "session": _SESSION, "host": _HOST}

FILTERED: dict[str, tuple[str, dict[str, str]]] = {
    "selected_tool_calls": ("tool_calls", {**_TIMED, "project": _OF_REQUEST, "model": _OF_REQUEST}),
    "selected_texts": ("texts", {**_TIMED, "project": _OF_REQUEST, "model": _OF_REQUEST}),
    "selected_prompts": ("prompts", {**_TIMED, "project": _PROJECT, "model": _OF_SESSION}),
    "selected_events": ("events", {**_TIMED, "project": _OF_SESSION, "model": _OF_SESSION}),
    "selected_sessions": (
        "sessions",
        {
            "since": "last_ts >= getvariable('since')",
            "until": "first_ts < getvariable('until')",
            "session": _SESSION,
            "host": _HOST,
            "project": _PROJECT,
            "model": _OF_SESSION,
        },
    ),
    "selected_files": (
        "files",
        {
            "since": "last_ts >= getvariable('since')",
            "until": "first_ts < getvariable('until')",
            "host": _HOST,
        },
    ),
    "selected_rejects": ("rejects", {"host": _HOST}),
}
"""Filtered views beside `selected`: the table of each, and the filters that have a meaning there."""


def selected(dedup: str, filters: Filters) -> str:
    """The SQL of the view `selected`: the requests under a dedup mode that pass the filters in use."""
    if dedup not in DEDUP:
        raise UsageError(f"dedup: {dedup!r} is none of {', '.join(DEDUP)}")
    conditions = {**_TIMED, "project": _PROJECT, "model": _MODEL}
    return f"select * from {DEDUP[dedup]}{_where(conditions, filters)}"


def filtered(filters: Filters) -> dict[str, str]:
    """The SQL of the filtered views beside `selected`, by name."""
    return {
        name: f"select * from {table}{_where(conditions, filters)}" for name, (table, conditions) in FILTERED.items()
    }


def _where(conditions: dict[str, str], filters: Filters) -> str:
    wanted = dict.fromkeys(conditions[name] for name in filters.in_use if name in conditions)
    return " where " + " and ".join(wanted) if wanted else ""


def ordered(folder: Path) -> list[tuple[Path, str]]:
    """Path and text of every view of a folder, each after the views that it reads; the stem is its name.

    Raises QueryError for views that read each other in a circle.
    """
    texts = {path.stem: (path, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))}
    graph = {name: words(text) & texts.keys() - {name} for name, (_, text) in texts.items()}
    try:
        return [texts[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise QueryError(f"{folder}: the views read each other in a circle: {circle}") from None


def effective_filters(text: str) -> frozenset[str]:
    """The filters that have an effect on SQL, by the views and the parameters that it reads."""
    found = words(text)
    used = {name for name in NAMES if f"${name}" in text}
    for view in found & FILTERED.keys():
        used |= FILTERED[view][1].keys()
    return frozenset(NAMES if "selected" in found else used)


def words(text: str) -> frozenset[str]:
    """The words of SQL, comments left out: among them every table that it reads."""
    return frozenset(re.findall(r"\w+", re.sub(r"--.*", "", text)))
