"""Brings staged rows into a snapshot: only data files that hold a touched key are written anew.

Rows as logged (usage_rows, tool_rows) are appended; what is made from them (requests, tool_calls) and the tables
that keep one copy of a record (prompts, texts, events) are worked out again for the touched keys, from all rows of
these keys anywhere in the lake. So any order and batching of ingests gives the same tables (accounting rule 12).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.ingest import dedup
from tokenlake.schema import (
    EVENTS,
    PROMPTS,
    RECORDS,
    REQUESTS,
    SESSION_FILES,
    SESSIONS,
    TEXTS,
    TOOL_CALLS,
    TOOL_ROWS,
    USAGE_ROWS,
    Table,
)
from tokenlake.store import partitions
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

_MERGED_SESSION_FILES = """
-- A transcript that grew adds to what is known of its sessions.
select session_id, file_id, any_value(host) as host, min(first_ts) as first_ts, max(last_ts) as last_ts,
  sum(records)::bigint as records,
  arg_min(project, project_offset) as project, min(project_offset) as project_offset,
  arg_max(title, title_order) as title, max(title_order) as title_order, min(parent) as parent
from parts group by session_id, file_id
"""

COPIES = {table.name: replace(table, name=f"copies_{table.name}", id=None) for table in (PROMPTS, TEXTS, EVENTS)}
"""Where further copies of a record are kept, in case the kept one is rewritten away."""


class Merger:
    """Merges staging tables into `snapshot`, segment after segment; new data files go to `staging`.

    `replaced` are the transcripts whose earlier rows are to be forgotten; that happens with the first segment.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        snapshot: Snapshot,
        staging: Path,
        tag: str,
        replaced: Collection[int] = (),
    ) -> None:
        self.con = con
        self.snapshot = snapshot
        self.staging = staging
        self.tag = tag
        self._segment = 0
        con.execute(dedup.MACROS)
        con.execute("create or replace temp table replaced (file_id bigint)")
        self._replacing = bool(replaced)
        if replaced:
            con.executemany("insert into replaced values (?)", [[file_id] for file_id in replaced])

    def merge(self) -> None:
        """Merges what the staging tables hold now. `paths` must name every transcript known so far."""
        self._segment += 1
        if self._replacing:
            self._append(RECORDS, f"{self._live(RECORDS)} limit 0")
        self._merge_session_files()
        self._merge_tools()
        self._merge_requests()
        for table in (PROMPTS, TEXTS, EVENTS):
            self._merge_copies(table)
        self._replacing = False
        self.con.execute("delete from replaced")

    def finish(self) -> None:
        """Makes the sessions table anew, once everything else is merged."""
        for view, table in (("session_parts", SESSION_FILES), ("all_requests", REQUESTS), ("all_prompts", PROMPTS)):
            self.con.execute(f"create or replace temp view {view} as select * from {self._live(table)}")
        self._replace_whole(SESSIONS, dedup.SESSIONS)

    # --- the tables ------------------------------------------------------------------------------------------

    def _merge_session_files(self) -> None:
        live = self._live(SESSION_FILES)
        self.con.execute(
            f"create or replace temp view parts as select * from {live} anti join replaced using (file_id)"
            " union all by name select * from new_session_files"
        )
        self.con.execute("create or replace temp view session_parts as select * from " + live)
        self.con.execute("create or replace temp table earlier_starts as " + dedup.STARTS)
        self.con.execute("create or replace temp table session_parts_now as " + _MERGED_SESSION_FILES)
        self.con.execute("create or replace temp view session_parts as select * from session_parts_now")
        self.con.execute("create or replace temp table starts as " + dedup.STARTS)
        # Sessions whose start is another now: who owns what they share may change.
        self.con.execute(
            "create or replace temp table moved as select session_id from earlier_starts join starts using (session_id)"
            " where (earlier_starts.started, earlier_starts.is_fork) is distinct from (starts.started, starts.is_fork)"
        )
        self._moved = self._any("moved")
        self._replace_whole(SESSION_FILES, "select * from session_parts_now")

    def _merge_requests(self) -> None:
        live = self._live(USAGE_ROWS)
        known = bool(self.snapshot.files.get(USAGE_ROWS.name))
        rows = f"select * from {live}" + (" anti join replaced using (file_id)" if self._replacing else "")
        if known:
            self._touch(USAGE_ROWS, "key", extra="select key from touched_searches")
            rows += " semi join touched on key = id"
        self.con.execute(
            f"create or replace temp view usage as {rows} union all by name select * from new_usage_rows"
        )
        self.con.execute("create or replace temp table searches as " + dedup.SEARCHES)
        self.con.execute("create or replace temp table merged_rows as " + dedup.REQUESTS)
        self._put(REQUESTS, "select * from merged_rows", touched=known)
        self._append(USAGE_ROWS, "new_usage_rows")

    def _merge_tools(self) -> None:
        live = self._live(TOOL_ROWS)
        known = bool(self.snapshot.files.get(TOOL_ROWS.name))
        rows = f"select * from {live}" + (" anti join replaced using (file_id)" if self._replacing else "")
        if known:
            self._touch(TOOL_ROWS, "tool_use_id")
            rows += " semi join touched on tool_use_id = id"
        self.con.execute(
            f"create or replace temp table tool_rows_now as {rows} union all by name select * from new_tool_rows"
        )
        for side in ("use", "result"):
            self.con.execute(
                f"create or replace temp view tool_{side}s as select * from tool_rows_now where side = '{side}'"
            )
        # A search reported with a result counts for the request of the call, which may have been merged before.
        self.con.execute(
            "create or replace temp table touched_searches as select distinct uses.key"
            " from tool_results results join tool_uses uses using (tool_use_id) where results.search_count > 0"
        )
        self.con.execute("create or replace temp table merged_rows as " + dedup.TOOL_CALLS)
        self._put(TOOL_CALLS, "select * from merged_rows", touched=known)
        self._append(TOOL_ROWS, "new_tool_rows")

    def _merge_copies(self, table: Table) -> None:
        copies = COPIES[table.name]
        known = bool(self.snapshot.files.get(table.name))
        if known:
            self._touch(table, "id", copies)
            kept = f"(select * from {self._live(table)} union all by name select * from {self._live(copies)})"
            earlier = f"select * from {kept} semi join touched using (id) anti join replaced using (file_id)"
            rows = f"{earlier} union all by name select * from new_{table.name}"
        else:
            rows = f"select * from new_{table.name}"
        self.con.execute(f"create or replace temp view all_candidates as {rows}")
        self.con.execute(
            "create or replace temp table copied as select id from all_candidates group by id having count(*) > 1"
        )
        if not self._any("copied"):
            self._put(table, "select * from all_candidates", touched=known)
            if known:
                self._put(copies, "select * from all_candidates limit 0", touched=True)
            return
        self.con.execute(
            "create or replace temp view candidates as select * from all_candidates semi join copied using (id)"
        )
        self.con.execute("create or replace temp table ranked as " + dedup.RANKED_COPIES)
        self.con.execute(
            "create or replace temp table merged_rows as select * from all_candidates anti join copied using (id)"
            " union all by name select * exclude (copy) from ranked where copy = 1"
        )
        self._put(table, "select * from merged_rows", touched=known)
        self._put(copies, "select * exclude (copy) from ranked where copy > 1", touched=known)

    # --- mechanics -------------------------------------------------------------------------------------------

    def _live(self, table: Table, *, filename: bool = False) -> str:
        return partitions.relation(table, self.snapshot.paths(table.name), filename=filename)

    def _any(self, relation: str) -> bool:
        return bool(self.con.execute(f"select 1 from {relation} limit 1").fetchall())

    def _touch(self, table: Table, key: str, copies: Table | None = None, extra: str | None = None) -> None:
        """Fills `touched` with the ids whose rows may come out differently now."""
        ids = [f"select {key} as id from new_{table.name}"]
        if extra:
            ids.append(extra)
        for source in (table, copies) if copies else (table,):
            if self._replacing:
                ids.append(f"select {key} from {self._live(source)} semi join replaced using (file_id)")
            if self._moved:
                ids.append(f"select {key} from {self._live(source)} semi join moved using (session_id)")
        self.con.execute("create or replace temp table touched as select distinct id from (" + " union all ".join(ids) + ")")

    def _put(self, table: Table, query: str, *, touched: bool) -> None:
        """Writes the rows of `query`; rows of touched ids that are in the lake now are taken out of their files."""
        key = REQUESTS.id if table is REQUESTS else TOOL_CALLS.id if table is TOOL_CALLS else "id"
        hit = self._files_with(table, f"semi join touched on {key} = id") if touched else []
        self._rewrite(table, query, hit, f"anti join touched on {key} = id")

    def _append(self, table: Table, source: str) -> None:
        hit = self._files_with(table, "semi join replaced using (file_id)") if self._replacing else []
        self._rewrite(table, f"select * from {source}", hit, "anti join replaced using (file_id)")

    def _files_with(self, table: Table, condition: str) -> list[str]:
        if not self.snapshot.files.get(table.name):
            return []
        found = self.con.execute(
            f"select distinct filename from {self._live(table, filename=True)} {condition}"
        ).fetchall()
        return [name for (name,) in found]

    def _rewrite(self, table: Table, query: str, hit: list[str], survivors: str) -> None:
        """Writes `query` and what survives of the data files `hit`, which leave the snapshot."""
        if not hit and not self._any(f"({query})"):
            return
        small: list[str] = []
        if self.snapshot.files.get(table.name):
            months = self.con.execute(
                f"select distinct coalesce(strftime(\"{table.order[0]}\" at time zone 'UTC', '%Y-%m'), 'unknown')"
                f" from ({query})"
            ).fetchall()
            small = [
                path
                for path in partitions.small_files(self.snapshot.paths(table.name), [month for (month,) in months])
                if path not in hit
            ]
        rows = query
        if hit:
            rows += f" union all by name select * from {partitions.relation(table, hit)} {survivors}"
        if small:
            rows += f" union all by name select * from {partitions.relation(table, small)}"
        self._write(table, rows, [*hit, *small])

    def _replace_whole(self, table: Table, query: str) -> None:
        self._write(table, query, self.snapshot.paths(table.name))

    def _write(self, table: Table, query: str, removed: list[str]) -> None:
        root = self.snapshot.root
        written = partitions.write(self.con, table, query, self.staging, f"{self.tag}-{self._segment}")
        self.snapshot = self.snapshot.changed(
            table.name,
            [str(Path(path).relative_to(root)) for path in removed],
            [str(path.relative_to(root)) for path in written],
        )
