"""The tree as a whole: how many sessions of which size, when and where, written in order of their start."""

import os
from collections import deque
from pathlib import Path
from typing import Final

from tokenlake.synth.damage import damage_lines
from tokenlake.synth.draws import open_draws
from tokenlake.synth.options import SynthOptions
from tokenlake.synth.plans import History, plan_sessions
from tokenlake.synth.sessions import compose_session
from tokenlake.synth.transcript import Transcript
from tokenlake.synth.truth import Tally, Truth

_KEPT_HISTORIES: Final = 6
_LARGEST_HISTORY_BYTES: Final = 4_000_000


def write_tree(options: SynthOptions, out: Path) -> Truth:
    """Write `<out>/projects/...` and give what was planted in it.

    The tree has `options.total_bytes` and a little more: the last session ends with a whole turn.
    Raises FileExistsError when `<out>/projects` is there already, OSError when writing fails.
    """
    root = out / "projects"
    root.mkdir(parents=True, exist_ok=False)
    draws, tally = open_draws(options.seed), Tally()
    histories: deque[History] = deque(maxlen=_KEPT_HISTORIES)
    folders: set[str] = set()
    for plan in plan_sessions(options, draws, tally, histories):
        transcripts = compose_session(draws, plan, tally)
        tally.sessions += 1
        main = transcripts[0]
        if main.size_bytes <= _LARGEST_HISTORY_BYTES:
            lines = main.lines.copy() if options.damage_share else main.lines
            histories.append(History(plan.session_id, plan.project, plan.release, lines, main.cuts))
        for transcript in transcripts:
            if options.damage_share:
                damage_lines(transcript.lines, options.damage_share, draws, tally)
            path = os.path.join(root, transcript.path)
            folder = os.path.dirname(path)
            if folder not in folders:
                os.makedirs(folder, exist_ok=True)
                folders.add(folder)
            tally.files += 1
            tally.bytes += _write_file(path, transcript)
            tally.raw.add(transcript.raw)
    return tally.truth()


def _write_file(path: str, transcript: Transcript) -> int:
    """Write a transcript, never over another file, date it with its last line, and give its size in bytes."""
    data = memoryview(b"".join(transcript.lines))
    written = 0
    with open(path, "xb", buffering=0) as file:
        # One call writes 2 GB at most and may write less.
        while written < len(data):
            written += file.write(data[written:])
    os.utime(path, ns=(transcript.now_ms * 1_000_000,) * 2)
    return written
