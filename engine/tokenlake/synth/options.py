"""What a made-up tree is made of: size, seed, span, projects, models, and the shares of its special cases."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

DEFAULT_MODELS: Final = (
    "claude-opus-4-5-20251101",
    "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5-20251001",
)
LARGEST_FILE_BYTES: Final = 87_000_000
SMALLEST_TREE_BYTES: Final = 20_000
LONG_CONTEXT: Final = "[1m]"
"""What a model's name ends with where its context window has a million tokens; the logs have it without."""

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", re.IGNORECASE)
_MODEL = re.compile(r"[A-Za-z0-9._:/@-]+(\[1m\])?")
_FACTORS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SHARES: Final = ("ttl_1h_share", "fork_share", "duplicate_share", "disputed_share", "damage_share")


@dataclass(frozen=True, slots=True)
class SynthOptions:
    """Options of one tree; equal options give a byte-identical tree.

    The sessions spread over `months` months (30.44 days each) from `first_day` (UTC); the release that wrote a
    session follows from its day. Earlier entries of `models` are drawn more often; one that ends in `[1m]` has a
    context window of a million tokens, the others 200,000.

    Shares lie in 0..1: `ttl_1h_share` of the sessions write their cache with the one-hour lifetime, `fork_share`
    start as a copy of another one's history, `duplicate_share` are there twice (half of these as copied files in
    another folder, half with every message logged twice); `disputed_share` of the requests have a shape that
    readers of transcripts disagree about, `damage_share` of the lines are damaged. With the last two at 0, every
    request is one that careful readers count alike.

    Raises ValueError when a value is out of range.
    """

    total_bytes: int = 30_000_000
    seed: int = 1
    months: int = 12
    first_day: date = date(2025, 9, 1)
    projects: int = 12
    models: tuple[str, ...] = DEFAULT_MODELS
    ttl_1h_share: float = 0.5
    fork_share: float = 0.06
    duplicate_share: float = 0.0
    disputed_share: float = 0.0
    damage_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that no tree can be made from."""
        if self.total_bytes < SMALLEST_TREE_BYTES:
            raise ValueError(f"total_bytes must be at least {SMALLEST_TREE_BYTES}, not {self.total_bytes}")
        for name in ("months", "projects"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in 0..1, not {getattr(self, name)}")
        if not self.models or not all(map(_MODEL.fullmatch, self.models)):
            raise ValueError(f"models must be plain model ids, not {self.models}")
        if not is_in_range(self.first_day, self.months):
            raise ValueError(f"months must lie in the years 1970 to 2199, not {self.months} from {self.first_day}")


def is_in_range(first_day: date, months: int) -> bool:
    """Say whether a span is one that trees and lakes are made for: the years 1970 to 2199."""
    return first_day.year >= 1970 and first_day.year * 12 + first_day.month + months <= 2200 * 12 + 1


def bytes_from_text(text: str) -> int:
    """Read a size such as `30MB`, `1.5g` or `2000000` as bytes (decimal units).

    Raises ValueError for anything else.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size: {text!r} (write it as 30MB, 1.5GB or a number of bytes)")
    return round(float(match[1]) * _FACTORS[match[2].lower()])
