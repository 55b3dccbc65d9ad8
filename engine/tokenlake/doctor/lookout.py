"""The transcripts on disk that the checks of the logs look at: those that an ingest of this lake would find."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenlake.errors import LakeError, SourceError
from tokenlake.ingest import plan
from tokenlake.ingest.discover import FoundFile, default_roots
from tokenlake.ingest.history import configurations
from tokenlake.ingest.plan import Plan
from tokenlake.schema import FILES
from tokenlake.store import ledger
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import Entry


@dataclass(frozen=True, slots=True)
class Logs:
    """What was found on disk, and what could not be looked into; `gone` are folders the lake remembers and misses.

    `projects` are the folders that an agent may clean up. `entries` is the ledger, and `todo` what an ingest would
    do: None where there is no ledger to compare with, or no folder to look into.
    """

    files: tuple[FoundFile, ...]
    warnings: tuple[str, ...]
    gone: tuple[str, ...]
    projects: tuple[str, ...] = ()
    entries: Mapping[int, Entry] = field(default_factory=dict)
    todo: Plan | None = None


def look(snapshot: Snapshot, roots: Sequence[Path], host: str) -> Logs:
    """The transcripts below `roots`, else below the folders that the lake remembers for this host, else the agent's.

    Of `snapshot`, the data files that can be read.
    """
    remembered = snapshot.settings.roots.get(host, ()) if not roots else ()
    gone = tuple(folder for folder in remembered if not os.path.exists(folder))
    wanted: list[str | os.PathLike[str]] = [*roots, *(folder for folder in remembered if folder not in gone)]
    entries = _ledger(snapshot)
    try:
        found, todo = plan.look(wanted or None, host, entries or {})
    except SourceError as error:
        return Logs((), (str(error),), gone)
    projects = {os.path.join(folder, "projects") for folder in configurations(found)}
    projects.update(map(os.path.realpath, default_roots(os.environ)))
    warnings = (*found.warnings, *todo.warnings)
    return Logs(found.files, warnings, gone, tuple(sorted(projects)), entries or {}, None if entries is None else todo)


def _ledger(snapshot: Snapshot) -> dict[int, Entry] | None:
    """Every transcript that the lake knows; None where it cannot be read, which the checks of the lake have said."""
    import duckdb

    if not snapshot.commit or snapshot.files.get(FILES.name) == ():  # none of its files is sound
        return None
    with duckdb.connect() as con:
        try:
            return ledger.load(con, snapshot)
        except (LakeError, duckdb.Error):
            return None
