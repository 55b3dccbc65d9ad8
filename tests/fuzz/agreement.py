"""Where a lake and the reference program say different things of the same bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accounting.lakes import TOKENS
from accounting.reference import Reference, count

from tokenlake.lake import Lake

FIELDS = (
    *TOKENS,
    *("context_tokens", "model", "origin", "project", "version", "agent_id", "web_searches", "output_is_partial"),
    *("n_rows", "n_sessions", "session_id", "ts", "last_ts"),
)
BYTES = ("record_bytes", "rejected_bytes", "newline_bytes", "blank_bytes")


@contextmanager
def lake_of(tree: Mapping[str, bytes]) -> Iterator[tuple[Lake, Path]]:
    """A lake of the files of a tree, and the folder that these are in; both are gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="tokenlake-fuzz-"))
    try:
        for name, data in tree.items():
            path = base / "logs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        lake = Lake(base / "lake")
        lake.refresh([base / "logs"], host="h")
        yield lake, base / "logs"
    finally:
        shutil.rmtree(base)


def differences(tree: Mapping[str, bytes]) -> list[str]:
    """What the lake says otherwise than the reference, in words; nothing where they agree."""
    reference = count(tree)
    with lake_of(tree) as (lake, root):
        con = lake.connect()
        try:
            found = {
                name: con.sql(f"from {name}").to_arrow_table().to_pylist()
                for name in ("files", "rejects", "requests", "usage_rows", "prompts", "tool_calls", "texts")
            }
        finally:
            con.close()
    return [*_of_files(found, tree, reference, f"{root}/"), *_of_rows(found, reference)]


def _of_files(
    found: Mapping[str, list[dict[str, Any]]], tree: Mapping[str, bytes], reference: Reference, root: str
) -> Iterator[str]:
    """File by file: bytes of every sort, to the byte and exactly those of the file; rejects one by one; odd fields."""
    files = {row["path"].removeprefix(root): row for row in found["files"]}
    yield from _told("files", sorted(files), sorted({*reference.bytes, *reference.refused}))
    for name, row in files.items():
        if name in reference.refused:
            yield from _told(f"{name}: kind", row["kind"], "stream-json")
            continue
        yield from _told(f"{name}: bytes", {kind: row[kind] for kind in BYTES}, reference.bytes[name])
        yield from _told(f"{name}: pending", row["pending_bytes"], reference.pending.get(name, 0))
        whole = sum(row[kind] for kind in BYTES) + row["pending_bytes"]
        yield from _told(f"{name}: all bytes", whole, len(tree[name]))
        yield from _told(f"{name}: odd fields", row["odd_fields"], reference.odd_fields.get(name, 0))
        lost = [(r["line"], r["offset"], r["bytes"]) for r in found["rejects"] if r["file"] == root + name]
        known = [(r.line, r.offset, r.length) for r in reference.rejects if r.path == name]
        yield from _told(f"{name}: rejects", sorted(lost), sorted(known))
        for reject in (r for r in found["rejects"] if r["file"] == root + name):
            head = tree[name][reject["offset"] : reject["offset"] + min(reject["bytes"], 200)]
            yield from _told(f"{name}: head", reject["head"], head.decode("utf-8", "replace"))
    yield from _told("records", sum(row["records"] for row in files.values()), reference.records)


def _of_rows(found: Mapping[str, list[dict[str, Any]]], reference: Reference) -> Iterator[str]:
    """Requests with all their fields, token by token; and how many there are of everything else."""
    yield from _told(
        "requests", Counter(map(_shown, found["requests"])), Counter(map(_shown, reference.requests.values()))
    )
    yield from _told("usage rows", len(found["usage_rows"]), len(reference.usage_rows))
    of_advisors = sum(row["origin"] == "advisor" for row in found["usage_rows"])
    yield from _told(
        "files.usage_rows", sum(row["usage_rows"] for row in found["files"]), len(found["usage_rows"]) - of_advisors
    )
    yield from _told("prompts", Counter(row["kind"] for row in found["prompts"]), reference.prompts)
    yield from _told("tool calls", len(found["tool_calls"]), len(reference.tool_calls))
    yield from _told("texts", len(found["texts"]), len(reference.texts))


def _shown(request: Mapping[str, Any]) -> tuple[Any, ...]:
    """A request's fields; its key only where it is no place or index, which the two name differently."""
    key = str(request["key"])
    return (key if "#" not in key and ":" not in key else "", *(request[name] for name in FIELDS))


def _told(what: str, lake: Any, reference: Any) -> Iterator[str]:
    if lake == reference:
        return
    if isinstance(lake, Counter):
        yield f"{what}: only the lake: {[*(lake - reference)][:3]}; only the reference: {[*(reference - lake)][:3]}"
    else:
        yield f"{what}: lake {lake!r}, reference {reference!r}"
