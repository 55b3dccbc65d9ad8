"""The one place that knows which checks there are and in what order: lake, data, logs, versions."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tokenlake.doctor import data_files, keeping, leftovers, logs, lookout, retention, rows, versions
from tokenlake.doctor.findings import Finding, Status, ok, problem, warning
from tokenlake.errors import LakeError, LakeVersionError
from tokenlake.schema import REQUEST_SUMS, SCHEMA_VERSION, TABLES
from tokenlake.store import catalog
from tokenlake.store.catalog import Snapshot

_ATTEMPTS = 3


def examine(
    root: Path,
    roots: Sequence[Path] = (),
    *,
    host: str | None = None,
    quick: bool = False,
    now: datetime | None = None,
    seconds: float = 2.0,
) -> list[Finding]:
    """Every check's finding about the lake at `root` and the transcripts below `roots`.

    `roots` are the lake's own for this `host`, else the agent's folders, unless given. `quick` leaves out what reads
    every data file. `seconds` bound the look at the newest transcripts for what was never seen before. Nothing is
    written, and of the agent's settings one number is read. A commit of another process meanwhile is no damage: the
    lake is looked at again.
    """
    now = now or datetime.now(UTC)
    host = host or socket.gethostname()
    for _ in range(_ATTEMPTS):
        findings, snapshot, lost = _of_lake(root, quick)
        if all(finding.status is not Status.PROBLEM for finding in findings) or _is_newest(snapshot):
            break
    found = lookout.look(snapshot, roots, host, lost)
    findings += logs.check(snapshot, found, seconds, lost)
    findings += retention.check(snapshot, found, now)
    findings += versions.check(snapshot, now, lost)
    return findings


_Found = tuple[list[Finding], Snapshot, frozenset[str]]
"""Findings about the lake, its snapshot with the data files that can be read, the tables of which others cannot."""

_ALL = frozenset(table.name for table in TABLES)


def _of_lake(root: Path, quick: bool) -> _Found:
    try:
        if not catalog.exists(root) and not root.exists():
            missing = problem("lake", f"there is no lake at {root}", "make it: tokenlake ingest")
            return [missing], Snapshot(root), frozenset()
        snapshot = catalog.read(root, older=True)
    except LakeVersionError as error:
        return [_worded("lake", error)], Snapshot(root), _ALL
    except LakeError as error:
        left = []
        with suppress(OSError):  # a folder that may not be looked into
            left = leftovers.check(Snapshot(root))
        return [_worded("lake", error), *left], Snapshot(root), _ALL
    except OSError as error:
        return [_unreadable(root, error)], Snapshot(root), _ALL
    if not snapshot.commit:
        return [problem("lake", f"{root} holds no lake yet", "make it: tokenlake ingest")], snapshot, frozenset()
    try:
        return _of_snapshot(snapshot, quick)
    except OSError as error:
        return [_of_catalog(snapshot), _unreadable(root, error)], Snapshot(root), _ALL


def _unreadable(root: Path, error: OSError) -> Finding:
    place = error.filename or root
    return problem("lake", f"{place}: {error.strerror or error}", "give yourself the right to read the lake: chmod")


def _of_snapshot(snapshot: Snapshot, quick: bool) -> _Found:
    findings = [_of_catalog(snapshot)]
    of_files, sound = data_files.check(snapshot, quick)
    findings += of_files
    findings += keeping.check(snapshot)
    findings += leftovers.check(snapshot)
    # Sums of requests tell nothing that the requests do not.
    lost = [name for name, files in snapshot.files.items() if files != sound.files[name] and name != REQUEST_SUMS.name]
    if snapshot.version == SCHEMA_VERSION and not quick:
        findings += rows.check(sound, complete=not lost)
    return findings, sound, frozenset(name.removeprefix(catalog.COPIES_PREFIX) for name in lost)


def _of_catalog(snapshot: Snapshot) -> Finding:
    if snapshot.version < SCHEMA_VERSION:
        return warning(
            "lake",
            f"{snapshot.root} has schema version {snapshot.version}, this tokenlake writes {SCHEMA_VERSION}",
            "the next `tokenlake ingest` brings it up to date; nothing is lost",
        )
    return ok("lake", f"{snapshot.root}: commit {snapshot.commit:,}, schema version {snapshot.version}")


def _worded(check: str, error: LakeError) -> Finding:
    """An error of the lake as a finding: what is behind its last semicolon says what to do."""
    found, _, remedy = str(error).rpartition("; ")
    return problem(check, found or remedy, remedy if found else "")


def _is_newest(snapshot: Snapshot) -> bool:
    try:
        return catalog.read(snapshot.root, older=True).commit == snapshot.commit
    except LakeError:
        return True


def problems(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Those of the findings that are problems."""
    return (finding for finding in findings if finding.status is Status.PROBLEM)
