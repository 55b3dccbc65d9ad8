"""A count of a tree by the accounting rules with the standard library alone, apart from the generator."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

KINDS = (
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
)
_STARTS = ('{"parentUuid"', '{"type"')
_BLOCK_TYPES = frozenset({"text", "image", "tool_result", "tool_use", "thinking"})


class Row(NamedTuple):
    """One usage row as logged."""

    key: str
    embedded: bool
    output_tokens: int
    timestamp: str
    place: tuple[str, int]
    model: str
    tokens: tuple[int, ...]
    stopped: bool
    finalised: bool


class Recount(NamedTuple):
    """What was found in a tree."""

    files: int
    bytes: int
    lines: int
    records: int
    usage_rows: int
    progress_usage_rows: int
    synthetic_rows: int
    partial_requests: int
    total: dict[str, int]
    by_day: dict[str, dict[str, int]]
    by_model: dict[str, dict[str, int]]


def salvage(line: bytes) -> list[dict[str, Any]]:
    """Read the records of a physical line: NULs stripped, joined records split, cut ones left out."""
    text = line.replace(b"\0", b"").decode("utf-8", errors="replace")
    decoder, position = json.JSONDecoder(), 0
    records: list[dict[str, Any]] = []
    while position < len(text):
        try:
            record, position = decoder.raw_decode(text, position)
        except ValueError:
            nexts = [place for start in _STARTS if (place := text.find(start, position + 1)) >= 0]
            if not nexts:
                break
            position = min(nexts)
        else:
            if record["type"] not in _BLOCK_TYPES:
                records.append(record)
    return records


def rows_of(record: dict[str, Any], path: str, offset: int) -> list[Row]:
    """Give the usage row of a record, if it has one, `<synthetic>` included."""
    embedded = record["type"] == "progress" and record["data"]["type"] == "agent_progress"
    source = record["data"]["message"] if embedded else record
    if source["type"] != "assistant" or "usage" not in source["message"]:
        return []
    message = source["message"]
    usage = message["usage"]
    written = usage["cache_creation_input_tokens"]
    written_1h = usage.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0)
    output = usage["output_tokens"]
    tokens = (
        usage["input_tokens"],
        output,
        written - written_1h,
        written_1h,
        usage["cache_read_input_tokens"],
    )
    stopped = message["stop_reason"] is not None
    finalised = tuple(map(int, record["version"].split("."))) >= (2, 1, 97)
    row = Row(
        message["id"],
        embedded,
        output,
        source["timestamp"],
        (path, offset),
        message["model"],
        tokens,
        stopped,
        finalised,
    )
    return [row]


def midnight_days(root: Path) -> set[str]:
    """Give the UTC days that share a request with another day."""
    days: dict[str, set[str]] = {}
    for path in root.rglob("*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            if b'"usage":{' in line:
                for row in rows_of(json.loads(line), "", 0):
                    days.setdefault(row.key, set()).add(row.timestamp[:10])
    return set().union(*(shared for shared in days.values() if len(shared) > 1))


def recount(root: Path) -> Recount:
    """Count every `.jsonl` file below a folder."""
    counts: Counter[str] = Counter()
    rows: dict[str, list[Row]] = {}
    for path in sorted(root.rglob("*.jsonl")):
        data = path.read_bytes()
        counts["files"] += 1
        counts["bytes"] += len(data)
        offset = 0
        for line in data.split(b"\n"):
            if line:
                counts["lines"] += 1
            for record in salvage(line):
                counts["records"] += 1
                for row in rows_of(record, str(path), offset):
                    if row.model == "<synthetic>":
                        counts["synthetic_rows"] += 1
                        continue
                    counts["progress_usage_rows" if row.embedded else "usage_rows"] += 1
                    rows.setdefault(row.key, []).append(row)
            offset += len(line) + 1
    total: Counter[str] = Counter()
    partial = 0
    by_day: dict[str, Counter[str]] = {}
    by_model: dict[str, Counter[str]] = {}
    for copies in rows.values():
        direct = [row for row in copies if not row.embedded] or copies
        kept = max(direct, key=lambda row: (row.output_tokens, row.timestamp, row.place))
        finalised = any(row.finalised or row.output_tokens > 10 for row in direct)
        partial += not (finalised and any(row.stopped for row in direct))
        day = min(row.timestamp for row in direct)[:10]
        for sums in (total, by_day.setdefault(day, Counter()), by_model.setdefault(kept.model, Counter())):
            sums["requests"] += 1
            for kind, value in zip(KINDS, kept.tokens, strict=True):
                sums[kind] += value
    return Recount(
        files=counts["files"],
        bytes=counts["bytes"],
        lines=counts["lines"],
        records=counts["records"],
        usage_rows=counts["usage_rows"],
        progress_usage_rows=counts["progress_usage_rows"],
        synthetic_rows=counts["synthetic_rows"],
        partial_requests=partial,
        total=dict(total),
        by_day={day: dict(sums) for day, sums in by_day.items()},
        by_model={model: dict(sums) for model, sums in by_model.items()},
    )
