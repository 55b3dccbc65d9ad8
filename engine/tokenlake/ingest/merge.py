"""Brings rows as logged into a snapshot: only data files that hold a touched key are written anew.

Rows as logged (usage_rows, tool_rows) are appended; what is made from them (requests, tool_calls) and the tables
that keep one copy of a record (prompts, texts, events) are worked out again for the touched keys, from all rows of
these keys anywhere in the lake. So any order and batching of ingests gives the same tables (accounting rule 12).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.ingest import dedup
from tokenlake.ingest.logged import PARSED_RECORDS, Logged
from tokenlake.schema import (
    EVENTS,
    PROMPTS,
    RECORDS,
    REQUEST_SUMS,
    REQUESTS,
    SESSION_FILES,
    SESSIONS,
    TEXTS,
    TOOL_CALLS,
    TOOL_ROWS,
    USAGE_ROWS,
    Table,
)
from tokenlake.sources.claude.macros import MACROS
from tokenlake.store import partitions, sums
from tokenlake.store.catalog import COPIES_PREFIX, Snapshot

if TYPE_CHECKING:
    import duckdb

    Connection = duckdb.DuckDBPyConnection

_MERGED_SESSION_FILES = """
-- A transcript that grew adds to what is known of its sessions.
select session_id, file_id, any_value(host) as host, min(first_ts) as first_ts, max(last_ts) as last_ts,
  sum(records)::bigint as records,
  arg_min(project, project_offset) as project, min(project_offset) as project_offset,
  arg_max(title, title_order) as title, max(title_order) as title_order, min(parent) as parent
from parts group by session_id, file_id
"""

COPIES = {
    table.name: replace(table, name=f"{COPIES_PREFIX}{table.name}", id=None) for table in (PROMPTS, TEXTS, EVENTS)
}
"""Where further copies of a record are kept, in case the kept one is rewritten away."""


# Requests whose searches are told anew, or no longer: by calls and results that are new, or that go.
_SEARCHED_ANEW = "select key from tool_uses semi join new_tool_rows using (tool_use_id)"
_NO_LONGER_SEARCHED = """
select key from {earlier}
semi join (select tool_use_id from {earlier} semi join replaced using (file_id)) using (tool_use_id)
where side = 'use'
"""


class Merger:
    """Merges rows as logged into `snapshot`, segment after segment; new data files go to `staging`.

    The database of `con` holds what the queries of `logged` read (for parsed records see sources/claude/rows.py) and
    `paths` (file_id, path of every transcript known so far). `replaced` are the transcripts whose earlier rows are to
    be forgotten; that happens with the first segment. Tables that do not depend on each other are merged at the same
    time.
    """

    def __init__(
        self,
        con: Connection,
        snapshot: Snapshot,
        staging: Path,
        tag: str,
        host: str | None,
        replaced: Collection[int] = (),
        logged: Logged = PARSED_RECORDS,
    ) -> None:
        self.con = con
        self.logged = logged
        self.snapshot = snapshot
        self.staging = staging
        self.tag = tag
        self.cursors = [con.cursor(), con.cursor()]
        self._numbers = itertools.count()
        self._replacing = False
        self._lock = threading.Lock()
        con.execute(MACROS)
        con.execute(dedup.MACROS)
        # What is known of a session only changes with its records: the others' rows stay.
        con.execute("create or replace table touched_sessions (session_id varchar)")
        con.execute("create or replace table replaced (file_id bigint)")
        self.forget(replaced)
        for cursor in (con, *self.cursors):
            cursor.execute("set variable host = ?", [host])
            cursor.execute("set variable keep_text = ?", [snapshot.settings.keep_text])

    def forget(self, file_ids: Collection[int]) -> None:
        """Lets the next `gather` and `merge` take away the earlier rows of transcripts."""
        if file_ids:
            self.con.executemany("insert into replaced values (?)", [[file_id] for file_id in file_ids])
            self._replacing = True

    def gather(self) -> None:
        """Holds the rows that are new, and merges what is known of sessions; what was parsed is not needed any more."""
        self._both((self._merge_session_files, self.con), (self._make_ready, self.cursors[1]))
        self._both((self._gather_usage, self.cursors[0]), (self._gather_others, self.cursors[1]))

    def merge(self) -> None:
        """Merges all other rows that were gathered."""
        self._earlier_tool_rows = self._live(TOOL_ROWS)
        self._both((self._merge_requests, self.cursors[0]), (self._merge_others, self.cursors[1]))
        self._replacing = False
        self.con.execute("delete from replaced")
        self.con.execute("drop table new_tool_rows")

    def _both(self, *steps: tuple[Callable[[Connection], None], Connection]) -> None:
        """Takes steps that do not depend on each other, at the same time; none goes on behind an interrupt."""
        with ThreadPoolExecutor(len(steps), "tokenlake-merger") as pool:
            for done in [pool.submit(step, con) for step, con in steps]:
                done.result()

    def finish(self, raw_files: list[Path]) -> None:
        """Adds the files of kept records and makes the sessions table anew, once everything else is merged."""
        root = self.snapshot.root
        self.snapshot = self.snapshot.changed(RECORDS.name, [], [str(path.relative_to(root)) for path in raw_files])
        self._compact(self.con, RECORDS)
        known = self._knows(SESSIONS)
        only = " semi join touched on session_id = touched_id" if known else ""
        self.con.execute(
            "create or replace temp table touched as select distinct session_id as touched_id from touched_sessions"
        )
        for view, table in (("session_parts", SESSION_FILES), ("all_requests", REQUESTS), ("all_prompts", PROMPTS)):
            self.con.execute(f"create or replace temp view {view} as select * from {self._live(table)}{only}")
        hit = self._hit(self.con, SESSIONS, "session_id") if known else []
        self._put(self.con, SESSIONS, dedup.SESSIONS, hit)

    # --- the tables ------------------------------------------------------------------------------------------

    def _make_ready(self, con: Connection) -> None:
        for statement in self.logged.made_before:
            con.execute(statement)

    def _gather_usage(self, con: Connection) -> None:
        con.execute(f"create or replace temp table new_usage_rows as {self.logged.usage_rows}")

    def _gather_others(self, con: Connection) -> None:
        con.execute(f"create or replace table new_tool_rows as {self.logged.tool_rows}")
        for table in TEXTS, PROMPTS, EVENTS:
            con.execute(f"create or replace temp table new_{table.name} as {getattr(self.logged, table.name)}")

    def _merge_session_files(self, con: Connection) -> None:
        live = self._live(SESSION_FILES)
        con.execute(f"create or replace temp table new_session_files as {self.logged.session_files}")
        con.execute(
            f"create or replace temp view parts as select * from {live} anti join replaced using (file_id)"
            " union all by name select * from new_session_files"
        )
        self._touch_sessions(
            con, f"select session_id from {live} semi join replaced using (file_id)", "select * from new_session_files"
        )
        con.execute("create or replace temp view session_parts as select * from " + live)
        con.execute("create or replace temp table earlier_starts as " + dedup.STARTS)
        con.execute("create or replace temp table session_parts_now as " + _MERGED_SESSION_FILES)
        con.execute("create or replace temp view session_parts as select * from session_parts_now")
        con.execute("create or replace table starts as " + dedup.STARTS)
        # Sessions whose start is another now: who owns what they share may change.
        con.execute(
            "create or replace table moved as select session_id from earlier_starts join starts using (session_id)"
            " where (earlier_starts.started, earlier_starts.is_fork) is distinct from (starts.started, starts.is_fork)"
        )
        self._moved = _any(con, "moved")
        self.replace_whole(SESSION_FILES, "select * from session_parts_now")

    def _merge_requests(self, con: Connection) -> None:
        known = self._knows(USAGE_ROWS)
        self._find_searches(con)
        hit: list[str] = []
        if known:
            gone = [_NO_LONGER_SEARCHED.format(earlier=self._earlier_tool_rows)] if self._replacing else []
            self._touch(con, USAGE_ROWS, "key", "new_usage_rows", extra=[_SEARCHED_ANEW, *gone])
            logged = partitions.relation(USAGE_ROWS, self._hit(con, USAGE_ROWS, "key"))
            con.execute(
                f"create or replace temp table earlier_rows as select * from {logged}"
                " anti join replaced using (file_id) semi join touched on key = touched_id"
            )
            hit = self._hit(con, REQUESTS, "key")
            owned = f"{partitions.relation(REQUESTS, hit)} semi join touched on key = touched_id"
            self._touch_sessions(con, f"select session_id from {owned}")
        self._append(con, USAGE_ROWS, "select * from new_usage_rows")
        # `usage` are all rows of the keys at hand: the new ones, and once these are written, the earlier ones.
        con.execute("alter table new_usage_rows rename to usage")
        if known:
            con.execute("insert into usage by name select * from earlier_rows")
        con.execute("create or replace temp table merged_rows as " + dedup.REQUESTS)
        self._touch_sessions(con, "select session_id from merged_rows")
        _drop(con, "usage", "earlier_rows")
        self._put(con, REQUESTS, "select * from merged_rows", hit)
        _drop(con, "merged_rows", "tool_results", "tool_uses", "searches")

    def _find_searches(self, con: Connection) -> None:
        """Fills `searches` for the requests whose calls, or their results, are new."""
        every = f"(select * from {self._earlier_tool_rows} anti join replaced using (file_id) union all by name"
        every += " select * from new_tool_rows)"
        con.execute(
            "create or replace temp table tool_results as"
            f" select * from {every} where side = 'result' and search_count > 0"
        )
        if _any(con, "tool_results"):
            con.execute(
                "create or replace temp table tool_uses as"
                f" select * from {every} semi join tool_results using (tool_use_id) where side = 'use'"
            )
        else:
            con.execute("create or replace temp table tool_uses as select * from tool_results")
        con.execute("create or replace temp table searches as " + dedup.SEARCHES)

    def _merge_others(self, con: Connection) -> None:
        if self._replacing:
            self._append(con, RECORDS, f"select * from {self._live(RECORDS)} limit 0")
        if self._concerns(con, "new_tool_rows"):
            self._merge_tools(con)
        for table in TEXTS, PROMPTS, EVENTS:
            if self._concerns(con, f"new_{table.name}"):
                self._merge_copies(con, table)
            _drop(con, f"new_{table.name}", "ranked", "copied", "earlier_rows")

    def _concerns(self, con: Connection, new: str) -> bool:
        """Whether anything of a table may come out differently now."""
        return self._replacing or self._moved or _any(con, new)

    def _merge_tools(self, con: Connection) -> None:
        known = self._knows(TOOL_ROWS)
        rows = "select * from new_tool_rows"
        hit: list[str] = []
        if known:
            self._touch(con, TOOL_ROWS, "tool_use_id", "new_tool_rows")
            hit = self._hit(con, TOOL_CALLS, "tool_use_id")
            logged = partitions.relation(TOOL_ROWS, self._hit(con, TOOL_ROWS, "tool_use_id"))
            # Held, not a view: the definition below reads it more than once.
            con.execute(
                f"create or replace temp table earlier_rows as select * from {logged}"
                " anti join replaced using (file_id) semi join touched on tool_use_id = touched_id"
            )
            rows += " union all by name select * from earlier_rows"
        con.execute(f"create or replace temp view tool_rows_now as {rows}")
        self._put(con, TOOL_CALLS, dedup.TOOL_CALLS, hit)
        self._append(con, TOOL_ROWS, "select * from new_tool_rows")
        _drop(con, "earlier_rows")

    def _merge_copies(self, con: Connection, table: Table) -> None:
        copies = COPIES[table.name]
        known = self._knows(table)
        rows = f"select * from new_{table.name}"
        hit: list[str] = []
        hit_copies: list[str] = []
        if known:
            self._touch(con, table, "id", f"new_{table.name}", copies)
            hit, hit_copies = self._hit(con, table, "id"), self._hit(con, copies, "id")
            kept = " union all by name ".join(
                f"select * from {partitions.relation(part, names)}"
                for part, names in ((table, hit), (copies, hit_copies))
            )
            con.execute(
                f"create or replace temp table earlier_rows as select * from ({kept})"
                " semi join touched on id = touched_id anti join replaced using (file_id)"
            )
            rows = f"select * from earlier_rows union all by name {rows}"
        con.execute(f"create or replace temp view all_candidates as {rows}")
        con.execute(
            "create or replace temp table copied as select id from all_candidates group by id having count(*) > 1"
        )
        con.execute(
            "create or replace temp view candidates as select * from all_candidates semi join copied using (id)"
        )
        con.execute("create or replace temp table ranked as " + dedup.RANKED_COPIES)
        kept = "select * from all_candidates anti join copied using (id)"
        kept += " union all by name select * exclude (copy) from ranked where copy = 1"
        if known and table is PROMPTS:
            self._touch_sessions(con, "select session_id from all_candidates")
        self._put(con, table, kept, hit)
        self._put(con, copies, "select * exclude (copy) from ranked where copy > 1", hit_copies)

    # --- mechanics -------------------------------------------------------------------------------------------

    def _live(self, table: Table, *, filename: bool = False) -> str:
        return partitions.relation(table, self.snapshot.paths(table.name), filename=filename)

    def _knows(self, table: Table) -> bool:
        return bool(self.snapshot.files.get(table.name))

    def _touch(
        self,
        con: Connection,
        table: Table,
        key: str,
        new: str,
        copies: Table | None = None,
        extra: Collection[str] = (),
    ) -> None:
        """Fills `touched` with the ids whose rows may come out differently now."""
        ids = [f"select {key} as touched_id from {new}", *extra]
        for source in (table, copies) if copies else (table,):
            if self._replacing:
                ids.append(f"select {key} from {self._live(source)} semi join replaced using (file_id)")
            if self._moved:
                ids.append(f"select {key} from {self._live(source)} semi join moved using (session_id)")
        con.execute(
            f"create or replace temp table touched as select distinct touched_id from ({' union all '.join(ids)})"
        )

    def _touch_sessions(self, con: Connection, *queries: str) -> None:
        """Notes sessions whose row in `sessions` may come out differently now."""
        for query in queries:
            con.execute(f"insert into touched_sessions select distinct session_id from ({query})")

    def _hit(self, con: Connection, table: Table, key: str) -> list[str]:
        """The data files that hold a touched id: found by the ids alone, for the other columns are wide."""
        return self._files_with(con, table, f"semi join touched on {key} = touched_id")

    def _put(self, con: Connection, table: Table, query: str, hit: list[str]) -> None:
        """Writes the rows of `query`; rows of touched ids are taken out of the data files `hit`."""
        self._rewrite(con, table, query, hit, f"anti join touched on {table.id or 'id'} = touched_id")

    def _append(self, con: Connection, table: Table, query: str) -> None:
        hit = self._files_with(con, table, "semi join replaced using (file_id)") if self._replacing else []
        self._rewrite(con, table, query, hit, "anti join replaced using (file_id)")

    def _files_with(self, con: Connection, table: Table, condition: str) -> list[str]:
        if not self._knows(table):
            return []
        found = con.execute(f"select distinct filename from {self._live(table, filename=True)} {condition}").fetchall()
        return [name for (name,) in found]

    def _rewrite(self, con: Connection, table: Table, query: str, hit: list[str], survivors: str) -> None:
        """Writes `query` and what survives of the data files `hit`, which leave the snapshot."""
        if table.monthly or _any(con, f"({query})"):
            self._write(con, table, query, [])
        # A few files at a time: what is rewritten may be much more than what is new.
        for paths in partitions.groups(hit):
            self._write(con, table, f"select * from {partitions.relation(table, paths)} {survivors}", paths)
        self._compact(con, table)

    def _compact(self, con: Connection, table: Table) -> None:
        """Makes many small data files one, a month at a time: each merge adds one."""
        for paths in partitions.small_files(self.snapshot.paths(table.name)):
            self._write(con, table, f"select * from {partitions.relation(table, paths)}", paths)

    def replace_whole(self, table: Table, query: str) -> None:
        """Writes a table anew from `query`."""
        self._write(self.con, table, query, self.snapshot.paths(table.name))

    def _write(
        self, con: Connection, table: Table, query: str, removed: Collection[str], tag: str | None = None
    ) -> None:
        root = self.snapshot.root
        tag = tag or f"{self.tag}-{next(self._numbers)}"
        written = partitions.write(con, table, query, self.staging, tag)
        if table is REQUESTS:
            self._write(con, REQUEST_SUMS, sums.query(list(map(str, written))), list(map(sums.path_of, removed)), tag)
        with self._lock:
            self.snapshot = self.snapshot.changed(
                table.name,
                [str(Path(path).relative_to(root)) for path in removed],
                [str(path.relative_to(root)) for path in written],
            )


def _any(con: Connection, relation: str) -> bool:
    return bool(con.execute(f"select 1 from {relation} limit 1").fetchall())


def _drop(con: Connection, *tables: str) -> None:
    """Gives back the memory of temporary tables."""
    for table in tables:
        con.execute(f"drop table if exists {table}")
