"""The Claude Code releases the trees imitate, their first days, and which habits of logging each one has."""

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

AgentLayout = Literal["inline", "flat", "nested"]
OutputFigures = Literal["growing", "placeholder", "final"]


@dataclass(frozen=True, slots=True)
class Release:
    """How one release writes its lines.

    `outputs` says what `output_tokens` of a request's rows hold: `growing` towards the last row, a `placeholder`
    that is never finalised, or the `final` figure on every row. `stop_share` is the share of requests whose last
    row has a stop_reason (all rows when outputs are final). `agents` says where subagent lines go: inline in the
    session's file, a flat file beside it, or nested under `<session>/subagents/`. The rest are habits that come
    and go: what a request cost, as the agent saw it, on its lines, the split of cache writes by lifetime, hook
    and bash progress lines, subagent messages repeated in the parent's progress lines, the id of the calling line
    on tool results, the session and line that a branch copied a line from, the request of a compaction in a file
    of its own, and the current shape (another key order, promptId, entrypoint, attachments).
    """

    number: tuple[int, int, int]
    first_day: date
    outputs: OutputFigures
    stop_share: float
    agents: AgentLayout
    logs_cost: bool
    has_write_split: bool
    has_progress: bool
    has_agent_progress: bool
    has_source_uuid: bool
    has_forked_from: bool
    has_compaction_files: bool
    is_current_shape: bool

    @property
    def version(self) -> str:
        """The version as the lines carry it."""
        return ".".join(map(str, self.number))

    def since(self, major: int, minor: int, patch: int) -> bool:
        """Say whether this release is that one or later."""
        return self.number >= (major, minor, patch)


def release_on(day: date) -> Release:
    """Give the release in use on a day; days before the first one get the first one."""
    current = RELEASES[0]
    for release in RELEASES:
        if release.first_day <= day:
            current = release
    return current


def _release(
    number: tuple[int, int, int],
    first_day: date,
    outputs: OutputFigures,
    stop_share: float,
    agents: AgentLayout,
) -> Release:
    return Release(
        number,
        first_day,
        outputs,
        stop_share,
        agents,
        logs_cost=number < (1, 0, 9),
        has_write_split=number >= (1, 0, 119),
        has_progress=(2, 1, 11) <= number < (2, 1, 97),
        has_agent_progress=(2, 1, 11) <= number < (2, 1, 43),
        has_source_uuid=number >= (2, 1, 1),
        has_forked_from=number >= (2, 1, 80),
        has_compaction_files=number >= (2, 1, 39),
        is_current_shape=number >= (2, 1, 97),
    )


RELEASES: Final = (
    _release((0, 2, 114), date(2025, 5, 14), "growing", 0.11, "inline"),
    _release((1, 0, 3), date(2025, 5, 26), "growing", 0.11, "inline"),
    _release((1, 0, 9), date(2025, 6, 2), "growing", 0.11, "inline"),
    _release((1, 0, 56), date(2025, 7, 1), "growing", 0.11, "inline"),
    _release((1, 0, 88), date(2025, 8, 20), "growing", 0.11, "inline"),
    _release((1, 0, 119), date(2025, 9, 19), "growing", 0.11, "inline"),
    _release((2, 0, 9), date(2025, 10, 8), "growing", 0.35, "inline"),
    _release((2, 0, 60), date(2025, 12, 6), "growing", 0.35, "flat"),
    _release((2, 1, 1), date(2026, 1, 8), "placeholder", 0.03, "flat"),
    _release((2, 1, 14), date(2026, 1, 21), "placeholder", 0.03, "nested"),
    _release((2, 1, 29), date(2026, 2, 1), "placeholder", 0.03, "nested"),
    _release((2, 1, 41), date(2026, 2, 13), "placeholder", 0.03, "nested"),
    _release((2, 1, 63), date(2026, 3, 2), "placeholder", 0.03, "nested"),
    _release((2, 1, 81), date(2026, 3, 20), "placeholder", 0.03, "nested"),
    _release((2, 1, 101), date(2026, 4, 10), "final", 1.0, "nested"),
    _release((2, 1, 119), date(2026, 4, 23), "final", 1.0, "nested"),
    _release((2, 1, 181), date(2026, 6, 23), "final", 1.0, "nested"),
    _release((2, 1, 215), date(2026, 7, 22), "final", 1.0, "nested"),
    _release((2, 1, 217), date(2026, 7, 29), "final", 1.0, "nested"),
    _release((2, 1, 231), date(2026, 8, 17), "final", 1.0, "nested"),
    _release((2, 1, 237), date(2026, 8, 20), "final", 1.0, "nested"),
)
