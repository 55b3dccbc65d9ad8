"""Laws over random small trees: the reference agrees, and the way of ingest leaves no trace."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accounting.lakes import TOKENS, rows, total
from accounting.reference import Reference, count
from accounting.trees import Tree, trees
from hypothesis import given
from hypothesis import strategies as st

from tokenlake.doctor import request_sums
from tokenlake.doctor.findings import Status
from tokenlake.lake import Lake
from tokenlake.schema import TABLES

FIELDS = [
    *TOKENS,
    "context_tokens",
    "model",
    "origin",
    "project",
    "host",
    "version",
    "agent_id",
    "web_searches",
]
FIELDS += ["output_is_partial", "n_rows", "n_sessions", "session_id", "ts", "last_ts"]

Step = dict[str, bytes]
"""Bytes to append to files before the next refresh."""


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder; hypothesis does not give each example its own tmp_path."""
    name = tempfile.mkdtemp(prefix="tokenlake-laws-")
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name)


def ingested(base: Path, name: str, steps: Sequence[Step]) -> Lake:
    """A lake that was refreshed after each step, over the same paths whatever its name."""
    root = base / "logs"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    lake = Lake(base / name)
    for step in steps:
        for path, data in step.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            with open(root / path, "ab") as out:
                out.write(data)
        lake.refresh([root], host="h")
    return lake


def tables(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Every table of the lake, over one connection."""
    con = lake.connect()
    try:
        return {table.name: con.sql(f"from {table.name}").to_arrow_table().to_pylist() for table in TABLES}
    finally:
        con.close()


def contents(lake: Lake) -> dict[str, list[str]]:
    """Every table, its rows sorted; the time of the files on disk is not theirs to keep.

    Sums of requests are by data file, of which there are as many as the ingests made: they must be those of their
    requests.
    """
    con = lake.connect()
    assert request_sums.check(con, lake.snapshot(), "").status is Status.OK
    con.close()
    return {
        name: sorted(repr({k: v for k, v in row.items() if k != "mtime_ns"}) for row in listed)
        for name, listed in tables(lake).items()
        if name != "request_sums"
    }


def shown(request: dict[str, Any], names: Sequence[str] = FIELDS) -> tuple[Any, ...]:
    """A request's fields; its key only where that is an id, not made of a place or an index."""
    key = request["key"] if str(request["key"]).startswith(("msg_", "uuid-")) and request["origin"] != "advisor" else ""
    return (key, *((name, request[name] or 0 if name == "web_searches" else request[name]) for name in names))


def counted(reference: Reference) -> Counter[tuple[Any, ...]]:
    """The reference's requests, to be compared with the lake's."""
    return Counter(map(shown, reference.requests.values()))


@given(trees())
def test_the_lake_equals_the_reference(tree: Tree) -> None:
    """Requests with all their fields, rejects to the byte, pending tails, odd fields, prompts, tool calls."""
    reference = count(tree)
    with folder() as base:
        found = tables(ingested(base, "lake", [tree]))
        root = f"{base / 'logs'}/"
    files = {row["path"].removeprefix(root): row for row in found["files"]}
    rejects = [(row["file"].removeprefix(root), row["line"], row["offset"], row["bytes"]) for row in found["rejects"]]
    assert Counter(map(shown, found["requests"])) == counted(reference)
    assert len(found["usage_rows"]) == len(reference.usage_rows)
    assert sorted(rejects) == sorted((row.path, row.line, row.offset, row.length) for row in reference.rejects)
    assert {path: row["pending_bytes"] for path, row in files.items() if row["pending_bytes"]} == reference.pending
    assert {path: row["odd_fields"] for path, row in files.items() if row["odd_fields"]} == reference.odd_fields
    assert sum(row["records"] for row in files.values()) == reference.records
    assert Counter(row["kind"] for row in found["prompts"]) == reference.prompts
    assert {row["tool_use_id"] for row in found["tool_calls"]} == reference.tool_calls
    assert len(found["texts"]) == len(reference.texts)


@st.composite
def schedules(draw: st.DrawFn, tree: Tree) -> list[Step]:
    """The same bytes in up to five refreshes: files in any order, each in up to three slices cut anywhere."""
    steps: list[Step] = [{} for _ in range(5)]
    for name, content in sorted(tree.items()):
        cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=2)))
        edges = [0, *cuts, len(content)]
        turns = sorted(draw(st.permutations(range(5)))[: len(edges) - 1])
        for turn, start, end in zip(turns, edges, edges[1:], strict=False):
            steps[turn][name] = content[start:end]
    return steps


@given(trees(), st.data())
def test_the_way_of_ingest_leaves_no_trace(tree: Tree, data: st.DataObject) -> None:
    """Any order, any batches, slices of bytes cut anywhere, refreshes of nothing: equal tables (rule 12)."""
    steps = data.draw(schedules(tree))
    with folder() as base:
        at_once = contents(ingested(base, "at-once", [tree]))
        assert contents(ingested(base, "by-and-by", steps)) == at_once


@given(trees())
def test_groups_add_up_to_the_total(tree: Tree) -> None:
    """By session, model, UTC day and origin in the table, and by any grouping of the saved query."""
    names = ("requests", *TOKENS)
    with folder() as base:
        lake = ingested(base, "lake", [tree])
        whole = total(lake)
        sums = ", ".join(f"sum({name})::bigint as {name}" for name in TOKENS)
        for group in ("session_id", "model", "origin", "ts::date"):
            listed = lake.sql(f"select count(*) as requests, {sums} from requests group by {group}").to_pylist()
            assert tuple(sum(row[name] for row in listed) for name in names) == whole
        (everything,) = lake.run("cache/overhead", tz="UTC").to_pylist() or [dict.fromkeys(names, 0)]
        assert tuple(everything[name] for name in names) == whole
        for by in ("day", "model", "session"):
            listed = lake.run("cache/overhead", by=by, tz="America/New_York").to_pylist()
            assert tuple(sum(row[name] for row in listed) for name in names) == whole
        sessions = rows(lake, "sessions")
        assert sum(row["requests"] for row in sessions) == whole[0]
