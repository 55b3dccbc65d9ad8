"""Every error that tokenlake raises on purpose; each message says what was wrong, where, and what to do.

TokenlakeError
├── UsageError            a wrong option, name or parameter            (exit code 2)
│   └── QueryError        a saved or ad-hoc query that cannot run
├── SourceError           logs that cannot be found or read            (exit code 3)
├── LakeError             a lake that cannot be opened or written      (exit code 4)
│   ├── LakeVersionError  a lake of another schema version
│   ├── LakeLockedError   another process is writing
│   ├── LakeUnwritableError  the disk does not take what is written
│   └── LakeDamagedError  catalog or data files missing or unreadable
"""

from collections.abc import Iterable


class TokenlakeError(Exception):
    """Base of all expected errors: its text is one line, fit to be shown to a user as it is."""

    exit_code = 1


class UsageError(TokenlakeError):
    """A request that cannot be carried out as it was worded."""

    exit_code = 2


class QueryError(UsageError):
    """A saved or ad-hoc query that does not load, bind or run; names file and line where it has them."""


class SourceError(TokenlakeError):
    """Logs that cannot be found or read."""

    exit_code = 3


class LakeError(TokenlakeError):
    """A lake that cannot be opened or written."""

    exit_code = 4


class LakeVersionError(LakeError):
    """The lake was written with another schema version than this program knows."""


class LakeLockedError(LakeError):
    """Another process holds the writer's lock."""


class LakeUnwritableError(LakeError):
    """The lake's folder cannot be written: no permission, a full disk; the lake is as it was."""


class LakeDamagedError(LakeError):
    """The catalog cannot be read, or names data files that are missing."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message that refuses a word: the known one that it resembles or begins; empty where none does."""
    from difflib import get_close_matches

    names = list(known)
    begun = [name for name in names if word and name.startswith(word)]
    near = get_close_matches(word, names, n=1) or (begun if len(begun) == 1 else [])
    return f"; did you mean {near[0]}?" if near else ""
