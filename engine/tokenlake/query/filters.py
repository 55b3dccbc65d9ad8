"""The filters that every report knows, and how their dates are read."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, fields

from tokenlake.errors import UsageError
from tokenlake.query.zones import zone

When = str | dt.date | dt.datetime


@dataclass(frozen=True, slots=True)
class Filters:
    """Which requests a report is about; None means no condition.

    `since` is the first instant that counts and `until` the first that counts no more, both aware of their
    zone. `project` and `model` are parts of the name (upper and lower case are the same), `session` is the
    beginning of the session id, `host` a whole name.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    project: str | None = None
    model: str | None = None
    session: str | None = None
    host: str | None = None

    @property
    def in_use(self) -> dict[str, str | dt.datetime]:
        """The conditions that are set, by name."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}


NAMES: tuple[str, ...] = tuple(f.name for f in fields(Filters))

FORMS = "YYYY-MM-DD, YYYYMMDD, today, yesterday, an ISO timestamp, or an age such as 7d, 2w or 12h"

_DAYS = {"today": "0d", "yesterday": "1d"}
_AGE = re.compile(r"(\d{1,6})([hdw])")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")


def read_since(value: When, tz: str, now: dt.datetime) -> dt.datetime:
    """The first instant of `value`: a day's local midnight, or the timestamp itself.

    An age in days or weeks is the local midnight that long ago, one in hours is exactly that long before
    `now`. Raises UsageError for a text of another form.
    """
    moment = _read(value, tz, now, "since")
    return _midnight(moment, tz) if not isinstance(moment, dt.datetime) else moment


def read_until(value: When, tz: str, now: dt.datetime) -> dt.datetime:
    """The first instant after `value`: the local midnight that ends a day, or just after a timestamp."""
    moment = _read(value, tz, now, "until")
    if isinstance(moment, dt.datetime):
        return moment + dt.timedelta(microseconds=1)
    try:
        return _midnight(moment + dt.timedelta(days=1), tz)
    except OverflowError:
        raise UsageError(f"until: {value} is out of range") from None


def read_instant(value: When, tz: str, now: dt.datetime, name: str) -> dt.datetime:
    """The instant of a timestamp in `tz`; of a day, its local midnight."""
    moment = _read(value, tz, now, name)
    return moment if isinstance(moment, dt.datetime) else _midnight(moment, tz)


def _read(value: When, tz: str, now: dt.datetime, name: str) -> dt.date | dt.datetime:
    """An aware datetime for an instant, a plain date for a whole local day."""
    if isinstance(value, dt.datetime):
        return _aware(value, tz)
    if isinstance(value, dt.date):
        return value
    text = value.strip()
    text = _DAYS.get(text.lower(), text)
    try:
        if age := _AGE.fullmatch(text):
            count, unit = int(age[1]), age[2]
            if unit == "h":
                return now - dt.timedelta(hours=count)
            return now.astimezone(zone(tz)).date() - dt.timedelta(days=count * (7 if unit == "w" else 1))
        if compact := _COMPACT.fullmatch(text):
            return dt.date(*map(int, compact.groups()))
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return dt.date.fromisoformat(text)
        if re.match(r"\d{4}-\d{2}-\d{2}[T ]", text):
            return _aware(dt.datetime.fromisoformat(text), tz)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{name}: {value!r} is not a date ({error}); give {FORMS}") from None
    raise UsageError(f"{name}: {value!r} is not a date; give {FORMS}")


def _aware(moment: dt.datetime, tz: str) -> dt.datetime:
    local = moment if moment.tzinfo else moment.replace(tzinfo=zone(tz))
    return local.astimezone(dt.UTC)


def _midnight(day: dt.date, tz: str) -> dt.datetime:
    """The instant at which a local day begins; where clocks skip midnight, the instant after the gap."""
    return dt.datetime.combine(day, dt.time(), zone(tz)).astimezone(dt.UTC)
