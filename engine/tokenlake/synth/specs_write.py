"""A spec as transcripts: the files of its sessions, subagents and forks, and what was planted in them."""

from __future__ import annotations

import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tokenlake.errors import UsageError
from tokenlake.synth.draws import Draws, open_draws
from tokenlake.synth.lines import NULL, Frames, Place, frames_for
from tokenlake.synth.releases import RELEASES, Release
from tokenlake.synth.specs import Cell, Fork, Quota, Spec, day_count
from tokenlake.synth.specs_split import Request, requests
from tokenlake.synth.specs_thread import Row, Thread, write_compaction, write_prompt, write_request
from tokenlake.synth.truth import Counts

SAMPLES_NAME: Final = "quota-samples.jsonl"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TURN_REQUESTS: Final = 8
_LONG_LINE_IMAGES: Final = 2  # of 600 kB


@dataclass(frozen=True, slots=True)
class Planted:
    """What a corpus holds: for each cell of its spec, in order, the rows as logged and what they add up to.

    In `raw`, `requests` counts rows; copies by forks are among them. `rejects` are lines that nothing can read.
    """

    files: int
    bytes: int
    longest_line_bytes: int
    rejects: int
    raw: tuple[Counts, ...]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A request with its cell's number, its time, and the time until the next of its cell."""

    ms: int
    gap_ms: int
    cell: int
    tokens: Request


def write_corpus(spec: Spec, out: Path) -> Planted:
    """Writes `<out>/projects/...`, and `<out>/quota-samples.jsonl` where the spec has quotas; the same every time.

    Raises UsageError for a cell that cannot be, FileExistsError where `<out>/projects` is there already, OSError
    when writing fails.
    """
    root = out / "projects"
    root.mkdir(parents=True, exist_ok=False)
    draws = open_draws(zlib.crc32(spec.id.encode()))
    raw = [[0] * 6 for _ in spec.cells]
    mains: dict[str, Thread] = {}
    written: list[tuple[str, list[bytes]]] = []
    for number, ((session, agent), planned) in enumerate(_threads(spec).items()):
        images = _LONG_LINE_IMAGES if number < spec.shape.giant_lines else 0
        thread = _compose(spec, draws, session, agent, planned, images, raw)
        if not agent:
            mains[session] = thread
        written.append((_path(spec, thread.place, spec.cells[planned[0].cell].version), thread.lines))
    for fork in spec.forks:
        thread = _copy(spec, draws, fork, mains[fork.of], raw)
        written.append((_path(spec, thread.place, ""), thread.lines))
    rejects = _cut_off(spec, draws, [lines for _, lines in written])
    size = sum(_write(root / path, lines) for path, lines in written)
    if spec.quotas:
        (out / SAMPLES_NAME).write_text("".join(_samples(spec.quotas)), encoding="utf-8")
    longest = max((len(line) for _, lines in written for line in lines), default=0)
    return Planted(len(written), size, longest, rejects, tuple(Counts(*sums) for sums in raw))


def _threads(spec: Spec) -> dict[tuple[str, str], list[_Planned]]:
    """The requests of every transcript in their order; of each session its main thread first."""
    threads: dict[tuple[str, str], list[_Planned]] = defaultdict(list)
    for number, cell in enumerate(spec.cells):
        try:
            split = requests(cell.counts, cell.rows, cell.context_limit_tokens, f"{spec.id}:{number}")
        except ValueError as error:
            raise UsageError(f"spec {spec.id}, cell {number + 1}: {error}") from None
        times = _times(cell)
        for index, tokens in enumerate(split):
            gap = times[index + 1] - times[index] if index + 1 < len(times) else 20_000
            threads[cell.session_of(index), cell.agent].append(_Planned(times[index], gap, number, tokens))
    for planned in threads.values():
        planned.sort(key=lambda one: one.ms)
    return dict(sorted(threads.items()))


def _times(cell: Cell) -> list[int]:
    """When the requests are made, ms since 1970: evenly between two instants, or over the days and their hours."""
    count, first, last = cell.counts.requests, _ms(cell.first), _ms(cell.last)
    if cell.is_timed:
        return [first + (last - first) * index // max(count - 1, 1) for index in range(count)]
    days = day_count(cell)
    hours_ms = last - first - (days - 1) * 86_400_000
    places = [index * days * hours_ms // count for index in range(count)]
    return [first + place // hours_ms * 86_400_000 + place % hours_ms for place in places]


def _compose(
    spec: Spec,
    draws: Draws,
    session: str,
    agent: str,
    planned: Sequence[_Planned],
    images: int,
    raw: list[list[int]],
) -> Thread:
    """The transcript of a thread, its rows counted in `raw`; its first prompt has images."""
    place = Place(
        spec.cells[planned[0].cell].project,
        "main",
        spec.session_id(session),
        _agent_id(spec, session, agent) if agent else "",
        bool(agent),
    )
    thread = Thread(draws, place, spec.shape.user_per_assistant)
    compact_every = 0 if agent else spec.shape.compact_every
    frames: dict[tuple[str, str], tuple[Release, Frames]] = {}
    for index, one in enumerate(planned):
        cell = spec.cells[one.cell]
        look = (cell.version, cell.model)
        if look not in frames:
            release = _release(cell.version)
            frames[look] = release, frames_for(release, place, cell.model)
        release, frame = frames[look]
        if cell.counts.cache_write_1h_tokens and not release.has_write_split:
            raise UsageError(f"spec {spec.id}, cell {one.cell + 1}: {cell.version} logged no 1-hour writes")
        if compact_every and index and index % compact_every == 0:
            write_compaction(thread, release, frame, one.ms, planned[index - 1].tokens)
        if index % _TURN_REQUESTS == 0:
            write_prompt(thread, release, frame, one.ms, *((session, images) if not index else ()))
        closing = index % _TURN_REQUESTS == _TURN_REQUESTS - 1 or index == len(planned) - 1
        rows = write_request(thread, release, frame, one.tokens, one.ms, one.gap_ms, closing)
        _add(raw[one.cell], rows)
        thread.done.append((len(thread.lines), one.cell, rows))
    return thread


def _copy(spec: Spec, draws: Draws, fork: Fork, original: Thread, raw: list[list[int]]) -> Thread:
    """The transcript of a fork: the lines of the original up to its last copied request, under a session id of its own.

    As released since 2.0; nothing says where they are from.
    """
    copied = original.done[: fork.requests]
    place = replace(original.place, session_id=spec.session_id(fork.session))
    old, new = original.place.session_id.encode(), place.session_id.encode()
    lines = [line.replace(old, new) for line in original.lines[: copied[-1][0]]]
    for _, cell, rows in copied:
        _add(raw[cell], rows)
    return Thread(draws, place, 0.0, lines)


def _cut_off(spec: Spec, draws: Draws, transcripts: Sequence[list[bytes]]) -> int:
    """Puts lines among the others that end within a record, as many as the spec says; no usage is lost."""
    for number in range(spec.shape.rejects if transcripts else 0):
        lines = transcripts[number % len(transcripts)]
        half = b'{"parentUuid":%b,"type":"user","message":{"role":"user","content":"%b\n' % (NULL, draws.text(400))
        lines.insert(int(draws.random() * len(lines)), half)
    return spec.shape.rejects if transcripts else 0


def _samples(quotas: Sequence[Quota]) -> Iterator[str]:
    """Lines of a samples file, in the order of time: each quota's percentage rises evenly, in 12 steps at most."""
    samples = []
    for quota in quotas:
        steps = min(12, quota.used_percentage) or 1
        for step in range(steps + 1):
            ts = quota.start + timedelta(minutes=quota.minutes) * step / steps
            used = quota.used_percentage * step // steps
            state = {"used_percentage": used, "resets_at": int(quota.resets_at.timestamp())}
            samples.append((ts, {quota.window: state}))
    for ts, limits in sorted(samples, key=lambda sample: sample[0]):
        yield json.dumps({"timestamp": ts.isoformat(), "rate_limits": limits}) + "\n"


def _release(version: str) -> Release:
    """The habits of the newest release known that is not younger than the version."""
    major, minor, patch = (int(part) for part in version.split("."))
    known = [release for release in RELEASES if release.number <= (major, minor, patch)]
    return replace((known or RELEASES[:1])[-1], number=(major, minor, patch))


def _path(spec: Spec, place: Place, version: str) -> str:
    folder = re.sub("[^a-zA-Z0-9]", "-", place.cwd)
    if not place.agent_id:
        return f"{folder}/{place.session_id}.jsonl"
    if _release(version).agents == "nested":
        return f"{folder}/{place.session_id}/subagents/agent-{place.agent_id}.jsonl"
    return f"{folder}/agent-{place.agent_id}.jsonl"


def _agent_id(spec: Spec, session: str, agent: str) -> str:
    return f"a{zlib.crc32(f'{spec.id}/{session}/{agent}'.encode()):08x}"[:8]


def _write(path: Path, lines: Sequence[bytes]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(lines)
    path.write_bytes(data)
    return len(data)


def _add(sums: list[int], rows: Sequence[Row]) -> None:
    for row in rows:
        for kind, value in enumerate(row):
            sums[kind] += value


def _ms(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(milliseconds=1)
