"""What is decided about each session before it is written: size, day, release, project, model, its origin."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final, Literal

from tokenlake.synth.clock import HOUR_MS, day_of
from tokenlake.synth.draws import Draws, quantile
from tokenlake.synth.options import LARGEST_FILE_BYTES, SynthOptions
from tokenlake.synth.releases import Release, release_on
from tokenlake.synth.transcript import Cut
from tokenlake.synth.truth import Tally

# With subagents' files, they give the quantiles of real files. Between the last two a straight line would give far
# too many giants.
_SESSION_BYTES: Final = (
    (0.0, 6000),
    (0.25, 60_000),
    (0.5, 130_000),
    (0.75, 290_000),
    (0.84, 620_000),
    (0.92, 1_500_000),
    (0.985, 6_000_000),
    (0.996, 12_000_000),
    (0.9995, 36_000_000),
    (1.0, LARGEST_FILE_BYTES),
)
_GOLDEN: Final = 0.6180339887498949
_NAMES: Final = ("harbor", "lantern", "meadow", "quarry", "orchard", "ferry", "beacon", "mill", "canyon")


Duplicate = Literal["copied", "repeated"]


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
    subagent. `history` is the session to copy from when this one is a fork; `duplicate` says how a session that
    is there twice came to be so: its files copied, or every message logged twice.
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
    duplicate: Duplicate | None = None
    disputed_share: float = 0.0


def plan_sessions(
    options: SynthOptions, draws: Draws, tally: Tally, histories: deque[History]
) -> Iterator[SessionPlan]:
    """Plan session after session, in order of time, until the tree has its size."""
    chance = Random(f"{options.seed}:plans").random
    projects = _projects(options.projects)
    # One session is a tenth of a tree at most, or of a small one a quarter: the rest of the time wants some too.
    largest = min(LARGEST_FILE_BYTES, max(options.total_bytes // 10, min(options.total_bytes // 4, 1_000_000)))
    first_ms = int(datetime(*options.first_day.timetuple()[:3], tzinfo=UTC).timestamp() * 1000)
    span_ms = int(options.months * 30.44 * 24) * HOUR_MS
    size_share = chance()
    while (left := options.total_bytes - tally.bytes) > 0:
        # Time goes with bytes: a tree of any size fills its whole span.
        at_ms = first_ms + span_ms * tally.bytes // options.total_bytes
        day_ms = at_ms - at_ms % (24 * HOUR_MS)
        start_ms = max(at_ms, day_ms + 7 * HOUR_MS) + int(chance() * 2 * HOUR_MS)
        share, model_share = chance(), chance()
        # Steps of the golden ratio spread evenly: few sessions already have the sizes of many.
        size_share = (size_share + _GOLDEN) % 1
        yield SessionPlan(
            session_id=draws.uuid()[1:-1].decode(),
            project=projects[int(share * share * len(projects))],
            release=release_on(day_of(start_ms)),
            start_ms=start_ms,
            target_bytes=min(quantile(_SESSION_BYTES, size_share), largest, left),
            model=options.models[int(model_share * model_share * len(options.models))],
            models=options.models,
            writes_1h=chance() < options.ttl_1h_share,
            history=_history(histories, chance()) if chance() < options.fork_share else None,
            duplicate=_duplicate(chance()) if chance() < options.duplicate_share else None,
            disputed_share=options.disputed_share,
        )


def _duplicate(share: float) -> Duplicate:
    """Choose how a session comes to be there twice."""
    return "copied" if share < 0.5 else "repeated"


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
