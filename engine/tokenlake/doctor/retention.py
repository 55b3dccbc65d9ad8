"""What the agent will delete, and when: its `cleanupPeriodDays` against what the lake has read."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tokenlake.doctor.findings import Finding, counted, ok, warning
from tokenlake.doctor.lookout import Logs
from tokenlake.ingest.discover import FoundFile, is_below
from tokenlake.store import catalog
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import Entry

DEFAULT_DAYS = 30
"""After how many days without a change the agent deletes a transcript, unless its settings say otherwise."""

_SETTING = "cleanupPeriodDays"
_LARGEST_SETTINGS = 1 << 20
_SOON = timedelta(days=7)


def check(snapshot: Snapshot, logs: Logs, now: datetime) -> list[Finding]:
    """A finding for each folder of an agent that was looked into; what lies elsewhere is nobody's to clean up."""
    findings = []
    for projects in logs.projects:
        files = [file for file in logs.files if is_below(file.path, projects)]
        if files:
            findings.append(_of_folder(Path(projects), files, logs.entries, snapshot, now))
    return findings


def _of_folder(
    projects: Path, files: list[FoundFile], known: Mapping[int, Entry] | None, snapshot: Snapshot, now: datetime
) -> Finding:
    days, source = period(projects.parent)
    due = sorted((_changed(file) + timedelta(days=days), file.file_id) for file in files)
    soon = sum(when - now <= _SOON for when, _ in due)
    parts = [f"{projects.parent}: transcripts go {counted(days, 'day')} after their last change ({source})"]
    parts.append(f"{soon:,} of {len(files):,} go within 7 days, the first {_worded(due[0][0], now)}")
    last = _last_commit(snapshot)
    parts.append(f"last commit {last.date()}" if last else "no commit yet")
    if known is None:
        parts.append("which of them the lake has read is not known, as its ledger cannot be read")
        return warning("retention", "; ".join(parts), "see the checks above, or copy the transcripts meanwhile")
    unread = {file.file_id for file in files if not _is_read(file, known.get(file.file_id))}
    at_risk = [when for when, file_id in due if file_id in unread]
    if not unread:
        parts.append("the lake has read all of them")
        return ok("retention", "; ".join(parts))
    unread_named = f"{counted(len(unread), 'transcript')} not or not wholly in the lake"
    parts.append(f"{unread_named}, the first of them {_worded(at_risk[0], now)}")
    before = f"before {at_risk[0].date()}" if at_risk[0] > now else "now"
    if at_risk[0] - now > _SOON:
        return ok("retention", "; ".join(parts))
    return warning(
        "retention",
        "; ".join(parts),
        f"run `tokenlake ingest` {before}, and at least every {counted(max(days // 2, 1), 'day')}, by cron say; "
        f"or raise {_SETTING} in {projects.parent / 'settings.json'}",
    )


def period(config: Path) -> tuple[int, str]:
    """How many days the agent keeps transcripts, and where that is from. Of its settings nothing else is looked at."""
    path = config / "settings.json"
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_SETTINGS:
            return DEFAULT_DAYS, f"its default; {path} is no file of settings"
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        return DEFAULT_DAYS, "its default"
    except (OSError, ValueError, RecursionError):
        return DEFAULT_DAYS, f"its default; {path} cannot be read"
    value = settings.get(_SETTING) if isinstance(settings, dict) else None
    if value is None:
        return DEFAULT_DAYS, "its default"
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1_000_000:
        return DEFAULT_DAYS, f"its default; {_SETTING} in {path} is no number of days"
    return value, f"{_SETTING} in settings.json"


def _is_read(file: FoundFile, entry: Entry | None) -> bool:
    """Whether the lake has read a file as it is now."""
    return entry is not None and (entry.size, entry.mtime_ns) == (file.size, file.mtime_ns)


def _changed(file: FoundFile) -> datetime:
    return datetime.fromtimestamp(file.mtime_ns / 1e9, UTC)


def _worded(when: datetime, now: datetime) -> str:
    left = (when - now).total_seconds() / 86_400
    return f"on {when.date()} ({left:,.1f} days left)" if left > 0 else f"overdue since {when.date()}"


def _last_commit(snapshot: Snapshot) -> datetime | None:
    """When the lake was last changed, as its catalog's file says."""
    try:
        return datetime.fromtimestamp((snapshot.root / catalog.CATALOG_NAME).stat().st_mtime, UTC)
    except OSError:
        return None
