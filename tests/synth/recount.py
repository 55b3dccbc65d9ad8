"""A count of a tree by the accounting rules with the standard library alone, apart from the generator."""

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
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
_BOM = b"\xef\xbb\xbf"

Cell = tuple[str, str, bool, bool, bool, int, bool]
"""UTC day, model, fast, us, batch, the band of context (0 to 100,000, above that, above 200,000), cost logged."""


class Row(NamedTuple):
    """One usage row as logged."""

    key: str
    origin: str
    output_tokens: int
    timestamp: str
    place: tuple[str, int]
    model: str
    tokens: tuple[int, ...]
    stopped: bool
    finalised: bool
    factors: tuple[bool, bool, bool]
    web_searches: int
    searching: frozenset[str]
    nanodollars: int | None


class Recount(NamedTuple):
    """What was found in a tree."""

    files: int
    bytes: int
    lines: int
    records: int
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
    total: dict[str, int]
    by_day: dict[str, dict[str, int]]
    by_model: dict[str, dict[str, int]]
    priced: dict[Cell, dict[str, int]]


def salvage(line: bytes) -> tuple[list[dict[str, Any]], int]:
    """Read the records of a physical line, joined ones split, cut ones left out, and count the stretches lost."""
    text = line.decode("utf-8", errors="replace")
    decoder, position, lost = json.JSONDecoder(strict=False, parse_float=Decimal), 0, 0
    records: list[dict[str, Any]] = []
    while position < len(text):
        found = record_at(decoder, text, position)
        if found is None:
            lost += 1
            while found is None:
                nexts = [place for start in _STARTS if (place := text.find(start, position + 1)) >= 0]
                if not nexts:
                    return records, lost
                position = min(nexts)
                found = record_at(decoder, text, position)
        record, position = found
        records.append(record)
    return records, lost


def record_at(decoder: json.JSONDecoder, text: str, position: int) -> tuple[dict[str, Any], int] | None:
    """Read the record that starts at a place; a content block is none."""
    try:
        record, end = decoder.raw_decode(text, position)
    except ValueError:
        return None
    return None if record["type"] in _BLOCK_TYPES else (record, end)


def number(value: str | int) -> int:
    """Read a count, written as a number or as text."""
    return int(value)


def tokens_of(usage: dict[str, Any]) -> tuple[int, ...]:
    """Give the five token counts of a usage object."""
    written = number(usage["cache_creation_input_tokens"])
    written_1h = usage.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0)
    return (
        number(usage["input_tokens"]),
        number(usage["output_tokens"]),
        written - written_1h,
        written_1h,
        number(usage["cache_read_input_tokens"]),
    )


def rows_of(record: dict[str, Any], path: str, offset: int) -> list[Row]:
    """Give the usage rows of a record, none for most, `<synthetic>` included."""
    embedded = record["type"] == "progress" and record["data"]["type"] == "agent_progress"
    source = record["data"]["message"] if embedded else record
    if source["type"] != "assistant" or "usage" not in source["message"]:
        return []
    message = source["message"]
    usage = message["usage"]
    cost = record.get("costUSD")
    calls = [block for block in message["content"] if block.get("name") == "WebSearch"]
    row = Row(
        key=message.get("id", source["uuid"]),
        origin="progress" if embedded else "assistant",
        output_tokens=number(usage["output_tokens"]),
        timestamp=source["timestamp"],
        place=(path, offset),
        model=message["model"],
        tokens=tokens_of(usage),
        stopped=message["stop_reason"] is not None,
        finalised=tuple(map(int, record["version"].split("."))) >= (2, 1, 97),
        factors=(
            usage.get("speed") == "fast",
            usage.get("inference_geo") == "us",
            usage.get("service_tier") == "batch",
        ),
        web_searches=usage.get("server_tool_use", {}).get("web_search_requests", 0),
        searching=frozenset(block["id"] for block in calls),
        nanodollars=None if cost is None else int(Decimal(cost).scaleb(9)),
    )
    rows = [row]
    for index, entry in enumerate(usage.get("iterations", [])):
        if entry["type"] == "advisor_message":
            own = row._replace(key=f"{row.key}/{index}", origin="advisor", model=entry["model"], web_searches=0)
            found = tokens_of(entry)
            rows.append(own._replace(tokens=found, output_tokens=found[1], searching=frozenset()))
    return rows


def midnight_days(root: Path) -> set[str]:
    """Give the UTC days that share a request with another day."""
    days: dict[str, set[str]] = {}
    for path in root.rglob("*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            if b'"usage":{' in line:
                for row in rows_of(json.loads(line), "", 0):
                    days.setdefault(row.key, set()).add(row.timestamp[:10])
    return set().union(*(shared for shared in days.values() if len(shared) > 1))


def transcripts(root: Path) -> Iterator[Path]:
    """Give the transcripts below a folder, in order of their names."""
    for path in sorted(root.rglob("*.jsonl")):
        if path.name != "journal.jsonl":
            yield path


def recount(root: Path) -> Recount:
    """Count every transcript below a folder."""
    counts: Counter[str] = Counter()
    rows: dict[str, list[Row]] = {}
    searches: dict[str, int] = {}
    for path in transcripts(root):
        data = path.read_bytes()
        counts["files"] += 1
        counts["bytes"] += len(data)
        offset = 0
        for line in data.split(b"\n"):
            bare = line.replace(b"\0", b"").removeprefix(_BOM)
            records, lost = salvage(bare)
            ended = offset + len(line) < len(data)
            counts["lines"] += bool(bare)
            counts["rejects" if ended else "pending_lines"] += lost
            for record in records:
                counts["records"] += 1
                result = record.get("toolUseResult")
                if isinstance(result, dict) and "searchCount" in result:
                    searches[record["message"]["content"][0]["tool_use_id"]] = result["searchCount"]
                for row in rows_of(record, str(path), offset):
                    if row.model == "<synthetic>":
                        counts["synthetic_rows"] += 1
                        continue
                    counts[row.origin] += 1
                    rows.setdefault(row.key, []).append(row)
            offset += len(line) + 1
    total: Counter[str] = Counter()
    by_day: dict[str, Counter[str]] = {}
    by_model: dict[str, Counter[str]] = {}
    priced: dict[Cell, Counter[str]] = {}
    for copies in rows.values():
        direct = [row for row in copies if row.origin != "progress"] or copies
        kept = max(direct, key=lambda row: (row.output_tokens, row.timestamp, row.place))
        finalised = any(row.finalised or row.output_tokens > 10 for row in direct)
        counts["partial_requests"] += not (finalised and any(row.stopped for row in direct))
        day = min(row.timestamp for row in direct)[:10]
        called = frozenset().union(*(row.searching for row in copies))
        searched = kept.web_searches or sum(searches.get(call, 0) for call in called)
        context = sum(kept.tokens) - kept.output_tokens
        cell = (day, kept.model, *kept.factors, (context > 100_000) + (context > 200_000), kept.nanodollars is not None)
        places = (by_day.setdefault(day, Counter()), by_model.setdefault(kept.model, Counter()))
        for sums in (total, *places, priced.setdefault(cell, Counter())):
            sums["requests"] += 1
            for kind, value in zip(KINDS, kept.tokens, strict=True):
                sums[kind] += value
        logged = {"web_searches": searched, "cost_logged_nanodollars": kept.nanodollars or 0}
        counts["logged_requests"] += kept.nanodollars is not None
        for name, value in logged.items():
            counts[name] += value
            priced[cell][name] += value
    return Recount(
        files=counts["files"],
        bytes=counts["bytes"],
        lines=counts["lines"],
        records=counts["records"],
        rejects=counts["rejects"],
        pending_lines=counts["pending_lines"],
        usage_rows=counts["assistant"],
        progress_usage_rows=counts["progress"],
        advisor_usage_rows=counts["advisor"],
        synthetic_rows=counts["synthetic_rows"],
        partial_requests=counts["partial_requests"],
        web_searches=counts["web_searches"],
        logged_requests=counts["logged_requests"],
        cost_logged_nanodollars=counts["cost_logged_nanodollars"],
        total=dict(total),
        by_day={day: dict(sums) for day, sums in by_day.items()},
        by_model={model: dict(sums) for model, sums in by_model.items()},
        priced={cell: dict(sums) for cell, sums in priced.items()},
    )
