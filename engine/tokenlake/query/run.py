"""Running a saved query, or SQL as typed, over one snapshot."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from tokenlake.errors import LakeDamagedError, QueryError, UsageError
from tokenlake.query import pricing, saved
from tokenlake.query.connect import connect
from tokenlake.query.filters import NAMES, Filters, read_instant, read_since, read_until
from tokenlake.query.prices.columns import PRICE_TABLES
from tokenlake.query.result import RESULT_TABLE, Meta, Result
from tokenlake.query.saved import explained
from tokenlake.query.statements import execute, said
from tokenlake.query.views import effective_filters, reached
from tokenlake.query.zones import machine_zone, zone
from tokenlake.store import damage
from tokenlake.store.catalog import Snapshot
from tokenlake.store.newest import on_newest

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Settings:
    """What every report is told beside its own parameters; `shown` are the filters as they were given."""

    dedup: str
    cost_mode: str
    tz: str
    now: dt.datetime
    filters: Filters
    shown: Mapping[str, str]

    @property
    def bound(self) -> dict[str, object]:
        """The common parameters that SQL may use."""
        return {"tz": self.tz, "now": self.now} | {name: getattr(self.filters, name) for name in NAMES}


def run(
    snapshot: Snapshot, name: str, params: Mapping[str, object] | None = None, *, allow_external: bool = False
) -> Result:
    """The answer of a saved query, which reads the lake and no other file unless `allow_external`.

    `params` are the query's own parameters and the common ones: `tz`, `dedup`, `cost_mode`, `now`, `since`,
    `until`, `project`, `model`, `session`, `host`; what is left out, or None, has its default. Raises
    QueryError for a query that is not there or does not load, UsageError for an unknown parameter, a value
    that does not fit or prices of the user's that cannot be read, LakeDamagedError for data files that are
    missing or unreadable.
    """
    query = saved.header(name, saved.path_of(name))
    settings, own = _split(params or {})
    known = {parameter.name: parameter for parameter in query.parameters}
    if unknown := sorted(own.keys() - known.keys()):
        names = ", ".join([*known, "tz", "dedup", *NAMES, "cost_mode"])
        raise UsageError(f"{name} has no parameter {unknown[0]!r}; it has {names}")
    values = {
        key: parameter.default if own.get(key) is None and not parameter.required else parameter.read(own.get(key))
        for key, parameter in known.items()
    }

    read = reached(query.reads)
    shows_partial = "deduped" in read and query.shows_output

    def answer(connection: duckdb.DuckDBPyConnection) -> Result:
        saved.check(query, connection)
        if kept := pricing.kept_sums(read):
            _keep(connection, kept)
        execute(connection, query.text, settings.bound | values, query.path, shut_in=not allow_external)
        meta = _meta(query.title, query.reads, settings, connection)
        if shows_partial:
            meta = replace(meta, partial_share=_partial_share(connection, read))
        notes = tuple(said(connection, query, settings.bound | values, shut_in=not allow_external))
        meta = replace(meta, help=query.help, name=name, parameters=values, notes=notes)
        return Result(connection, meta, narrow_decimals=not saved.is_own(query.path))

    also = ("selected_sums" if shows_partial else "", pricing.READS if "requests_of_mode" in read else "")
    needs = Needs(only_for=" ".join([query.reads, *also]), allow_external=allow_external)
    return _on_snapshot(snapshot, settings, answer, needs)


def sql(
    snapshot: Snapshot, text: str, params: Mapping[str, object] | None = None, *, allow_external: bool = False
) -> Result:
    """The answer of SQL as typed; of several statements the last one's, which alone may give rows.

    It sees the tables, the views, and `selected` under the filters; `$name` is bound from `params` and the
    common parameters. Unless `allow_external`, it reads the lake and nothing else, and writes nothing but tables of
    its own in memory. Raises QueryError, with DuckDB's reason and the line, for SQL that cannot run or may not.
    """
    settings, own = _split(params or {})

    def answer(connection: duckdb.DuckDBPyConnection) -> Result:
        execute(connection, text, settings.bound | own, shut_in=not allow_external)
        return Result(connection, _meta("SQL", text, settings, connection))

    # Every view is made: SQL as typed may ask which there are.
    also_for = f"{text} {pricing.READS}" if "requests_of_mode" in reached(text) else text
    return _on_snapshot(snapshot, settings, answer, Needs(also_for=also_for, allow_external=allow_external))


def _meta(title: str, text: str, settings: Settings, connection: duckdb.DuckDBPyConnection) -> Meta:
    """Those of the settings that have an effect on the SQL, and what its costs depend on."""
    read = reached(text)
    effective = effective_filters(text)
    cost_mode = settings.cost_mode if "requests_of_mode" in read else None
    reads_prices = bool(read & PRICE_TABLES.keys()) and cost_mode != "display"  # costs as logged owe prices nothing
    return Meta(
        title,
        dedup=settings.dedup if "deduped" in read else None,
        # A zone also says where the first and the last day begin and end.
        tz=settings.tz if "$tz" in text or {"since", "until"} & effective & settings.shown.keys() else None,
        filters={name: value for name, value in settings.shown.items() if name in effective},
        cost_mode=cost_mode,
        prices=pricing.sources(connection) if reads_prices else (),
        unpriced=pricing.unpriced(connection, read) if cost_mode else (),
    )


def _split(params: Mapping[str, object]) -> tuple[Settings, dict[str, object]]:
    """The common settings, read and checked, and the other parameters."""
    own = dict(params)
    common = {name: own.pop(name, None) for name in ("tz", "dedup", "cost_mode", "now", *NAMES)}
    given: dict[str, Any] = {name: value for name, value in common.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, str) and not (name in ("now", "since", "until") and isinstance(value, dt.date)):
            raise UsageError(f"{name}: {value!r} is not a text")
    tz = given.get("tz") or machine_zone()
    zone(tz)
    present = dt.datetime.now(dt.UTC)
    now = read_instant(given["now"], tz, present, "now") if "now" in given else present
    filters = Filters(
        since=read_since(given["since"], tz, now) if "since" in given else None,
        until=read_until(given["until"], tz, now) if "until" in given else None,
        **{name: given.get(name) for name in NAMES if name not in ("since", "until")},
    )
    if filters.since is not None and filters.until is not None and filters.until <= filters.since:
        raise UsageError(f"until: {given['until']} ends before since, {given['since']}, begins: no time lies between")
    shown = {name: str(given[name]) for name in NAMES if name in given}
    return Settings(given.get("dedup", "max"), given.get("cost_mode", "calculate"), tz, now, filters, shown), own


Answer = Callable[["duckdb.DuckDBPyConnection"], Result]


class Needs(TypedDict, total=False):
    """What `connect` is told about the SQL."""

    only_for: str
    also_for: str
    allow_external: bool


def _on_snapshot(snapshot: Snapshot, settings: Settings, answer: Answer, needs: Needs) -> Result:
    """The answer over `snapshot`, or over the newest one where a commit removed data files meanwhile."""
    return on_newest(snapshot, lambda newest: _attempt(newest, settings, answer, needs), LakeDamagedError)


def _attempt(snapshot: Snapshot, settings: Settings, answer: Answer, needs: Needs) -> Result:
    import duckdb

    connection = connect(
        snapshot, dedup=settings.dedup, cost_mode=settings.cost_mode, filters=settings.filters, **needs
    )
    try:
        return _interruptible(connection, answer)
    except (QueryError, duckdb.Error) as error:
        connection.close()
        cause = error if isinstance(error, duckdb.Error) else error.__cause__
        # Whatever DuckDB says about a file of the lake is about the lake, not about the query.
        if isinstance(cause, duckdb.Error):
            only_lake = cause is error or not needs.get("allow_external")  # what is said beside the rows reads no other
            if isinstance(cause, duckdb.OutOfMemoryException):
                reason = explained(cause)[0].partition(" (")[0]
                raise QueryError(f"{reason}: ask for less at a time, with --since for one") from error
            if said := damage.told(snapshot, cause, explained(cause)[0], only_lake=only_lake):
                raise said from error
        if cause is error:
            raise QueryError(explained(error)[0]) from error
        raise
    except BaseException:
        connection.close()
        raise


def _interruptible(connection: duckdb.DuckDBPyConnection, answer: Answer) -> Result:
    """The answer, computed in a thread of its own: a main thread that waits in DuckDB does not see Ctrl-C."""
    from threading import Event, Thread  # concurrent.futures takes ten times as long to import

    done: list[Result] = []
    failed: list[BaseException] = []
    finished = Event()  # not Thread.join: a join that Ctrl-C has broken off cannot be taken up again

    def work() -> None:
        try:
            done.append(answer(connection))
        except BaseException as error:
            failed.append(error)
        finally:
            finished.set()

    worker = Thread(target=work, name="tokenlake-query", daemon=True)
    try:
        worker.start()
        finished.wait()
    except KeyboardInterrupt:
        # More than once: an interrupt that comes before the query runs is forgotten.
        while not finished.wait(0.05):
            connection.interrupt()
        raise
    if failed:
        raise failed[0]
    return done[0]


def _keep(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Makes a view a table of its rows: the query reads it, and what is said of the result does so again."""
    execute(connection, f"select * from {name}", {})
    connection.execute(f"drop view {name}")
    connection.execute(f"alter table {RESULT_TABLE} rename to {name}")


def _partial_share(connection: duckdb.DuckDBPyConnection, read: frozenset[str]) -> float | None:
    source = pricing.kept_sums(read) or "selected_sums"
    ratio = "sum(partial_requests)::double / nullif(sum(requests), 0)"
    ((share,),) = connection.execute(f"select {ratio} from {source}").fetchall()
    return None if share is None else float(share)
