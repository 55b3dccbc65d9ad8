"""Timestamps as the lines carry them, quoted, to the millisecond, put together from tables."""

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

HOUR_MS: Final = 3_600_000
_SECONDS: Final = tuple(b'%02d.%03dZ"' % divmod(ms, 1000) for ms in range(60_000))


def stamp(ms: int) -> bytes:
    """Give the quoted UTC timestamp of an instant in milliseconds since the epoch."""
    return _minute(ms // 60_000) + _SECONDS[ms % 60_000]


@lru_cache(maxsize=4096)
def _minute(minute: int) -> bytes:
    day, minutes = divmod(minute, 1440)
    return b"%b%02d:%02d:" % (_day(day), *divmod(minutes, 60))


@lru_cache(maxsize=64)
def _day(day: int) -> bytes:
    return f'"{day_of(day * 24 * HOUR_MS).isoformat()}T'.encode()


def day_of(ms: int) -> date:
    """Give the UTC day of an instant in milliseconds since the epoch."""
    return datetime.fromtimestamp(ms // 1000, UTC).date()
