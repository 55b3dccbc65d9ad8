"""A new query of the user's own: the commented example that it starts from, and where it is put."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from tokenlake.errors import QueryError, UsageError
from tokenlake.query import saved

_TEXT = """\
-- Sessions by tokens: the heaviest first
-- total_tokens = context (input + cache writes + cache reads) + output.
--
-- $least integer = 1 {{1..}}: only sessions of at least so many requests
-- example: {command} --least 10 --since 30d

-- The comment above is the help of `{command}`: a title, what the columns mean, and a line for each option.
-- An option has a type (text, integer, number, boolean, date, timestamp), a default after `=` (null makes it optional;
-- without a default it must be given). It may have choices, $by text = 'day' {{day|week}}: rows of the result, and a
-- number a range, {{1..}} or {{0..100}}.
-- Its value is bound, never pasted: write $least without quotes. $tz is the zone asked for, $now the present.
--
-- `selected` is the requests under --since, --until, --project, --model, --session, --host and --dedup.
-- `tokenlake schema` lists what else there is, and `tokenlake schema selected` these columns.
with session_sums as (
    select
        session_id,
        min(ts) as first_ts,
        count(*) as requests,
        sum(context_tokens) + sum(output_tokens) as total_tokens
    from selected
    group by session_id
)

select
    session_id,
    (first_ts at time zone $tz)::date as day,
    requests,
    total_tokens
from session_sums
where requests >= $least
-- A total order, so that the same lake always gives the same rows in the same places.
order by total_tokens desc, session_id
"""


def create(name: str, taken: Container[str] = ()) -> Path:
    """Writes a query of this name, which loads as it is, into the user's folder; its path.

    `taken` are first words of commands that are no queries. Raises QueryError for a name that cannot be one or is in
    use, UsageError where the folder cannot be written.
    """
    if reason := refusal(name, taken):
        raise QueryError(f"{name!r} cannot be a query's name: {reason}")
    known = saved.files()
    if name in known and not saved.is_own(known[name]):
        raise QueryError(f"{name} is a query of the program: choose another name (`tokenlake queries {name}` shows it)")
    if hidden := next((other for other in known if name.startswith(f"{other}/")), None):
        raise QueryError(f"{name!r} cannot be a query's name: its folder would hide the query {hidden}")
    path = saved.user_folder() / f"{name}.sql"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(_TEXT.format(command=" ".join(["tokenlake", *name.split("/")])))
    except FileExistsError:
        raise QueryError(f"{path} is there already: edit it, or choose another name") from None
    except OSError as error:
        reason = f"cannot be written: {error.strerror or error}; $TOKENLAKE_QUERIES names another folder"
        raise UsageError(f"{path}: {reason}") from None
    return path


def refusal(name: str, taken: Container[str] = ()) -> str | None:
    """Why a name cannot be that of a query, or None where it can."""
    if not saved.is_name(name):
        return "write GROUP/NAME (or NAME) with a-z, 0-9, - and _ only, without .sql"
    first = name.partition("/")[0]
    if first in saved.NOT_SAVED:
        return f"the folder {first} is not searched for queries"
    if first in taken:
        return f"`tokenlake {first}` is a command of the program"
    if below := next((other for other in saved.files() if other.startswith(f"{name}/")), None):
        return f"there is a folder of this name, with {below}"
    return None
