"""What another lake knows that this one does not: transcripts, lines as logged, and what was told beside these.

Of a transcript that both lakes know, the one that was changed later counts, else the one read further - but not one
without the texts or the lines that this lake keeps of it. Of one that is the same in both, the one with texts counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import LakeDamagedError, LakeError
from tokenlake.ingest import history, quota
from tokenlake.ingest.merge import COPIES
from tokenlake.schema import (
    EVENTS,
    FILES,
    KNOWN_PROMPTS,
    PROMPTS,
    QUOTA_SAMPLES,
    RECORDS,
    REQUEST_SUMS,
    TEXTS,
    Table,
)
from tokenlake.store import catalog, partitions
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import IS_BESIDE

if TYPE_CHECKING:
    import duckdb

TAKEN = ("new", "newer", "richer")
"""The outcomes of transcripts whose rows are taken over."""

_COMPARED = """
create or replace temp table compared as
select coalesce(our.file_id, their.file_id) as file_id, coalesce(our.is_beside, their.is_beside) as is_beside,
  case
    when our.file_id is null then 'new'
    when their.file_id is null then 'ours'
    when their.state = our.state then 'same'
    when their.state > our.state and their.is_beside then 'newer'
    when their.state > our.state then {newer}
    else 'older'
  end as outcome,
  -- Found missing by either lake, after that was written which counts of it.
  case
    when their.state > our.state
      then greatest(their.departed_at, case when our.departed_ns >= their.changed_ns then our.departed_at end)
    when their.state < our.state
      then greatest(our.departed_at, case when their.departed_ns >= our.changed_ns then their.departed_at end)
    else greatest(our.departed_at, their.departed_at)
  end as departed_now
from ({ours}) our full join ({theirs}) their on our.file_id = their.file_id
"""
_STATE = """
-- A transcript whose reading failed has no time of change here, but that of its last record.
select file_id, {is_beside} as is_beside, departed_at, epoch_us(departed_at)::hugeint * 1000 as departed_ns,
  coalesce(nullif(mtime_ns, 0)::hugeint, epoch_us(last_ts)::hugeint * 1000, 0) as changed_ns,
  struct_pack(a := changed_ns, b := ingested_bytes, c := size, d := coalesce(prefix_hash, '')) as state
from {ledger}
"""
LEDGER = """
select ours.* replace (departed_now as departed_at)
from ours join compared using (file_id) anti join taking using (file_id)
union all by name
select theirs.* replace (departed_now as departed_at)
from theirs join compared using (file_id) semi join taking using (file_id)
"""
_TEXTS_OF_FILES = """
select file_id, sum(texts)::bigint as texts, sum(details)::bigint as details
from (
  select file_id, count(text) as texts, 0 as details from {texts} group by file_id
  union all
  select file_id, count(text), 0 from {prompts} group by file_id
  union all
  select file_id, 0, coalesce(sum(length(detail)), 0) from {events} group by file_id
) group by file_id
"""
_RICHER = """
-- Transcripts that are the same in both lakes, of which the other has the texts; this lake's lines must not go.
create or replace temp table richer as
select file_id, file_id in (select file_id from {our_lines} anti join {their_lines} using (file_id, "offset")) as stays
from our_texts our join their_texts their using (file_id) join compared using (file_id)
where outcome = 'same' and their.texts >= our.texts and their.details >= our.details
  and (their.texts, their.details) <> (our.texts, our.details)
"""
_LACKING = """
-- Transcripts that are the same in both lakes, of which the other has lines as logged that are not here.
create or replace temp table lacking as
select distinct their.file_id
from {theirs} their
semi join compared on their.file_id = compared.file_id and compared.outcome = 'same'
anti join {ours} our on their.file_id = our.file_id and their."offset" = our."offset"
"""


def other_lake(root: Path, other: Path) -> Snapshot:
    """The snapshot of the other lake; raises LakeError where there is none that could be merged."""
    if not catalog.exists(other):
        raise LakeError(f"there is no lake at {other}: name the folder of one, it holds a {catalog.CATALOG_NAME}")
    if os.path.realpath(root) == os.path.realpath(other):
        raise LakeError(f"{other} is the lake itself: name another to merge into it")
    snapshot = catalog.read(other)
    inside = os.path.realpath(other) + os.sep
    # Sums are derived from the requests, and made anew here.
    read = {table: names for table, names in snapshot.files.items() if table != REQUEST_SUMS.name}
    for name in (name for names in read.values() for name in names):
        path = os.path.realpath(other / name)
        if not path.startswith(inside) or not os.path.isfile(path):
            raise LakeDamagedError(f"{other}: its data file {name} is missing; restore it from a backup")
    return snapshot


def transcripts(con: duckdb.DuckDBPyConnection, ours: Snapshot, theirs: Snapshot) -> dict[str, int]:
    """Fills `ours`, `theirs`, `compared`, `paths` and `taking`; how many transcripts have which outcome.

    `bare` are those without texts here that are the same there with texts, and lack lines there that are here.
    """
    for name, snapshot in (("ours", ours), ("theirs", theirs)):
        with reading(snapshot):
            con.execute(
                f"create or replace temp table {name} as"
                f" select * from {partitions.relation(FILES, snapshot.paths(FILES.name))}"
            )
    con.execute(
        _COMPARED.format(
            ours=_STATE.format(ledger="ours", is_beside=IS_BESIDE),
            theirs=_STATE.format(ledger="theirs", is_beside=IS_BESIDE),
            newer="'poorer'" if _is_poorer(ours, theirs) else "'newer'",
        )
    )
    stay = _find_richer(con, ours, theirs)
    con.execute(
        "create or replace table paths as select file_id, path from ours union select file_id, path from theirs"
    )
    con.execute(f"create or replace table taking as select file_id from compared where outcome in {TAKEN}")
    counts = dict(con.execute("select outcome, count(*) from compared where not is_beside group by outcome").fetchall())
    return {**counts, "bare": stay}


def _find_richer(con: duckdb.DuckDBPyConnection, ours: Snapshot, theirs: Snapshot) -> int:
    """Lets those transcripts be taken that are the same, but with texts that are missing here; how many stay bare."""
    if not ours.settings.keep_text:
        return 0
    with reading(ours):
        bare = " union all ".join(
            f"select 1 from {_relation(ours, table)} where text is null and chars > 0" for table in (TEXTS, PROMPTS)
        )
        if not con.execute(f"select 1 from ({bare}) limit 1").fetchall():
            return 0
    for name, snapshot in (("our_texts", ours), ("their_texts", theirs)):
        relations = {table.name: _relation(snapshot, table) for table in (TEXTS, PROMPTS, EVENTS)}
        with reading(snapshot):
            con.execute(f"create or replace temp table {name} as {_TEXTS_OF_FILES.format(**relations)}")
    lines = {
        name: partitions.relation(RECORDS, snapshot.paths(RECORDS.name) if ours.settings.keep_raw or mine else ())
        for name, snapshot, mine in (("our_lines", ours, True), ("their_lines", theirs, False))
    }
    with reading(theirs):
        con.execute(_RICHER.format(**lines))
    con.execute("update compared set outcome = 'richer' where file_id in (select file_id from richer where not stays)")
    [(stay,)] = con.execute("select count(*) from richer where stays").fetchall()
    return int(stay)


def _relation(snapshot: Snapshot, table: Table) -> str:
    """A table with its further copies."""
    parts = (table, COPIES[table.name])
    rows = " union all by name ".join(
        f"select * from {partitions.relation(part, snapshot.paths(part.name))}" for part in parts
    )
    return f"({rows})"


def _is_poorer(ours: Snapshot, theirs: Snapshot) -> bool:
    """Whether rows of the other lake in the place of ours would take texts or lines away."""
    lines = bool(ours.files.get(RECORDS.name)) and not theirs.settings.keep_raw
    return lines or (ours.settings.keep_text and not theirs.settings.keep_text)


def lines(con: duckdb.DuckDBPyConnection, ours: Snapshot, theirs: Snapshot) -> bool:
    """Whether the other lake has lines of transcripts that are the same here without them; fills `lacking`."""
    relations = {
        name: partitions.relation(RECORDS, snapshot.paths(RECORDS.name))
        for name, snapshot in (("ours", ours), ("theirs", theirs))
    }
    with reading(theirs):
        con.execute(_LACKING.format(**relations))
    if not ours.settings.keep_raw:
        con.execute("delete from lacking")
    return bool(con.execute("select 1 from lacking limit 1").fetchall())


def told(con: duckdb.DuckDBPyConnection, ours: Snapshot, theirs: Snapshot) -> list[tuple[Table, str]]:
    """The tables of what was told beside transcripts, if the other has more, each with the query of both together."""
    tables = ((QUOTA_SAMPLES, quota.DISTINCT), (KNOWN_PROMPTS, history.DISTINCT))
    found = [(table, _union(con, ours, theirs, table, distinct)) for table, distinct in tables]
    return [(table, query) for table, query in found if query is not None]


def _union(con: duckdb.DuckDBPyConnection, ours: Snapshot, theirs: Snapshot, table: Table, distinct: str) -> str | None:
    """The query of a table that holds what either lake was told, each once; None where that is what is here."""
    our = partitions.relation(table, ours.paths(table.name))
    name = f"their_{table.name}"
    with reading(theirs):
        con.execute(
            f"create or replace temp table {name} as select * from"
            f" {partitions.relation(table, theirs.paths(table.name))}"
        )
    together = distinct.format(rows=f"(select * from {our} union all by name select * from {name})")
    columns = ", ".join(f'"{column}"' for column in table.names)
    found = con.execute(
        f"select 1 from (select {columns} from ({together}) except select {columns} from {our}) limit 1"
    )
    return together if found.fetchall() else None


@contextmanager
def reading(snapshot: Snapshot) -> Iterator[None]:
    """Says which lake it is that cannot be read."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if catalog.read(snapshot.root).commit != snapshot.commit:
            raise LakeError(f"{snapshot.root}: was written to while it was read; merge it again") from error
        reason = str(error).splitlines()[0]
        raise LakeDamagedError(f"{snapshot.root}: cannot be read ({reason}); restore it from a backup") from error
