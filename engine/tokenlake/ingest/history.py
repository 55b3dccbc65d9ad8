"""What the agent's history.jsonl tells: when which session was prompted, also where its transcript is gone.

Of a line only the time, the session and the project are taken, never the prompt's text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.ingest.beside import EPOCH, arrow_table, is_file, text_of
from tokenlake.ingest.discover import Discovery, file_id
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
_BLANK = b"\0 \t\r\n"
_BOM = b"\xef\xbb\xbf"

_Row = tuple[datetime, str | None, str | None, str, int, int]  # as in known_prompts


@dataclass(frozen=True, slots=True)
class Known:
    """Prompts that the lake does not know of yet, as rows of `known_prompts` or None, and what could not be read."""

    prompts: pa.Table | None = None
    warnings: tuple[str, ...] = ()


def read(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, discovery: Discovery, host: str) -> Known:
    """What the history files beside each `projects/` of the roots have beyond the lake.

    A file is read from the last line that the lake has of it on, and whole where that line is no longer there.
    """
    files = sorted(path for folder in configurations(discovery) if is_file(path := f"{folder}{os.sep}{HISTORY_NAME}"))
    if not files:
        return Known()
    relation = partitions.relation(KNOWN_PROMPTS, snapshot.paths(KNOWN_PROMPTS.name))
    last = f'select file_id, max("offset"), epoch_ms(arg_max(ts, "offset")) from {relation} group by file_id'
    places = {row[0]: (row[1], row[2]) for row in con.execute(last).fetchall()}
    rows: list[_Row] = []
    warnings: list[str] = []
    for path in files:
        number = file_id(host, path)
        bad: list[int] = []
        try:
            rows += _lines(path, host, number, *places.get(number, (0, None)), bad)
        except OSError as error:
            warnings.append(f"{path}: {error.strerror or error}; not read")
        if bad:
            what = "1 line is" if len(bad) == 1 else f"{len(bad):,} lines are"
            warnings.append(f"{path}: {what} no prompt with a time, the first at byte {bad[0]}; left out")
    return Known(_beyond(con, relation, rows), tuple(warnings))


def added(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, known: Known, staging: Path) -> Snapshot:
    """`snapshot` with what is known besides; new data files lie below `staging`, and small ones become one."""
    if known.prompts is None:
        return snapshot
    con.register("new_known_prompts", known.prompts)
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


def _lines(path: str, host: str, number: int, offset: int, ts_ms: int | None, bad: list[int]) -> Iterator[_Row]:
    """The prompts of a file from `offset` on, the one of `ts_ms` there left out; `bad` learns where other lines start.

    A last line without an end has to wait.
    """
    with open(path, "rb") as file:
        if ts_ms is not None:
            file.seek(offset)
            line = file.readline()
            again = _prompt(line, host, number, offset)
            if again is not None and _milliseconds(again[0]) == ts_ms:
                offset += len(line)
            else:
                offset = 0
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                break
            if line.strip(_BLANK):
                prompt = _prompt(line, host, number, offset)
                if prompt is None:
                    bad.append(offset)
                else:
                    yield prompt
            offset += len(line)


def _prompt(line: bytes, host: str, number: int, offset: int) -> _Row | None:
    """What a line tells; None where it is no prompt with a time."""
    text = line.strip(_BLANK).removeprefix(_BOM).decode("utf-8", "replace")
    try:
        record = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    ms = record.get("timestamp")
    if isinstance(ms, str) and ms.isascii() and ms.isdecimal() and len(ms) <= 15:
        ms = int(ms)
    if isinstance(ms, bool) or not isinstance(ms, int | float) or not 0 <= ms <= _LATEST_MS:
        return None
    ts = EPOCH + timedelta(milliseconds=int(ms))
    return ts, text_of(record.get("sessionId")), text_of(record.get("project")), host, number, offset


def _milliseconds(ts: datetime) -> int:
    return (ts - EPOCH) // timedelta(milliseconds=1)


def _beyond(con: duckdb.DuckDBPyConnection, relation: str, rows: Sequence[_Row]) -> pa.Table | None:
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
