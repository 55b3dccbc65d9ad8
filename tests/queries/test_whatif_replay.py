"""whatif/replay against cases worked out by hand, and against a replay in plain Python, token by token."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.queries.replays import PRICES, SCENARIOS, Habits, replays
from tests.query import lakes as tiny_lakes

from tokenlake.errors import UsageError
from tokenlake.lake import Lake
from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot

Counts = tuple[int, int, int, int, int]

START = dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)
OPUS, SONNET = "claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929"
# Dollars per million tokens: Opus 4.5 input 5, output 25, writes 6.25 and 10, reads 0.50.


def made(root: Path, requests: Sequence[tuple[float, Counts]], **columns: Any) -> Snapshot:
    """A lake of one session; a request is its minute, and input, output, 5m writes, 1h writes and reads."""
    rows = [
        tiny_lakes.request(f"r{n:03}", (START + dt.timedelta(minutes=minute)).isoformat(), counts, **columns)
        for n, (minute, counts) in enumerate(requests)
    ]
    return tiny_lakes.publish(root / "lake", {"requests": rows})


def answer(lake: Snapshot, **params: Any) -> dict[str, dict[str, Any]]:
    return {row["scenario"]: row for row in run(lake, "whatif/replay", params).to_pylist()}


def tokens(row: dict[str, Any]) -> tuple[int, ...]:
    """Input, 5m writes, 1h writes and reads."""
    names = ("input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
    return tuple(row[name] for name in names)


MILLION = 1_000_000
HOUR_CACHE = [(minute, (0, 0, 0, 0, MILLION)) for minute in (10, 20, 30, 31)]
SHORT_CACHE = [(minute, (0, 0, MILLION, 0, 0)) for minute in (10, 20, 30)] + [(31, (0, 0, 0, 0, MILLION))]


def test_five_requests_with_three_long_pauses_cost_2_4_units_an_hour_or_5_1_by_five_minutes(tmp_path: Path) -> None:
    """A unit is the context as input, $5. One hour: 2 + 4 x 0.1. Five minutes: 4 x 1.25 + 0.1."""
    hour = answer(made(tmp_path / "hour", [(0, (0, 0, 0, MILLION, 0)), *HOUR_CACHE]))
    assert (hour["as-it-was"]["cost"], hour["ttl-1h"]["cost"]) == (12, 12)
    assert hour["ttl-5m"]["cost"] == Decimal("25.5")
    assert hour["ttl-5m"]["cost_ratio"] == 2.125
    assert hour["ttl-5m"]["rewrites"] == 3
    short = answer(made(tmp_path / "short", [(0, (0, 0, MILLION, 0, 0)), *SHORT_CACHE]))
    assert (short["as-it-was"]["cost"], short["ttl-5m"]["cost"]) == (Decimal("25.5"), Decimal("25.5"))
    assert short["ttl-1h"]["cost"] == 12
    assert short["ttl-1h"]["cost_difference"] == Decimal("-13.5")
    assert short["no-caching"]["cost"] == 25


# Contexts 20, 30, 40, 50 thousand, 5m cache; the third request comes after ten minutes and finds nothing.
GROWING = [
    (0, (0, 100, 20_000, 0, 0)),
    (1, (0, 100, 10_000, 0, 20_000)),
    (11, (0, 100, 40_000, 0, 0)),
    (12, (0, 100, 10_000, 0, 40_000)),
]


def test_a_fresh_session_writes_prefix_head_and_what_is_new(tmp_path: Path) -> None:
    """At the pause 30,000 tokens were there: 22,000 are written again, with the 10,000 new; 8,000 are gone for good."""
    rows = answer(made(tmp_path, GROWING), prefix_tokens=20_000, head_tokens=2_000)
    assert tokens(rows["as-it-was"]) == (0, 80_000, 0, 60_000)
    fresh = rows["fresh-at-gaps"]
    assert tokens(fresh) == (0, 20_000 + 10_000 + 32_000 + 10_000, 0, 20_000 + 32_000)
    assert (fresh["fresh_sessions"], fresh["rewrites"], fresh["peak_context_tokens"]) == (1, 0, 42_000)
    # 8,000 writes less at $6.25, 8,000 reads less at $0.50.
    assert fresh["cost_difference"] == Decimal("-0.054")
    assert (fresh["prefix_tokens"], fresh["head_tokens"]) == (20_000, 2_000)


def test_a_fresh_session_without_need_writes_what_was_read(tmp_path: Path) -> None:
    """Split before the second and the fourth: 20,000 and 32,000 tokens, of which 22,000 remain, are written again."""
    rows = answer(made(tmp_path, GROWING), prefix_tokens=20_000, head_tokens=2_000, requests=2)
    assert rows["split-requests"]["fresh_sessions"] == 1  # at the third, which wrote everything anyway
    assert tokens(rows["split-requests"]) == tokens(rows["fresh-at-gaps"])
    every = answer(made(tmp_path / "every", GROWING), prefix_tokens=20_000, head_tokens=2_000, requests=1)
    assert tokens(every["split-requests"]) == (0, 20_000 + 30_000 + 32_000 + 32_000, 0, 0)
    assert (every["split-requests"]["fresh_sessions"], every["split-requests"]["rewrites"]) == (3, 2)


def test_kept_tokens_are_read_even_after_a_fresh_start_and_a_pause(tmp_path: Path) -> None:
    lake = made(tmp_path, GROWING)
    rows = answer(lake, prefix_tokens=20_000, head_tokens=2_000, requests=1, kept_tokens=15_000)
    # The third request read nothing in the log, and reads nothing here.
    assert tokens(rows["split-requests"]) == (0, 20_000 + 15_000 + 32_000 + 17_000, 0, 30_000)
    hour = answer(made(tmp_path / "hour", [(0, (0, 0, 0, MILLION, 0)), *HOUR_CACHE]), kept_tokens=400_000)
    assert tokens(hour["ttl-5m"]) == (0, MILLION + 3 * 600_000, 0, 3 * 400_000 + MILLION)


def test_the_cap_lets_no_context_grow_beyond_it(tmp_path: Path) -> None:
    """Contexts 10, 20, ... 100 thousand, S + H 10,000, cap 40,000: fresh at 40, 70 and 100 thousand."""
    steps = [(n, (0, 0, 10_000, 0, 10_000 * n)) for n in range(10)]
    rows = answer(made(tmp_path, steps), prefix_tokens=10_000, head_tokens=0, cap=40_000)
    capped = rows["context-cap"]
    assert (capped["fresh_sessions"], capped["peak_context_tokens"]) == (3, 40_000)
    # 10, 20, 30; then three times 20 (of which 20 written), 30, 40, cut short by the log's end.
    assert tokens(capped) == (0, 10_000 * (3 + 2 + 1 + 1 + 2 + 1 + 1 + 2), 0, 10_000 * (0 + 1 + 2 + 2 + 3 + 2 + 3))
    assert rows["as-it-was"]["peak_context_tokens"] == 100_000


def test_hours_split_at_whole_multiples_since_the_thread_began(tmp_path: Path) -> None:
    lake = made(tmp_path, [(minute, (0, 0, 0, 0, 1)) for minute in (0, 59.9, 60, 61, 150, 179, 300)])
    assert answer(lake, hours=1)["split-hours"]["fresh_sessions"] == 3
    assert answer(lake, hours=2.5)["split-hours"]["fresh_sessions"] == 2
    with pytest.raises(UsageError, match="hours: 0 is less than"):
        answer(lake, hours=0)


def test_pauses_are_as_long_as_the_logged_lifetime_or_as_asked(tmp_path: Path) -> None:
    pauses = (0, 5, 10.1, 40, 100.1)
    short = made(tmp_path / "short", [(minute, (0, 0, 5, 0, 0)) for minute in pauses])
    hour = made(tmp_path / "hour", [(minute, (0, 0, 0, 5, 0)) for minute in pauses])
    assert answer(short)["fresh-at-gaps"]["fresh_sessions"] == 3
    assert answer(hour)["fresh-at-gaps"]["fresh_sessions"] == 1
    assert answer(hour, ttl=20)["fresh-at-gaps"]["fresh_sessions"] == 2


def test_subagents_keep_their_one_session(tmp_path: Path) -> None:
    lake = made(tmp_path, GROWING, is_sidechain=True, agent_id="a1")
    rows = answer(lake, requests=1, hours=0.1, cap=10)
    for scenario in ("fresh-at-gaps", "context-cap", "split-requests", "split-hours"):
        assert tokens(rows[scenario]) == tokens(rows["as-it-was"])
        assert (rows[scenario]["requests"], rows[scenario]["fresh_sessions"]) == (4, 0)
        assert rows[scenario]["peak_context_tokens"] is None


def test_sizes_are_medians_of_the_log(tmp_path: Path) -> None:
    """S: first contexts 100, 201 and 300. H: of sessions with five requests, 40 and 51, in whole tokens 46."""
    rows = []
    for session, first, later in (("s1", 100, (10, 10, 10, 10, 99)), ("s2", 201, (20, 10, 10, 11)), ("s3", 300, (7,))):
        for n, written in enumerate((first, *later)):
            moment = (START + dt.timedelta(minutes=n)).isoformat()
            rows.append(tiny_lakes.request(f"{session}-{n}", moment, (0, 0, written, 0, 0), session_id=session))
    lake = tiny_lakes.publish(tmp_path / "lake", {"requests": rows})
    row = answer(lake)["as-it-was"]
    assert (row["prefix_tokens"], row["head_tokens"]) == (201, 46)


def test_a_shorter_context_has_the_price_of_its_size(tmp_path: Path) -> None:
    """Sonnet 4.5 above 200,000 tokens of context: reads at $0.60, not $0.30, writes at $7.50, not $3.75."""
    steps = [(0, (0, 0, 150_000, 0, 0)), (1, (0, 0, 100_000, 0, 150_000)), (2, (0, 0, 0, 0, 250_000))]
    rows = answer(made(tmp_path, steps, model=SONNET), prefix_tokens=20_000, head_tokens=0, cap=240_000)
    assert rows["as-it-was"]["cost"] == Decimal("0.5625") + Decimal("0.84") + Decimal("0.15")
    # From the second on 130,000 tokens are gone; all of its 120,000 are written.
    assert rows["context-cap"]["cost"] == Decimal("0.5625") + Decimal("0.45") + Decimal("0.036")


def test_a_model_without_a_price_has_no_cost(tmp_path: Path) -> None:
    rows = answer(made(tmp_path, GROWING, model="somebody-elses-model"))
    for row in rows.values():
        assert (row["unpriced_requests"], row["cost"], row["cost_ratio"]) == (4, None, None)


COUNTS = st.tuples(*[st.integers(0, 12)] * 3, st.sampled_from([0, 0, 3, 9]), st.integers(0, 30))
PAUSES = st.sampled_from([1, 60, 299, 300, 301, 1000, 3600, 3601, 20_000])
REQUEST = st.tuples(
    PAUSES,
    COUNTS,
    st.sampled_from([OPUS] * 8 + [SONNET, "somebody-elses-model"]),
    st.sampled_from([False] * 5 + [True]),
)
CHAIN = st.tuples(st.sampled_from(["s1", "s2"]), st.sampled_from([None, None, "a1"]), st.lists(REQUEST, max_size=9))
HABITS = st.builds(
    Habits,
    ttl=st.sampled_from([None, None, 4.0, 10.0, 90.0]),
    cap=st.integers(1, 60),
    requests=st.integers(1, 4),
    hours=st.sampled_from([0.25, 1.0, 5.0]),
    prefix_tokens=st.none() | st.integers(0, 30),
    head_tokens=st.none() | st.integers(0, 10),
    kept_tokens=st.sampled_from([0, 0, 4, 20]),
)


def rows_of(drawn: list[tuple[str, str | None, list[Any]]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Requests and compactions of drawn chains; a second chain of one name goes on where the first ended."""
    requests: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    ends: dict[object, dt.datetime] = {}
    for session, agent, chain in drawn:
        for pause, counts, model, is_compacted in chain:
            moment = ends.get((session, agent), START) + dt.timedelta(seconds=pause)
            ends[session, agent] = moment
            place: dict[str, Any] = {"session_id": session, "agent_id": agent, "is_sidechain": agent is not None}
            requests.append(
                tiny_lakes.request(f"r{len(requests):03}", moment.isoformat(), counts, model=model, **place)
            )
            if is_compacted:
                event = {"id": f"e{len(events):03}", "type": "system", "subtype": "compact_boundary", "ts": moment}
                events.append({**event, "host": "laptop", "file_id": 1, "offset": 0, **place})
    return requests, events


def priced(lake: Snapshot) -> list[dict[str, Any]]:
    """The requests with their prices, which are of no concern here, from the lake."""
    columns = ", ".join([*PRICES.values(), "output_price_pico"])
    prices = {row["key"]: row for row in sql(lake, f"select key, {columns} from costs").to_pylist()}
    return [{**row, **prices[row["key"]]} for row in sql(lake, "select * from requests").to_pylist()]


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    for row in (*found, *expected):
        row["cost_ratio"] = row["cost_ratio"] and round(row["cost_ratio"], 9)
    assert found == [{name: row[name] for name in found[0]} for row in expected]


@given(st.lists(CHAIN, min_size=1, max_size=4), HABITS, st.integers(0, 12))
def test_it_is_the_replay_of_every_token(drawn: list[Any], habits: Habits, first: int) -> None:
    """In every scenario, under any habits; the filter leaves requests out and changes none."""
    requests, events = rows_of(drawn)
    params = {name: getattr(habits, name) for name in Habits.__dataclass_fields__}
    with tempfile.TemporaryDirectory(prefix="tokenlake-replay-") as name:
        lake = tiny_lakes.publish(Path(name) / "lake", {"requests": requests, "events": events})
        since = sorted(row["ts"] for row in requests)[min(first, len(requests) - 1)] if requests and first else None
        found = run(lake, "whatif/replay", {**params, "since": since}).to_pylist()
        rows = priced(lake)
    selected = {row["key"] for row in rows if since is None or row["ts"] >= since}
    expected = replays(rows, events, habits, selected)
    assert [row["scenario"] for row in found] == (list(SCENARIOS) if selected else [])
    if found:
        same(found, expected)


@given(st.lists(CHAIN, min_size=1, max_size=4), st.sampled_from([2, 3]), HABITS)
def test_a_log_with_one_lifetime_is_its_own_replay(drawn: list[Any], kind: int, habits: Habits) -> None:
    """kind 2: all writes are for five minutes; 3: for an hour. Each chain begins with a write."""

    def of_one_kind(counts: tuple[int, ...], is_first: bool) -> tuple[int, ...]:
        written = counts[2] + counts[3] + is_first
        return (*counts[:2], *((written, 0) if kind == 2 else (0, written)), counts[4])

    requests, _ = rows_of(
        [
            (
                session,
                agent,
                [(pause, of_one_kind(counts, n == 0), *rest) for n, (pause, counts, *rest) in enumerate(chain)],
            )
            for session, agent, chain in drawn
        ]
    )
    with tempfile.TemporaryDirectory(prefix="tokenlake-replay-") as name:
        lake = tiny_lakes.publish(Path(name) / "lake", {"requests": requests})
        rows = answer(lake, kept_tokens=habits.kept_tokens)
    if rows:
        itself = rows["ttl-5m" if kind == 2 else "ttl-1h"]
        assert {**itself, "scenario": "as-it-was"} == rows["as-it-was"]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=30),
    st.integers(0, 20),
    st.integers(25, 60),
)
def test_a_capped_context_exceeds_the_cap_by_less_than_one_growth(
    steps: list[tuple[int, bool]], fresh: int, cap: int
) -> None:
    """Contexts grow by 1 to 9 tokens, or are cut in half, whether the log says why or not."""
    contexts = [10]
    for growth, is_cut in steps:
        contexts.append(contexts[-1] // 2 if is_cut else contexts[-1] + growth)
    requests = [(n, (0, 0, 0, 0, context)) for n, context in enumerate(contexts)]
    with tempfile.TemporaryDirectory(prefix="tokenlake-replay-") as name:
        rows = answer(made(Path(name), requests), prefix_tokens=fresh, head_tokens=0, cap=cap)
    assert rows["context-cap"]["peak_context_tokens"] < cap + 9


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lake = Lake(tmp_path_factory.mktemp("samples") / "lake")
    lake.refresh([Path(__file__).resolve().parents[2] / "data-samples" / "logs"], host="h")
    return lake.snapshot()


@pytest.mark.parametrize("habits", [Habits(), Habits(ttl=1, cap=3000, requests=2, hours=0.01, prefix_tokens=1000)])
def test_the_samples(samples: Snapshot, habits: Habits) -> None:
    rows = priced(samples)
    events = sql(samples, "select * from events").to_pylist()
    params = {name: getattr(habits, name) for name in Habits.__dataclass_fields__}
    found = run(samples, "whatif/replay", params).to_pylist()
    web_searches = sql(samples, "select sum(cost_web_search) as cost from costs").to_pylist()[0]["cost"] or 0
    expected = replays(rows, events, habits)
    for row in expected:
        row["cost"] += web_searches
        row["cost_ratio"] = float(row["cost"] / expected[0]["cost"])
    same(found, expected)


def test_what_happened_costs_what_the_cost_reports_say(samples: Snapshot) -> None:
    (total,) = sql(samples, "select sum(cost) as cost, count(*) filter (not is_priced) as unpriced from costs").rows()
    row = answer(samples)["as-it-was"]
    assert (row["cost"], row["unpriced_requests"]) == total
