"""Tiny lakes for tests: rows written by the schema module, published by the catalog, with no ingest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tokenlake import schema
from tokenlake.store import catalog, sums
from tokenlake.store.catalog import Snapshot

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
)


def instant(text: str) -> dt.datetime:
    """The instant of an ISO text, UTC where it names no zone."""
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def write_table(root: Path, name: str, rows: Iterable[Mapping[str, Any]], part: str = "a", **options: Any) -> str:
    """One Parquet file of a table, missing columns null; returns its name relative to the lake."""
    table = schema.BY_NAME[name]
    rows = [{**dict.fromkeys(table.names), **row} for row in rows]
    for row in rows:
        assert set(row) == set(table.names), set(row) - set(table.names)
    file = root / name / f"{part}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema.arrow_schema(table)), file, **options)
    return file.relative_to(root).as_posix()


def write_sums(root: Path, requests: str) -> str:
    """The sums file of a requests file; both names are relative to the lake."""
    with duckdb.connect() as connection:
        made = connection.sql(sums.query([str(root / requests)])).to_arrow_table()
    table = schema.REQUEST_SUMS
    name = sums.path_of(requests)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made.select(table.names).cast(schema.arrow_schema(table)), root / name)
    return name


def publish(
    root: Path, tables: Mapping[str, Iterable[Mapping[str, Any]]], commit: int = 1, *, with_sums: bool = True
) -> Snapshot:
    """A lake of these tables, and the sums of its requests unless told otherwise; returns its snapshot."""
    root.mkdir(parents=True, exist_ok=True)
    files = {name: (write_table(root, name, rows),) for name, rows in tables.items()}
    if with_sums and "requests" in files:
        files["request_sums"] = tuple(write_sums(root, name) for name in files["requests"])
    snapshot = Snapshot(root, commit, files)
    catalog.publish(snapshot)
    return snapshot


def request(key: str, ts: str, counts: tuple[int, int, int, int, int], **columns: Any) -> dict[str, Any]:
    """A row of `requests`; `counts` are input, output, 5m writes, 1h writes and reads."""
    tokens = dict(zip(_COUNTS, counts, strict=True))
    return {
        "key": key,
        "ts": instant(ts),
        "last_ts": instant(ts),
        "session_id": "s1",
        "project": "/home/ada/alpha",
        "host": "laptop",
        "agent": "claude-code",
        "version": "2.1.119",
        "model": "claude-opus-4-5-20251101",
        "origin": "assistant",
        "is_sidechain": False,
        **tokens,
        "context_tokens": sum(counts) - counts[1],
        "web_searches": 0,
        "output_is_partial": False,
        "n_rows": 1,
        "n_sessions": 1,
        "file_id": 1,
        "offset": 0,
        **columns,
    }


def usage_row(
    message_id: str | None, ts: str, counts: tuple[int, int, int, int, int], offset: int, **columns: Any
) -> dict[str, Any]:
    """A row of `usage_rows`; its key is the message id."""
    return {
        "key": message_id or f"1:{offset}",
        "message_id": message_id,
        "request_id": f"req_{message_id}" if message_id else None,
        "uuid": f"u{offset}",
        "origin": "assistant",
        "session_id": "s1",
        "is_sidechain": False,
        "ts": instant(ts),
        "cwd": "/home/ada/alpha",
        "version": "2.1.119",
        "model": "claude-opus-4-5-20251101",
        **dict(zip(_COUNTS, counts, strict=True)),
        "cache_write_flat_tokens": counts[2] + counts[3],
        "cache_split_present": True,
        "cache_write_unsplit_tokens": 0,
        "host": "laptop",
        "file_id": 1,
        "offset": offset,
        "line": offset,
        **columns,
    }


def transcript(file_id: int, path: str, **columns: Any) -> dict[str, Any]:
    """A row of `files`."""
    names = "size ingested_bytes pending_bytes lines records usage_rows rejects odd_fields"
    counts = dict.fromkeys(names.split(), 0)
    return {"file_id": file_id, "path": path, "host": "laptop", "kind": "main", **counts, **columns}


# Seven requests of two sessions, two machines, two projects and two models. Berlin's clocks went forward on
# 2026-03-29 at 01:00 UTC, so its days of that weekend begin at 23:00, 23:00 and 22:00 UTC.
REQUESTS: tuple[dict[str, Any], ...] = (
    request("r1", "2026-03-27T09:00:00", (10, 90, 1000, 0, 0)),
    request("r2", "2026-03-27T09:10:00", (5, 95, 200, 0, 1000)),
    request("r3", "2026-03-28T22:59:59", (2, 48, 0, 300, 1200), is_sidechain=True, agent_id="a1"),
    request("r4", "2026-03-28T23:00:00", (3, 47, 100, 0, 1500), output_is_partial=True),
    request(
        "r5",
        "2026-03-29T21:59:59.999",
        (0, 100, 0, 0, 1700),
        session_id="s2",
        project="/home/ada/Beta",
        host="server",
        model="claude-sonnet-4-5-20250929",
        version="2.1.39",
        output_is_partial=True,
        file_id=2,
    ),
    request("r6", "2026-03-29T22:00:00", (20, 80, 500, 0, 0), session_id="s2", project="/home/ada/Beta",
            host="server", model="claude-sonnet-4-5-20250929", version="2.1.39", file_id=2, offset=10),
    request("r7", "2026-04-02T12:00:00", (0, 0, 0, 0, 0), session_id="s2", project=None,
            host="server", model="claude-sonnet-4-5-20250929", version="2.1.39", file_id=2, offset=20),
)  # fmt: skip

FILES: tuple[dict[str, Any], ...] = (
    transcript(1, "/logs/s1.jsonl", size=5000, ingested_bytes=4900, pending_bytes=100, records=40,
               usage_rows=4, rejects=1, first_ts=instant("2026-03-27T09:00:00"),
               last_ts=instant("2026-03-28T23:00:00")),
    transcript(2, "/logs/s2.jsonl", host="server", size=700, ingested_bytes=700, records=9, usage_rows=3,
               odd_fields=2, departed_at=instant("2026-04-03T00:00:00"),
               first_ts=instant("2026-03-29T21:59:59.999"), last_ts=instant("2026-04-02T12:00:00")),
    transcript(3, "/logs/dump.jsonl", kind="stream-json", size=80),
)  # fmt: skip

REJECTS: tuple[dict[str, Any], ...] = (
    {"file": "/logs/s1.jsonl", "line": 7, "offset": 900, "bytes": 12, "reason": "not JSON",
     "head": "{\"type\": \x1b[31m\n", "host": "laptop", "file_id": 1},
)  # fmt: skip

TABLES: dict[str, tuple[dict[str, Any], ...]] = {"requests": REQUESTS, "files": FILES, "rejects": REJECTS}
