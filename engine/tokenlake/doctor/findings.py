"""Findings: what each check found, how bad it is, and what to do; as the rows of a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenlake.query.result import Result


class Status(StrEnum):
    """How bad a finding is: a problem means that the lake is not what was written, or cannot be read."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer; `remedy` is empty where there is nothing to do."""

    check: str
    status: Status
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """A check that found all as it should be."""
    return Finding(check, Status.OK, found)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Something to know or to do; what the lake says is right all the same."""
    return Finding(check, Status.WARNING, found, remedy)


def problem(check: str, found: str, remedy: str) -> Finding:
    """Something is wrong with the lake."""
    return Finding(check, Status.PROBLEM, found, remedy)


def not_checked(check: str, lost: AbstractSet[str]) -> Finding:
    """A check that would say what it cannot know: rows of these tables cannot be read."""
    return warning(check, f"not checked: rows of {', '.join(sorted(lost))} cannot be read", "see the checks above")


def counted(number: int, noun: str) -> str:
    """A number and what it counts: `1 file`, `2,000 files`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first few of some names, and how many more there are."""
    shown = ", ".join(name if len(name) <= 160 else f"{name[:159]}…" for name in names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def as_result(findings: Iterable[Finding]) -> Result:
    """The findings as rows (check, status, found, to_do), in every form that a report has."""
    from tokenlake.query.result import Meta, of_rows

    rows = [(item.check, item.status.value, item.found, item.remedy or None) for item in findings]
    counts = [counted(sum(row[1] == status.value for row in rows), status.value) for status in list(Status)[1:]]
    meta = Meta(f"{counted(len(rows), 'check')}: {', '.join(counts)}", name="doctor")
    return of_rows(("check", "status", "found", "to_do"), rows, meta)
