"""The versions at work, and the prices: how old they are, and which models of the lake have none."""

from __future__ import annotations

import platform
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tokenlake.doctor.findings import Finding, counted, listed, not_checked, ok, warning
from tokenlake.errors import TokenlakeError
from tokenlake.query.prices.package import PACKAGE
from tokenlake.schema import REQUESTS, SCHEMA_VERSION
from tokenlake.store.catalog import Snapshot

_PACKAGES = ("tokenlake", "duckdb", "pyarrow", "polars", "numpy")
_OLD_DAYS = 90
_COUNTED = frozenset({REQUESTS.name})


def check(snapshot: Snapshot, now: datetime, lost: AbstractSet[str]) -> list[Finding]:
    """Findings about versions, the age of the price table, and models without a price.

    `lost` are the tables of which not all rows can be read.
    """
    named = [f"{name} {_version(name)}" for name in _PACKAGES]
    found = ", ".join([named[0], f"python {platform.python_version()}", *named[1:], platform.platform(terse=True)])
    findings = [ok("versions", f"{found}; lake schema {SCHEMA_VERSION}"), _prices(now)]
    if snapshot.version == SCHEMA_VERSION and snapshot.commit:
        findings.append(not_checked("unpriced models", lost & _COUNTED) if lost & _COUNTED else _unpriced(snapshot))
    return findings


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _prices(now: datetime) -> Finding:
    """The package has no date of its own: it is no younger than its file, and no older than its newest price."""
    try:
        from genai_prices import data
    except ImportError:
        return warning("prices", f"the package {PACKAGE} is not installed", f"pip install {PACKAGE}")
    installed = datetime.fromtimestamp(Path(data.__file__).stat().st_mtime, UTC)
    age = (now - installed).days
    found = f"{PACKAGE} {_version(PACKAGE)}, installed {installed.date()}, {counted(max(age, 0), 'day')} ago"
    if age > _OLD_DAYS:
        return warning("prices", found, f"newer models and prices may be missing: pip install -U {PACKAGE}")
    return ok("prices", found)


def _unpriced(snapshot: Snapshot) -> Finding:
    from tokenlake.query.run import sql

    try:
        answer = sql(snapshot, "select 1 from selected_costs limit 1")
    except TokenlakeError as error:
        return warning("unpriced models", str(error), "see the checks above")
    if not (unpriced := answer.meta.unpriced):
        return ok("unpriced models", "every request has a price" if len(answer) else "the lake has no requests")
    named = [f"{found.model or '(none)'} ({counted(found.requests, 'request')})" for found in unpriced]
    remedy = f"pip install -U {PACKAGE}, or write prices of your own: tokenlake prices --own"
    return warning("unpriced models", listed(named, 5), remedy)
