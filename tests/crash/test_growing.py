"""Transcripts that are written to while they are ingested again and again: the end is that of a cold ingest."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accounting.transcripts import S1, S2, S3, assistant, line, tool_use, usage, user
from benchmarks.crash_lakes import difference, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenlake.lake import Lake

TEXTS = ("Aye, 港は静か。", "Ça va — 🦜🏴‍☠️", "plain")
TOKENS = ("input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens")
SESSIONS = (S1, S2, S3)

_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in (*TOKENS, "n_rows"))
_COUNTS = [f"(select count(*) from {name}) as {name}" for name in ("prompts", "texts", "tool_calls", "sessions")]
_TOTALS = f"select count(*) as requests, {_SUMS}, {', '.join(_COUNTS)} from requests"


def transcript(number: int, turns: int) -> bytes:
    """A session as it is logged: prompts, requests of one to three rows whose output grows, calls, other records."""
    session, data = SESSIONS[number], b""
    for turn in range(turns):
        day, minute = 4 + turn // 3, turn % 3 * 10
        time = f"2026-05-{day:02d}T{9 + number:02d}:{minute:02d}:"
        uuid = f"{number}-{turn}"
        data += line(user(TEXTS[turn % 3], f"{time}00.000Z", uuid=f"u{uuid}", session=session)) + b"\n"
        rows = 1 + (turn + number) % 3
        for row in range(rows):
            block = (
                {"type": "text", "text": TEXTS[(turn + row) % 3] * 20}
                if row == 0
                else tool_use(f"toolu_{uuid}_{row}", command="ls")
            )
            counts = usage(10 + 100 * row, fresh=3, w5=500 + turn, w1=70, read=9_000 + turn)
            stop = "tool_use" if row == rows - 1 else None
            record = assistant(
                f"msg_{uuid}",
                counts,
                f"{time}{row + 1:02d}.250Z",
                uuid=f"a{uuid}-{row}",
                session=session,
                stop=stop,
                content=[block],
            )
            data += line(record) + b"\n"
        data += line({"type": "summary", "summary": TEXTS[1], "leafUuid": f"u{uuid}"}) + b"\n"
    return data


def few(examples: int) -> int:
    """So many of these slow examples, or as many as the profile asks for where it is not the quick one."""
    return max(examples, settings().max_examples if settings().max_examples > 10 else 0)


@contextmanager
def folder() -> Iterator[Path]:
    name = tempfile.mkdtemp(prefix="tokenlake-growing-")
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name)


class Totals:
    """What reports say, watched over many ingests: no number may go backwards."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], int] = {}

    def look(self, lake: Lake, growing: bool = True) -> None:
        """Compare with the last look; a request still being written may have other tokens, never fewer."""
        now = dict(self._numbers(lake))
        if growing:
            fallen = {key: (self.seen[key], now.get(key)) for key in self.seen if now.get(key, 0) < self.seen[key]}
            assert not fallen, f"went backwards: {fallen}"
        self.seen = now

    def _numbers(self, lake: Lake) -> Iterator[tuple[tuple[str, str], int]]:
        for row in lake.run("cost/daily", tz="UTC").to_pylist():
            for name, value in row.items():
                if isinstance(value, int) and not isinstance(value, bool) and "partial" not in name:
                    yield (str(row["day"]), name), value
        for row in lake.sql(_TOTALS).to_pylist():
            yield from ((("all", name), value) for name, value in row.items())


def equals_a_cold_ingest(lake: Lake, logs: Path) -> None:
    lake.refresh([logs], host="h")
    cold = Lake(lake.path.with_name("cold"))
    shutil.rmtree(cold.path, ignore_errors=True)
    cold.refresh([logs], host="h")
    assert difference(tables(lake.path), tables(cold.path)) is None


class Writer:
    """Writes its transcript in pieces cut anywhere; may rotate it, as tools that manage logs do, or copy it first."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = content
        self.written = 0
        self.rotations = 0

    def append(self, count: int) -> None:
        with open(self.path, "ab", buffering=0) as file:
            file.write(self.content[self.written : self.written + count])
        self.written = min(self.written + count, len(self.content))

    def rotate(self, by_copy: bool) -> None:
        """What was written goes to a new name; the transcript goes on empty."""
        self.rotations += 1
        target = self.path.with_name(f"{self.path.stem}-{self.rotations}.jsonl")
        if not self.path.exists():
            return
        if by_copy:
            beside = target.with_suffix(".copy")
            shutil.copyfile(self.path, beside)
            os.replace(beside, target)
            os.truncate(self.path, 0)
        else:
            os.replace(self.path, target)
            self.path.touch()

    def rewrite(self) -> None:
        """Another file in its place, with its lines in another order: as of a tool that sorts or cleans."""
        if self.path.exists():
            lines = self.path.read_bytes().splitlines(keepends=True)
            whole = [one for one in lines if one.endswith(b"\n")]
            beside = self.path.with_suffix(".new")
            beside.write_bytes(b"".join([*reversed(whole), *lines[len(whole) :]]))
            os.replace(beside, self.path)


CONTENTS = [transcript(0, 7), transcript(1, 5), transcript(2, 3)]
ACTIONS = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 2), st.integers(1, 4_000)),
    st.tuples(st.just("append"), st.integers(0, 2), st.integers(1, 60)),
    st.tuples(st.sampled_from(("rotate", "rotate by copy", "rewrite")), st.integers(0, 2), st.just(0)),
)


@settings(max_examples=few(2))
@given(st.lists(st.lists(ACTIONS, min_size=1, max_size=5), min_size=3, max_size=4))
def test_however_it_grew_the_end_is_that_of_a_cold_ingest(rounds: list[list[tuple[str, int, int]]]) -> None:
    """Chunks cut lines and characters; in between, files are rotated and rewritten; an ingest after each round."""
    with folder() as base:
        logs, lake, totals = base / "logs", Lake(base / "lake"), Totals()
        logs.mkdir()
        writers = [Writer(logs / f"{n}.jsonl", content) for n, content in enumerate(CONTENTS)]
        for actions in rounds:
            for name, number, count in actions:
                writer = writers[number]
                if name == "append":
                    writer.append(count)
                elif name == "rewrite":
                    writer.rewrite()
                else:
                    writer.rotate(by_copy=name.endswith("copy"))
            lake.refresh([logs], host="h")
            totals.look(lake)
        equals_a_cold_ingest(lake, logs)
        for writer in writers:
            writer.append(len(writer.content))
        lake.refresh([logs], host="h")
        totals.look(lake)
        equals_a_cold_ingest(lake, logs)


@settings(max_examples=few(2))
@given(st.integers(0, 2**32))
def test_a_cut_at_every_kind_of_byte(seed: int) -> None:
    """One transcript, byte by byte where it matters: inside characters, around newlines, before the last brace."""
    draws = random.Random(seed)
    content = transcript(draws.randrange(3), 2)
    places = [n for n, byte in enumerate(content) if byte >= 0x80 or byte == 0x0A or content[n : n + 2] == b"}\n"]
    cuts = sorted({draws.choice(places) + draws.randint(0, 1) for _ in range(3)})
    with folder() as base:
        logs, lake, totals = base / "logs", Lake(base / "lake"), Totals()
        logs.mkdir()
        for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            with open(logs / "a.jsonl", "ab") as file:
                file.write(content[start:end])
            lake.refresh([logs], host="h")
            totals.look(lake)
        equals_a_cold_ingest(lake, logs)


WRITE = """
import random, sys, time
from pathlib import Path
from crash.test_growing import CONTENTS, Writer
draws = random.Random(int(sys.argv[2]))
writers = [Writer(Path(sys.argv[1]) / f"{n}.jsonl", content) for n, content in enumerate(CONTENTS)]
print("started", flush=True)
while open_ended := [writer for writer in writers if writer.written < len(writer.content)]:
    writer = draws.choice(open_ended)
    # The end of each is kept back until there were ingests enough.
    room = len(writer.content) - writer.written - (0 if Path(sys.argv[3]).exists() else 1500)
    writer.append(min(max(room, 0), draws.randint(1, draws.choice((20, 700)))))
    if writer.written < len(writer.content) and draws.random() < 0.03:
        # At the end of a line: what a rotation cuts in two is in no file whole.
        writer.append(writer.content.find(b"\\n", writer.written) + 1 - writer.written)
        writer.rotate(by_copy=draws.random() < 0.5)
    time.sleep(draws.random() * 0.06)
"""


def test_a_writer_that_never_waits(tmp_path: Path) -> None:
    """Another process appends and rotates all the time; ingests and reports run one after the other."""
    logs, lake, totals = tmp_path / "logs", Lake(tmp_path / "lake"), Totals()
    logs.mkdir()
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent.parent)])
    enough = tmp_path / "enough"
    command = [sys.executable, "-c", WRITE, str(logs), "11", str(enough)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == b"started\n"
        ingests = 0
        while writing.poll() is None:
            lake.refresh([logs], host="h")
            totals.look(lake)
            ingests += 1
            if ingests == 5:
                enough.touch()
    assert writing.returncode == 0
    assert ingests >= 5
    assert totals.seen["all", "prompts"] > 0
    equals_a_cold_ingest(lake, logs)
    totals.look(lake)
    assert totals.seen["all", "requests"] == 15
