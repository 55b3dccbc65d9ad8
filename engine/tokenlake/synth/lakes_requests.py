"""What each request of a stretch holds: a context that grows and is compacted, and how the cache served it."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tokenlake.synth.clock import HOUR_MS
from tokenlake.synth.draws import quantile_table
from tokenlake.synth.lakes_chains import Chains, Moments, Sessions, chance, pick
from tokenlake.synth.lakes_days import Flags, Floats, Generator, Ints
from tokenlake.synth.lakes_models import HAS_FAST
from tokenlake.synth.releases import RELEASES

_SUMMARY_TOKENS: Final = 9000
"""What is left of a context after a compaction, beside the head that every request has."""

_GROWTH: Final = np.array(
    quantile_table((0, 60), (0.5, 900), (0.75, 2300), (0.9, 5600), (0.97, 11_000), (0.99, 19_000), (1, 26_000))
)
_OUTPUT: Final = np.array(quantile_table((0, 45), (0.4, 190), (0.7, 480), (0.9, 1500), (0.99, 4000), (1, 9000)))
_INPUT: Final = np.array(quantile_table((0, 1), (0.6, 4), (0.96, 12), (0.961, 200), (1, 3000)))
_THINKING_CHARS: Final = np.array(quantile_table((0, 60), (0.5, 420), (0.9, 2100), (0.99, 9000), (1, 14_000)))


@dataclass(frozen=True, slots=True)
class Requests:
    """One value a request, in order of time.

    `text` is the place of its text in the pool of texts, -1 without one; `spawned` the chain that it started, -1 for
    none. `offset` is where its first row starts in the transcript; `before_ms` is the time since the request before
    it in its chain (0 for the first). `ends_turn`: no request follows in the turn.
    """

    chain: Ints
    place: Ints
    ms: Ints
    last_ms: Ints
    before_ms: Ints
    turn: Ints
    starts_turn: Flags
    ends_turn: Flags
    is_compacted: Flags
    spawned: Ints
    model: Ints
    is_fast: Flags
    input_tokens: Ints
    output_tokens: Ints
    cache_write_5m_tokens: Ints
    cache_write_1h_tokens: Ints
    cache_read_tokens: Ints
    context_tokens: Ints
    web_searches: Ints
    has_stop: Flags
    is_partial: Flags
    rows: Ints
    tool_calls: Ints
    text: Ints
    thinking_chars: Ints
    offset: Ints


def draw_requests(rng: Generator, sessions: Sessions, chains: Chains, moments: Moments, text_pool: int) -> Requests:
    """Draw the requests of a stretch, sorted by time."""
    count = len(moments.chain)
    chain, place = moments.chain, moments.place
    is_first = place == 0
    before_ms = np.where(is_first, 0, np.diff(moments.ms, prepend=moments.ms[:1]))
    growth = pick(rng, _GROWTH, count) + rng.integers(0, 64, count, np.uint16)
    total = np.cumsum(growth)
    total -= (total[chains.start] - growth[chains.start])[chain]
    head = chains.base_tokens[chain]
    compactions, since = np.divmod(total, (chains.window_tokens - chains.base_tokens - _SUMMARY_TOKENS)[chain])
    context = head + since + np.where(compactions > 0, _SUMMARY_TOKENS, 0)
    is_compacted = ~is_first & (np.diff(compactions, prepend=0) > 0)
    second = place >= chains.switch_at[chain]
    switched = place == chains.switch_at[chain]
    sent = np.minimum(pick(rng, _INPUT, count), growth)
    read = _cache_reads(rng, chains, moments, before_ms, context, head, is_compacted, switched, sent)
    written = context - sent - read
    writes_1h = chains.writes_1h[chain]
    # A few requests of the hour write both ways.
    short = np.where(writes_1h, np.where(chance(rng, count, 0.05), written // 4, 0), written)
    spawned = np.full(count, -1)
    agents = np.flatnonzero(chains.is_agent)
    spawned[chains.spawner[agents]] = agents
    follows = np.zeros(count, np.bool_)
    follows[:-1] = ~is_first[1:] & ~moments.starts_turn[1:]

    order = np.argsort(moments.ms, kind="stable")
    chain = chain[order]
    ends_turn, spawned = ~follows[order], spawned[order]
    release = sessions.release[chains.session[chain]]
    is_placeholder, stop_share = _habits(release)
    has_stop = rng.random(count, np.float32) < stop_share
    output = pick(rng, _OUTPUT, count) + rng.integers(0, 16, count, np.uint16)
    unfinished = is_placeholder & chance(rng, count, 0.64)
    output = np.where(unfinished, rng.integers(1, 11, count, np.uint16), output)
    calls = np.where(ends_turn, 0, 1 + np.searchsorted([0.85, 0.96], rng.random(count, np.float32), side="right"))
    calls = np.where(spawned >= 0, np.maximum(calls, 1), calls)
    has_text = ends_turn | chance(rng, count, 0.35)
    thinks = chance(rng, count, 0.3)
    rows = np.maximum(1, has_text.astype(np.int64) + thinks + calls)
    ms = moments.ms[order]
    model = np.where(second[order], chains.second_model[chain], chains.model[chain])
    return Requests(
        chain=chain,
        place=place[order],
        ms=ms,
        last_ms=ms + (rows - 1) * rng.integers(20, 900, count, np.uint16),
        before_ms=before_ms[order],
        turn=moments.turn[order],
        starts_turn=moments.starts_turn[order],
        ends_turn=ends_turn,
        is_compacted=is_compacted[order],
        spawned=spawned,
        model=model,
        is_fast=sessions.is_fast[chains.session[chain]] & np.array(HAS_FAST)[model],
        input_tokens=sent[order],
        output_tokens=output,
        cache_write_5m_tokens=short[order],
        cache_write_1h_tokens=(written - short)[order],
        cache_read_tokens=read[order],
        context_tokens=context[order],
        web_searches=np.where(chance(rng, count, 0.0012), rng.integers(1, 4, count, np.uint16), 0).astype(np.int64),
        has_stop=has_stop,
        # Accounting rule 16.
        is_partial=~has_stop | (~_is_final(release) & (output <= 10)),
        rows=rows,
        tool_calls=calls,
        text=np.where(has_text, rng.integers(0, text_pool, count), -1),
        thinking_chars=np.where(thinks, pick(rng, _THINKING_CHARS, count), 0),
        # A record is about as long as what it adds to the context, and what carries it.
        offset=_offsets(chains, moments, total)[order],
    )


def _cache_reads(
    rng: Generator,
    chains: Chains,
    moments: Moments,
    before_ms: Ints,
    context: Ints,
    head: Ints,
    is_compacted: Flags,
    switched: Flags,
    sent: Ints,
) -> Ints:
    """Give what each request reads: all that its chain had cached, unless the cache expired or its prefix changed."""
    chain, place = moments.chain, moments.place
    before = np.empty_like(context)
    before[0] = 0
    before[1:] = context[:-1] - sent[:-1]
    lifetime_ms = np.where(chains.writes_1h, HOUR_MS, HOUR_MS // 12)[chain]
    read = before
    cold = np.flatnonzero((before_ms > lifetime_ms) | is_compacted | (place == 0))
    # The tools and the system prompt are often still cached, for another session of the project.
    warm = chance(rng, len(cold), 0.6)
    read[cold] = np.where(warm, head[cold] * 3 // 4, 0)
    changed = np.flatnonzero(chance(rng, len(read), 0.003))
    read[changed] = (read[changed] * rng.random(len(changed))).astype(np.int64)
    read[switched] = 0
    served: Ints = np.minimum(read, context - sent)
    return served


def _offsets(chains: Chains, moments: Moments, total: Ints) -> Ints:
    """Give where requests start; those of a subagent without a transcript stand in its parent's, behind its call."""
    offset = moments.place * 2400 + total * 4
    lost = np.flatnonzero(~chains.has_file[moments.chain])
    offset[lost] = offset[chains.spawner[moments.chain[lost]]] + 1201 + moments.place[lost] * 12
    return offset


def _habits(release: Ints) -> tuple[Flags, Floats]:
    """Give whether outputs stay placeholders, and how many requests get a reason to stop."""
    placeholder = np.array([r.outputs == "placeholder" for r in RELEASES])
    stop_share = np.array([r.stop_share for r in RELEASES])
    return placeholder[release], stop_share[release]


def _is_final(release: Ints) -> Flags:
    return np.array([r.since(2, 1, 97) for r in RELEASES])[release]
