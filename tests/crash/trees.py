"""Four requests to write as transcripts, and whether a lake of them ends as one that nothing ever happened to."""

from __future__ import annotations

import shutil
from pathlib import Path

from accounting.transcripts import assistant, line, usage
from benchmarks.crash_lakes import difference, leftovers, tables
from benchmarks.crash_places import Places
from benchmarks.crash_worker import Worker

ONE, TWO, THREE, FOUR = (line(assistant(f"msg_{n}", usage(n), f"09:0{n}")) + b"\n" for n in (1, 2, 3, 4))


def keys(lake: Path) -> list[str]:
    return sorted(tables(lake)["requests"]["key"].to_pylist())


def write(where: Places, **contents: bytes) -> None:
    """Transcripts by the first letter of their name."""
    for name, content in contents.items():
        (where.logs / f"{name}.jsonl").write_bytes(content)


def same_as_undisturbed(worker: Worker, where: Places) -> bool:
    """Whether the next ingest of the lake ends as one into a lake that nothing ever happened to."""
    assert worker.run(where.order()).status == 0
    shutil.rmtree(where.undisturbed, ignore_errors=True)
    assert worker.run(where.order(where.undisturbed)).status == 0
    assert leftovers(where.lake) == set()
    return difference(tables(where.lake), tables(where.undisturbed)) is None
