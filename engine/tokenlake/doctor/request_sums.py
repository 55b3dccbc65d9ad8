"""The sums that stand beside each requests file: there, and those of just its requests; and what their loss costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenlake.doctor.findings import Finding, counted, listed, ok, problem, warning
from tokenlake.schema import REQUEST_SUMS, REQUESTS
from tokenlake.store import partitions, sums
from tokenlake.store.catalog import Snapshot

if TYPE_CHECKING:
    import duckdb

CHECK = "sums of requests"

AGAIN = (
    "an ingest that has something new to read, or tokenlake rebuild, makes them again; until then reports of totals "
    "read the requests themselves, which takes longer"
)
"""What is to be done about sums that are not there, and what they cost."""

DELETE = (
    "delete the files, and nothing is lost: they are derived from the requests; an ingest that has something new to "
    "read, or tokenlake rebuild, makes them again"
)
"""What is to be done about damaged ones."""

# Row by row, as often as it is there: what one side has and the other has not.
_DIFFERENCES = """
select count(*) from (
    (select {columns} from {kept} except all select {columns} from ({made}))
    union all
    (select {columns} from ({made}) except all select {columns} from {kept})
)
"""


def check(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, remedy: str) -> Finding:
    """The finding about a snapshot whose data files can all be read."""
    requests = snapshot.files.get(REQUESTS.name, ())
    kept = snapshot.files.get(REQUEST_SUMS.name, ())
    wanted = {sums.path_of(name): name for name in requests}
    wrong = [f"{name} belongs to no requests" for name in kept if name not in wanted]
    columns = ", ".join(REQUEST_SUMS.names)
    for name in sorted(wanted.keys() & kept):
        query = _DIFFERENCES.format(
            columns=columns,
            kept=partitions.relation(REQUEST_SUMS, [str(snapshot.root / name)]),
            made=sums.query([str(snapshot.root / wanted[name])]),
        )
        [(rows,)] = con.execute(query).fetchall()
        if rows:
            wrong.append(f"{name} differs in {counted(rows, 'row')}")
    if wrong:
        return problem(CHECK, listed(wrong), remedy)
    if lacking := sums.lacking(snapshot):
        return warning(CHECK, f"{counted(len(lacking), 'data file')} without any: {listed(lacking)}", AGAIN)
    return ok(CHECK, f"agree with the requests of {counted(len(requests), 'data file')}")
