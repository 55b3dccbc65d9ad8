"""Of damaged transcripts the lake says what the reference program says: records, rejects, bytes, tokens."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from benchmarks.mutations import deep, every_place, sample_lines, transcript, with_value_at
from hypothesis import given
from hypothesis import strategies as st

from fuzz.agreement import differences, lake_of
from tokenlake.synth.options import SynthOptions
from tokenlake.synth.tree import write_tree

POOL = sample_lines()
Tree = dict[str, bytes]


def damaged(pool: list[bytes], seed: object, files: int) -> Tree:
    rng = Random(f"agreement:{seed}")
    return {f"-p/{number:03d}.jsonl": transcript(pool, rng) for number in range(files)}


@pytest.mark.parametrize("seed", range(2))
def test_damaged_samples(seed: int) -> None:
    assert differences(damaged(POOL, seed, 60)) == []


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_damaged_samples_of_any_seed(seed: int, files: int) -> None:
    assert differences(damaged(POOL, seed, files)) == []


@given(st.lists(st.one_of(st.sampled_from(POOL), st.binary(max_size=80)), max_size=8).map(b"".join), st.binary())
def test_any_bytes(data: bytes, tail: bytes) -> None:
    assert differences({"-p/a.jsonl": data + b"\n" + tail, "-p/b.jsonl": tail + b"\n" + data}) == []


def test_damaged_lines_of_a_made_up_tree(tmp_path: Path) -> None:
    write_tree(SynthOptions(total_bytes=1_500_000, seed=6, disputed_share=0.2), tmp_path)
    pool = [line for line in sample_lines(tmp_path) if len(line) < 20_000]
    assert differences(damaged(pool, "synth", 40)) == []


def test_damaged_lines_of_real_transcripts(real_logs: Path) -> None:
    """Real lines are only read here, and kept nowhere."""
    pool = [line for line in sample_lines(real_logs / "projects") if len(line) < 20_000]
    assert differences(damaged(pool, "real", 40)) == []


def test_damage_that_grows_is_damage_read_at_once() -> None:
    """Cut anywhere and appended piece by piece, the same bytes end in the same rejects, records and sums."""
    whole = damaged(POOL, "grown", 12)
    rng = Random(5)
    names = ("files", "rejects", "requests", "usage_rows", "prompts", "texts", "events")
    with lake_of(whole) as (at_once, root):
        wanted = {name: _rows(at_once, name, root) for name in names}
    cuts = {name: sorted(rng.randrange(len(data) + 1) for _ in range(2)) for name, data in whole.items()}
    with lake_of({name: data[: cuts[name][0]] for name, data in whole.items()}) as (lake, root):
        for until in (1, None):
            for name, data in whole.items():
                (root / name).write_bytes(data[: cuts[name][until]] if until else data)
            lake.refresh([root], host="h")
        assert {name: _rows(lake, name, root) for name in names} == wanted


def _rows(lake: object, table: str, root: Path) -> list[str]:
    """The rows of a table without what depends on when and where its files were written."""
    rows = lake.sql(f"from {table}").to_pylist()  # type: ignore[attr-defined]
    hidden = {"mtime_ns", "file_id", "path", "file"}
    names = {row["file_id"]: row["path"].removeprefix(f"{root}/") for row in lake.sql("from files").to_pylist()}  # type: ignore[attr-defined]
    shown = []
    for row in rows:
        values = {name: value for name, value in row.items() if name not in hidden}
        for name in ("id", "key"):  # made of the place where there is no other
            if name in values and str(row["file_id"]) in str(values[name]):
                values[name] = str(values[name]).replace(str(row["file_id"]), "file")
        shown.append(repr((names[row["file_id"]], sorted(values.items()))))
    return sorted(shown)


@pytest.mark.parametrize("kind", ["list", "object"])
def test_nesting_of_any_depth_anywhere(kind: str) -> None:
    """A hundred thousand levels in place of some values of a request and of a tool's result."""
    lines = [next(line for line in POOL if mark in line) for mark in (b'"usage"', b'"toolUseResult"')]
    tree = {
        f"-p/{number}-{place:03d}.jsonl": with_value_at(line, place, deep(100_000, kind)) + b"\n" + POOL[0] + b"\n"
        for number, line in enumerate(lines)
        for place in range(1 + number, every_place(line), 31)
    }
    assert differences(tree) == []
