"""What-if replays in plain Python: every context is a list of tokens, each marked by how the log has it."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
FIVE_MINUTES, HOUR = 300_000_000, 3_600_000_000
SCENARIOS = (
    "as-it-was",
    "ttl-5m",
    "ttl-1h",
    "fresh-at-gaps",
    "context-cap",
    "split-requests",
    "split-hours",
    "no-caching",
)
MARKS = {
    "r": "cache_read_tokens",
    "h": "cache_write_1h_tokens",
    "m": "cache_write_5m_tokens",
    "i": "input_tokens",
}
"""The parts of a context, in the order in which they lie in it: read, 1-hour write, 5-minute write, input."""

PRICES = {
    "r": "cache_read_price_pico",
    "h": "cache_write_1h_price_pico",
    "m": "cache_write_5m_price_pico",
    "i": "input_price_pico",
}


@dataclass(frozen=True)
class Habits:
    """The parameters of whatif/replay."""

    ttl: float | None = None
    cap: int = 100_000
    requests: int = 50
    hours: float = 5
    prefix_tokens: int | None = None
    head_tokens: int | None = None
    kept_tokens: int = 0


def chains(requests: Iterable[Row]) -> list[list[Row]]:
    """The requests of each main thread and each subagent, in order; an advisor's apart."""
    found: dict[object, list[Row]] = defaultdict(list)
    for row in requests:
        found[row["session_id"], row["is_sidechain"], row["agent_id"], row["origin"] == "advisor"].append(row)
    return [sorted(chain, key=lambda row: (row["ts"], row["key"])) for chain in found.values()]


def is_main(row: Row) -> bool:
    return not row["is_sidechain"] and row["agent_id"] is None and row["origin"] != "advisor"


def compacted(before: Row, row: Row, events: Iterable[Row]) -> bool:
    return any(
        event["subtype"] in ("compact_boundary", "microcompact_boundary")
        and event["session_id"] == row["session_id"]
        and event["agent_id"] == row["agent_id"]
        and bool(event["is_sidechain"]) == bool(row["is_sidechain"])
        and before["ts"] < event["ts"] <= row["ts"]
        for event in events
    )


def micros(later: Row, earlier: Row) -> int:
    delta: dt.timedelta = later["ts"] - earlier["ts"]
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def median(values: Sequence[int]) -> int | None:
    """The median as a whole number, halves rounded up."""
    if not values:
        return None
    ordered = sorted(values)
    middle = Decimal(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return int(middle.quantize(Decimal(1), ROUND_HALF_UP))


def sizes(all_chains: Iterable[Sequence[Row]], selected: set[str]) -> tuple[int, int]:
    """S and H: the median first context of main threads, and of what their requests 2 to 5 write."""
    prefixes, heads = [], []
    for chain in all_chains:
        if not is_main(chain[0]):
            continue
        if chain[0]["key"] in selected:
            prefixes.append(chain[0]["context_tokens"])
        if len(chain) >= 5 and all(row["key"] in selected for row in chain[:5]):
            heads.append(sum(row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"] for row in chain[1:5]))
    return median(prefixes) or 0, median(heads) or 0


def replays(
    requests: Sequence[Row], events: Sequence[Row] = (), habits: Habits = Habits(), selected: set[str] | None = None
) -> list[dict[str, Any]]:
    """The rows of whatif/replay over all requests, for the selected keys (default: every one)."""
    keys = {row["key"] for row in requests} if selected is None else selected
    if not keys:
        return []
    all_chains = chains(requests)
    prefix, head = sizes(all_chains, keys)
    prefix = prefix if habits.prefix_tokens is None else habits.prefix_tokens
    head = head if habits.head_tokens is None else habits.head_tokens
    answer: list[dict[str, Any]] = []
    for scenario in SCENARIOS:
        sums: Counter[str] = Counter()
        peaks = []
        cost = None
        for chain in all_chains:
            for row, context, is_fresh, is_rewritten in replayed(scenario, chain, events, habits, prefix + head):
                if row["key"] not in keys:
                    continue
                sums.update(context)
                sums.update(
                    requests=1,
                    output=row["output_tokens"],
                    fresh=is_fresh,
                    rewritten=is_rewritten,
                    unpriced=row["input_price_pico"] is None,
                )
                if is_main(row):
                    peaks.append(len(context))
                if row["input_price_pico"] is not None:
                    counts = Counter(context)
                    cost = (cost or 0) + row["output_tokens"] * row["output_price_pico"]
                    cost += sum(counts[mark] * row[PRICES[mark]] for mark in MARKS)
        answer.append(
            {
                "scenario": scenario,
                "requests": sums["requests"],
                "fresh_sessions": sums["fresh"],
                "rewrites": sums["rewritten"],
                "peak_context_tokens": max(peaks, default=None),
                "input_tokens": sums["i"],
                "output_tokens": sums["output"],
                "cache_write_5m_tokens": sums["m"],
                "cache_write_1h_tokens": sums["h"],
                "cache_read_tokens": sums["r"],
                "cost": None if cost is None else Decimal(cost).scaleb(-12),
                "unpriced_requests": sums["unpriced"],
                "prefix_tokens": prefix,
                "head_tokens": head,
            }
        )
    for row in answer:
        logged: Any = answer[0]["cost"]
        row["cost_difference"] = None if logged is None else row["cost"] - logged
        row["cost_ratio"] = float(Fraction(row["cost"]) / Fraction(logged)) if logged else None
    return answer


def replayed(
    scenario: str, chain: Sequence[Row], events: Sequence[Row], habits: Habits, fresh_tokens: int
) -> Iterable[tuple[Row, list[str], bool, bool]]:
    """Each request of a chain with its context in the scenario, and whether it is a fresh start or a rewrite."""
    stale = 0
    kind = None  # of the latest write
    for number, row in enumerate(chain):
        before = chain[number - 1] if number else None
        context = [mark for mark, name in MARKS.items() for _ in range(row[name])]
        pause = micros(row, before) if before else 0
        ttl = HOUR if kind == "h" else FIVE_MINUTES
        kind = "h" if "h" in context else "m" if "m" in context else kind
        reads = context.count("r")
        is_fresh = False
        if scenario == "no-caching":
            context, reads = ["i"] * len(context), 0
        elif scenario.startswith("ttl"):
            lifetime, written = (HOUR, "h") if scenario == "ttl-1h" else (FIVE_MINUTES, "m")
            if lifetime < pause <= ttl:
                context = read_only(context, habits.kept_tokens, written)
            elif before and ttl < pause <= lifetime and before["model"] == row["model"]:
                found = 0 if compacted(before, row, events) else before["context_tokens"]
                context = ["r" if mark in "hm" and place < found else mark for place, mark in enumerate(context)]
            context = [written if mark in "hm" else mark for mark in context]
        elif scenario != "as-it-was" and before and is_main(row):
            is_fresh = opens(scenario, chain, number, pause, ttl, habits, fresh_tokens)
            if is_fresh:
                stale = before["context_tokens"] - fresh_tokens
            stale = max(min(stale, len(context) - fresh_tokens), 0)
            del context[fresh_tokens : fresh_tokens + stale]
            reads = context.count("r")
            if is_fresh:
                context = read_only(context, habits.kept_tokens, kind or "m")
        yield row, context, is_fresh, context.count("r") < reads


def read_only(context: Sequence[str], tokens: int, written: str) -> list[str]:
    """The context with all reads beyond the first tokens written."""
    return [written if mark == "r" and place >= tokens else mark for place, mark in enumerate(context)]


def opens(
    scenario: str, chain: Sequence[Row], number: int, pause: int, ttl: int, habits: Habits, fresh_tokens: int
) -> bool:
    """Whether this request, not the first of its thread, is made in a fresh session."""
    row, before = chain[number], chain[number - 1]
    if scenario == "fresh-at-gaps":
        return pause > (ttl if habits.ttl is None else habits.ttl * 60_000_000)
    if scenario == "split-requests":
        return number % habits.requests == 0
    if scenario == "split-hours":
        length = habits.hours * HOUR
        return math.floor(micros(row, chain[0]) / length) > math.floor(micros(before, chain[0]) / length)
    # The marks that the context passes: S + H + n (cap - S - H). The second request comes from below in any case.
    step = max(habits.cap - fresh_tokens, 1)
    low = before["context_tokens"] if number > 1 else 0
    marks = range(fresh_tokens + step, row["context_tokens"] + 1, step)
    return any(low < mark for mark in marks)
