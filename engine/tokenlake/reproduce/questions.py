"""The questions behind the published figures, each answered by saved queries: of a corpus and of any lake alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from tokenlake.reproduce.figures import Answer, Value

Row = Mapping[str, Any]
Ask = Callable[..., Sequence[Row]]
"""Runs a saved query by its name and parameters, and gives its rows."""

PREFIX_TOKENS: Final = 15_000


def totals(ask: Ask) -> Iterator[Answer]:
    """R1 and R2: cache traffic beside input and output, over everything (metrics, cache overhead)."""
    query = "cache/overhead"
    for row in ask(query):
        io, writes = _io(row), _writes(row)
        yield Answer("cache reads", row["cache_read_tokens"], "R", query)
        yield Answer("input and output", io, "IO", query)
        yield Answer("cache writes", writes, "W", query)
        yield Answer("cache reads per input and output token", row["reads_per_io"], "R / IO", query)
        for name, column, formula in (
            ("cache reads and writes, share of all tokens", "cache_token_share", "(R + W) / TOT"),
            ("cache reads, share of all tokens", "reads_per_total", "R / TOT"),
            ("cache reads, share of reads, input and output", "reads_per_reads_and_io", "R / (R + IO)"),
        ):
            yield Answer(name, _percent(row[column]), formula, query)


def weeks(ask: Ask) -> Iterator[Answer]:
    """R3: cache reads of the last five weeks, Monday to Sunday."""
    query = "cost/weekly"
    rows = ask(query)[-5:]
    for number, row in enumerate(rows, 1):
        of = f"week from Monday {row['week']} to Sunday {row['week'] + timedelta(days=6)}"
        yield Answer(f"cache reads, week {number} of 5", row["cache_read_tokens"], "R of the week", query, of)
    if rows:
        yield Answer("cache reads, five weeks", sum(row["cache_read_tokens"] for row in rows), "sum of R", query)
    if len(rows) > 1:
        first, second = rows[:2]
        reads = first["cache_read_tokens"], second["cache_read_tokens"]
        yield Answer("cache reads, week 2 to week 1", _ratio(reads[1], reads[0]), "R / R of the week before", query)
        days = Counter(_monday(row["day"]) for row in ask("cost/daily"))
        growth = _ratio(reads[1] * days[first["week"]], reads[0] * days[second["week"]])
        of = f"{days[first['week']]} and {days[second['week']]} days with requests"
        formula = "(R / days) / (R / days of the week before)"
        yield Answer("cache reads a day, week 2 to week 1", growth, formula, f"{query}, cost/daily", of)


def days(ask: Ask) -> Iterator[Answer]:
    """R4: the last two days with requests."""
    query = "cost/daily"
    pair = ask(query)[-2:]
    for name, row in zip(("last day but one", "last day")[2 - len(pair) :], pair, strict=True):
        of = str(row["day"])
        reads, io = row["cache_read_tokens"], _io(row)
        yield Answer(f"cache reads, {name}", reads, "R of the day", query, of)
        yield Answer(f"input and output, {name}", io, "IO of the day", query, of)
        yield Answer(f"cache reads per input and output token, {name}", _ratio(reads, io), "R / IO", query, of)
    if len(pair) == 2:
        before, last = pair
        growth = _ratio(last["cache_read_tokens"], before["cache_read_tokens"])
        yield Answer("cache reads, last day to the one before", growth, "R / R of the day before", query)
        growth = _ratio(_io(last), _io(before))
        yield Answer("input and output, last day to the one before", growth, "IO / IO of the day before", query)


def dearest_session(ask: Ask, session: str | None = None) -> Iterator[Answer]:
    """R5: where the dollars of a session went; the dearest one unless a session is named."""
    query = "cost/session"
    for row in ask(query, session=session)[:1]:
        of = f"session {row['session_id']}" if session is None else ""
        cost, api = row["cost"], row["cost_api"]
        yield Answer("requests", row["requests"], "requests", query, of)
        yield Answer("requests, as turns", row["requests"], "requests", query, of)
        for name, part in (
            ("cost of cache reads", row["cost_cache_read"]),
            ("cost of cache writes", row["cost_cache_write"]),
            ("cost of input and output", api),
        ):
            yield Answer(name, part, name.removeprefix("cost of "), query, of)
            yield Answer(f"{name}, share", _percent(_ratio(part, cost)), f"{name} / cost", query, of)
        yield Answer("cost", cost, "sum of its parts", query, of)
        total = row["total_tokens"]
        cache = _cache_cost(row)
        for name, share, formula in (
            ("cost of the cache, share", _ratio(cache, cost), "(reads + writes) / cost"),
            ("cache, share of all tokens", _ratio(total - _io(row), total), "(R + W) / TOT"),
            ("input and output, share of all tokens", _ratio(_io(row), total), "IO / TOT"),
        ):
            yield Answer(name, _percent(share), formula, query, of)
        yield Answer("cost per cost of input and output", _ratio(cost, api), "cost / cost_api", query, of)
        formula = "(reads + writes) / cost_api"
        yield Answer("cost of the cache per cost of input and output", _ratio(cache, api), formula, query, of)


def dearest_block(ask: Ask, day: str | None = None) -> Iterator[Answer]:
    """R6: a block of five hours; the dearest one unless a day is named."""
    query = "windows/blocks"
    blocks = [row for row in ask(query, since=day, until=day) if row["cost"] is not None]
    for row in sorted(blocks, key=lambda row: row["cost"], reverse=True)[:1]:
        start = row["start_ts"]
        of = f"block of {start:%Y-%m-%d %H:%M} UTC" if day is None else ""
        yield Answer("start of the block", f"{start.hour}:{start:%M}", "first request, down to the hour", query, of)
        yield Answer("duration of the block", row["duration"], "last request - start", query, of)
        yield Answer("cost of input and output of the block", row["cost_api"], "cost_api", query, of)
        yield Answer("cost of the block", row["cost"], "cost", query, of)
        factor = _ratio(row["cost"], row["cost_api"])
        yield Answer("cost per cost of input and output of the block", factor, "cost / cost_api", query, of)


def prefix(ask: Ask) -> Iterator[Answer]:
    """R7: what a prefix of 15,000 tokens is written and read, and costs (metrics, static prefix)."""
    query = "cache/static-prefix"
    for row in ask(query, tokens=PREFIX_TOKENS):
        if row["estimator"] != "given":
            continue
        written, read = row["written_tokens"], row["read_tokens"]
        of = f"{row['requests']:,} requests, {row['cold_requests']:,} of them cold"
        yield Answer("tokens of the prefix, written", written, f"{PREFIX_TOKENS:,} x cold requests", query, of)
        yield Answer("tokens of the prefix, read", read, f"{PREFIX_TOKENS:,} x warm requests", query, of)
        yield Answer("tokens of the prefix, all", written + read, "written + read", query, of)
        name = "cost of the prefix, all of it read"
        yield Answer(name, row["cost_all_read"], "tokens x read price of each request", query, of)


def burn(ask: Ask) -> Iterator[Answer]:
    """R8: how fast the last seven windows of a quota were used up (metrics, windows 5)."""
    query = "windows/burn-variance"
    rated = [row for row in ask(query) if row["percent_per_hour"] is not None]
    ((kind, _),) = Counter(row["window"] for row in rated).most_common(1) or [("", 0)]
    rows = [row for row in rated if row["window"] == kind][-7:]
    for number, row in enumerate(rows, 1):
        of = f"{row['window']} to {row['resets_at']:%Y-%m-%d}, {row['used_percentage']:g}% in {row['hours']:.3f} h"
        name = f"percent an hour, window {number} of 7"
        yield Answer(name, row["percent_per_hour"], "percent / hours", query, of)
    if rows:
        rates = [row["percent_per_hour"] for row in rows]
        yield Answer("fastest window to the slowest", max(rates) / min(rates), "greatest / least rate", query)


def versions(ask: Ask) -> Iterator[Answer]:
    """R9: reads a request of the two newest versions of the agent."""
    query = "cost/version"
    known = [row for row in ask(query) if all(part.isdigit() for part in row["version"].split("."))]
    pair = sorted(known, key=lambda row: [int(part) for part in row["version"].split(".")])[-2:]
    for name, row in zip(("older version", "newer version")[2 - len(pair) :], pair, strict=True):
        of, reads = row["version"], row["cache_read_tokens"]
        yield Answer(f"requests, {name}", row["requests"], "requests", query, of)
        yield Answer(f"cache reads, {name}", reads, "R", query, of)
        yield Answer(f"cache reads a request, {name}", _ratio(reads, row["requests"]), "R / requests", query, of)


def lifetimes(ask: Ask) -> Iterator[Answer]:
    """R12: the lifetime of subagents' cache writes, over all rows as logged, of the last seven days with any."""
    query = "cache/ttl-mix"
    rows = [row for row in ask(query, dedup="none") if row["thread"] == "subagent"][-7:]
    for number, row in enumerate(rows, 1):
        name, of = f"of subagents, day {number} of 7", row["by"]
        yield Answer(f"5-minute writes {name}", row["cache_write_5m_tokens"], "w5, every row", query, of)
        yield Answer(f"1-hour writes {name}", row["cache_write_1h_tokens"], "w1, every row", query, of)
        share = _percent(row["cache_write_1h_share"])
        yield Answer(f"1-hour share of subagents' writes, day {number} of 7", share, "w1 / (w5 + w1)", query, of)


def contexts(ask: Ask) -> Iterator[Answer]:
    """R17: context, hit ratio, and context beside output."""
    query = "cache/overhead"
    for row in ask(query):
        context = row["total_tokens"] - row["output_tokens"]
        yield Answer("requests", row["requests"], "requests", query)
        yield Answer("context tokens", context, "CTX = input + W + R", query)
        yield Answer("hit ratio", _percent(row["hit_ratio"]), "R / CTX", query)
        yield Answer("context a request", _ratio(context, row["requests"]), "CTX / requests", query)
        yield Answer("context per output token", _ratio(context, row["output_tokens"]), "CTX / output", query)


def other_lifetimes(ask: Ask) -> Iterator[Answer]:
    """R19: the same requests under a cache of 5 minutes and of an hour (metrics, what-if replays)."""
    query = "whatif/replay"
    by = {row["scenario"]: row for row in ask(query)}
    if not by:
        return
    costs = {scenario: row["cost"] for scenario, row in by.items()}
    # What one request's average context would cost as input: as many of these are the costs without a cache.
    unit = _ratio(costs["no-caching"], by["no-caching"]["requests"])
    formula = "cost / (cost without a cache / requests)"
    for name, scenario in (("1-hour", "ttl-1h"), ("5-minute", "ttl-5m")):
        value = _ratio(costs[scenario], unit)
        yield Answer(f"cost in prefixes of input, {name} cache", value, formula, query, scenario)
    name = "cost with 5 minutes to cost with 1 hour"
    yield Answer(name, _ratio(costs["ttl-5m"], costs["ttl-1h"]), "cost ttl-5m / cost ttl-1h", query)


def rebuilds(ask: Ask) -> Iterator[Answer]:
    """R21: breaks of the cache with their causes, and the head that stayed cached (metrics, rebuilds and F2)."""
    query = "cache/rebuilds"
    # What a chain writes first rebuilds nothing.
    rows = [row for row in ask(query) if row["cause"] != "cold-start"]
    if rows:
        largest = max(rows, key=lambda row: row["cache_write_tokens"])
        of = f"cause {largest['cause']}, {largest['ts']:%Y-%m-%d}, {largest['gap_ms'] // 1000} s after the one before"
        yield Answer("cache reads at the largest rebuild", largest["cache_read_tokens"], "R", query, of)
        yield Answer("cache writes at the largest rebuild", largest["cache_write_tokens"], "W", query, of)
        yield Answer("time of the largest rebuild", f"{largest['ts']:%H:%M:%S}", "its time, UTC", query, of)
        later = [
            row
            for row in rows
            if row["ts"] > largest["ts"] and row["cache_read_tokens"] == largest["cache_read_tokens"]
        ]
        causes = ", ".join(f"{cause} {count}" for cause, count in Counter(row["cause"] for row in rows).most_common())
        of = f"all causes: {causes}"
        yield Answer("later rebuilds with the same cache reads", len(later), "rows with this R", query, of)
    query = "cache/static-prefix"
    for row in ask(query):
        if row["estimator"] == "F2":
            of = f"{row['observations']:,} rebuilds"
            name = "most common cache reads of rebuilds (F2)"
            yield Answer(name, row["prefix_tokens"], "most common R of rebuilds", query, of)


def duplicates(ask: Ask) -> Iterator[Answer]:
    """R22: every row with usage beside the requests that they are rows of (accounting rule 13)."""
    query = "cache/overhead"
    rows = sum(row["requests"] for row in ask(query, dedup="none"))
    requests = sum(row["requests"] for row in ask(query))
    if rows:
        both = f"{query}, dedup none and max"
        yield Answer("rows with usage", rows, "rows, dedup none", both)
        yield Answer("duplicates", rows - requests, "rows - requests", both)
        yield Answer("requests", requests, "requests, dedup max", both)
        yield Answer("duplicates, share of rows", _percent(_ratio(rows - requests, rows)), "duplicates / rows", both)


def _io(row: Row) -> int:
    return int(row["input_tokens"] + row["output_tokens"])


def _writes(row: Row) -> int:
    return int(row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"])


def _cache_cost(row: Row) -> Decimal | None:
    reads, writes = row["cost_cache_read"], row["cost_cache_write"]
    return None if reads is None or writes is None else reads + writes


def _ratio(part: Any, whole: Any) -> Fraction | None:
    """Exact, of counts and of dollars; None where there is nothing to divide by."""
    return Fraction(part) / Fraction(whole) if whole and part is not None else None


def _percent(share: Any) -> Value:
    """A share as a percentage, as exact as it was."""
    return None if share is None else share * 100 if isinstance(share, Fraction) else Decimal(repr(share)) * 100


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
