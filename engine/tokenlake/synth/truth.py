"""The totals planted in a tree: what a right count by the accounting rules (dedup max) must find."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

DAY_MS: Final = 86_400_000

BAND_STARTS: Final = (0, 100_001, 200_001)
"""The least context of each band within which no price of any model changes."""

FAST: Final = 1
US: Final = 2
BATCH: Final = 4
LOGGED: Final = 8
"""What a request's cost depends on, to be added up: fast mode, inference in the US, the batch tier, a logged cost."""

Tokens = tuple[int, int, int, int, int]
"""Tokens of a request by kind: input, output, 5-minute write, 1-hour write, read."""


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
class Priced:
    """Requests that cost the same a token: of one UTC day, one model, one speed, region, tier and band of context.

    They all have a logged cost, or none has; `cost_logged_nanodollars` is the sum of these.
    """

    day: str
    model: str
    is_fast: bool
    is_us: bool
    is_batch: bool
    band: int
    counts: Counts
    web_searches: int
    is_logged: bool = False
    cost_logged_nanodollars: int = 0


@dataclass(frozen=True, slots=True)
class Truth:
    """What was planted.

    `total`, `by_day` (UTC day of a request's earliest row) and `by_model` count requests after deduplication, an
    advisor's calls among them; `priced` is the same cut by what decides about prices; `partial_requests` are those
    whose output was never finalised (accounting rule 16), `web_searches` those of rule 17; `logged_requests` are those
    whose rows say what they cost, and `cost_logged_nanodollars` the sum of that (rule 24).

    `usage_rows`, `progress_usage_rows`, `advisor_usage_rows` and `synthetic_rows` count rows as logged, copies
    included: assistant rows of real models, rows embedded in `agent_progress` lines, advisor entries, and
    `<synthetic>` assistant rows.

    `files` are transcripts and `bytes` theirs; `other_files` stand among them and are none (`*.meta.json`,
    `journal.jsonl`). `lines` are physical lines that are not blank (an unterminated last one counts), `records` the
    JSON records that are whole, or whole again after salvage, `lost_records` those that damage destroyed: they make
    `rejects` rows of the table rejects, and `pending_lines` last lines that look unfinished. `sessions` have a file
    of their own; of them `forked_sessions` start with another one's history, `repeated_sessions` have every message
    twice and `copied_sessions` lie in a second folder too.

    `damage` counts the damaged places by kind, `disputed` the requests by the shape that readers disagree about.
    """

    files: int
    other_files: int
    sessions: int
    forked_sessions: int
    repeated_sessions: int
    copied_sessions: int
    bytes: int
    lines: int
    records: int
    lost_records: int
    rejects: int
    pending_lines: int
    usage_rows: int
    progress_usage_rows: int
    advisor_usage_rows: int
    synthetic_rows: int
    partial_requests: int
    web_searches: int
    logged_requests: int
    cost_logged_nanodollars: int
    total: Counts
    by_day: dict[str, Counts]
    by_model: dict[str, Counts]
    priced: tuple[Priced, ...]
    damage: dict[str, int]
    disputed: dict[str, int]

    def save(self, path: Path) -> None:
        """Write the truth as JSON, keys in declaration order, days and models sorted, a line for each of them."""
        path.write_text(_json(asdict(self)), encoding="utf-8")


def load_truth(path: Path) -> Truth:
    """Read what `Truth.save` wrote.

    Raises OSError when there is no such file, ValueError or TypeError when it is not a truth.
    """
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    raw["total"] = Counts(**raw["total"])
    for name in ("by_day", "by_model"):
        raw[name] = {key: Counts(**counts) for key, counts in raw[name].items()}
    raw["priced"] = tuple(Priced(**{**cell, "counts": Counts(**cell["counts"])}) for cell in raw["priced"])
    return Truth(**raw)


def _json(raw: dict[str, Any]) -> str:
    """Write an object with a line for each value, and for each value of those that hold several."""
    lines = []
    for name, value in raw.items():
        text = json.dumps(value)
        if isinstance(value, dict):
            text = _braced("{}", [f"{json.dumps(key)}: {json.dumps(one)}" for key, one in value.items()], "  ")
        elif isinstance(value, tuple):
            text = _braced("[]", [json.dumps(one) for one in value], "  ")
        lines.append(f"{json.dumps(name)}: {text}")
    return _braced("{}", lines, " ") + "\n"


def _braced(braces: str, lines: list[str], indent: str) -> str:
    """Put lines between two braces, each line further in than these."""
    if not lines:
        return braces
    inner = ",\n".join(indent + line for line in lines)
    return f"{braces[0]}\n{inner}\n{indent[1:]}{braces[1]}"


@dataclass(slots=True)
class RawCounts:
    """Rows of one file or of one stretch of it, as logged."""

    lines: int = 0
    usage_rows: int = 0
    progress_usage_rows: int = 0
    synthetic_rows: int = 0
    advisor_usage_rows: int = 0

    def add(self, other: "RawCounts") -> None:
        """Add the other stretch to this one."""
        self.lines += other.lines
        self.usage_rows += other.usage_rows
        self.progress_usage_rows += other.progress_usage_rows
        self.synthetic_rows += other.synthetic_rows
        self.advisor_usage_rows += other.advisor_usage_rows

    def copy(self) -> "RawCounts":
        """Give the counts so far, to be kept while this object counts on."""
        return replace(self)


@dataclass(slots=True)
class Tally:
    """The counting side of the generator: each request is counted where it is planted."""

    cells: dict[tuple[int, str, int, int], list[int]] = field(default_factory=dict)
    raw: RawCounts = field(default_factory=RawCounts)
    partial_requests: int = 0
    files: int = 0
    other_files: int = 0
    sessions: int = 0
    forked_sessions: int = 0
    repeated_sessions: int = 0
    copied_sessions: int = 0
    bytes: int = 0
    lost_records: int = 0
    rejects: int = 0
    pending_lines: int = 0
    missing_newlines: int = 0
    damage: Counter[str] = field(default_factory=Counter)
    disputed: Counter[str] = field(default_factory=Counter)

    def plant(
        self,
        first_ms: int,
        model: str,
        tokens: Tokens,
        *,
        partial: bool,
        factors: int = 0,
        web_searches: int = 0,
        cost_logged_nanodollars: int | None = None,
    ) -> None:
        """Count a request by the time of its first row; `factors` is a sum of FAST, US and BATCH."""
        if cost_logged_nanodollars is not None:
            factors += LOGGED
        sent, answered, write_5m, write_1h, read = tokens
        context = sent + write_5m + write_1h + read
        key = (first_ms // DAY_MS, model, factors, (context > 100_000) + (context > 200_000))
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = [0] * 8
        cell[0] += 1
        cell[1] += sent
        cell[2] += answered
        cell[3] += write_5m
        cell[4] += write_1h
        cell[5] += read
        cell[6] += web_searches
        cell[7] += cost_logged_nanodollars or 0
        self.partial_requests += partial

    def truth(self) -> Truth:
        """Sum up what was planted."""
        by_day: dict[str, list[int]] = {}
        by_model: dict[str, list[int]] = {}
        total = [0] * 7
        priced = tuple(self._priced())
        for cell in priced:
            figures = (*asdict(cell.counts).values(), cell.web_searches)
            for sums in (by_day.setdefault(cell.day, [0] * 7), by_model.setdefault(cell.model, [0] * 7), total):
                for kind, value in enumerate(figures):
                    sums[kind] += value
        return Truth(
            files=self.files,
            other_files=self.other_files,
            sessions=self.sessions,
            forked_sessions=self.forked_sessions,
            repeated_sessions=self.repeated_sessions,
            copied_sessions=self.copied_sessions,
            bytes=self.bytes,
            lines=self.raw.lines - self.missing_newlines,
            records=self.raw.lines - self.lost_records,
            lost_records=self.lost_records,
            rejects=self.rejects,
            pending_lines=self.pending_lines,
            usage_rows=self.raw.usage_rows,
            progress_usage_rows=self.raw.progress_usage_rows,
            advisor_usage_rows=self.raw.advisor_usage_rows,
            synthetic_rows=self.raw.synthetic_rows,
            partial_requests=self.partial_requests,
            web_searches=total[6],
            logged_requests=sum(cell.counts.requests for cell in priced if cell.is_logged),
            cost_logged_nanodollars=sum(cell.cost_logged_nanodollars for cell in priced),
            total=Counts(*total[:6]),
            by_day={day: Counts(*sums[:6]) for day, sums in by_day.items()},
            by_model={model: Counts(*by_model[model][:6]) for model in sorted(by_model)},
            priced=priced,
            damage=dict(sorted(self.damage.items())),
            disputed=dict(sorted(self.disputed.items())),
        )

    def _priced(self) -> Iterator[Priced]:
        for (day, model, factors, band), (*counts, searches, logged) in sorted(self.cells.items()):
            name = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
            kinds = (bool(factors & FAST), bool(factors & US), bool(factors & BATCH))
            yield Priced(name, model, *kinds, band, Counts(*counts), searches, bool(factors & LOGGED), logged)
