"""Specs of exact corpora: what a published analysis counted, cell by cell, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from tokenlake.errors import UsageError
from tokenlake.synth.truth import Counts

_KINDS: Final = {
    "requests": "requests",
    "input": "input_tokens",
    "output": "output_tokens",
    "write_5m": "cache_write_5m_tokens",
    "write_1h": "cache_write_1h_tokens",
    "read": "cache_read_tokens",
}
_DAY_BEGINS, _DAY_ENDS = time(8), time(19)


@dataclass(frozen=True, slots=True)
class Cell:
    """Requests that are alike: where and when they were made, by whom, and what they add up to.

    They are spread over the days from `first` to `last` (UTC), or evenly between these instants where `is_timed`.
    `agent` names the subagent, empty on the main thread; with several `sessions` these are `session`-1 and so on, one
    after the other. `rows` is what the requests are logged as, forks aside: where it is a multiple of the requests,
    each has as many; `context_limit_tokens` bounds every request.
    """

    first: datetime
    last: datetime
    is_timed: bool
    session: str
    sessions: int
    project: str
    agent: str
    model: str
    version: str
    context_limit_tokens: int
    rows: int
    counts: Counts

    def session_of(self, index: int) -> str:
        """The session of the request of that number, from 0."""
        if self.sessions == 1:
            return self.session
        return f"{self.session}-{index * self.sessions // self.counts.requests + 1}"


@dataclass(frozen=True, slots=True)
class Fork:
    """A session whose transcript begins with a copy of the first requests of another's."""

    session: str
    of: str
    requests: int


@dataclass(frozen=True, slots=True)
class Quota:
    """One window of a quota as a status line sampled it: from 0 percent to `used_percentage` in `minutes`."""

    window: str
    start: datetime
    minutes: int
    used_percentage: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class Shape:
    """What stands in the transcripts beside the requests.

    `rejects` are cut-off lines, `giant_lines` lines of more than 1 MB, `user_per_assistant` bytes of user lines a
    byte of assistant lines, `compact_every` requests after which a main thread is compacted (0: never).
    """

    rejects: int = 2
    giant_lines: int = 1
    user_per_assistant: float = 2.4
    compact_every: int = 48


@dataclass(frozen=True, slots=True)
class Published:
    """A figure as published: `holds` is what the published inputs amount to where it is another, and `why`.

    `text` keeps the printed digits. Without `holds` and with `why` the inputs are not public.
    """

    id: str
    name: str
    text: str
    holds: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """A published analysis as a corpus: its source, what of it is invented, its cells, and its figures."""

    id: str
    title: str
    source: str
    url: str
    invented: str
    cells: tuple[Cell, ...]
    forks: tuple[Fork, ...]
    quotas: tuple[Quota, ...]
    shape: Shape
    figures: tuple[Published, ...]

    def session_id(self, session: str) -> str:
        """The sessionId in the transcripts of a session; that of a fork is greater than its original's."""
        origin = {fork.session: fork.of for fork in self.forks}.get(session)
        least = self.session_id(origin) if origin is not None else ""
        number = 0
        while (made := str(uuid5(NAMESPACE_URL, f"{self.id}/{session}/{number}"))) <= least:
            number += 1
        return made


def load(path: Path) -> Spec:
    """Reads a spec. Raises UsageError, with file and field, for one that cannot be read or makes no sense."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return parse(content)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except KeyError as error:
        raise UsageError(f"{path}: {error.args[0]} is missing") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: {error}") from None


def load_all(folder: Path) -> list[Spec]:
    """All specs of a folder, in the order of their file names."""
    return [load(path) for path in sorted(folder.glob("*.toml"))]


def parse(content: Mapping[str, Any]) -> Spec:
    """A spec from its TOML content; raises ValueError, TypeError or KeyError for what makes no sense."""
    defaults = content.get("defaults", {})
    spec = Spec(
        content["id"],
        content["title"],
        content["source"],
        content.get("url", ""),
        content.get("invented", ""),
        tuple(_cell(number, {**defaults, **cell}) for number, cell in enumerate(content.get("cells", ()), 1)),
        tuple(Fork(**fork) for fork in content.get("forks", ())),
        tuple(_quota(quota) for quota in content.get("quotas", ())),
        Shape(**content.get("shape", {})),
        tuple(Published(**figure) for figure in content.get("figures", ())),
    )
    for fork in spec.forks:
        own = [cell for cell in spec.cells if cell.session == fork.of and cell.sessions == 1 and not cell.agent]
        held = sum(cell.counts.requests for cell in own)
        if not 0 < fork.requests <= held:
            raise ValueError(
                f"fork {fork.session}: {fork.of} has {held} requests on its main thread, not {fork.requests}"
            )
    return spec


def total(cells: Iterable[Cell]) -> Counts:
    """What cells add up to."""
    sums = Counts()
    for cell in cells:
        own = {kind: getattr(sums, kind) + getattr(cell.counts, kind) for kind in _KINDS.values()}
        sums = replace(sums, **own)
    return sums


def _cell(number: int, fields: dict[str, Any]) -> Cell:
    given = dict(fields)
    counts = Counts(**{kind: _count(number, name, given.pop(name, 0)) for name, kind in _KINDS.items()})
    if not counts.requests:
        raise ValueError(f"cell {number}: requests is 0 or missing")
    day = given.pop("day")
    until = given.pop("until", day)
    at, to = given.pop("at", None), given.pop("to", None)
    first = datetime.combine(day, at or _DAY_BEGINS, UTC)
    if to is None and at is not None:
        last = first + timedelta(seconds=20 * (counts.requests - 1))
    else:
        last = datetime.combine(until, to or _DAY_ENDS, UTC)
    if last < first:
        raise ValueError(f"cell {number}: ends before it begins")
    cell = Cell(
        first,
        last,
        at is not None,
        session=given.pop("session", "main"),
        sessions=given.pop("sessions", 1),
        project=given.pop("project"),
        agent=given.pop("agent", ""),
        model=given.pop("model"),
        version=given.pop("version"),
        context_limit_tokens=given.pop("context_limit", 200_000),
        rows=given.pop("rows", 2 * counts.requests),
        counts=counts,
    )
    if given:
        raise ValueError(f"cell {number}: {next(iter(given))} is unknown")
    if not 1 <= cell.sessions <= counts.requests:
        raise ValueError(f"cell {number}: {cell.sessions} sessions for {counts.requests} requests")
    return cell


def _count(number: int, name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"cell {number}: {name} must be a whole number, not {value!r}")
    return value


def _quota(fields: dict[str, Any]) -> Quota:
    start: datetime = fields["start"]
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    ends: datetime = fields["resets_at"]
    ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
    return Quota(fields["window"], start, fields["minutes"], fields["used_percentage"], ends)


def day_count(cell: Cell) -> int:
    """The days over which a cell's requests are spread."""
    first: date = cell.first.date()
    return (cell.last.date() - first).days + 1
