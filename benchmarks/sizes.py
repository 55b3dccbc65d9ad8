"""Sizes beyond the ordinary: one file of 2 GB, one line of 64 MB, 50,000 files; time and memory of a cold ingest."""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from benchmarks.answers import Answer
from benchmarks.contenders import find_tokenlake, tokenlake_ingest
from benchmarks.lines import answer_of, request_line, result_line
from benchmarks.rounds import Outcome, run_rounds

_RESULT_CHARS = 4_000
_PROJECT = "projects/-home-dev"


@dataclass(frozen=True, slots=True)
class Extreme:
    """A tree of one kind of extreme size; `make` writes it into a folder and gives what a right count finds."""

    name: str
    make: Callable[[Path], Answer]


def extremes() -> list[Extreme]:
    """Give the trees of the benchmark."""
    return [
        Extreme("one file of 2 GB", lambda root: _one_file(root, 2_000_000_000)),
        Extreme("one line of 64 MB among others", lambda root: _giant_line(root, 64_000_000)),
        Extreme("50,000 files", lambda root: _many_files(root, 50_000)),
    ]


def measure_extremes(chosen: list[Extreme], runs: int) -> list[Outcome]:
    """Ingest each tree into an empty lake, each run in a fresh process."""
    program = find_tokenlake()
    if isinstance(program, str):
        raise ValueError(program)
    return [_measured(extreme, program, runs) for extreme in chosen]


def _measured(extreme: Extreme, program: list[str], runs: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="tokenlake-bench-") as folder:
        print(f"making {extreme.name}", file=sys.stderr)
        answer = extreme.make(Path(folder))
        [outcome] = run_rounds([tokenlake_ingest(program)], Path(folder), runs, lambda: answer)
        return replace(outcome, name=extreme.name)


def _one_file(root: Path, total_bytes: int) -> Answer:
    """A session of results of 4,000 characters, each with the request that answers it."""
    session_id, path = _place(root, 1)
    text = "x" * _RESULT_CHARS
    requests = written = 0
    with path.open("wb") as file:
        while written < total_bytes:
            requests += 1
            written += file.write(result_line(session_id, requests, text) + request_line(session_id, requests))
    return answer_of(requests)


def _giant_line(root: Path, line_bytes: int) -> Answer:
    """A small session with one result as large as a line can be expected to get."""
    session_id, path = _place(root, 1)
    with path.open("wb") as file:
        file.write(request_line(session_id, 1))
        file.write(result_line(session_id, 2, "x" * line_bytes))
        file.write(request_line(session_id, 3))
    return answer_of(2)


def _many_files(root: Path, count: int) -> Answer:
    """A session a file, each with one request."""
    for number in range(1, count + 1):
        session_id, path = _place(root, number)
        path.write_bytes(result_line(session_id, number, "short") + request_line(session_id, number))
    return answer_of(count)


def _place(root: Path, number: int) -> tuple[str, Path]:
    """Give a session's id and its file; a thousand files share a project."""
    session_id = str(UUID(int=1 << 101 | number))
    path = root / f"{_PROJECT}-{number // 1000}" / f"{session_id}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return session_id, path
