"""Where a result may be written: never over a transcript, nor among what the lake is made of or made from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tokenlake.errors import LakeError, UsageError
from tokenlake.sources.claude.files import SUFFIXES, looks_like_record
from tokenlake.store import catalog

_HEAD_BYTES = 4 << 20


def check(file: Path, lake: Path | None, roots: Sequence[Path]) -> None:
    """Raises UsageError for a file in the folder of a lake, this or another, among transcripts, or in place of one.

    Such folders are the `roots` given, those that the lake remembers of any machine, and where agents keep their logs.
    """
    from tokenlake.lake import Lake

    folder = _real(Lake(lake).path)
    real = _real(file)  # it is the file behind links that would be written
    lakes = [parent for parent in real.parents if catalog.exists(parent)]
    if real.is_relative_to(folder) or lakes:
        raise UsageError(f"--output {file}: is in the folder of a lake, {(*lakes, folder)[0]}: name another place")
    for root in _folders_of_transcripts(folder, roots):
        if real.is_relative_to(root):
            raise UsageError(f"--output {file}: is in a folder of transcripts, {root}: name another place")
    if real.name.lower().endswith(SUFFIXES) and _may_be_transcript(real):
        raise UsageError(f"--output {file}: is there, and may be a transcript: name a new file")


def _may_be_transcript(file: Path) -> bool:
    """Whether a file begins with a record, as far as can be seen: of a packed or unreadable one it cannot."""
    if not file.is_file():
        return False
    try:
        with open(file, "rb") as opened:
            head = opened.read(_HEAD_BYTES)
    except OSError:
        return True
    if file.suffix.lower() != ".jsonl" or not head:
        return bool(head)
    try:
        return looks_like_record(json.loads(head.partition(b"\n")[0]))
    except ValueError:
        return True


def _folders_of_transcripts(lake: Path, roots: Sequence[Path]) -> list[Path]:
    from tokenlake.ingest.discover import default_roots

    known = [*roots, *default_roots(os.environ)]
    with suppress(LakeError):  # whoever reads the lake says so
        for remembered in catalog.read(lake, older=True).settings.roots.values():
            known += map(Path, remembered)
    return [_real(root.expanduser()) for root in known]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
