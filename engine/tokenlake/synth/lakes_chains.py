"""Who asks when: the sessions of a stretch of a made-up lake, their chains, and the time of every request."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from tokenlake.synth.clock import HOUR_MS
from tokenlake.synth.draws import quantile_table
from tokenlake.synth.lakes_days import Days, Flags, Generator, Ints
from tokenlake.synth.lakes_models import MODELS, UNPRICED, era_codes
from tokenlake.synth.releases import RELEASES

NEVER: Final = 1 << 40
# A sixth of the requests are those of subagents.
_AGENT_SHARE: Final = 0.16
_TURN_SHARE: Final = 1 / 9
_BREAK_SHARE: Final = 0.0015

_MAIN_REQUESTS: Final = np.array(quantile_table((0, 1), (0.25, 18), (0.5, 50), (0.75, 130), (0.95, 420), (1, 2800)))
_AGENT_REQUESTS: Final = np.array(quantile_table((0, 1), (0.5, 9), (0.9, 30), (1, 90)))
_GAP_MS: Final = np.array(quantile_table((0, 900), (0.5, 6500), (0.9, 24_000), (0.99, 90_000), (1, 240_000)))
# From the end of a turn to the next prompt: a person reads, thinks, goes for lunch.
_TURN_GAP_MS: Final = np.array(
    quantile_table((0, 3000), (0.5, 45_000), (0.85, 280_000), (0.95, 900_000), (0.985, 3_600_000), (1, 10_800_000))
)


@dataclass(frozen=True, slots=True)
class Sessions:
    """One value a session: codes of host, project, release and so on, in the order of their columns' values."""

    host: Ints
    project: Ints
    release: Ints
    entrypoint: Ints
    effort: Ints
    is_fast: Flags
    is_us: Flags
    is_batch: Flags


@dataclass(frozen=True, slots=True)
class Chains:
    """One value a chain, the main chains first (chain n is the main chain of session n), then the subagents'.

    A chain answers with `model` and from its request `switch_at` on with `second_model`; it starts with
    `base_tokens` of context and is compacted when it has `window_tokens`. `has_file` is false for a subagent whose
    transcript is gone; `spawner` is the place of the request that started it, -1 for main chains.
    """

    session: Ints
    is_agent: Flags
    start: Ints
    length: Ints
    spawner: Ints
    model: Ints
    second_model: Ints
    switch_at: Ints
    base_tokens: Ints
    window_tokens: Ints
    writes_1h: Flags
    has_file: Flags


@dataclass(frozen=True, slots=True)
class Moments:
    """One value a request, chain after chain: its chain, its place there from 0, when, and in which turn."""

    chain: Ints
    place: Ints
    ms: Ints
    turn: Ints
    starts_turn: Flags


def draw_chains(
    rng: Generator, days: Days, requests: int, shares: tuple[float, float], hosts: int, projects: int
) -> tuple[Sessions, Chains, Moments]:
    """Draw sessions that start within two shares of the lake's sessions and have exactly `requests` requests."""
    n_main = requests - int(requests * _AGENT_SHARE)
    main = _lengths(rng, _MAIN_REQUESTS, n_main)
    agents = _lengths(rng, _AGENT_REQUESTS, requests - n_main)
    start = days.work_time_of(rng.uniform(*shares, len(main)))
    place, chain = _places(main)
    starts_turn = (rng.random(n_main, np.float32) < _TURN_SHARE) | (place == 0)
    since_start = _elapsed(_gaps(rng, n_main, starts_turn), main, place)
    # A session that would outlast the lake starts earlier.
    length_ms = since_start[np.cumsum(main) - 1]
    start = np.maximum(0, start - np.maximum(0, start + length_ms - days.work_ms))
    work_time = start[chain] + since_start
    turn = np.cumsum(starts_turn) - 1
    # Spread over the main requests, so that none starts two.
    spawner = ((np.arange(len(agents)) + rng.random(len(agents))) * n_main / max(1, len(agents))).astype(np.int64)
    agent_place, agent = _places(agents)
    agent_time = _elapsed(_gaps(rng, len(agent), np.zeros(len(agent), np.bool_)), agents, agent_place)
    agent_time += work_time[spawner][agent] + 1500
    sessions, chains = _draw_attributes(
        rng, days.epoch_ms_of(start), main, agents, chain[spawner], spawner, hosts, projects
    )
    moments = Moments(
        np.concatenate([chain, agent + len(main)]),
        np.concatenate([place, agent_place]),
        days.epoch_ms_of(np.concatenate([work_time, agent_time])),
        np.concatenate([turn, turn[spawner][agent]]),
        np.concatenate([starts_turn, np.zeros(len(agent), np.bool_)]),
    )
    return sessions, chains, moments


def pick(rng: Generator, table: Ints, count: int) -> Ints:
    """Draw from a table of 1,024 equally likely values."""
    values: Ints = table[rng.integers(0, 1024, count, np.uint16)]
    return values


def chance(rng: Generator, count: int, share: float) -> Flags:
    """Draw flags of which about this share is true."""
    return rng.random(count, np.float32) < share


def _lengths(rng: Generator, table: Ints, total: int) -> Ints:
    """Draw chain lengths that sum up to exactly `total`."""
    drawn = pick(rng, table, int(total / table.mean() * 1.3) + 60)
    while drawn.sum() < total:
        drawn = np.concatenate([drawn, pick(rng, table, len(drawn))])
    ends = np.cumsum(drawn)
    lengths: Ints = drawn[: int(np.searchsorted(ends, total)) + 1].copy() if total else drawn[:0]
    if total:
        lengths[-1] -= int(lengths.sum()) - total
    return lengths


def _places(lengths: Ints) -> tuple[Ints, Ints]:
    """Give for every request its place in its chain and the number of its chain."""
    chain = np.repeat(np.arange(len(lengths)), lengths)
    place: Ints = np.arange(len(chain)) - (np.cumsum(lengths) - lengths)[chain]
    return place, chain


def _gaps(rng: Generator, count: int, starts_turn: Flags) -> Ints:
    """Draw the work time from each request back to the one before it."""
    gaps: Ints = pick(rng, _GAP_MS, count) + rng.integers(0, 1000, count, np.uint16)
    turns = np.flatnonzero(starts_turn)
    gaps[turns] += pick(rng, _TURN_GAP_MS, len(turns)) + rng.integers(0, 2000, len(turns), np.uint16)
    breaks = turns[chance(rng, len(turns), _BREAK_SHARE / _TURN_SHARE)]
    gaps[breaks] += rng.integers(HOUR_MS, 14 * HOUR_MS, len(breaks))
    return gaps


def _elapsed(gaps: Ints, lengths: Ints, place: Ints) -> Ints:
    """Sum gaps up within each chain, from 0 at its first request."""
    gaps[place == 0] = 0
    total = np.cumsum(gaps)
    elapsed: Ints = total - np.repeat(total[np.cumsum(lengths) - lengths], lengths)
    return elapsed


def _draw_attributes(
    rng: Generator,
    start_ms: Ints,
    main: Ints,
    agents: Ints,
    agent_session: Ints,
    spawner: Ints,
    hosts: int,
    projects: int,
) -> tuple[Sessions, Chains]:
    """Draw what is decided once for a session or a chain."""
    n, m = len(main), len(agents)
    day_of, era, release = _by_day(start_ms)
    late = chance(rng, n, 0.25)  # some are slow to update
    release = np.maximum(0, release[day_of] - late)
    host = rng.integers(0, hosts, n)
    current = np.array([r.is_current_shape for r in RELEASES])[release]
    kind = np.searchsorted([0.55, 0.93, 0.996], rng.random(n), side="right")
    unpriced = MODELS.index(UNPRICED)
    model = np.where(kind == 3, unpriced, era[day_of, np.minimum(kind, 2)])
    agent_kind = np.searchsorted([0.5, 0.8], rng.random(m), side="right")
    agent_model = np.where(
        agent_kind == 2, model[agent_session], era[day_of[agent_session], np.maximum(0, 2 - agent_kind)]
    )
    sessions = Sessions(
        host=host,
        # Everyone has a favourite.
        project=host * projects + (rng.random(n) ** 2 * projects).astype(np.int64),
        release=release,
        entrypoint=np.where(current, np.searchsorted([0.9, 0.96], rng.random(n), side="right"), -1),
        effort=np.where(release >= _release_code(2, 1, 215), rng.integers(0, 3, n), -1),
        is_fast=(release >= _release_code(2, 1, 41)) & chance(rng, n, 0.02),
        is_us=(release >= _release_code(2, 1, 41)) & chance(rng, n, 0.01),
        is_batch=chance(rng, n, 0.0005),
    )
    # Accounts were switched between the two lifetimes more than once.
    month = start_ms // (30 * 24 * HOUR_MS)
    writes_1h = rng.random(n) < np.where(month % 3 == 1, 0.1, 0.75)
    writes_1h &= release >= _release_code(1, 0, 119)
    second = era[day_of, rng.integers(0, 3, n)]
    switch_at = np.where(chance(rng, n, 0.02), 1 + (rng.random(n) * main).astype(np.int64), NEVER)
    is_long = chance(rng, n, 0.025)
    window = rng.integers(172_000, 195_000, n + m)
    window[:n][is_long] = rng.integers(800_000, 960_000, int(is_long.sum()))
    repeats_agents = np.array([r.has_agent_progress for r in RELEASES])[release][agent_session]
    length = np.concatenate([main, agents])
    return sessions, Chains(
        session=np.concatenate([np.arange(n), agent_session]),
        is_agent=np.arange(n + m) >= n,
        start=np.cumsum(length) - length,
        length=length,
        spawner=np.concatenate([np.full(n, -1), spawner]),
        model=np.concatenate([model, agent_model]),
        second_model=np.concatenate([second, agent_model]),
        switch_at=np.concatenate([switch_at, np.full(m, NEVER)]),
        base_tokens=np.concatenate([rng.integers(17_000, 36_000, n), rng.integers(5000, 15_000, m)]),
        window_tokens=window,
        writes_1h=np.concatenate([writes_1h, writes_1h[agent_session] & chance(rng, m, 0.3)]),
        has_file=np.concatenate([np.ones(n, np.bool_), ~(repeats_agents & chance(rng, m, 0.3))]),
    )


def _by_day(start_ms: Ints) -> tuple[Ints, Ints, Ints]:
    """Give for each session its day's number, and for each day its models and its release."""
    numbers = start_ms // (24 * HOUR_MS)
    first = int(numbers.min())
    days = [datetime.fromtimestamp(n * 86_400, UTC).date() for n in range(first, int(numbers.max()) + 1)]
    era = np.array([era_codes(day) for day in days])
    release = np.array([max([0, *(n for n, r in enumerate(RELEASES) if r.first_day <= day)]) for day in days])
    return numbers - first, era, release


def _release_code(major: int, minor: int, patch: int) -> int:
    """Give the place of the first release from a version on."""
    return next(n for n, release in enumerate(RELEASES) if release.since(major, minor, patch))
