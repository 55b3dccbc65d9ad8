"""The transcripts on disk that the checks of the logs look at: those that an ingest of this lake would find."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from tokenlake.errors import LakeError, SourceError
from tokenlake.ingest import plan
from tokenlake.ingest.discover import FoundFile, default_roots, gone_roots, remembered_roots
from tokenlake.ingest.history import configurations
from tokenlake.ingest.plan import Plan
from tokenlake.schema import FILES
from tokenlake.store import ledger
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import Entry


@dataclass(frozen=True, slots=True)
class Logs:
    """What was found on disk, and what could not be looked into; `gone` are folders the lake remembers and misses.

    `projects` are the folders that an agent may clean up. `entries` is the ledger, None where it cannot be read, and
    `todo` what an ingest would do: None where there is no ledger to compare with, or no folder to look into.
    `refused` are the numbers of files that are no transcripts, as far as they are not in the ledger.
    """

    files: tuple[FoundFile, ...]
    warnings: tuple[str, ...]
    gone: tuple[str, ...]
    projects: tuple[str, ...] = ()
    entries: Mapping[int, Entry] | None = field(default_factory=dict)
    todo: Plan | None = None
    refused: AbstractSet[int] = frozenset()


def look(snapshot: Snapshot, roots: Sequence[Path], host: str, lost: AbstractSet[str]) -> Logs:
    """The transcripts below `roots`, else below the folders that the lake remembers for this host, else the agent's.

    Of `snapshot`, the data files that can be read; `lost` are the tables of which others cannot.
    """
    remembered = snapshot.settings.roots.get(host, ()) if not roots else ()
    gone = gone_roots(remembered)
    entries = _ledger(snapshot, lost)
    is_known = entries is not None and snapshot.commit > 0
    try:
        found, todo = plan.look(roots or remembered_roots(remembered), host, entries or {})
    except SourceError as error:
        said = () if gone and len(gone) == len(remembered) else (str(error),)
        return Logs((), said, gone, entries=entries)
    projects = {os.path.join(folder, "projects") for folder in configurations(found)}
    projects.update(map(os.path.realpath, default_roots(os.environ)))
    warnings = (*found.warnings, *todo.warnings)
    known_todo = todo if is_known else None
    return Logs(found.files, warnings, gone, tuple(sorted(projects)), entries, known_todo, frozenset(todo.refused))


def _ledger(snapshot: Snapshot, lost: AbstractSet[str]) -> dict[int, Entry] | None:
    """Every transcript that the lake knows; None where it cannot be read, which the checks of the lake have said."""
    import duckdb

    if FILES.name in lost:
        return None
    if not snapshot.commit:
        return {}
    with duckdb.connect() as con:
        try:
            return ledger.load(con, snapshot)
        except (LakeError, duckdb.Error):
            return None
