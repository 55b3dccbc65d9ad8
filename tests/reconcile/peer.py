"""ccusage 20.0.24 as this project's experiments found it: a small program that shares nothing with the lake.

`report` makes the JSON of `ccusage claude daily --json -m calculate -z UTC` for a tree; where the true program is
there, tests hold the two against each other.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NULLS = re.compile(
    rb'[{,]\s*"(id|cwd|model|speed|costUSD|version|sessionId|requestId|isApiErrorMessage|'
    rb'cache_creation_input_tokens|cache_read_input_tokens)"\s*:\s*null'
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|[+-]\d\d:\d\d)")

# Dollars per million: input, output, 5m writes, 1h writes, reads; the factor of fast mode; a tier above 200,000.
SONNET = ((3, 15, 3.75, 6, 0.3), 1, None)
LONG_SONNET = ((3, 15, 3.75, 6, 0.3), 1, (6, 22.5, 7.5, 12, 0.6))
OPUS = ((5, 25, 6.25, 10, 0.5), 1, None)
OPUS_6X = ((5, 25, 6.25, 10, 0.5), 6, None)
OPUS_2X = ((5, 25, 6.25, 10, 0.5), 2, None)
PRICES: dict[str, Any] = {
    "claude-sonnet-4-20250514": LONG_SONNET,
    "claude-sonnet-4-5-20250929": LONG_SONNET,
    "claude-sonnet-4-6": SONNET,
    "claude-opus-4-5-20251101": OPUS,
    "claude-opus-4-6": OPUS_6X,
    "claude-opus-4-7": OPUS_6X,
    "claude-opus-4-8": OPUS_2X,
    "claude-opus-4-1-20250805": ((15, 75, 18.75, 30, 1.5), 1, None),
    "claude-haiku-4-5-20251001": ((1, 5, 1.25, 2, 0.1), 1, None),
    "claude-3-5-haiku-20241022": ((0.8, 4, 1, 1.6, 0.08), 1, None),
    "claude-sonnet-3-7": ((2.6, 13, 3.2, 5.2, 0.26), 1, None),
}


@dataclass
class Entry:
    """A row that counts, unless another of its request does."""

    ts: datetime
    session: str
    message: str | None
    request: str | None
    side: bool
    model: str | None
    speed: str | None
    counts: tuple[int, int, int, int, int]

    @property
    def size(self) -> int:
        return sum(self.counts)

    @property
    def cost(self) -> float:
        return cost(self.model, self.speed, self.counts)

    @property
    def exact_key(self) -> object:
        if self.request is None:
            return self.message, self.session, self.ts
        return self.message, self.request

    def beats(self, other: Entry) -> bool:
        if self.side != other.side:
            return other.side
        if self.size != other.size:
            return self.size > other.size
        if self.cost != other.cost:
            return self.cost > other.cost
        return self.speed is not None and other.speed is None


def cost(model: str | None, speed: str | None, counts: tuple[int, ...]) -> float:
    if model not in PRICES:
        return 0.0
    prices, factor, above = PRICES[model]
    dollars = 0.0
    for tokens, price, price_above in zip(counts, prices, above or prices, strict=True):
        dollars += min(tokens, 200_000) * price + max(tokens - 200_000, 0) * price_above
    return dollars / 1e6 * (factor if speed == "fast" else 1)


def entries(path: Path, relative: Path) -> Iterator[Entry]:
    """The rows of a file, in order."""
    folder = relative.parts[1:]
    session_of_path = relative.stem if len(folder) == 2 else folder[-3 if folder[-2] == "subagents" else -2]
    for line in path.read_bytes().split(b"\n"):
        if b'"usage":{' in line and not NULLS.search(line):
            try:
                record = json.loads(line.decode("utf-8"), object_pairs_hook=_each_once)
                json.dumps(record, ensure_ascii=False).encode("utf-8")
                assert _depth(record) <= 127
                yield from _of_record(record, session_of_path)
            except (ValueError, KeyError, TypeError, AssertionError):
                continue


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs if name.endswith("_tokens")]
    if len(set(names)) < len(names):
        raise ValueError(names)
    return dict(pairs)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _of_record(record: Any, session_of_path: str) -> Iterator[Entry]:
    owner, version, speed_known = record, record.get("version"), ("standard", "fast", None)
    if "usage" not in (record.get("message") or {}):
        owner, version = record["data"]["message"], None
    message = owner["message"]
    usage = message["usage"]
    assert TIME.fullmatch(owner["timestamp"])
    assert version is None or re.match(r"\d+\.\d+\.\d+", version)
    assert usage.get("speed") in speed_known
    assert type(owner.get("costUSD", 0)) in (int, float)
    names = (record.get("sessionId"), owner.get("requestId"), message.get("id"), message.get("model"))
    assert all(name is None or (isinstance(name, str) and name) for name in names)
    session, request, name, model = names
    ts = datetime.fromisoformat(owner["timestamp"]).astimezone(UTC)
    side = owner.get("isSidechain") is True
    entry = Entry(ts, session or session_of_path, name, request, side, model, usage.get("speed"), _counts(usage))
    yield entry
    if owner is record:
        listed = usage.get("iterations") or []
        calls = [call for call in listed if call["type"] == "advisor_message"]
        for number, call in enumerate(calls):
            own = f"{name}:advisor:{number}" if name else None
            yield Entry(ts, entry.session, own, request, side, call["model"], call.get("speed"), _counts(call))


def _counts(usage: Any) -> tuple[int, int, int, int, int]:
    short, long = usage.get("cache_creation_input_tokens", 0), 0
    if (split := usage.get("cache_creation")) is not None:
        short, long = (split.get(f"ephemeral_{span}_input_tokens", 0) for span in ("5m", "1h"))
    found = (usage["input_tokens"], usage["output_tokens"], short, long, usage.get("cache_read_input_tokens", 0))
    assert all(type(count) is int and 0 <= count < 2**64 for count in found)
    return found


def kept(rows: list[Entry]) -> list[Entry]:
    """The rows that count, one after the other in the order of files and lines."""
    slots: list[Entry] = []
    routes: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        if row.message is None:
            slots.append(row)
            continue
        same = [n for n, held in enumerate(slots) if held.message and held.exact_key == row.exact_key]
        replayed = [n for n in routes[row.message, row.session] if row.side or slots[n].side]
        if same or replayed:
            place = (same or replayed)[0]
            if row.beats(slots[place]):
                slots[place] = row
        else:
            place = len(slots)
            slots.append(row)
        routes[row.message, row.session].append(place)
    return slots


def report(root: Path) -> str:
    """What `ccusage claude daily` says of the transcripts below `root`/projects."""
    paths = sorted((root / "projects").rglob("*.jsonl"), key=str)
    rows = [row for path in paths for row in entries(path, path.relative_to(root))]
    by_message = defaultdict(list)
    for row in rows:
        by_message[row.message].append(row)
    days: dict[str, dict[str | None, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0] * 5))
    for group in by_message.values():
        for row in kept(group):
            named = None if row.model == "<synthetic>" else row.model
            named = f"{named}-fast" if row.speed == "fast" and ":advisor:" not in (row.message or "") else named
            sums = days[row.ts.strftime("%Y-%m-%d")][named]
            fresh, output, short, long, read = row.counts
            for place, amount in enumerate((fresh, output, short + long, read, row.cost)):
                sums[place] += amount
    return json.dumps({"daily": [_day(day, models) for day, models in sorted(days.items())]})


NAMES = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens")


def _day(day: str, models: dict[str | None, list[float]]) -> dict[str, Any]:
    listed = []
    for model, sums in models.items():
        if model is not None:
            row: dict[str, Any] = {"modelName": model, **dict(zip(NAMES, sums, strict=False)), "cost": sums[4]}
            if model.removesuffix("-fast") not in PRICES:
                row["missingPricing"] = True
            listed.append(row)
    whole = [sum(sums[place] for sums in models.values()) for place in range(5)]
    return {"date": day, **dict(zip(NAMES, whole, strict=False)), "totalCost": whole[4], "modelBreakdowns": listed}
