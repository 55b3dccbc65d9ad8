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


def contents(lake: Lake) -> dict[str, list[str]]:
    """Every table, its rows sorted; the time of the files on disk is not theirs to keep."""
    tables = {}
    for table in TABLES:
        listed = rows(lake, table.name)
        tables[table.name] = sorted(repr({k: v for k, v in row.items() if k != "mtime_ns"}) for row in listed)
    return tables


def shown(request: dict[str, Any], names: Sequence[str] = FIELDS) -> tuple[Any, ...]:
    """A request's fields; its key only where that is an id, not made of a place or an index."""
    key = (
        request["key"]
        if str(request["key"]).startswith(("msg_", "uuid-")) and request["origin"] != "advisor"
        else ""
    )
    return (key, *((name, request[name] or 0 if name == "web_searches" else request[name]) for name in names))


def counted(reference: Reference) -> Counter[tuple[Any, ...]]:
    """The reference's requests, to be compared with the lake's."""
    return Counter(map(shown, reference.requests.values()))


@given(trees())
def test_the_lake_equals_the_reference(tree: Tree) -> None:
    """Requests with all their fields, rejects to the byte, pending tails, odd fields, prompts, tool calls."""
    reference = count(tree)
    with folder() as base:
        lake = ingested(base, "lake", [tree])
        files = {row["path"].removeprefix(f"{base / 'logs'}/"): row for row in rows(lake, "files")}
        rejects = rows(lake, "rejects", 'file, "offset"')
        found = Counter(map(shown, rows(lake, "requests")))
        assert found == counted(reference)
        assert total(lake) == tuple(reference.totals().values())
        assert len(rows(lake, "usage_rows")) == len(reference.usage_rows)
        assert [
            (row["file"].removeprefix(f"{base / 'logs'}/"), row["line"], row["offset"], row["bytes"])
            for row in rejects
        ] == [(row.path, row.line, row.offset, row.length) for row in sorted(reference.rejects, key=place)]
        assert {
            path: row["pending_bytes"] for path, row in files.items() if row["pending_bytes"]
        } == reference.pending
        assert {
            path: row["odd_fields"] for path, row in files.items() if row["odd_fields"]
        } == reference.odd_fields
        assert sum(row["records"] for row in files.values()) == reference.records
        assert Counter(row["kind"] for row in rows(lake, "prompts")) == reference.prompts
        assert {row["tool_use_id"] for row in rows(lake, "tool_calls")} == reference.tool_calls
        assert len(rows(lake, "texts")) == len(reference.texts)


def place(reject: Any) -> tuple[str, int]:
    """The order of rejects."""
    return (reject.path, reject.offset)


@given(trees(), st.data())
def test_the_way_of_ingest_leaves_no_trace(tree: Tree, data: st.DataObject) -> None:
    """File by file in any order, or in slices of bytes cut anywhere: equal tables (accounting rule 12)."""
    order = data.draw(st.permutations(sorted(tree)), label="order")
    whole = [tree]
    one_by_one = [{name: tree[name]} for name in order]
    cuts = {
        name: sorted(data.draw(st.lists(st.integers(0, len(content)), min_size=1, max_size=3), label=name))
        for name, content in tree.items()
    }
    sliced: list[Step] = []
    for turn in range(4):
        step = {}
        for name, content in tree.items():
            edges = [0, *cuts[name], len(content)]
            if turn + 1 < len(edges):
                step[name] = content[edges[turn] : edges[turn + 1]]
        sliced.append(step)
    with folder() as base:
        expected = contents(ingested(base, "whole", whole))
        assert contents(ingested(base, "one-by-one", one_by_one)) == expected
        assert contents(ingested(base, "sliced", sliced)) == expected
        assert contents(ingested(base, "repeated", [tree, {}, {}])) == expected


@given(trees())
def test_groups_add_up_to_the_total(tree: Tree) -> None:
    """By session, model, UTC day and origin in the table, and by any grouping of the saved query."""
    names = ("requests", *TOKENS)
    with folder() as base:
        lake = ingested(base, "lake", [tree])
        whole = total(lake)
        sums = ", ".join(f"sum({name})::bigint as {name}" for name in TOKENS)
        for group in ("session_id", "model", "origin", "ts::date"):
            listed = lake.sql(
                f"select count(*) as requests, {sums} from requests group by {group}"
            ).to_pylist()
            assert tuple(sum(row[name] for row in listed) for name in names) == whole
        (everything,) = lake.run("cache/overhead", tz="UTC").to_pylist() or [dict.fromkeys(names, 0)]
        assert tuple(everything[name] for name in names) == whole
        for by in ("day", "week", "month", "model", "session", "version", "thread"):
            listed = lake.run("cache/overhead", by=by, tz="America/New_York").to_pylist()
            assert tuple(sum(row[name] for row in listed) for name in names) == whole
        sessions = rows(lake, "sessions")
        assert sum(row["requests"] for row in sessions) == whole[0]
