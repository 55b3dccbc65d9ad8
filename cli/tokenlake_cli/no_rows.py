"""Why a report has no rows: a filter that nothing in the lake meets, a table that is empty, or the days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tokenlake.query.saved import SavedQuery
from tokenlake.schema import BY_NAME

if TYPE_CHECKING:
    from tokenlake.store.catalog import Snapshot

_NAMED = 4
"""How many of the values that there are is said."""

_COLUMNS = {"model": "model", "project": "project", "session": "session_id", "host": "host"}
"""The column of `requests` that each filter but those of time is about."""


def explained(snapshot: Snapshot, query: SavedQuery, params: Mapping[str, Any], filters: Mapping[str, str]) -> str:
    """What to say beside no rows: under which filters, and what the lake holds instead."""
    from tokenlake.query.run import sql

    under = f" under {', '.join(f'--{name} {value}' for name, value in filters.items())}" if filters else ""
    days = (
        "select strftime(min(ts) at time zone $tz, '%Y-%m-%d') as first_day, "
        "strftime(max(ts) at time zone $tz, '%Y-%m-%d') as last_day, "
        "count(*) as requests from requests"
    )
    answer = sql(snapshot, days, {name: value for name, value in params.items() if name == "tz"})
    ((first, last, requests),) = answer.rows()
    if not requests:
        return f"no rows{under}: the lake holds no requests; `tokenlake ingest` reads transcripts into it"
    if unmet := [text for name in _COLUMNS if name in filters and (text := _unmet(snapshot, name, filters[name]))]:
        return f"no rows{under}: {'; '.join(unmet)}"
    held = f"the lake holds requests from {first} to {last}, time zone {answer.meta.tz}"
    if first is None:
        held = f"none of the lake's requests, {requests:,}, has a time"
    if empty := _empty_tables(snapshot, query):
        return f"no rows{under}: {held}, and nothing in the table {' and '.join(empty)}"
    return f"no rows{under}: {held}"


def _unmet(snapshot: Snapshot, name: str, value: str) -> str:
    """Which values there are where no request of the lake meets a filter; empty where one does."""
    from tokenlake.query.run import sql

    ((met,),) = sql(snapshot, "select count(*) from (from selected limit 1)", {name: value}).rows()
    if met:
        return ""
    column = _COLUMNS[name]
    # What was used last is what people are after.
    values = f"select {column} from requests where {column} is not null group by 1 order by max(ts) desc, 1"
    known = [text for (text,) in sql(snapshot, values).rows()]
    more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
    return f"no request has such a {name}; the lake has {', '.join(known[:_NAMED]) or 'none'}{more}"


def _empty_tables(snapshot: Snapshot, query: SavedQuery) -> list[str]:
    """The tables of the lake that the query reads and that hold nothing."""
    from tokenlake.query.views import reached

    return sorted(name for name in reached(query.body) & BY_NAME.keys() if not snapshot.files.get(name))
