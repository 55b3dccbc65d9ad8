"""The transcripts on disk that the checks of the logs look at: those that an ingest of this lake would find."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenlake.errors import SourceError
from tokenlake.ingest.discover import FoundFile, discover
from tokenlake.store.catalog import Snapshot


@dataclass(frozen=True, slots=True)
class Logs:
    """What was found on disk, and what could not be looked into; `gone` are folders the lake remembers and misses."""

    files: tuple[FoundFile, ...]
    warnings: tuple[str, ...]
    gone: tuple[str, ...]


def look(snapshot: Snapshot, roots: Sequence[Path], host: str) -> Logs:
    """The transcripts below `roots`, else below the folders that the lake remembers for this host, else the agent's."""
    remembered = snapshot.settings.roots.get(host, ()) if not roots else ()
    gone = tuple(folder for folder in remembered if not os.path.exists(folder))
    wanted: list[str | os.PathLike[str]] = [*roots, *(folder for folder in remembered if folder not in gone)]
    try:
        found = discover(wanted or None, host)
    except SourceError as error:
        return Logs((), (str(error),), gone)
    return Logs(found.files, found.warnings, gone)
