"""The view chains, cache/rebuilds and cache/rebuild-causes: hand-worked chains, a published trace, the samples."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.queries import cache_reference

from tokenlake.lake import Lake
from tokenlake.query.run import run, sql
from tokenlake.store.catalog import Snapshot

OPUS = "claude-opus-4-6"
SONNET = "claude-sonnet-4-6"


def answer(lake: Snapshot, name: str = "cache/rebuilds", **params: Any) -> list[dict[str, Any]]:
    return run(lake, name, {"tz": "UTC", **params}).to_pylist()


def compaction(lakes: Any, ts: str, subtype: str = "compact_boundary", **columns: Any) -> dict[str, Any]:
    row = {"id": ts, "type": "system", "subtype": subtype, "session_id": "s1", "is_sidechain": False}
    return {**row, "ts": lakes.instant(ts), "host": "laptop", "file_id": 1, "offset": 0, **columns}


@pytest.fixture
def causes(lakes: Any, tmp_path: Path) -> Snapshot:
    """A main thread that meets every cause, a subagent, and an advisor's call between two requests of the thread."""

    def request(key: str, time: str, w5: int, w1: int, read: int, **columns: Any) -> dict[str, Any]:
        counts = (10, 5, w5, w1, read)
        row: dict[str, Any] = lakes.request(key, f"2026-05-04T{time}", counts, **{"model": SONNET, **columns})
        return row

    rows = [
        request("r1", "09:00:00", 20_000, 0, 12_000),  # cold start; context 32,010
        request("x1", "09:00:30", 30_000, 0, 0, model=OPUS, origin="advisor"),
        request("r2", "09:01:00", 500, 0, 32_000),  # 10 tokens short: no rebuild; context 32,510
        request("r3", "09:06:00", 20_500, 0, 12_000),  # 300 s are not longer than 5 minutes: prefix change
        request("r4", "09:11:00.001", 21_000, 0, 12_000),  # a millisecond more: expired; context 33,010
        request("r5", "09:12:00", 0, 22_000, 12_000),  # compacted at 09:11:30; context 34,010
        request("r6", "09:13:00", 0, 35_000, 0, model=OPUS),  # model switch, which comes before expiry; 35,010
        request("r7", "10:00:00", 0, 0, 35_000, model=OPUS),  # reads alone; the hour runs on; context 35,010
        request("r8", "10:59:59", 0, 35_000, 0, model=OPUS),  # 3,599 s after: prefix change
        request("r9", "12:00:00", 35_000, 5_000, 0, model=OPUS),  # 3,601 s after: expired; 1h parts first
        request("a1", "09:30:00", 15_000, 0, 0, is_sidechain=True, agent_id="a1"),  # cold start of a subagent
        request("a2", "09:30:10", 12_000, 0, 5_000, is_sidechain=True, agent_id="a1"),  # 10,010 of 15,010 again
    ]
    events = [compaction(lakes, "2026-05-04T09:11:30"), compaction(lakes, "2026-05-04T09:59:00", "turn_duration")]
    lake: Snapshot = lakes.publish(tmp_path / "lake", {"requests": rows, "events": events})
    return lake


def test_every_rebuild_has_the_first_cause_that_holds(causes: Snapshot) -> None:
    found = [(row["ts"].strftime("%H:%M"), row["cause"], row["rebuilt_tokens"]) for row in answer(causes)]
    assert found == [
        ("09:00", "cold-start", 20_000),
        ("09:00", "cold-start", 30_000),
        ("09:06", "prefix-change", 20_500),
        ("09:11", "expired", 20_510),
        ("09:12", "compaction", 21_010),
        ("09:13", "model-switch", 34_010),
        ("09:30", "cold-start", 15_000),
        ("09:30", "prefix-change", 10_010),
        ("10:59", "prefix-change", 35_000),
        ("12:00", "expired", 35_010),
    ]


def test_a_row_has_gap_ttl_and_three_costs(causes: Snapshot) -> None:
    """The last: 5,000 tokens at the 1h price of $10 a million and 30,010 at $6.25, against 35,010 at $0.50."""
    assert answer(causes)[-1] == {
        "ts": dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC),
        "project": "/home/ada/alpha",
        "session_id": "s1",
        "agent_id": None,
        "model": OPUS,
        "chain_request": 9,
        "cause": "expired",
        "gap_ms": 3_601_000,
        "ttl_ms": 3_600_000,
        "prev_context_tokens": 35_010,
        "cache_read_tokens": 0,
        "cache_write_tokens": 40_000,
        "rebuilt_tokens": 35_010,
        "rebuilt_share": 1.0,
        "cost_rebuilt": Decimal("0.2375625"),
        "cost_if_read": Decimal("0.017505"),
        "cost_extra": Decimal("0.2200575"),
    }


def test_the_ttl_is_that_of_the_last_write(causes: Snapshot) -> None:
    """r7 writes nothing: what r6 wrote for an hour still holds."""
    ttls = {row["chain_request"]: row["ttl_ms"] for row in answer(causes) if row["agent_id"] is None}
    assert {n: ttl // 60_000 if ttl else None for n, ttl in ttls.items() if n > 1} == {
        3: 5,
        4: 5,
        5: 5,
        6: 60,
        8: 60,
        9: 60,
    }


def test_thresholds_are_parameters_and_are_exceeded(causes: Snapshot) -> None:
    """a2 rebuilds 10,010 tokens, 66.7% of the context before it; r2 had 10 of 32,010 to write again."""
    assert len(answer(causes, min_tokens=10_009)) == 10
    assert len(answer(causes, min_tokens=10_010)) == 9
    assert len(answer(causes, min_tokens=9)) == 10
    assert len(answer(causes, min_tokens=9, min_share=0.0)) == 11
    assert len(answer(causes, min_tokens=10, min_share=0.0)) == 10
    # Cold starts have no context before them: no share of it leaves them out.
    assert [row["cause"] for row in answer(causes, min_share=1.0)] == ["cold-start"] * 3
    # r3, r4 and r5 rebuilt 63% to 64%.
    assert len(answer(causes, min_share=0.67)) == 10 - 4


def test_one_cause_may_be_asked_for(causes: Snapshot) -> None:
    assert [row["rebuilt_tokens"] for row in answer(causes, cause="expired")] == [20_510, 35_010]
    assert {row["cause"] for row in answer(causes, cause="model-switch")} == {"model-switch"}


def test_filters_leave_the_rows_that_stay_as_they_are(causes: Snapshot) -> None:
    """What came before a request counts, also where it is not shown."""
    rows = answer(causes)
    assert answer(causes, since="2026-05-04T09:12:00") == rows[4:]
    assert answer(causes, model="opus") == [row for row in rows if row["model"] == OPUS]


def test_causes_by_day_month_and_in_all(causes: Snapshot) -> None:
    """Dollars of r1, x1 and a1: 20,000 and 15,000 at $3.75, 30,000 at $6.25; as reads at $0.30 and $0.50."""
    rows = {row["cause"]: row for row in answer(causes, "cache/rebuild-causes")}
    assert rows["cold-start"] == {
        "by": "2026-05-04",
        "cause": "cold-start",
        "rebuilds": 3,
        "rebuilt_tokens": 65_000,
        "cost_rebuilt": Decimal("0.31875"),
        "cost_if_read": Decimal("0.0255"),
        "cost_extra": Decimal("0.29325"),
        "unpriced_rebuilds": 0,
        "unpriced_tokens": 0,
    }
    assert [(cause, row["rebuilds"], row["rebuilt_tokens"]) for cause, row in rows.items()] == [
        ("prefix-change", 3, 65_510),
        ("cold-start", 3, 65_000),
        ("expired", 2, 55_520),
        ("model-switch", 1, 34_010),
        ("compaction", 1, 21_010),
    ]
    for by, name in (("none", "all"), ("month", "2026-05"), ("week", "2026-05-04")):
        assert {
            row["cause"]: row | {"by": "2026-05-04"} for row in answer(causes, "cache/rebuild-causes", by=by)
        } == rows
        assert {row["by"] for row in answer(causes, "cache/rebuild-causes", by=by)} == {name}
    (sunday,) = {row["by"] for row in answer(causes, "cache/rebuild-causes", by="week", week_start="sunday")}
    assert sunday == "2026-05-03"


def test_days_of_causes_are_local(causes: Snapshot) -> None:
    """Midnight in Chatham (UTC+12:45) is at 11:15 UTC: between the two prefixes that expired."""
    rows = answer(causes, "cache/rebuild-causes", tz="Pacific/Chatham")
    assert [(row["by"], row["rebuilds"]) for row in rows if row["cause"] == "expired"] == [
        ("2026-05-04", 1),
        ("2026-05-05", 1),
    ]


def test_rebuilds_without_a_price(lakes: Any, tmp_path: Path) -> None:
    rows = [
        lakes.request("a", "2026-05-04T09:00:00", (0, 0, 20_000, 0, 0), model="gateway-large"),
        lakes.request("b", "2026-05-04T09:00:00", (0, 0, 30_000, 0, 0), session_id="s2"),
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    assert [row["cost_rebuilt"] for row in answer(lake)] == [None, Decimal("0.1875")]
    (row,) = answer(lake, "cache/rebuild-causes")
    assert (row["rebuilt_tokens"], row["cost_rebuilt"]) == (50_000, Decimal("0.1875"))
    assert (row["unpriced_rebuilds"], row["unpriced_tokens"]) == (1, 20_000)


def test_requests_of_one_instant_stand_as_in_the_log(lakes: Any, tmp_path: Path) -> None:
    """A resumed session's history, all of one instant: each reads what the one before it in the file had."""
    rows = [
        lakes.request(key, "2026-05-04T09:00:00", (0, 0, 20_000, 0, read), offset=offset)
        for key, read, offset in (("c", 0, 100), ("a", 20_000, 200), ("b", 40_000, 300))
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    assert list(sql(lake, "select key, chain_request, rebuilt_tokens from chains order by chain_request").rows()) == [
        ("c", 1, 20_000),
        ("a", 2, 0),
        ("b", 3, 0),
    ]


def test_each_compaction_stands_before_one_request(lakes: Any, tmp_path: Path) -> None:
    """At the instant of a request it is before it; a second one, a subagent's and another session's count elsewhere."""
    agent: dict[str, Any] = {"is_sidechain": True, "agent_id": "a1"}
    times = ("09:00", "09:10", "09:10", "09:20", "09:30")
    rows = [lakes.request(f"m{n}", f"2026-05-04T{t}:00", (1, 0, 0, 0, 0), offset=n) for n, t in enumerate(times)]
    rows += [
        lakes.request(f"a{n}", f"2026-05-04T{t}:00", (1, 0, 0, 0, 0), **agent) for n, t in enumerate(("09:00", "09:30"))
    ]
    rows += [lakes.request("o0", "2026-05-04T09:30:00", (1, 0, 0, 0, 0), session_id="s2")]
    events = [
        compaction(lakes, "2026-05-04T08:00:00"),
        compaction(lakes, "2026-05-04T09:10:00"),
        compaction(lakes, "2026-05-04T09:21:00"),
        compaction(lakes, "2026-05-04T09:22:00", "microcompact_boundary"),
        compaction(lakes, "2026-05-04T09:05:00", **agent),
        compaction(lakes, "2026-05-04T09:00:00", session_id="s2"),
    ]
    lake = lakes.publish(tmp_path / "lake", {"requests": rows, "events": events})
    found = sql(lake, "select key from chains where compacted_before order by key")
    assert [key for (key,) in found.rows()] == ["a1", "m1", "m4"]


# Issue 40524 of claude-code: time, reads, writes, input; the first row stands for the context before the resume.
TRACE = [
    ("22:30:00", 316_000, 1_000, 1),
    ("22:34:26", 11_428, 305_735, 1),
]
LATER_TRACE = [
    ("08:20:18", 216_204, 15_278, 1),
    ("08:20:46", 216_204, 15_778, 1),
    ("08:22:25", 216_204, 17_092, 1),
    ("08:22:51", 216_204, 17_894, 1),
    ("08:23:22", 11_428, 224_502, 1),
    ("08:24:47", 11_428, 224_953, 3),
    ("08:25:10", 11_428, 227_259, 1),
    ("08:25:24", 11_428, 228_249, 1),
    ("08:25:43", 11_428, 228_669, 1),
    ("08:26:01", 11_428, 229_763, 1),
    ("08:26:22", 11_428, 230_278, 1),
    ("08:28:07", 11_428, 230_642, 3),
    ("08:37:30", 11_428, 231_432, 3),
]


def test_the_breaks_of_a_published_trace(lakes: Any, tmp_path: Path) -> None:
    """A prefix that is found again up to 11,428 tokens only, on every request: each pays for all the rest.

    Of the requests that still read 216,204, each rewrites what the one before it wrote: 15,279 and more. From 08:23:22
    on the rebuilt tokens are the previous context - 11,428: 216,204 + 17,894 + 1 - 11,428 = 222,671 and so on, until
    the last, which came 563 seconds after the one before.
    """
    rows = []
    for session, day, trace in (("s1", "2026-03-28", TRACE), ("s2", "2026-03-29", LATER_TRACE)):
        for n, (time, reads, writes, inputs) in enumerate(trace):
            counts = (inputs, 100, writes, 0, reads)
            rows.append(lakes.request(f"{session}{n}", f"{day}T{time}", counts, session_id=session, model=OPUS))
    lake = lakes.publish(tmp_path / "lake", {"requests": rows})
    found = [(f"{row['ts']:%H:%M:%S}", row["cause"], row["rebuilt_tokens"]) for row in answer(lake)]
    assert found == [
        ("22:34:26", "prefix-change", 305_573),
        ("08:20:18", "cold-start", 15_278),
        ("08:20:46", "prefix-change", 15_279),
        ("08:22:25", "prefix-change", 15_779),
        ("08:22:51", "prefix-change", 17_093),
        ("08:23:22", "prefix-change", 222_671),
        ("08:24:47", "prefix-change", 224_503),
        ("08:25:10", "prefix-change", 224_956),
        ("08:25:24", "prefix-change", 227_260),
        ("08:25:43", "prefix-change", 228_250),
        ("08:26:01", "prefix-change", 228_670),
        ("08:26:22", "prefix-change", 229_764),
        ("08:28:07", "prefix-change", 230_279),
        ("08:37:30", "expired", 230_645),
    ]
    floor = {row["estimator"]: row for row in run(lake, "cache/static-prefix", {}).to_pylist()}["F2"]
    assert (floor["prefix_tokens"], floor["observations"]) == (11_428, 10)


@pytest.fixture(scope="module")
def sample_lake(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("samples") / "lake")
    lake.refresh([samples / "logs"], host="h")
    return lake


def test_the_samples_against_plain_python(sample_lake: Lake, samples: Path) -> None:
    requests = cache_reference.sample_requests(samples, sample_lake.sql("select * from requests").to_pylist())
    chains = cache_reference.chains(requests, cache_reference.compactions(samples))
    everything = [request for chain in chains for request in chain]
    assert {request["cause"] for request in everything} == {"cold-start", "prefix-change", "expired", "compaction"}

    expected = []
    sums: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for request in sorted(everything, key=lambda r: (r["ts"], r["key"])):
        previous, price = request["previous"], cache_reference.prices(request)
        if request["rebuilt"] <= 200 or (previous and request["rebuilt"] <= 0.05 * previous["context_tokens"]):
            continue
        hour_tokens = min(request["rebuilt"], request["cache_write_1h_tokens"])
        paid = price and hour_tokens * price[3] + (request["rebuilt"] - hour_tokens) * price[2]
        read = price and request["rebuilt"] * price[4]
        expected.append(
            {
                "ts": request["ts"],
                "project": request["project"],
                "session_id": request["session_id"],
                "agent_id": request["agent_id"],
                "model": request["model"],
                "chain_request": request["number"],
                "cause": request["cause"],
                "gap_ms": previous and request["gap"] // dt.timedelta(milliseconds=1),
                "ttl_ms": previous and request["ttl"] // dt.timedelta(milliseconds=1),
                "prev_context_tokens": previous and previous["context_tokens"],
                "cache_read_tokens": request["cache_read_tokens"],
                "cache_write_tokens": request["writes"],
                "rebuilt_tokens": request["rebuilt"],
                "rebuilt_share": previous and request["rebuilt"] / previous["context_tokens"],
                "cost_rebuilt": paid,
                "cost_if_read": read,
                "cost_extra": price and paid - read,
            }
        )
        day = sums[f"{request['ts']:%Y-%m-%d}", request["cause"]]
        for n, value in enumerate((1, request["rebuilt"], paid or 0, read or 0, 0 if price else request["rebuilt"])):
            day[n] += value
    assert len(expected) > 10
    assert sample_lake.run("cache/rebuilds", min_tokens=200).to_pylist() == expected

    found = sample_lake.run("cache/rebuild-causes", min_tokens=200, tz="UTC").to_pylist()
    assert {
        (row["by"], row["cause"]): [
            row["rebuilds"],
            row["rebuilt_tokens"],
            row["cost_rebuilt"] or 0,
            row["cost_if_read"] or 0,
            row["unpriced_tokens"],
        ]
        for row in found
    } == sums
    assert len(found) == len(sums)


def test_real_logs_are_chained_as_plain_python_chains_them(real_logs: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.refresh([real_logs])
    requests = lake.sql("select * from requests").to_pylist()
    compacted: dict[str, list[dt.datetime]] = defaultdict(list)
    for row in lake.sql(
        "select * from events where subtype in ('compact_boundary', 'microcompact_boundary')"
    ).to_pylist():
        compacted[row["session_id"]].append(row["ts"])
    expected = {
        request["key"]: (request["number"], request["gap"], request["ttl"], request["rebuilt"], request["cause"])
        for chain in cache_reference.chains(requests, compacted)
        for request in chain
    }
    text = "select key, chain_request, gap_us, prev_ttl_us, rebuilt_tokens, rebuild_cause from chains"
    found = {key: (n, _us(gap), _us(ttl), rebuilt, cause) for key, n, gap, ttl, rebuilt, cause in lake.sql(text).rows()}
    assert found == expected


def _us(value: int | None) -> dt.timedelta | None:
    return None if value is None else dt.timedelta(microseconds=value)
