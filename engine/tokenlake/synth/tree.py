"""The tree as a whole: how many sessions of which size, when and where, written in order of their start."""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tokenlake.store import private
from tokenlake.synth.damage import damage_lines
from tokenlake.synth.draws import open_draws
from tokenlake.synth.options import SynthOptions
from tokenlake.synth.plans import History, plan_sessions
from tokenlake.synth.sessions import compose_session
from tokenlake.synth.transcript import Transcript
from tokenlake.synth.truth import Tally, Truth

_LINES_AT_ONCE: Final = 256
_BACKUP: Final = "-mnt-backup"
_KEPT_HISTORIES: Final = 6
_LARGEST_HISTORY_BYTES: Final = 4_000_000


def write_tree(options: SynthOptions, out: Path, *, progress: Callable[[int, int], None] | None = None) -> Truth:
    """Write `<out>/projects/...` and give what was planted in it.

    The tree has `options.total_bytes` and a little more: the last session ends with a whole turn.
    `progress(bytes_done, bytes_total)` is called after each session.
    Raises FileExistsError when `<out>/projects` is there already, OSError when writing fails.
    """
    root = out / "projects"
    private.make_folder(out)
    root.mkdir()
    draws, tally = open_draws(options.seed), Tally()
    histories: deque[History] = deque(maxlen=_KEPT_HISTORIES)
    folders: set[str] = set()
    for plan in plan_sessions(options, draws, tally, histories):
        transcripts = compose_session(draws, plan, tally)
        main = transcripts[0]
        tally.sessions += 1
        tally.repeated_sessions += plan.duplicate == "repeated"
        if main.size_bytes <= _LARGEST_HISTORY_BYTES and plan.duplicate is None:
            histories.append(History(plan.session_id, plan.project, plan.release, main.lines, main.cuts))
        for transcript in transcripts:
            _write(transcript, "", options.damage_share, root, folders, tally)
        if plan.duplicate == "copied":
            tally.copied_sessions += 1
            for transcript in transcripts:
                _write(transcript, _BACKUP, options.damage_share, root, folders, tally)
        if progress is not None:
            progress(min(tally.bytes, options.total_bytes), options.total_bytes)
    return tally.truth()


def _write(
    transcript: Transcript, prefix: str, damage_share: float, root: Path, folders: set[str], tally: Tally
) -> None:
    """Write a transcript and what lies beside it, damaged in its own way, and count it."""
    lines = transcript.lines
    if damage_share:
        # Each copy is damaged in places of its own.
        lines = lines.copy()
        damage_lines(lines, damage_share, transcript.draws, tally)
    _write_file(_placed(root, prefix + transcript.path, folders), lines, transcript.now_ms, tally)
    tally.files += 1
    tally.raw.add(transcript.raw)
    for path, content in transcript.beside.items():
        tally.other_files += 1
        with open(_placed(root, prefix + path, folders), "xb") as file:
            file.write(content)


def _placed(root: Path, path: str, folders: set[str]) -> str:
    """Give the place of a file; its folder is made where it is not among those that are there."""
    place = os.path.join(root, path)
    folder = os.path.dirname(place)
    if folder not in folders:
        os.makedirs(folder, exist_ok=True)
        folders.add(folder)
    return place


def _write_file(path: str, lines: list[bytes], now_ms: int, tally: Tally) -> None:
    """Write a transcript, never over another file, and date it with its last line."""
    with open(path, "xb", buffering=0) as file:
        for first in range(0, len(lines), _LINES_AT_ONCE):
            data = memoryview(b"".join(lines[first : first + _LINES_AT_ONCE]))
            tally.bytes += len(data)
            # One call may write less than it is given.
            while data:
                data = data[file.write(data) :]
    os.utime(path, ns=(now_ms * 1_000_000,) * 2)
