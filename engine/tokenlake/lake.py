"""Lake: open a lake, bring it up to date, ask it - the public API."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlake.errors import LakeError, UsageError, did_you_mean
from tokenlake.store import catalog

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from tokenlake.ingest.summary import IngestSummary, MergeSummary, RebuildSummary
    from tokenlake.query.result import Result
    from tokenlake.store.catalog import Snapshot


def default_path() -> Path:
    """Where the lake is unless told otherwise: `$TOKENLAKE_HOME`, else the platform's folder for user data."""
    configured = os.environ.get("TOKENLAKE_HOME")
    if configured:
        return Path(configured).expanduser()
    from platformdirs import user_data_path

    return user_data_path("tokenlake", appauthor=False)


class Lake:
    """A folder of Parquet tables made from transcripts.

    Nothing is read or written before a method needs it; each method sees one snapshot of the lake.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path).expanduser().absolute() if path is not None else default_path().absolute()

    def __repr__(self) -> str:
        return f"Lake({str(self.path)!r})"

    def snapshot(self) -> Snapshot:
        """The data files that make up the lake now. Raises LakeError for a folder that is no lake."""
        if not catalog.exists(self.path) and not self.path.exists():
            raise LakeError(f"there is no lake at {self.path}: refresh it first, or name another folder")
        return catalog.read(self.path)

    def refresh(
        self,
        roots: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        *,
        host: str | None = None,
        keep_text: bool | None = None,
        keep_raw: bool | None = None,
        jobs: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        waiting: Callable[[str], None] | None = None,
        now: datetime | None = None,
        totals: bool = True,
    ) -> IngestSummary:
        """Reads what is new below `roots` (default: where agents keep their logs) into the lake.

        `host` names the machine the transcripts are from; `keep_text=False` leaves texts out; `keep_raw` keeps
        every line as logged; the lake remembers these two and `roots` for later calls. `jobs` is the number of
        threads; `progress(bytes_done, bytes_total)` is called now and then; `waiting(text)` when another process
        is writing; `now` is the time that departed files are marked with. `totals=False` leaves the lake's totals
        out of the summary.
        Raises SourceError where there is nothing to read, LakeError where the lake cannot be written.
        """
        from tokenlake.ingest.pipeline import ingest

        return ingest(
            self.path,
            [roots] if isinstance(roots, str | os.PathLike) else roots,
            host=host,
            keep_text=keep_text,
            keep_raw=keep_raw,
            jobs=jobs,
            progress=progress,
            waiting=waiting,
            now=now,
            totals=totals,
        )

    def merge(
        self,
        other: Lake | str | os.PathLike[str],
        *,
        jobs: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        waiting: Callable[[str], None] | None = None,
    ) -> MergeSummary:
        """Brings another lake's rows into this one, as if all transcripts had been ingested here.

        The other lake is only read. A request that both hold counts once. Of a transcript that both know, the
        state that was written later counts.
        Merging again changes nothing. `jobs`, `progress` and `waiting` are as for `refresh`.
        Raises LakeError where the other is no lake, is this one, has another schema version or is damaged, or where
        this one cannot be written.
        """
        from tokenlake.ingest.absorb import absorb

        path = other.path if isinstance(other, Lake) else Path(other).expanduser().absolute()
        return absorb(self.path, path, jobs=jobs, progress=progress, waiting=waiting)

    def rebuild(
        self,
        *,
        keep_others: bool = False,
        jobs: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        waiting: Callable[[str], None] | None = None,
    ) -> RebuildSummary:
        """Makes the tables anew from the lines that `keep_raw` kept; the old ones stay until all of it is done.

        Transcripts of which not all bytes were kept cannot be made anew: LakeError, and nothing is done, unless
        `keep_others`, which takes their rows over as they are. `jobs`, `progress` and `waiting` are as for `refresh`.
        """
        from tokenlake.ingest.rebuild import rebuild

        return rebuild(self.path, keep_others=keep_others, jobs=jobs, progress=progress, waiting=waiting)

    def connect(self, *, allow_external: bool = False) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with a view for every table and every view of queries/views, over one snapshot.

        It opens no file outside the lake, loads no extension and reaches no network, and its settings are locked,
        unless `allow_external`. What others wrote belongs in `sql` all the same: a COPY on this connection can still
        overwrite the lake's own files.
        """
        from tokenlake.query.connect import connect

        return connect(self.snapshot(), allow_external=allow_external)

    def run(self, name: str, /, *, allow_external: bool = False, **params: Any) -> Result:
        """The answer of a saved query, `lake.run("cache/overhead", by="day", tz="Asia/Taipei")`.

        Parameters are those of the query and the common ones (since, until, tz, project, model, session, host,
        dedup, cost_mode). `allow_external` lets a query of the user's own read other files than the lake's.
        Raises QueryError for an unknown query or parameter.
        """
        from tokenlake.query.run import run

        return run(self.snapshot(), name, params, allow_external=allow_external)

    def sql(self, text: str, /, *, allow_external: bool = False, **params: Any) -> Result:
        """The answer of one SQL statement over the lake's views; `$name` in it is bound to a parameter.

        It reads the lake and nothing else, and writes no file, unless `allow_external`. Raises QueryError where it
        does not run or may not.
        """
        from tokenlake.query.run import sql

        return sql(self.snapshot(), text, params, allow_external=allow_external)

    def scan(self, table: str) -> pl.LazyFrame:
        """A table as a Polars LazyFrame. Raises UsageError for a table that does not exist."""
        import polars as pl

        from tokenlake.schema import BY_NAME, arrow_schema

        if table not in BY_NAME:
            hint = did_you_mean(table, BY_NAME)
            raise UsageError(f"no table {table!r}; the tables are {', '.join(BY_NAME)}{hint}")
        paths = self.snapshot().paths(table)
        if not paths:
            empty = arrow_schema(BY_NAME[table]).empty_table()
            return pl.LazyFrame(pl.from_arrow(empty))
        return pl.scan_parquet(paths, hive_partitioning=False, glob=False)
