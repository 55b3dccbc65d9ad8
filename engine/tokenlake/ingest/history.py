"""What the agent's history.jsonl tells: when which session was prompted, also where its transcript is gone.

Of a record only the time, the session and the project are taken, never the prompt's text; of bytes that are no
such record, the first 200 are kept in `rejects`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.ingest.beside import EPOCH, Kind, Row, arrow_table, is_odd_text, text_of
from tokenlake.ingest.discover import Discovery
from tokenlake.schema import KNOWN_PROMPTS
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

HISTORY_NAME = "history.jsonl"

DISTINCT = """
-- A prompt counts once, however often and wherever its line was read.
select * from {rows}
qualify row_number() over (partition by host, session_id, project, ts order by file_id, "offset") = 1
"""

_LATEST_MS = 253_402_300_799_999  # the end of the year 9999


def places(discovery: Discovery, host: str) -> dict[str, str]:
    """Where a history may lie, and whose it is then: beside each `projects/` of the roots."""
    return {f"{folder}{os.sep}{HISTORY_NAME}": host for folder in configurations(discovery)}


def added(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, rows: Sequence[Row], staging: Path) -> Snapshot:
    """`snapshot` with the prompts that it does not know yet; data files lie below `staging`, small ones become one."""
    new = _beyond(con, partitions.relation(KNOWN_PROMPTS, snapshot.paths(KNOWN_PROMPTS.name)), rows)
    if new is None:
        return snapshot
    con.register("new_known_prompts", new)
    snapshot = _written(con, snapshot, "select * from new_known_prompts", (), staging, "h0")
    con.unregister("new_known_prompts")
    paths = snapshot.paths(KNOWN_PROMPTS.name)
    for number, group in enumerate(partitions.small_files(paths), 1):
        query = f"select * from {partitions.relation(KNOWN_PROMPTS, group)}"
        snapshot = _written(con, snapshot, query, group, staging, f"h{number}")
    return snapshot


def _written(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, query: str, removed: Sequence[str], staging: Path, tag: str
) -> Snapshot:
    paths = partitions.write(con, KNOWN_PROMPTS, query, staging, f"{snapshot.commit:06d}-{tag}")
    root = snapshot.root
    gone, new = ([str(Path(path).relative_to(root)) for path in listed] for listed in (removed, paths))
    return snapshot.changed(KNOWN_PROMPTS.name, gone, new)


def configurations(discovery: Discovery) -> set[str]:
    """The folders in which an agent keeps `projects/`, of a root or below it, and the roots themselves."""
    folders = set(discovery.roots)
    folders.update(os.path.dirname(root) for root in discovery.roots if os.path.basename(root) == "projects")
    below = f"{os.sep}projects{os.sep}"
    for root in discovery.roots:
        places = (
            (file.path, file.path.find(below, len(root))) for file in discovery.files if file.path.startswith(root)
        )
        folders.update(path[:end] for path, end in places if end >= 0)
    return folders


def _rows_of(record: Mapping[str, Any], host: str, number: int, offset: int) -> tuple[list[Row], int]:
    """The prompt that a record tells of. Raises ValueError where it has no time."""
    ms = record.get("timestamp")
    if isinstance(ms, str) and ms.isascii() and ms.isdecimal() and len(ms) <= 15:
        ms = int(ms)
    if isinstance(ms, bool) or not isinstance(ms, int | float) or not 0 <= ms <= _LATEST_MS:
        raise ValueError("no prompt with a time")
    session, project = record.get("sessionId"), record.get("project")
    row = (EPOCH + timedelta(milliseconds=int(ms)), text_of(session), text_of(project), host, number, offset)
    return [row], is_odd_text(session) + is_odd_text(project)


KIND = Kind("history", KNOWN_PROMPTS, _rows_of, re.compile(rb'\{"display"'))


def _beyond(con: duckdb.DuckDBPyConnection, relation: str, rows: Sequence[Row]) -> pa.Table | None:
    """Those of the rows that the lake does not know, each prompt once; None where there are none."""
    if not rows:
        return None
    con.register("read_prompts", arrow_table(KNOWN_PROMPTS, rows))
    found = con.sql(
        f"select new.* from ({DISTINCT.format(rows='read_prompts')}) new"
        f" where not exists (select 1 from {relation} known where known.ts = new.ts and known.host = new.host"
        "  and known.session_id is not distinct from new.session_id"
        "  and known.project is not distinct from new.project)"
    ).to_arrow_table()
    con.unregister("read_prompts")
    return found if found.num_rows else None
