"""The totals planted in a tree: what a right count by the accounting rules (dedup max) must find."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests and their tokens by kind, each request once."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Truth:
    """What was planted.

    `total`, `by_day` (UTC day of a request's earliest row) and `by_model` count requests after deduplication;
    `partial_requests` are those whose output was never finalised (accounting rule 16). `usage_rows`,
    `progress_usage_rows` and `synthetic_rows` count rows as logged, copies included: assistant rows of real
    models, rows embedded in `agent_progress` lines, and `<synthetic>` assistant rows. `sessions` are session
    files. `lines` are physical lines (an unterminated last one counts), `records` the JSON records that are
    whole, or whole again after salvage, `lost_records` those that damage destroyed; `damage` counts the
    damaged places by kind.
    """

    files: int
    sessions: int
    bytes: int
    lines: int
    records: int
    lost_records: int
    usage_rows: int
    progress_usage_rows: int
    synthetic_rows: int
    partial_requests: int
    forked_sessions: int
    total: Counts
    by_day: dict[str, Counts]
    by_model: dict[str, Counts]
    damage: dict[str, int]

    def save(self, path: Path) -> None:
        """Write the truth as JSON, keys in declaration order, days and models sorted."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def load_truth(path: Path) -> Truth:
    """Read what `Truth.save` wrote.

    Raises OSError when there is no such file, ValueError or TypeError when it is not a truth.
    """
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    raw["total"] = Counts(**raw["total"])
    for name in ("by_day", "by_model"):
        raw[name] = {key: Counts(**counts) for key, counts in raw[name].items()}
    return Truth(**raw)


@dataclass(slots=True)
class RawCounts:
    """Rows of one file or of one stretch of it, as logged."""

    lines: int = 0
    usage_rows: int = 0
    progress_usage_rows: int = 0
    synthetic_rows: int = 0

    def add(self, other: "RawCounts") -> None:
        """Add the other stretch to this one."""
        self.lines += other.lines
        self.usage_rows += other.usage_rows
        self.progress_usage_rows += other.progress_usage_rows
        self.synthetic_rows += other.synthetic_rows

    def copy(self) -> "RawCounts":
        """Give the counts so far, to be kept while this object counts on."""
        return RawCounts(self.lines, self.usage_rows, self.progress_usage_rows, self.synthetic_rows)


@dataclass(slots=True)
class Tally:
    """The counting side of the generator: each request is counted where it is planted."""

    cells: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    raw: RawCounts = field(default_factory=RawCounts)
    partial_requests: int = 0
    files: int = 0
    sessions: int = 0
    forked_sessions: int = 0
    bytes: int = 0
    lost_records: int = 0
    missing_newlines: int = 0
    damage: Counter[str] = field(default_factory=Counter)

    def plant(self, first_ms: int, model: str, tokens: tuple[int, int, int, int, int], *, partial: bool) -> None:
        """Count a request: time of its first row, model, tokens (input, output, write 5m, write 1h, read)."""
        key = (first_ms // DAY_MS, model)
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = [0] * 6
        cell[0] += 1
        cell[1] += tokens[0]
        cell[2] += tokens[1]
        cell[3] += tokens[2]
        cell[4] += tokens[3]
        cell[5] += tokens[4]
        self.partial_requests += partial

    def truth(self) -> Truth:
        """Sum up what was planted."""
        by_day: dict[str, list[int]] = {}
        by_model: dict[str, list[int]] = {}
        total = [0] * 6
        for (day, model), cell in sorted(self.cells.items()):
            name = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
            for sums in (by_day.setdefault(name, [0] * 6), by_model.setdefault(model, [0] * 6), total):
                for kind, value in enumerate(cell):
                    sums[kind] += value
        return Truth(
            files=self.files,
            sessions=self.sessions,
            bytes=self.bytes,
            lines=self.raw.lines - self.missing_newlines,
            records=self.raw.lines - self.lost_records,
            lost_records=self.lost_records,
            usage_rows=self.raw.usage_rows,
            progress_usage_rows=self.raw.progress_usage_rows,
            synthetic_rows=self.raw.synthetic_rows,
            partial_requests=self.partial_requests,
            forked_sessions=self.forked_sessions,
            total=Counts(*total),
            by_day={day: Counts(*sums) for day, sums in by_day.items()},
            by_model={model: Counts(*by_model[model]) for model in sorted(by_model)},
            damage=dict(sorted(self.damage.items())),
        )
