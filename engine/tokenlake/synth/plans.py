"""What is decided about each session before it is written: size, day, release, project, model, its origin."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final

from tokenlake.synth.clock import HOUR_MS, day_of
from tokenlake.synth.draws import Draws, quantile
from tokenlake.synth.options import LARGEST_FILE_BYTES, SynthOptions
from tokenlake.synth.releases import Release, release_on
from tokenlake.synth.transcript import Cut
from tokenlake.synth.truth import Tally

# Quantiles of real transcript sizes; between the last two a straight line would give far too many giants.
_SESSION_BYTES: Final = (
    (0.0, 6000),
    (0.25, 55_000),
    (0.5, 115_000),
    (0.75, 270_000),
    (0.9, 760_000),
    (0.95, 1_700_000),
    (0.99, 6_000_000),
    (0.997, 12_000_000),
    (0.9995, 30_000_000),
    (1.0, LARGEST_FILE_BYTES),
)
_NAMES: Final = ("harbor", "lantern", "meadow", "quarry", "orchard", "ferry", "beacon", "mill", "canyon")


@dataclass(frozen=True, slots=True)
class Project:
    """A working directory and the folder its transcripts go to."""

    cwd: str
    folder: str
    branch: str


@dataclass(frozen=True, slots=True)
class History:
    """A finished session that a later one may copy."""

    session_id: str
    project: Project
    release: Release
    lines: list[bytes]
    cuts: list[Cut]


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What is decided about a session before it is written.

    `target_bytes` holds for all of its files together. `model` answers the main thread, one of `models` a
    subagent. `history` is the session to copy from when this one is a fork.
    """

    session_id: str
    project: Project
    release: Release
    start_ms: int
    target_bytes: int
    model: str
    models: tuple[str, ...]
    writes_1h: bool
    history: History | None = None


def plan_sessions(
    options: SynthOptions, draws: Draws, tally: Tally, histories: deque[History]
) -> Iterator[SessionPlan]:
    """Plan session after session, in order of time, until the tree has its size."""
    chance = Random(f"{options.seed}:plans").random
    projects = _projects(options.projects)
    largest = min(LARGEST_FILE_BYTES, options.total_bytes // 4)
    first_ms = int(datetime(*options.first_day.timetuple()[:3], tzinfo=UTC).timestamp() * 1000)
    span_ms = int(options.months * 30.44 * 24) * HOUR_MS
    while (left := options.total_bytes - tally.bytes) > 0:
        # Time goes with bytes: a tree of any size fills its whole span.
        at_ms = first_ms + span_ms * tally.bytes // options.total_bytes
        day_ms = at_ms - at_ms % (24 * HOUR_MS)
        start_ms = max(at_ms, day_ms + 7 * HOUR_MS) + int(chance() * 2 * HOUR_MS)
        share, model_share = chance(), chance()
        yield SessionPlan(
            session_id=draws.uuid()[1:-1].decode(),
            project=projects[int(share * share * len(projects))],
            release=release_on(day_of(start_ms)),
            start_ms=start_ms,
            target_bytes=min(quantile(_SESSION_BYTES, chance()), largest, left),
            model=options.models[int(model_share * model_share * len(options.models))],
            models=options.models,
            writes_1h=chance() < options.ttl_1h_share,
            history=_history(histories, chance()) if chance() < options.fork_share else None,
        )


def _history(histories: deque[History], share: float) -> History | None:
    """Choose one of the sessions that are kept for copying."""
    return histories[int(share * len(histories))] if histories else None


def _projects(count: int) -> list[Project]:
    """Make the working directories; a folder is named as Claude Code encodes its path."""
    projects = []
    for number in range(count):
        name = _NAMES[number % len(_NAMES)]
        cwd = f"/home/dev/work_{number}/{name}.app"
        branch = "" if number % 5 == 4 else "main" if number % 2 else f"feature/{name}"
        projects.append(Project(cwd, re.sub(r"[^a-zA-Z0-9]", "-", cwd), branch))
    return projects
