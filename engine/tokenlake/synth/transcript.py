"""One transcript file being composed: its lines so far, its clock, its cached context, its raw rows."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tokenlake.synth.clock import stamp
from tokenlake.synth.draws import Draws
from tokenlake.synth.lines import NULL, Frames, Place, frames_for, usage_template
from tokenlake.synth.releases import Release
from tokenlake.synth.truth import RawCounts

COMPACT_AT_TOKENS: Final = 166_000


class Cut(NamedTuple):
    """A place between two turns where a copy of the history may end."""

    entries: int
    size_bytes: int
    raw: RawCounts
    now_ms: int
    context_tokens: int
    parent: bytes


class UsageRow(NamedTuple):
    """An assistant line of a subagent, kept to be repeated inside the parent's progress lines."""

    timestamp: bytes
    message_id: bytes
    block: bytes
    stop_reason: bytes
    usage: bytes
    request_id: bytes
    uuid: bytes


@dataclass(slots=True)
class Transcript:
    """The state of one file.

    `lines` holds whole lines, each ending in a newline; a copied history is one entry of many lines.
    `parent` is the quoted uuid of the last line. `first_request` says that the next request's context is new
    to the cache. `usage_rows` collects subagent rows when the release repeats them elsewhere.
    """

    path: str
    draws: Draws
    release: Release
    place: Place
    model: str
    writes_1h: bool
    now_ms: int
    frames: Frames = field(init=False)
    usage: bytes = field(init=False)
    base: bytes = field(init=False)
    lines: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    raw: RawCounts = field(default_factory=RawCounts)
    parent: bytes = NULL
    context_tokens: int = 0
    first_request: bool = True
    prompt_id: bytes = b""
    last_tokens: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    cuts: list[Cut] = field(default_factory=list)
    usage_rows: list[UsageRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the templates of the file."""
        self.usage = usage_template(self.release)
        self.base = self.place.cwd.encode()
        self.switch_model(self.model)

    def switch_model(self, model: str) -> None:
        """Let the next requests go to another model."""
        self.model = model
        self.frames = frames_for(self.release, self.place, model)

    def write(self, line: bytes) -> None:
        """Append a line."""
        self.lines.append(line)
        self.size_bytes += len(line)
        self.raw.lines += 1

    def write_linked(self, template: bytes, before: tuple[object, ...], after: tuple[object, ...] = ()) -> None:
        """Append a line whose slots end in uuid and timestamp, with `before` and `after` around these two."""
        uuid = self.draws.uuid()
        line = template % (self.parent, *before, uuid, stamp(self.now_ms), *after)
        self.lines.append(line)
        self.size_bytes += len(line)
        self.raw.lines += 1
        self.parent = uuid

    def write_linked_late(self, template: bytes, before: tuple[object, ...]) -> None:
        """Append a line of the kinds that put the timestamp before the uuid; it is logged 40 ms late."""
        uuid = self.draws.uuid()
        # These lines reach the file after newer ones: file order is not time order.
        self.write(template % (self.parent, *before, stamp(self.now_ms - 40), uuid))
        self.parent = uuid

    def prompt_fragment(self) -> bytes:
        """Give the promptId field of the current turn where the release writes one, else nothing."""
        return b'"promptId":%b,' % self.prompt_id if self.prompt_id else b""

    def mark_cut(self) -> None:
        """Note that a copy of the history may end here."""
        self.cuts.append(
            Cut(
                len(self.lines),
                self.size_bytes,
                self.raw.copy(),
                self.now_ms,
                self.context_tokens,
                self.parent,
            )
        )
