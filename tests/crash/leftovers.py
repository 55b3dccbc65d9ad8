"""What lies in a lake's folder beside the lake."""

from __future__ import annotations

from pathlib import Path

from tokenlake.store import catalog, lock


def leftovers(lake: Path) -> set[str]:
    """Files that the catalog does not name and that are no part of every lake; a missing data file fails here."""
    named = {name for names in catalog.read(lake).files.values() for name in names}
    present = {str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file()}
    assert named <= present
    return present - named - {catalog.CATALOG_NAME, lock.LOCK_NAME}
