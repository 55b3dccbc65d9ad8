"""Chains, rebuilds and prices in plain dicts and loops: what the queries of cache/ are compared with."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from accounting import reference
from accounting.reference import TOKENS
from accounting.reference_reading import read_tree

Row = dict[str, Any]

MINUTES_5 = timedelta(minutes=5)
HOUR = timedelta(hours=1)

# Dollars per million tokens: input, output, 5m writes, 1h writes, reads.
PRICES: dict[str, tuple[str, str, str, str, str]] = {
    "claude-opus-4": ("5", "25", "6.25", "10", "0.5"),
    "claude-sonnet-4": ("3", "15", "3.75", "6", "0.3"),
    "claude-haiku-4-5": ("1", "5", "1.25", "2", "0.1"),
}


def prices(request: Mapping[str, Any]) -> list[Decimal] | None:
    """Dollars a token of the five kinds; None for a model without a price."""
    per_million = next((p for name, p in PRICES.items() if str(request["model"]).startswith(name)), None)
    if per_million is None:
        return None
    factor = Decimal(6 if request["speed"] == "fast" else 1)
    factor *= Decimal("1.1") if request["inference_geo"] == "us" else 1
    factor *= Decimal("0.5") if request["service_tier"] == "batch" else 1
    return [Decimal(price) * factor / 1_000_000 for price in per_million]


def costs(request: Mapping[str, Any]) -> dict[str, Decimal] | None:
    """What the request cost, by kind, and what it would have cost without a cache."""
    price = prices(request)
    if price is None:
        return None
    parts = [request[name] * price[i] for i, name in enumerate(TOKENS)]
    searches = Decimal(request["web_searches"] or 0) / 100
    return {
        "api": parts[0] + parts[1],
        "writes": parts[2] + parts[3],
        "reads": parts[4],
        "cost": sum(parts, searches),
        "no_cache": request["context_tokens"] * price[0] + parts[1] + searches,
    }


def sample_requests(samples: Path, lake_rows: Iterable[Row]) -> list[Row]:
    """The requests that the reference finds in the samples, with the columns of the lake that it does not know."""
    found = {
        # The lake names a record without an id by its file's number, and an advisor's entry by its kind.
        re.sub(r"^.*[.]jsonl(?=:)", "", key).replace("#", ":advisor:"): request
        for key, request in reference.count(read_tree(samples / "logs" / "projects")).requests.items()
    }
    known = {re.sub(r"^-?[0-9]+(?=:)", "", row["key"]): row for row in lake_rows}
    assert found.keys() == known.keys()
    return [{**known[key], **request} for key, request in found.items()]


def compactions(samples: Path) -> dict[str, list[datetime]]:
    """When the main threads of the samples were compacted, by session."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for path in samples.rglob("*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            if b"compact_boundary" in line:
                record = json.loads(line)
                assert not record["isSidechain"]
                found[record["sessionId"]].append(datetime.fromisoformat(record["timestamp"]))
    return found


def chains(requests: Iterable[Row], compacted: Mapping[str, Sequence[datetime]]) -> list[list[Row]]:
    """The chains, each in its order, every request with what the view `chains` says of it."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for request in requests:
        chain = (request["session_id"], request["is_sidechain"], request["agent_id"], request["origin"] == "advisor")
        groups[chain].append(dict(request))
    for group in groups.values():
        group.sort(key=lambda r: (r["ts"], r["file_id"], r["offset"], r["key"]))
        ttl = MINUTES_5
        for number, request in enumerate(group, 1):
            previous = group[number - 2] if number > 1 else None
            request |= {"number": number, "previous": previous, "gap": None, "ttl": None, "next": None}
            writes = request["cache_write_5m_tokens"] + request["cache_write_1h_tokens"]
            request |= {"writes": writes, "rebuilt": writes, "cause": "cold-start"}
            if previous:
                previous["next"] = request
                gap = request["ts"] - previous["ts"]
                rebuilt = min(max(previous["context_tokens"] - request["cache_read_tokens"], 0), writes)
                times = compacted.get(request["session_id"], ())
                between = not request["is_sidechain"] and any(previous["ts"] < t <= request["ts"] for t in times)
                request |= {"gap": gap, "ttl": ttl, "rebuilt": rebuilt}
                request["cause"] = (
                    "compaction"
                    if between
                    else "model-switch"
                    if request["model"] != previous["model"]
                    else "expired"
                    if gap > ttl
                    else "prefix-change"
                )
            if request["cache_write_1h_tokens"]:
                ttl = HOUR
            elif request["cache_write_5m_tokens"]:
                ttl = MINUTES_5
    return list(groups.values())
