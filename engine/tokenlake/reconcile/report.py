"""Reconciliation: both sides' totals, the differences with their rules and rows, and what stays unexplained."""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.errors import UsageError
from tokenlake.ingest.discover import default_roots
from tokenlake.query.connect import connect
from tokenlake.query.views import COST_MODES
from tokenlake.query.zones import machine_zone, zone
from tokenlake.reconcile import comparison, program, sight, totals
from tokenlake.reconcile.program import Program
from tokenlake.reconcile.sight import Known, Sighted
from tokenlake.reconcile.totals import Total
from tokenlake.sources import ccusage
from tokenlake.store.catalog import Snapshot
from tokenlake.store.ledger import IS_BESIDE

if TYPE_CHECKING:
    import duckdb

    from tokenlake.query.result import Result

BY = ("day-model", "day", "model", "kind", "rule")
"""The tables of a reconciliation."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Two counts of the same transcripts, held in a connection.

    `version` is that of the ccusage that ran, None where its report was given; `unexplained_tokens` and
    `unexplained_cost` (dollars) add up what no rule explains, whatever its sign; `notes` say what a reader must know.
    """

    connection: duckdb.DuckDBPyConnection
    tz: str
    version: str | None
    unexplained_tokens: int
    unexplained_cost: float
    notes: tuple[str, ...]

    @property
    def is_explained(self) -> bool:
        """Whether every token and every dollar of the difference has a rule."""
        return self.unexplained_tokens == 0 and self.unexplained_cost == 0

    def table(self, by: str = "day-model") -> Result:
        """One of the tables of BY, UsageError for another.

        By day and model, ours, theirs, the difference, what of it is explained and what not, in tokens of all kinds and
        dollars; `kind` tells the kinds apart; `rule` has what each rule amounts to.
        """
        if by not in BY:
            raise UsageError(f"by: {by!r} is none of {', '.join(BY)}")
        if by == "rule":
            return self._result("Differences by rule", "rules_shown")
        if by == "kind":
            return self._result("The lake and ccusage, by kind of token", "kinds_shown")
        groups = by.split("-")
        values = {f"by_{name}": name in groups for name in ("day", "model")}
        unused = ", ".join(name for name in ("day", "model") if name not in groups)
        return self._result("The lake and ccusage", "totals_shown", values, unused)

    def rows(self, rule: str = "") -> Result:
        """The rows behind the rules whose names hold the text: file, line, key, and what each adds to the total."""
        return self._result("Rows behind the differences", "rows_shown", {"rule": rule})

    def _result(self, title: str, name: str, values: dict[str, Any] | None = None, leave_out: str = "") -> Result:
        import duckdb

        from tokenlake.query.result import RESULT_TABLE, Meta, Result

        own = duckdb.connect()
        own.execute("set TimeZone = 'UTC'")
        own.register("made", comparison.shown(self.connection, name, values or {}, leave_out))
        own.execute(f"create table {RESULT_TABLE} as select * from made")
        own.unregister("made")
        return Result(own, Meta(title, name="reconcile", tz=self.tz))


def reconcile(
    snapshot: Snapshot,
    *,
    roots: Sequence[Path] | None = None,
    host: str | None = None,
    tz: str | None = None,
    first_day: dt.date | None = None,
    last_day: dt.date | None = None,
    ccusage_path: str | None = None,
    report: str | None = None,
    source: str = "report",
    cost_mode: str = "calculate",
) -> Reconciliation:
    """Both counts of the transcripts of one machine, and every difference explained.

    Runs ccusage (`ccusage_path`, $CCUSAGE_BIN or on the PATH) over `roots` (default: those that the lake was filled
    from, else where agents keep their logs), or reads `report`, the JSON of `ccusage claude daily --json`, which
    messages call `source`. `host` is the machine whose transcripts ccusage reads (default: this one, or the lake's
    only one). Days are those of `tz` (default: the machine's), from `first_day` to `last_day`. Raises SourceError where
    ccusage is missing, fails, or has said something else, UsageError for values that cannot be.
    """
    tz = tz or machine_zone()
    zone(tz)
    if cost_mode not in COST_MODES:
        raise UsageError(f"cost_mode: {cost_mode!r} is none of {', '.join(COST_MODES)}")
    values = {"tz": tz, "cost_mode": cost_mode, "first_day": first_day, "last_day": last_day}
    connection = connect(snapshot, cost_mode=cost_mode, only_for=comparison.READS)
    try:
        machine, is_here = _machine(connection, host)
        wanted = [Path(root) for root in roots] if roots else _roots(snapshot, machine)
        said, asked, version = _said(wanted, tz, ccusage_path, report, source, cost_mode)
        # A report may be of another machine, whose disk is not to be seen.
        is_here = report is None or (is_here and any(root.is_dir() for root in wanted))
        known = _known(connection, machine)
        found = sight.look(known, sight.on_disk(wanted)) if is_here else sight.remember(known)
        comparison.begin(connection, said)
        comparison.compare(connection, found, asked, values)
        read_again = 0
        if is_here and comparison.unexplained(connection)[0]:
            nearer = comparison.closer(connection, found)
            read_again = sum(new is not old for new, old in zip(nearer, found, strict=True))
            if read_again:
                comparison.compare(connection, nearer, asked, values)
        tokens, cost = comparison.unexplained(connection)
        return Reconciliation(connection, tz, version, tokens, cost, _notes(version, found, read_again, asked))
    except BaseException:
        connection.close()
        raise


def _machine(connection: duckdb.DuckDBPyConnection, host: str | None) -> tuple[str, bool]:
    """The host whose transcripts ccusage reads, and whether its disk may be this machine's."""
    rows = connection.execute(f"select distinct host from files where not {IS_BESIDE} order by host").fetchall()
    hosts = [name for (name,) in rows]
    this = socket.gethostname()
    if host is None:
        host = hosts[0] if len(hosts) == 1 else this
    if host not in hosts and hosts:
        raise UsageError(f"the lake holds no transcripts of {host}: name one of {', '.join(hosts)} with --host")
    return host, host == this or len(hosts) <= 1


def _roots(snapshot: Snapshot, host: str) -> list[Path]:
    named = snapshot.settings.roots.get(host)
    return [Path(root) for root in named] if named else [root for root in default_roots(os.environ) if root.is_dir()]


def _known(connection: duckdb.DuckDBPyConnection, host: str) -> list[Known]:
    rows = connection.execute(
        "select file_id, path, kind, size, mtime_ns, departed_at is not null from files"
        f" where host = $host and not {IS_BESIDE}",
        {"host": host},
    )
    return [Known(*row) for row in rows.fetchall()]


def _said(
    roots: Sequence[Path], tz: str, path: str | None, report: str | None, source: str, cost_mode: str
) -> tuple[list[Total], Program | None, str | None]:
    """What ccusage says, the program to ask for its prices, and the version of the one that was run."""
    if report is not None:
        return totals.read(report, source), _installed(path), None
    peer = program.needed(path)
    with sight.folders(roots) as folders:
        return totals.read(peer.daily(folders, tz, cost_mode), peer.path), peer, peer.version


def _installed(path: str | None) -> Program | None:
    """A program that is there, if it says what its prices are; for a report that was given none is needed."""
    try:
        return program.find(path)
    except UsageError:
        return None


def _notes(version: str | None, found: Sequence[Sighted], read_again: int, asked: Program | None) -> tuple[str, ...]:
    said = f"ccusage {version}" if version else "ccusage's report was given"
    if (version or ccusage.VERSION) != ccusage.VERSION:
        said += f"; its rules are known of {ccusage.VERSION}"
    notes = [
        f"{said}; its prices {'as it says itself' if asked else f'as {ccusage.VERSION} has them'}",
        "requests of ccusage are worked out by its rules, also for days that its report lacks: it has tokens only",
    ]
    states = [file.state for file in found]
    if newer := states.count(sight.READ_NOW):
        notes.append(f"files read now, which the lake does not hold as they are: {newer:,}")
    if read_again:
        notes.append(f"transcripts read once more, as ccusage reads them: {read_again:,}")
    if unseen := states.count(sight.UNSEEN):
        notes.append(f"transcripts of the lake that ccusage does not see: {unseen:,}")
    return tuple(notes)
