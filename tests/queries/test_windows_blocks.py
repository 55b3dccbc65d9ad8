"""windows/blocks against hand-worked windows, a plain loop, and the figures that ccusage gives."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from accounting import reference
from accounting.reference_reading import read_tree
from hypothesis import given
from hypothesis import strategies as st
from tests.queries.window_folds import HOUR, MINUTE, a_lake, blocks, instant, micros, requests
from tests.query.lakes import request, transcript, usage_row

from tokenlake.errors import UsageError
from tokenlake.lake import Lake
from tokenlake.query.run import run
from tokenlake.store.catalog import Snapshot

SONNET = "claude-sonnet-4-5-20250929"
NOON = micros(dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC))


def made(entries: list[tuple[int, int]], **columns: Any) -> dict[str, list[dict[str, Any]]]:
    return {"requests": requests(entries, **columns)}


def answer(tables: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    with a_lake(tables) as lake:
        return run(lake, "windows/blocks", {"tz": "UTC", **params}).to_pylist()


def limits(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(f"{row['start_ts']:%d %H:%M}", f"{row['last_ts']:%d %H:%M}", row["requests"]) for row in rows]


def test_a_block_with_every_column() -> None:
    """4h 11m from the full hour; 30 of 40 tokens of input and so on at the prices of Opus and Sonnet 4.5."""
    first = request("a", "2026-03-19T09:07:00", (1000, 2000, 4000, 3000, 200_000))
    last = request("b", "2026-03-19T13:11:30", (500, 100, 0, 0, 90_000), model=SONNET, offset=1)
    unpriced = request("c", "2026-03-19T10:00:00", (7, 0, 0, 0, 0), model="llama-3-70b-local", offset=2)
    (row,) = answer({"requests": [first, last, unpriced]})
    cost_input = Decimal("0.005") + Decimal("0.0015")
    cost_output = Decimal("0.05") + Decimal("0.0015")
    cost_write = Decimal("0.025") + Decimal("0.03")
    cost_read = Decimal("0.1") + Decimal("0.027")
    assert list(row.items()) == [
        ("start_ts", dt.datetime(2026, 3, 19, 9, tzinfo=dt.UTC)),
        ("end_ts", dt.datetime(2026, 3, 19, 14, tzinfo=dt.UTC)),
        ("last_ts", dt.datetime(2026, 3, 19, 13, 11, 30, tzinfo=dt.UTC)),
        ("duration", "4h 11m"),
        ("requests", 3),
        ("input_tokens", 1507),
        ("output_tokens", 2100),
        ("cache_write_tokens", 7000),
        ("cache_read_tokens", 290_000),
        ("total_tokens", 300_607),
        ("cost_input", cost_input),
        ("cost_output", cost_output),
        ("cost_cache_write", cost_write),
        ("cost_cache_read", cost_read),
        ("cost_web_search", Decimal(0)),
        ("cost_api", cost_input + cost_output),
        ("cost", cost_input + cost_output + cost_write + cost_read),
        ("is_active", False),
        ("is_gap", False),
        ("burn_tokens_per_min", pytest.approx(300_607 / 244.5, rel=1e-12)),
        ("projected_tokens", None),
        ("projected_cost", None),
        ("total_per_api_cost", pytest.approx(0.24 / 0.058, rel=1e-12)),
        ("unpriced_requests", 1),
        ("host", "all"),
    ]


def test_a_request_exactly_at_the_end_still_belongs() -> None:
    """12:30 floors to 12:00, so 17:00 is the end: in by default, out with `ge`; a millisecond later is out."""
    entries = [(NOON + 30 * MINUTE, 1), (NOON + 5 * HOUR, 2), (NOON + 5 * HOUR + 1000, 4)]
    both = [[row["total_tokens"] for row in answer(made(entries), boundary=how)] for how in ("gt", "ge")]
    assert both == [[3, 4], [1, 6]]
    assert limits(answer(made(entries))) == [("31 12:00", "31 17:00", 2), ("31 17:00", "31 17:00", 1)]


@pytest.mark.parametrize(
    ("floor", "starts"),
    [
        ("60", ["31 12:00:00", "31 17:00:00"]),
        ("10", ["31 12:30:00", "31 18:10:00"]),
        ("1", ["31 12:37:00", "31 18:10:00"]),
        ("0", ["31 12:37:08", "31 18:10:02"]),
    ],
)
def test_starts_are_rounded_down_to_the_floor(floor: str, starts: list[str]) -> None:
    """12:37:08, 17:05 and 18:10:02: whether the second begins a block hangs on the floor."""
    late = NOON + 6 * HOUR + 10 * MINUTE + 2_000_000
    entries = [(NOON + 37 * MINUTE + 8_000_000, 1), (NOON + 5 * HOUR + 5 * MINUTE, 1), (late, 1)]
    assert [f"{row['start_ts']:%d %H:%M:%S}" for row in answer(made(entries), floor=floor)] == starts


def test_gaps_reach_from_hours_after_the_last_request_to_the_next() -> None:
    """Idle for six hours: a gap for the last of them; the next block's start may lie before or in it."""
    entries = [(NOON + 40 * MINUTE, 1), (NOON + 6 * HOUR + 50 * MINUTE, 2), (NOON + 11 * HOUR + 50 * MINUTE, 4)]
    rows = answer(made(entries), gaps=True)
    assert [(f"{r['start_ts']:%H:%M}", f"{r['end_ts']:%H:%M}", r["is_gap"], r["duration"]) for r in rows] == [
        ("12:00", "17:00", False, "0h 40m"),
        ("17:40", "18:50", True, "1h 10m"),
        ("18:00", "23:00", False, "0h 50m"),
        # Exactly five hours of idling are no gap.
        ("23:00", "04:00", False, "0h 50m"),
    ]
    gap = rows[1]
    assert (gap["last_ts"], gap["requests"], gap["total_tokens"], gap["cost"]) == (None, 0, 0, None)
    assert (gap["burn_tokens_per_min"], gap["is_active"], gap["unpriced_requests"]) == (None, False, 0)


def test_blocks_run_on_over_months_and_years() -> None:
    new_year = micros(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert limits(answer(made([(new_year - HOUR - 1000, 1), (new_year + 2 * HOUR, 1)]))) == [
        ("31 22:00", "01 02:00", 2)
    ]
    assert limits(answer(made([(NOON + 11 * HOUR, 1), (NOON + 15 * HOUR, 1)]))) == [("31 23:00", "01 03:00", 2)]


@pytest.mark.parametrize("tz", ["Asia/Kolkata", "Europe/Berlin", "America/St_Johns"])
def test_zones_and_their_clocks_do_not_matter(tz: str) -> None:
    """Berlin's night of 29 March 2026 has no 02:00 to 03:00; Kolkata's and Newfoundland's hours begin at half past."""
    night = micros(dt.datetime(2026, 3, 29, 0, 40, tzinfo=dt.UTC))
    rows = answer(made([(night, 1), (night + 4 * HOUR, 1), (night + 5 * HOUR, 1)]), tz=tz)
    assert limits(rows) == [("29 00:00", "29 04:40", 2), ("29 05:00", "29 05:40", 1)]


def test_each_machine_may_have_blocks_of_its_own() -> None:
    laptop = requests([(NOON, 1), (NOON + 4 * HOUR, 2)])
    server = requests([(NOON + 2 * HOUR, 4), (NOON + 6 * HOUR, 8)], host="server", file_id=2)
    tables = {"requests": laptop + server}
    assert [(r["host"], r["total_tokens"]) for r in answer(tables)] == [("all", 7), ("all", 8)]
    assert [(r["host"], r["total_tokens"]) for r in answer(tables, by="host")] == [("laptop", 3), ("server", 12)]
    # The filter is for a machine's own blocks: those of the others do not shape them.
    assert [(r["host"], r["total_tokens"]) for r in answer(tables, host="server")] == [("all", 12)]


def test_dates_choose_blocks_by_their_start_and_cut_none() -> None:
    """Blocks 10:00 to 15:00, 15:00 to 20:00 and 21:00 to 02:00; --since 14:00 leaves the first out whole."""
    entries = [(NOON + h * HOUR + MINUTE, 1) for h in (-2, 2, 3, 9)]
    rows = answer(made(entries), since="2026-03-31T14:00:00")
    assert limits(rows) == [("31 15:00", "31 15:01", 1), ("31 21:00", "31 21:01", 1)]
    rows = answer(made(entries), until="2026-03-31T12:00:00")
    assert limits(rows) == [("31 10:00", "31 14:01", 2)]
    assert limits(answer(made(entries), since="2026-03-31", until="2026-03-31")) == limits(answer(made(entries)))


def test_filters_by_project_model_and_session_move_no_limit() -> None:
    """The other project's request at 10:00 began the block, and one at 14:59 ends it."""
    other = requests([(NOON - 2 * HOUR, 1), (NOON + 3 * HOUR - MINUTE, 2), (NOON + 20 * HOUR, 4)], project="/other")
    ours = requests([(NOON, 8)], project="/ours", file_id=2, session_id="s9", model=SONNET)
    tables = {"requests": other + ours}
    for name, value in (("project", "OURS"), ("model", "sonnet"), ("session", "s9")):
        (row,) = answer(tables, **{name: value})
        assert limits([row]) == [("31 10:00", "31 14:59", 1)]
        assert row["total_tokens"] == 8


def test_the_active_block_and_where_it_is_heading() -> None:
    """The figures that ccusage 20.0.24 gave: 778.51 tokens a minute, 172 (of 171.5) minutes left, 203,970 tokens."""
    start = micros(dt.datetime(2026, 11, 22, 11, tzinfo=dt.UTC))
    rows = [
        request("a", instant(start + 28 * MINUTE).isoformat(), (10, 20, 30_000, 0, 40_000)),
        request("b", instant(start + 78 * MINUTE).isoformat(), (1, 2, 3, 0, 4), offset=1),
        request("c", instant(start + 118 * MINUTE).isoformat(), (5, 6, 7, 0, 8), offset=2),
    ]

    def at(minutes: float) -> dict[str, Any]:
        (row,) = answer({"requests": rows}, now=instant(start + int(minutes * MINUTE)))
        return row

    row = at(128.5)
    assert row["is_active"]
    assert row["burn_tokens_per_min"] == pytest.approx(778.5111111111111, rel=1e-15)
    assert row["projected_tokens"] == 203_970
    assert float(row["projected_cost"]) == pytest.approx(0.2083485 + 0.138899 / 60 * 172)
    assert [at(300 - left)["projected_tokens"] for left in (170.84, 170.56, 170.27)] == [203_191, 203_191, 202_413]
    # Up to its end, exclusively; before its start it has not begun.
    assert [at(minutes)["is_active"] for minutes in (-1, 0, 299.99, 300)] == [False, True, True, False]


def test_a_single_instant_has_no_rate() -> None:
    (row,) = answer(made([(NOON, 5)]), now=instant(NOON + HOUR))
    assert (row["is_active"], row["burn_tokens_per_min"], row["projected_tokens"]) == (True, None, None)


def test_requests_of_agent_progress_records_alone_are_left_out_by_default() -> None:
    rows = requests([(NOON, 1)]) + requests([(NOON - 3 * HOUR, 2)], origin="agent_progress", file_id=2)
    rows += requests([(NOON, 4)], origin="advisor", file_id=3)
    assert [row["total_tokens"] for row in answer({"requests": rows})] == [1]
    assert limits(answer({"requests": rows}, origin="all")) == [("31 09:00", "31 12:00", 3)]
    with a_lake({"requests": rows}) as lake:
        notes = {origin: run(lake, "windows/blocks", {"origin": origin}).meta.notes for origin in ("assistant", "all")}
        assert run(lake, "windows/blocks", {"since": "2030-01-01"}).meta.notes == ()
    assert notes["assistant"] == ("left out (--origin all): requests known from agent_progress records alone: 1",)
    assert notes["all"] == ()


def test_synthetic_messages_begin_and_prolong_blocks_without_counting() -> None:
    """As in ccusage: one at 09:30, then a request at 13:00, then one at 14:00 and one in a block of its own."""
    events = [
        {"id": f"e{n}", "type": "assistant", "subtype": "limit", "ts": instant(NOON + int(h * HOUR)), "host": "laptop"}
        for n, h in enumerate((-2.5, 2, 9))
    ]
    tables = {"requests": requests([(NOON + HOUR, 7)]), "events": events}
    rows = answer(tables)
    assert limits(rows) == [("31 09:00", "31 14:00", 1), ("31 21:00", "31 21:00", 0)]
    assert [(row["total_tokens"], row["cost"]) for row in rows][1] == (0, None)
    assert limits(answer(tables, origin="all")) == [("31 13:00", "31 13:00", 1)]
    assert limits(answer(tables, model="opus")) == [("31 09:00", "31 14:00", 1)]


def test_a_request_lies_where_the_row_lies_that_ccusage_keeps() -> None:
    """Two requests from 12:58 to 13:02: the first grew in its last row, the second had all its tokens at once."""

    def two_rows(key: str, offset: int, first_output: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        begun, ended = instant(NOON + 58 * MINUTE), instant(NOON + 62 * MINUTE)
        logged = [
            usage_row(key, begun.isoformat(), (1, first_output, 0, 0, 0), offset),
            usage_row(key, ended.isoformat(), (1, 9, 0, 0, 0), offset + 1),
        ]
        whole = request(key, begun.isoformat(), (1, 9, 0, 0, 0), last_ts=ended, offset=offset + 1, n_rows=2)
        return whole, logged

    files = [transcript(1, "/logs/a.jsonl")]
    for first_output, expected in ((2, ("31 13:00", "31 13:02", 1)), (9, ("31 12:00", "31 12:58", 1))):
        whole, logged = two_rows("m", 0, first_output)
        tables = {"requests": [whole], "usage_rows": logged, "files": files}
        assert limits(answer(tables)) == [expected]
        assert limits(answer(tables, origin="all")) == [("31 12:00", "31 12:58", 1)]


def test_requests_whose_rows_are_not_in_the_lake_count_at_their_own_time() -> None:
    rows = requests([(NOON, 3)], last_ts=instant(NOON + 2 * HOUR))
    assert limits(answer({"requests": rows})) == [("31 12:00", "31 12:00", 1)]


def test_a_block_is_an_hour_long_or_longer() -> None:
    with pytest.raises(UsageError, match="hours: 0 is less than 1"):
        answer(made([(NOON, 1)]), hours=0)


steps = st.one_of(
    st.sampled_from([0, 1000, MINUTE, 10 * MINUTE, HOUR, 4 * HOUR, 5 * HOUR - 1000, 5 * HOUR, 5 * HOUR + 1000]),
    st.sampled_from([6 * HOUR, 30 * MINUTE, 24 * HOUR, 90 * MINUTE]),
    st.integers(0, 9 * HOUR // 1000).map(lambda ms: ms * 1000),
)


@st.composite
def entries(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Times about the change of a month and of Berlin's clocks, many of them at whole hours and exact distances."""
    us = micros(dt.datetime(2026, 3, 28, draw(st.integers(0, 23)), 0, tzinfo=dt.UTC)) + draw(steps)
    found = []
    for step in draw(st.lists(steps, min_size=1, max_size=40)):
        us += step
        if draw(st.booleans()):
            us = us // HOUR * HOUR
        found.append((us, draw(st.integers(0, 1000))))
    return found


@given(
    entries=entries(),
    hours=st.sampled_from([5, 5, 1, 2, 24]),
    floor=st.sampled_from([60, 10, 1, 0]),
    boundary=st.sampled_from(["gt", "ge"]),
)
def test_blocks_are_those_of_a_plain_loop(
    entries: list[tuple[int, int]], hours: int, floor: int, boundary: str
) -> None:
    expected = blocks(entries, hours, floor, boundary)
    with a_lake(made(entries)) as lake:
        params = {"hours": hours, "floor": str(floor), "boundary": boundary, "gaps": True, "tz": "Asia/Kolkata"}
        rows = run(lake, "windows/blocks", params).to_pylist()
    found = [row for row in rows if not row["is_gap"]]
    assert [(micros(r["start_ts"]), micros(r["last_ts"]), r["requests"], r["total_tokens"]) for r in found] == [
        (block.start, block.entries[-1][0], len(block.entries), sum(n for _, n in block.entries)) for block in expected
    ]
    gaps = [(a.entries[-1][0] + hours * HOUR, b.entries[0][0]) for a, b in pairwise(expected)]
    assert [(micros(r["start_ts"]), micros(r["end_ts"])) for r in rows if r["is_gap"]] == [
        gap for gap in gaps if gap[0] < gap[1]
    ]


# On the published samples, and on real transcripts.


@pytest.fixture(scope="module")
def sample_lake(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lake = Lake(tmp_path_factory.mktemp("samples") / "lake")
    lake.refresh([samples / "logs"])
    return lake.snapshot()


def shown(rows: list[dict[str, Any]]) -> list[tuple[int, int, int, int]]:
    return [(micros(r["start_ts"]), micros(r["last_ts"]), r["requests"], r["total_tokens"]) for r in rows]


def test_the_samples(samples: Path, sample_lake: Snapshot) -> None:
    """The requests of the reference at their earliest time."""
    counted = reference.count(read_tree(samples / "logs" / "projects")).requests.values()
    entries = [(micros(r["ts"]), r["context_tokens"] + r["output_tokens"]) for r in counted]
    expected = [(b.start, b.entries[-1][0], len(b.entries), sum(n for _, n in b.entries)) for b in blocks(entries)]
    assert shown(run(sample_lake, "windows/blocks", {"origin": "all"}).to_pylist()) == expected


def test_the_samples_as_ccusage_has_them(samples: Path, sample_lake: Snapshot) -> None:
    """Assistant requests at the time of their largest row, the first in path order; synthetic rows hold nothing."""
    counted = reference.count(read_tree(samples / "logs" / "projects"))
    rows = [row for row in counted.usage_rows if row["origin"] == "assistant" and row["ts"]]

    def size(row: dict[str, Any]) -> int:
        return sum(int(row[name]) for name in reference.TOKENS)

    entries = [(micros(row["ts"]), -1) for row in rows if row["model"] == "<synthetic>"]
    for key, whole in counted.requests.items():
        if whole["origin"] == "assistant":
            kept = min((row for row in rows if row["key"] == key), key=lambda row: (-size(row), row["place"]))
            entries.append((micros(kept["ts"]), whole["context_tokens"] + whole["output_tokens"]))
    expected = []
    for block in blocks(entries):
        tokens = [n for _, n in block.entries if n >= 0]
        expected.append((block.start, block.entries[-1][0], len(tokens), sum(tokens)))
    assert shown(run(sample_lake, "windows/blocks").to_pylist()) == expected
