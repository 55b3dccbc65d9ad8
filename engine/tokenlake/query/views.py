"""Views: the SQL of queries/views, the generated ones that stand for settings, and which needs which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeVar

from tokenlake.errors import QueryError, UsageError, did_you_mean
from tokenlake.query import sums
from tokenlake.query.filters import NAMES, Filters
from tokenlake.query.saved import shipped_folder
from tokenlake.store.ledger import IS_BESIDE

T = TypeVar("T")

DEDUP: dict[str, str] = {
    "max": "requests",
    "first": "requests_first",
    "last": "requests_last",
    "none": "requests_none",
    "ccusage": "requests_ccusage",
}
"""The view behind each dedup mode (accounting rule 13)."""

# What was logged may be any number; a request of a million dollars is none. Picodollars of nine decimals.
_LOGGED = (
    "case when cost_logged >= 0 and cost_logged < 1000000 "
    # Widened first: nine decimals more do not fit the 18 digits of the column.
    "then (cost_logged::decimal(27, 9) * 1000000000)::bigint * 1000 end"
)

COST_MODES: dict[str, tuple[str, str]] = {
    "calculate": ("null::bigint", "true"),
    "auto": (_LOGGED, f"{_LOGGED} is null"),
    "display": (_LOGGED, "false"),
}
"""Of each cost mode (accounting rule 24), in SQL: what a request's logged cost is, and whether prices count for it."""

# What each filter asks of a row, for the views that have the columns for it. A value stays in a variable of
# the connection: DuckDB folds `getvariable` to a constant when it plans, so conditions reach the Parquet
# statistics.
_SINCE = "ts >= getvariable('since')"
_UNTIL = "ts < getvariable('until')"
_SESSION = "starts_with(session_id, getvariable('session'))"
_HOST = "host = getvariable('host')"
_PROJECT = "contains(lower(project), lower(getvariable('project')))"
_MODEL = "contains(lower(model), lower(getvariable('model')))"

# Looked up without the dates: what happened yesterday may belong to a request of the day before.
_OF_REQUESTS = {
    name: f"key in (select key from deduped where {condition})"
    for name, condition in (("project", _PROJECT), ("model", _MODEL))
}
_OF_SESSIONS = {
    name: f"session_id in (select session_id from deduped where {condition})"
    for name, condition in (("project", _PROJECT), ("model", _MODEL))
}
# All requests of a sum lie on one side of these (see query.sums).
_OF_SUMS = {
    "since": "first_ts >= getvariable('since')",
    "until": "first_ts < getvariable('until')",
    "session": _SESSION,
    "host": _HOST,
    "project": _PROJECT,
    "model": _MODEL,
}
_TIMED = {"since": _SINCE, "until": _UNTIL, "session": _SESSION, "host": _HOST}
_ALL = {**_TIMED, "project": _PROJECT, "model": _MODEL}
_OF_FILES = {
    "since": "last_ts >= getvariable('since')",
    "until": "first_ts < getvariable('until')",
    "host": _HOST,
}

FILTERED: dict[str, tuple[str, dict[str, str]]] = {
    "selected": ("deduped", _ALL),
    "selected_sums": (sums.VIEW, _OF_SUMS),
    "selected_costs": ("costs", _ALL),
    "selected_cost_sums": ("cost_sums", _OF_SUMS),
    "selected_chains": ("chains", _ALL),
    "selected_tool_calls": ("tool_calls", {**_TIMED, **_OF_REQUESTS}),
    "selected_texts": ("texts", {**_TIMED, **_OF_REQUESTS}),
    "selected_prompts": ("prompts", {**_TIMED, **_OF_SESSIONS, "project": _PROJECT}),
    "selected_events": ("events", {**_TIMED, **_OF_SESSIONS}),
    "selected_sessions": (
        "sessions",
        {
            "since": "last_ts >= getvariable('since')",
            "until": "first_ts < getvariable('until')",
            "session": _SESSION,
            "host": _HOST,
            "project": _PROJECT,
            "model": _OF_SESSIONS["model"],
        },
    ),
    "selected_files": ("files", _OF_FILES),
    "selected_transcripts": ("transcripts", _OF_FILES),
    "selected_rejects": ("rejects", {"host": _HOST}),
    "selected_known_prompts": ("known_prompts", {**_TIMED, "project": _PROJECT}),
}
"""The filtered views: the view or table behind each, and the filters that have a meaning there."""

KEPT = frozenset({"logged_models", "price_rates"})
"""Small views over large ones that several others read: worked out once for a query."""


@dataclass(frozen=True, slots=True)
class View:
    """The SQL of a view, the file that it is from, and the words by which it may name other views."""

    text: str
    path: Path | None = None
    words: frozenset[str] = frozenset()


def generated(dedup: str, cost_mode: str, filters: Filters) -> dict[str, str]:
    """The SQL of the views that stand for settings, by name.

    `deduped` is the requests under a dedup mode, `requests_of_mode` these with `logged_pico`, the cost that was
    logged in picodollars where the cost mode takes it, and `is_calculated`, whether prices count; `sums_of_mode` is
    the same as sums, here of one request each (see `query.sums`); `transcripts` is the files that are none of those
    beside transcripts; the views of FILTERED hold what passes the filters
    in use, and `logged_models` every model name that `deduped` may hold.
    Raises UsageError for a mode that does not exist.
    """
    base = _choice("dedup", dedup, DEDUP)
    logged, is_calculated = logged_cost(cost_mode)
    return {
        "deduped": f"select * from {base}",
        # The other modes take rows from all that were logged; to make them twice would cost more than this.
        "logged_models": f"select distinct model from {'requests' if base == 'requests' else 'usage_rows'}",
        "requests_of_mode": f"select *, {logged} as logged_pico, {is_calculated} as is_calculated from deduped",
        "transcripts": f"select * from files where not {IS_BESIDE}",
        sums.VIEW: sums.of_requests("requests_of_mode", ("logged_pico", "is_calculated")),
        **{
            name: f"select * from {source}{_where(conditions, filters)}"
            for name, (source, conditions) in FILTERED.items()
        },
    }


def logged_cost(cost_mode: str) -> tuple[str, str]:
    """What COST_MODES says of a cost mode; UsageError for one that does not exist."""
    return _choice("cost_mode", cost_mode, COST_MODES)


def _choice(name: str, wanted: str, choices: Mapping[str, T]) -> T:
    if wanted not in choices:
        raise UsageError(f"{name}: {wanted!r} is none of {', '.join(choices)}{did_you_mean(str(wanted), choices)}")
    return choices[wanted]


def _where(conditions: dict[str, str], filters: Filters) -> str:
    wanted = dict.fromkeys(conditions[name] for name in filters.in_use if name in conditions)
    return " where " + " and ".join(wanted) if wanted else ""


@cache
def shipped(folder: Path) -> Mapping[str, View]:
    """The views of a folder of .sql files, by name: the stem of the file."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}
    return {path.stem: View(text, path, words(text)) for path, text in texts.items()}


def of_settings(dedup: str, cost_mode: str, filters: Filters) -> dict[str, View]:
    """The views of `generated`."""
    return {name: View(text, None, words(text)) for name, text in generated(dedup, cost_mode, filters).items()}


def in_order(views: Mapping[str, View]) -> list[str]:
    """The names of views, each after those that it reads; of a view that reads itself in no circle of others.

    Raises QueryError for views that read each other in a circle.
    """
    graph = {name: view.words & views.keys() - {name} for name, view in views.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = error.args[1]
        place = next((views[name].path for name in circle if views[name].path), None)
        raise QueryError(
            f"{place.parent if place else 'views'}: the views read each other in a circle: {' -> '.join(circle)}"
        ) from None


def closure(views: Mapping[str, View], names: Iterable[str]) -> set[str]:
    """Those of the views that are among `names`, and the views that these read."""
    needed: set[str] = set()
    found = views.keys() & set(names)
    while found:
        needed |= found
        found = {word for name in found for word in views[name].words} & views.keys() - needed
    return needed


def reached(text: str) -> frozenset[str]:
    """The views and tables that SQL reads, itself or through views; generated ones as without filters."""
    return _named({**shipped(shipped_folder() / "views"), **of_settings("max", "calculate", Filters())}, text)


def effective_filters(text: str) -> frozenset[str]:
    """The filters that have an effect on SQL, by the views and the parameters that it reads."""
    used = {name for name in NAMES if f"${name}" in text}
    # Not through filtered views: what one of them reads stands under its own conditions.
    for view in _named(shipped(shipped_folder() / "views"), text) & FILTERED.keys():
        used |= FILTERED[view][1].keys()
    return frozenset(used)


def _named(known: Mapping[str, View], text: str) -> frozenset[str]:
    """The words of SQL, and of those of the views that it reads."""
    own = words(text)
    return own.union(*(known[name].words for name in closure(known, own)))


def words(text: str) -> frozenset[str]:
    """The words of SQL, comments and texts left out: among them every table that it reads."""
    return frozenset(re.findall(r"\w+", _NO_NAMES.sub(r"\1 ", text)))


_NO_NAMES = re.compile(r"""'[^']*'|("[^"]*")|--.*|(?s:/\*.*?\*/)""")
