"""Made-up lakes of any size, written straight as Parquet, with the exact totals that every right query must find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from tokenlake.errors import LakeError
from tokenlake.schema import REQUEST_SUMS, REQUESTS
from tokenlake.store import catalog, private
from tokenlake.store.checksums import checksum
from tokenlake.synth.options import is_in_range
from tokenlake.synth.truth import BATCH, FAST, US

if TYPE_CHECKING:
    from tokenlake.synth.lakes_days import Days, Generator
    from tokenlake.synth.lakes_parquet import Column
    from tokenlake.synth.lakes_truth import LakeTally, LakeTruth

TRUTH_NAME: Final = ".truth.json"
"""The file of a made-up lake that holds its truth."""

_STRETCH_REQUESTS: Final = 1_000_000
_REQUESTS_A_YEAR: Final = 300_000
"""What one person makes."""


@dataclass(frozen=True, slots=True)
class LakeOptions:
    """Options of one lake; equal options give equal rows, on any machine with the same release of NumPy.

    The requests spread over `months` calendar months from `first_day`, the first of a month (UTC). `usage_rows`
    writes each request's rows as logged, about 2.2 times as many; `traces` the prompts, tool calls, texts and events
    around the requests. Without either, those tables are empty. `hosts` machines with `projects` projects each made
    them: by default two for every person, who makes 300,000 requests a year.

    Raises ValueError when a value is out of range.
    """

    requests: int = 300_000
    seed: int = 1
    months: int = 12
    first_day: date = date(2025, 11, 1)
    usage_rows: bool = True
    traces: bool = True
    hosts: int | None = None
    projects: int = 8

    def __post_init__(self) -> None:
        """Refuse values that no lake can be made from."""
        for name in ("requests", "months", "projects"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.hosts is not None and self.hosts < 1:
            raise ValueError(f"hosts must be at least 1, not {self.hosts}")
        if self.first_day.day != 1:
            raise ValueError(f"first_day must be the first of a month, not {self.first_day}")
        if not is_in_range(self.first_day, self.months):
            raise ValueError(f"months must lie in the years 1970 to 2199, not {self.months} from {self.first_day}")

    @property
    def machines(self) -> int:
        """How many machines there are."""
        if self.hosts is not None:
            return self.hosts
        return 2 * max(1, round(self.requests / _REQUESTS_A_YEAR * 12 / self.months))


def write_lake(
    path: Path,
    options: LakeOptions,
    *,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> LakeTruth:
    """Write a lake that the ordinary reader opens, and give what is in it; that is also saved beside its catalog.

    The lake is made in stretches of about a million requests, `jobs` of them at a time, each some 1.5 GB of memory;
    `progress(requests_done, requests)` is called after each. Raises LakeError when `path` holds anything already.
    """
    from tokenlake.synth.lakes_days import working_days
    from tokenlake.synth.lakes_truth import LakeTally

    if path.exists() and any(path.iterdir()):
        raise LakeError(f"{path} is not empty: name a new folder for the made-up lake")
    private.make_folder(path)
    days = working_days(options.first_day, options.months, _generator(options.seed, 0))
    count = max(-(-options.requests // _STRETCH_REQUESTS), min(options.months, options.requests))
    ends = [options.requests * n // count for n in range(count + 1)]
    midnight = int(datetime(*options.first_day.timetuple()[:3], tzinfo=UTC).timestamp()) * 1000
    tally = LakeTally(midnight, options.months * 31 * 24)
    lock, files = Lock(), dict[str, list[str]]()
    done = 0

    def write_stretch(number: int) -> None:
        nonlocal done
        requests = ends[number + 1] - ends[number]
        shares = (ends[number] / options.requests, ends[number + 1] / options.requests)
        tables = _make_stretch(options, days, number + 1, requests, shares, tally, lock)
        tag = f"{number + 1:06}"
        written = _write_tables(path, tables, tag)
        written[REQUEST_SUMS.name] = _write_sums(path, written.get(REQUESTS.name, []))
        with lock:
            for name, columns in written.items():
                files.setdefault(name, []).extend(columns)
            done += requests
            if progress is not None:
                progress(done, options.requests)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(write_stretch, range(count)))
    truth = tally.truth(options.seed)
    truth.save(path / TRUTH_NAME)
    tables = {name: tuple(sorted(names)) for name, names in files.items()}
    checksums = {name: _checksum(path / name) for names in tables.values() for name in names}
    catalog.publish(catalog.Snapshot(path, 1, tables, checksums=checksums))
    return truth


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return checksum(file)


def _generator(seed: int, number: int) -> Generator:
    """Open the source of chance of a stretch; number 0 is that of the lake."""
    import numpy as np

    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, number])))


def _make_stretch(
    options: LakeOptions,
    days: Days,
    number: int,
    requests: int,
    shares: tuple[float, float],
    tally: LakeTally,
    lock: Lock,
) -> dict[str, Mapping[str, Column]]:
    """Make the tables of one stretch and count what is in them."""
    import numpy as np

    from tokenlake.synth import lakes_parquet, lakes_rows, lakes_traces
    from tokenlake.synth.lakes_chains import draw_chains
    from tokenlake.synth.lakes_requests import draw_requests

    rng = _generator(options.seed, number)
    sessions, chains, moments = draw_chains(rng, days, requests, shares, options.machines, options.projects)
    pool, lengths = lakes_traces.text_pool()
    drawn = draw_requests(rng, sessions, chains, moments, len(pool))
    names = lakes_rows.draw_names(rng, options.machines, options.projects, sessions, chains, drawn)
    session = chains.session[drawn.chain]
    files, session_files = lakes_rows.file_columns(rng, sessions, chains, drawn, names)
    text_chars = np.where(drawn.text >= 0, lengths[drawn.text], 0)
    tables: dict[str, Mapping[str, Column]] = {
        "requests": {**lakes_rows.request_columns(sessions, chains, drawn, names), "text_chars": text_chars},
        "sessions": lakes_rows.session_columns(sessions, chains, drawn, names),
        "files": files,
        "session_files": session_files,
    }
    if options.usage_rows:
        tables["usage_rows"] = lakes_rows.usage_columns(rng, sessions, chains, drawn, names, text_chars)
    if options.traces:
        tables["prompts"] = lakes_traces.prompt_columns(rng, sessions, chains, drawn, names)
        tables["texts"] = lakes_traces.text_columns(rng, sessions, chains, drawn, names)
        tables["tool_calls"] = lakes_traces.call_columns(rng, sessions, chains, drawn, names)
        tables["events"] = lakes_traces.event_columns(rng, sessions, chains, drawn, names)
    factors = FAST * drawn.is_fast + US * sessions.is_us[session] + BATCH * sessions.is_batch[session]
    figures = [
        *(drawn.input_tokens, drawn.output_tokens, drawn.cache_write_5m_tokens, drawn.cache_write_1h_tokens),
        *(drawn.cache_read_tokens, drawn.web_searches),
    ]
    with lock:
        tally.plant(drawn.ms, drawn.model, factors, drawn.context_tokens, figures)
        tally.partial_requests += int(drawn.is_partial.sum())
        for name, columns in tables.items():
            tally.count_rows(name, lakes_parquet.count_rows(columns))
    return tables


def _write_sums(path: Path, requests: list[str]) -> list[str]:
    """Write the sums beside each of the requests files, as an ingest does."""
    import duckdb

    from tokenlake.store import partitions, sums

    parts: list[Path] = []
    with duckdb.connect(config={"threads": 1}) as con:
        for name in requests:
            query = sums.query([str(path / name)])
            parts += partitions.write(con, REQUEST_SUMS, query, path, sums.tag_of(name))
    for part in parts:
        part.chmod(private.FILE_MODE)
    return [part.relative_to(path).as_posix() for part in parts]


def _write_tables(path: Path, tables: Mapping[str, Mapping[str, Column]], tag: str) -> dict[str, list[str]]:
    from tokenlake.schema import BY_NAME
    from tokenlake.synth.lakes_parquet import write_table

    return {
        name: [part.relative_to(path).as_posix() for part in write_table(BY_NAME[name], columns, path, tag)]
        for name, columns in tables.items()
    }
