"""One transcript file being composed: its lines so far, its clock, its cached context, its raw rows."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tokenlake.synth.clock import stamp
from tokenlake.synth.draws import Draws
from tokenlake.synth.lines import NULL, Frames, Place, frames_for, usage_template
from tokenlake.synth.options import LONG_CONTEXT
from tokenlake.synth.releases import Release
from tokenlake.synth.truth import RawCounts

COMPACT_AT_TOKENS: Final = 166_000
"""The context from which the next turn begins with a compaction, in a window of 200,000 tokens."""

_WINDOW_TOKENS: Final = 199_900
_LONG_COMPACT_AT_TOKENS: Final = 967_000
_LONG_WINDOW_TOKENS: Final = 999_900
_LONG_EAGERNESS: Final = 4
_KEPT_PROMPTS: Final = 4


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
    to the cache; `eagerness` is how many times more than usual a request adds to it. `usage_rows` collects subagent
    rows when the release repeats them elsewhere. With `repeats`, every message is logged twice; `disputed_share` of
    the requests have a shape that readers disagree about, one of them an entry of `advisor_model`. `beside` are
    files, by path, to be written beside this one that are no transcripts.
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
    repeats: bool = False
    disputed_share: float = 0.0
    advisor_model: str = ""
    beside: dict[str, bytes] = field(default_factory=dict)
    prompts: deque[bytes] = field(default_factory=lambda: deque(maxlen=_KEPT_PROMPTS))
    eagerness: int = field(init=False)
    named_model: str = field(init=False)
    compact_at_tokens: int = field(init=False)
    window_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        """Make the templates of the file."""
        self.usage = usage_template(self.release)
        self.base = self.place.cwd.encode()
        self.switch_model(self.model)

    def switch_model(self, model: str) -> None:
        """Let the next requests go to another model, with the window that its name asks for.

        `named_model` keeps the name as asked for, `model` is as logged.
        """
        is_long = model.endswith(LONG_CONTEXT)
        self.compact_at_tokens = _LONG_COMPACT_AT_TOKENS if is_long else COMPACT_AT_TOKENS
        self.window_tokens = _LONG_WINDOW_TOKENS if is_long else _WINDOW_TOKENS
        self.eagerness = _LONG_EAGERNESS if is_long else 1
        self.named_model = model
        self.model = model.removesuffix(LONG_CONTEXT)
        self.frames = frames_for(self.release, self.place, self.model)

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
