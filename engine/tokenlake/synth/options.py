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

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", re.IGNORECASE)
_MODEL = re.compile(r"[A-Za-z0-9._:/@\[\]-]+")
_FACTORS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True, slots=True)
class SynthOptions:
    """Options of one tree; equal options give a byte-identical tree.

    Shares lie in 0..1: `ttl_1h_share` of the sessions write their cache with the one-hour lifetime,
    `fork_share` of the sessions start as a copy of another one's history, `damage_share` of the lines are
    damaged. The sessions spread over `months` months (30.44 days each) from `first_day` (UTC); the release
    that wrote a session follows from its day. Earlier entries of `models` are drawn more often.

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
    damage_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that no tree can be made from."""
        if self.total_bytes < SMALLEST_TREE_BYTES:
            raise ValueError(f"total_bytes must be at least {SMALLEST_TREE_BYTES}, not {self.total_bytes}")
        for name in ("months", "projects"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("ttl_1h_share", "fork_share", "damage_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in 0..1, not {getattr(self, name)}")
        if not self.models or not all(map(_MODEL.fullmatch, self.models)):
            raise ValueError(f"models must be plain model ids, not {self.models}")


def bytes_from_text(text: str) -> int:
    """Read a size such as `30MB`, `1.5g` or `2000000` as bytes (decimal units).

    Raises ValueError for anything else.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size: {text!r} (write it as 30MB, 1.5GB or a number of bytes)")
    return round(float(match[1]) * _FACTORS[match[2].lower()])
