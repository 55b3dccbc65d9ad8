"""Time zones: the machine's own, and the check that a name is one."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from tokenlake.errors import UsageError


def zone(name: str) -> dt.tzinfo:
    """The zone of an IANA name; raises UsageError for a name that is none."""
    if name.upper() == "UTC":
        return dt.UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not in the database, not a key at all, a folder of the database
        raise UsageError(f"{name!r} is not a time zone{_hint(name)}") from None


def machine_zone() -> str:
    """The IANA name of this machine's zone: $TZ, else what /etc/localtime or /etc/timezone name, else UTC.

    Raises UsageError where $TZ names a zone that does not exist: a report in another zone than meant is a
    wrong one.
    """
    wanted = os.environ.get("TZ")
    if wanted is not None:
        name = _below_zoneinfo(Path(wanted.removeprefix(":"))) if "/" in wanted[:2] else wanted.removeprefix(":")
        name = name or "UTC"
        try:
            zone(name)
        except UsageError as error:
            raise UsageError(f"$TZ: {error}; or set the zone with --tz") from None
        return name
    for link in (Path("/etc/localtime"), Path("/var/db/timezone/localtime")):
        name = _below_zoneinfo(link)
        if name:
            return name
    try:  # containers often hold a copy of the zone's file, which has no name, and this beside it
        name = Path("/etc/timezone").read_text(encoding="utf-8").strip()
        zone(name)
    except (OSError, ValueError, UsageError):
        return "UTC"
    return name


def _below_zoneinfo(path: Path) -> str:
    """The zone that a path below a `zoneinfo` folder names once links are resolved, or an empty text."""
    parts = path.resolve().parts
    for folder in ("zoneinfo", "zoneinfo.default"):
        if folder in parts:
            name = "/".join(parts[parts.index(folder) + 1 :])
            name = "UTC" if name in ("Etc/UTC", "UTC", "Etc/UCT", "Zulu") else name
            try:
                zone(name)
            except UsageError:
                return ""
            return name
    return ""


def _hint(name: str) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    known = {zone.lower(): zone for zone in available_timezones()}
    if not known:
        return ": this machine has no time zone database (pip install tzdata brings one)"
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    # People write the city alone, or a zone's abbreviation; the city is the last part of an IANA name.
    near = near or [zone for zone in sorted(known) if name and zone.rsplit("/", 1)[-1] == name.lower()]
    return f": did you mean {known[near[0]]}?" if near else ": give an IANA name, such as Europe/Berlin or UTC"
