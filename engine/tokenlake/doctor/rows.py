"""The rows of the tables against each other: ids that name one row, months, and sums that must agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tokenlake.doctor import request_sums
from tokenlake.doctor.findings import Finding, counted, listed, ok, problem, warning
from tokenlake.errors import LakeDamagedError
from tokenlake.schema import BY_NAME, TABLES
from tokenlake.store import catalog, partitions
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

_REMEDY = (
    "do not trust the reports of this lake: restore it from a backup, or ingest the transcripts that are still there "
    "into a new one (tokenlake ingest --lake NEW), and please report it"
)

_TWICE = "select {id}, count(*) as n from {relation} group by {id} having count(*) > 1 or {id} is null"

_ELSEWHERE = """
select filename, count(*) from {relation}
where {month} is distinct from regexp_extract(filename, 'month=([^/\\\\]+)[/\\\\][^/\\\\]+$', 1)
group by filename order by filename
"""

# Each gives what disagrees: a name, what one side says, what the other has.
_SUMS = {
    "usage rows of the ledger": """
        select path, coalesce(files.usage_rows, 0), coalesce(n, 0)
        from files
        full join (select file_id, count(*) as n from usage_rows where origin <> 'advisor' group by file_id)
            using (file_id)
        where coalesce(files.usage_rows, 0) <> coalesce(n, 0)
        order by path
    """,
    "rejects of the ledger": """
        select path, coalesce(files.rejects, 0), coalesce(n, 0)
        from files
        full join (select file_id, count(*) as n from rejects group by file_id) using (file_id)
        where coalesce(files.rejects, 0) <> coalesce(n, 0)
        order by path
    """,
    "usage rows of requests": """
        select key, n_rows, n
        from requests
        full join (select key, count(*) as n from usage_rows where model is distinct from '<synthetic>' group by key)
            using (key)
        where n_rows is distinct from n
        order by key
    """,
    "kept rows of requests": """
        select key, requests.output_tokens, usage_rows.output_tokens
        from requests
        left join usage_rows using (key, file_id, "offset")
        where (requests.input_tokens, requests.output_tokens, requests.cache_read_tokens,
                requests.cache_write_5m_tokens, requests.cache_write_1h_tokens)
            is distinct from (usage_rows.input_tokens, usage_rows.output_tokens, usage_rows.cache_read_tokens,
                usage_rows.cache_write_5m_tokens, usage_rows.cache_write_1h_tokens)
        order by key
    """,
    "requests of sessions": """
        select session_id, sessions.requests, coalesce(n, 0)
        from sessions
        full join (
            select session_id, count(*) as n from requests where session_id is not null group by session_id
        ) using (session_id)
        where sessions.requests is distinct from coalesce(n, 0)
        order by session_id
    """,
}


def check(snapshot: Snapshot, complete: bool) -> list[Finding]:
    """Findings about ids, months and sums; the sums only where the snapshot is `complete`, no data file left out."""
    import duckdb

    from tokenlake.query.connect import connect

    try:
        with connect(snapshot, only_for=" ".join(table.name for table in TABLES)) as con:
            return [_ids(con, snapshot, complete), _months(con, snapshot), *_sums(con, snapshot, complete)]
    except (duckdb.Error, LakeDamagedError) as error:  # damage that only shows where rows are read
        return [problem("rows", " ".join(str(error).split()), _REMEDY)]


def _ids(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, complete: bool) -> Finding:
    twice, checked = [], 0
    for table in TABLES:
        if table.id is None:
            continue
        relation = partitions.relation(table, snapshot.paths(table.name))
        query = _TWICE.format(id=f'"{table.id}"', relation=relation)
        [(ids, rows, example)] = con.execute(f"select count(*), sum(n), min({table.id}) from ({query})").fetchall()
        checked += 1
        if ids:
            name = f"{table.id} {example}" if example is not None else f"no {table.id}"
            twice.append(f"{table.name} ({rows:,} rows for {ids:,}, as {name})")
    if twice:
        return problem("unique keys", f"rows that share their key: {listed(twice, 8)}", _REMEDY)
    bounds = "" if complete else ", of the rows that can be read"
    return ok("unique keys", f"every key names one row, in {counted(checked, 'table')}{bounds}")


def _months(con: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Finding:
    wrong, files = [], 0
    for name, names in sorted(snapshot.files.items()):
        table = BY_NAME.get(name.removeprefix(catalog.COPIES_PREFIX))
        if table is None or not table.monthly or not names:
            continue
        files += len(names)
        relation = partitions.relation(table, snapshot.paths(name), filename=True)
        for path, rows in con.execute(_ELSEWHERE.format(relation=relation, month=partitions.month(table))).fetchall():
            wrong.append(f"{path.removeprefix(str(snapshot.root)).lstrip('/')} ({counted(rows, 'row')})")
    if wrong:
        return problem("months", f"rows in the folder of another month: {listed(wrong)}", _REMEDY)
    return ok("months", f"every row of {counted(files, 'data file')} lies in its month (UTC)")


def _sums(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, complete: bool) -> Iterator[Finding]:
    if not complete:
        yield warning("sums", "not compared, as data files are missing or damaged", "see the checks above")
        return
    for what, query in _SUMS.items():
        rows = con.execute(f"select *, count(*) over () from ({query}) limit 3").fetchall()
        if rows:
            named = [
                f"{'(not known)' if name is None else name}: {_n(said)}, not {_n(has)}" for name, said, has, _ in rows
            ]
            more = f" and {rows[0][3] - 3:,} more" if rows[0][3] > 3 else ""
            yield problem(what, f"{'; '.join(named)}{more}", _REMEDY)
        else:
            yield ok(what, "agree with the rows that there are")
    yield request_sums.check(con, snapshot, _REMEDY)


def _n(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"
