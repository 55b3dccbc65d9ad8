"""Exact corpora from specs: how totals are split, and that an ingest finds every cell to the token."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tempfile
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenlake.errors import UsageError
from tokenlake.lake import Lake
from tokenlake.synth import specs
from tokenlake.synth.specs import Fork, Shape, Spec
from tokenlake.synth.specs_split import MOST_ROWS, largest_remainder, requests, within_limits
from tokenlake.synth.specs_write import Planted, write_corpus
from tokenlake.synth.truth import Counts

FOLDER = Path(__file__).resolve().parents[2] / "data-samples" / "specs"
SHIPPED = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}

KINDS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
SUMS = ", ".join(["count(*)::bigint", *(f"coalesce(sum({kind}), 0)::bigint" for kind in KINDS)])


def tuple_of(counts: Counts) -> tuple[int, ...]:
    return (counts.requests, *(getattr(counts, kind) for kind in KINDS))


# --- splitting ------------------------------------------------------------------------------------------------------


def test_what_rounding_leaves_goes_to_the_largest_remainders() -> None:
    """10 in proportion to 1, 1, 1: 3.33 each, and one is left for the first; to 3, 2, 2: 4.29, 2.86, 2.86."""
    assert largest_remainder(10, [1, 1, 1]) == [4, 3, 3]
    assert largest_remainder(10, [3, 2, 2]) == [4, 3, 3]
    assert largest_remainder(5, [0, 0]) == [3, 2]
    assert largest_remainder(0, [7, 1]) == [0, 0]


@given(total=st.integers(0, 10**13), weights=st.lists(st.integers(0, 10**7), min_size=1, max_size=60))
def test_parts_add_up_and_lie_within_one_of_their_share(total: int, weights: list[int]) -> None:
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    if weight := sum(weights):
        assert all(abs(part * weight - total * own) < weight for part, own in zip(parts, weights, strict=True))
        # Of two parts the one with the greater weight is not the smaller one.
        ordered = sorted(zip(weights, parts, strict=True))
        assert all(b >= a for (v, a), (w, b) in pairwise(ordered) if w > v)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=40),
    share=st.floats(0, 1),
)
def test_limits_are_kept_and_the_total_is_whole(pairs: list[tuple[int, int]], share: float) -> None:
    weights, limits = zip(*pairs, strict=True)
    total = int(sum(limits) * share)
    parts = within_limits(total, weights, limits)
    assert sum(parts) == total
    assert all(0 <= part <= limit for part, limit in zip(parts, limits, strict=True))
    with pytest.raises(ValueError, match="do not fit"):
        within_limits(sum(limits) + 1, weights, limits)


def test_a_cell_whose_contexts_would_be_too_long_says_how_many_requests_it_needs() -> None:
    """The reads of issue 24147 over 200,000: 25,462.5 requests at least."""
    with pytest.raises(ValueError, match="need 25,463 requests"):
        requests(Counts(25_462, 0, 0, 0, 0, 5_092_500_074), 25_462, 200_000, "s")
    split = requests(Counts(25_463, 0, 0, 0, 0, 5_092_500_074), 25_463, 200_000, "s")
    assert sum(one.cache_read_tokens for one in split) == 5_092_500_074


# --- any spec comes back --------------------------------------------------------------------------------------------

RELEASES = ((1, 0, 120), (2, 0, 60), (2, 1, 14), (2, 1, 63), (2, 1, 119), (2, 1, 231))


@st.composite
def any_spec(draw: st.DrawFn) -> Spec:
    """Up to six cells of two sessions; each has a version of its own, by which it is found again."""
    cells = []
    for number in range(draw(st.integers(1, 6))):
        major, minor, patch = draw(st.sampled_from(RELEASES))
        first = dt.date(2026, 1, 9) + dt.timedelta(days=draw(st.integers(0, 120)))
        count = draw(st.integers(1, 12))
        session = draw(st.sampled_from(["s1", "s2"]))
        cells.append(
            {
                "day": first,
                "until": first + dt.timedelta(days=draw(st.integers(0, 9))),
                "session": session,
                "agent": draw(st.sampled_from(["", "", "a", "b"])),
                "project": f"/home/ada/{session}",
                "model": draw(st.sampled_from(["claude-opus-4-5", "claude-sonnet-4-6"])),
                "version": f"{major}.{minor}.{patch + number}",
                "requests": count,
                "rows": draw(st.integers(count, MOST_ROWS * count)),
                "read": draw(st.integers(0, 60_000 * count)),
                **{name: draw(st.integers(0, 40_000)) for name in ("input", "output", "write_5m", "write_1h")},
            }
        )
    return specs.parse({"id": draw(st.text("abc", min_size=1)), "title": "t", "source": "s", "cells": cells})


@given(spec=any_spec(), copied=st.integers(0, 3))
@settings(max_examples=6)
def test_any_specs_cells_come_back_from_an_ingest(spec: Spec, copied: int) -> None:
    mains = [cell for cell in spec.cells if not cell.agent]
    if copied and mains:
        spec = replace(spec, forks=(Fork("fork", mains[0].session, min(copied, mains[0].counts.requests)),))
    spec = replace(spec, shape=Shape(rejects=3, giant_lines=0, user_per_assistant=0.5, compact_every=9))
    with tempfile.TemporaryDirectory() as folder:
        planted, lake = made(spec, Path(folder))
        by_version = {row[0]: row[1:] for row in lake.sql(BY_VERSION.format("requests", "project")).rows()}
        assert by_version == {
            cell.version: (
                spec.session_id(cell.session), cell.project, cell.model, bool(cell.agent), *tuple_of(cell.counts)
            )
            for cell in spec.cells
        }  # fmt: skip
        logged = {row[0]: row[5:] for row in lake.sql(BY_VERSION.format("usage_rows", "cwd")).rows()}
        assert logged == {c.version: tuple_of(raw) for c, raw in zip(spec.cells, planted.raw, strict=True)}
        for cell, raw in zip(spec.cells, planted.raw, strict=True):
            assert raw.requests >= cell.rows
            if not spec.forks and cell.rows % cell.counts.requests == 0:
                many = cell.rows // cell.counts.requests
                assert raw.cache_read_tokens == many * cell.counts.cache_read_tokens
                assert raw.cache_write_1h_tokens == many * cell.counts.cache_write_1h_tokens
        days = lake.sql("select version, min(ts)::date, max(ts)::date from requests group by version").rows()
        spans = {version: (first, last) for version, first, last in days}
        assert all(c.first.date() <= spans[c.version][0] <= spans[c.version][1] <= c.last.date() for c in spec.cells)
        assert lake.sql("select count(*) n from rejects").to_pylist() == [{"n": 3}]


BY_VERSION = (
    "select version, min(session_id), min({1}), min(model), bool_or(is_sidechain), "
    + SUMS
    + " from {0} where model <> '<synthetic>' group by version"
)


def made(spec: Spec, folder: Path) -> tuple[Planted, Lake]:
    planted = write_corpus(spec, folder / "logs")
    lake = Lake(folder / "lake")
    lake.refresh([folder / "logs"], host="h")
    return planted, lake


# --- what stands beside the requests --------------------------------------------------------------------------------

STRIPED: dict[str, Any] = {
    "id": "striped",
    "title": "t",
    "source": "s",
    "cells": [
        {"day": dt.date(2026, 3, 2), "session": "s", "requests": 100, "rows": 240, "output": 40_000, "read": 9_000_000},
        {"day": dt.date(2026, 3, 2), "session": "s", "agent": "a", "requests": 10, "output": 900, "write_5m": 90_000},
    ],
    "defaults": {"project": "/home/ada/s", "model": "claude-opus-4-6", "version": "2.1.63"},
    "forks": [{"session": "f", "of": "s", "requests": 7}],
    "quotas": [
        {
            "window": "five_hour",
            "start": dt.datetime(2026, 3, 2, 8),
            "minutes": 60,
            "used_percentage": 30,
            "resets_at": dt.datetime(2026, 3, 2, 13),
        }
    ],
}


def records(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Records and bytes by type, of all lines that are JSON."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for path in folder.rglob("*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            name = record.get("subtype") or record.get("type")
            counts[name] += 1
            sizes[name] += len(line)
    return counts, sizes


def test_a_corpus_has_what_real_transcripts_have(tmp_path: Path) -> None:
    spec = specs.parse({**STRIPED, "shape": {"giant_lines": 1, "rejects": 4}})
    planted, lake = made(spec, tmp_path)
    counts, sizes = records(tmp_path / "logs" / "projects")
    # A prompt every eight requests of both threads: 13 and 2, and one of the copied requests; a result a call.
    assert counts["user"] > 13 + 2 + 1 + 100
    assert counts["compact_boundary"] == 2  # after 48 and 96 requests
    assert counts["file-history-snapshot"] == 13 + 1
    # Without the giant line, and its copy in the fork, user lines are 2.4 times what assistant lines are.
    plain = sizes["user"] - 2 * planted.longest_line_bytes
    assert 1.6 < plain / sizes["assistant"] < 2.6
    assert planted.longest_line_bytes > 1_000_000
    assert sorted(path.name[:6] for path in (tmp_path / "logs").rglob("*/subagents/*.jsonl")) == ["agent-"]
    assert lake.sql("select count(*) n from rejects").to_pylist() == [{"n": 4}]
    rows = lake.sql("select count(*) n, count(distinct output_tokens) o from usage_rows group by key").to_pylist()
    assert max(row["n"] for row in rows) > 3
    assert max(row["o"] for row in rows) > 1  # output grows from row to row


def test_a_fork_owns_nothing_that_it_copied(tmp_path: Path) -> None:
    spec = specs.parse(STRIPED)
    planted, lake = made(spec, tmp_path)
    assert lake.sql("select distinct session_id from requests").to_pylist() == [{"session_id": spec.session_id("s")}]
    seen = lake.sql("select n_sessions, count(*) n from requests group by 1 order by 1").to_pylist()
    assert seen == [{"n_sessions": 1, "n": 103}, {"n_sessions": 2, "n": 7}]
    assert planted.raw[0].requests > 240
    assert planted.raw[1].requests == 20  # two rows each, as nothing else is said


def test_samples_of_a_quota_rise_to_what_was_used(tmp_path: Path) -> None:
    _, lake = made(specs.parse(STRIPED), tmp_path)
    rows = lake.sql("select ts, used_percentage, resets_at from quota_samples order by ts").to_pylist()
    assert [row["used_percentage"] for row in rows] == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30]
    assert (rows[0]["ts"].hour, rows[-1]["ts"].hour, rows[0]["resets_at"].hour) == (8, 9, 13)


def test_the_same_spec_gives_the_same_bytes(tmp_path: Path) -> None:
    def digest(folder: Path) -> str:
        write_corpus(specs.parse(STRIPED), folder)
        found = hashlib.sha256()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
        return found.hexdigest()

    assert digest(tmp_path / "a") == digest(tmp_path / "b")


# --- reading specs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("requests = 0", "cell 1: requests is 0 or missing"),
        ("requests = 1.5", "cell 1: requests must be a whole number, not 1.5"),
        ("read = -1", "cell 1: read must be a whole number, not -1"),
        ("reads = 5", "cell 1: reads is unknown"),
        ("until = 2026-03-01", "cell 1: ends before it begins"),
        ("sessions = 9", "cell 1: 9 sessions for 5 requests"),
    ],
)
def test_a_cell_that_makes_no_sense_is_named(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "x.toml"
    name = change.split(" ")[0]
    fields = {"day": "2026-03-02", "requests": "5", "project": '"/p"', "model": '"m"', "version": '"2.1.1"'}
    fields |= {name: change.split(" ")[2]}
    cell = ", ".join(f"{key} = {value}" for key, value in fields.items())
    path.write_text(f'id = "x"\ntitle = "t"\nsource = "s"\ncells = [{{ {cell} }}]\n')
    with pytest.raises(UsageError, match=f"x.toml: {message}"):
        specs.load(path)


def test_a_spec_that_is_no_toml_or_lacks_a_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    for text, message in (("id = ", "Invalid value"), ('id = "x"', "title is missing")):
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            specs.load(path)
    with pytest.raises(UsageError, match="No such file"):
        specs.load(tmp_path / "none.toml")


def test_an_impossible_cell_is_named(tmp_path: Path) -> None:
    cell = {"day": dt.date(2026, 3, 2), "project": "/p", "model": "m", "version": "2.1.1", "requests": 1}
    for more, message in (({"read": 200_001}, "need 2 requests"), ({"rows": 19}, "must be 1 to 18 each")):
        spec = specs.parse({"id": "x", "title": "t", "source": "s", "cells": [{**cell, **more}]})
        with pytest.raises(UsageError, match=f"spec x, cell 1: .*{message}"):
            write_corpus(spec, tmp_path / message)


# --- the shipped ones -----------------------------------------------------------------------------------------------

# As published: requests, input, output, 5m and 1h writes, reads; None where nothing is.
PUBLISHED: dict[str, tuple[int | None, ...]] = {
    "claude-code-24147": (None, None, None, 176_498_498, 0, 5_092_500_074),
    "claude-code-28927": (644 + 392, None, None, None, None, 85_100_082 + 80_173_520),
    "agent-cost": (29_791, 124_899, 33_139_293, 111_034_321, 0, 8_579_120_394),
    "claude-code-81234": (15_164, None, None, None, None, None),
    "claude-md": (100, None, None, None, None, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_shipped_spec_adds_up_to_what_was_published(name: str) -> None:
    sums = tuple_of(specs.total(specs.load(SHIPPED[name]).cells))
    assert [own if want is not None else None for own, want in zip(sums, PUBLISHED[name], strict=True)] == [
        *PUBLISHED[name]
    ]


def test_the_thirty_days_hold_the_published_input_and_output() -> None:
    sums = specs.total(specs.load(SHIPPED["claude-code-24147"]).cells)
    assert sums.input_tokens + sums.output_tokens == 3_887_759


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_spec_is_whole(name: str) -> None:
    spec = specs.load(SHIPPED[name])
    assert spec.id == name
    assert spec.figures
    assert all(figure.why for figure in spec.figures if figure.holds)
    assert len({(figure.id, figure.name) for figure in spec.figures}) == len(spec.figures)
    assert spec.cells or not any(figure.holds for figure in spec.figures)
    for cell in spec.cells:
        split = requests(cell.counts, cell.rows, cell.context_limit_tokens, "any")
        assert max(sum(one[:5]) - one.output_tokens for one in split) <= cell.context_limit_tokens
