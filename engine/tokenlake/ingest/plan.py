"""Decides for each transcript what an ingest does with it: leave it, read its tail, read it whole, or refuse it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tokenlake.ingest.archive import Archive
from tokenlake.ingest.discover import Discovery, FoundFile, discover, is_below, shown
from tokenlake.ingest.transcript import FINGERPRINT_BYTES, Task, ends_a_line, fingerprint, is_archive, open_transcript
from tokenlake.sources.claude.files import is_stream_dump
from tokenlake.store.ledger import BESIDE_KINDS, REFUSED_KINDS, Entry

_HEAD_BYTES = 1 << 16


@dataclass(slots=True)
class Plan:
    """What is to be done: reading tasks, and file_ids in sets by what the ledger has to learn about them.

    `failed` are those that could not be looked into.
    """

    tasks: list[Task] = field(default_factory=list)
    found: dict[int, FoundFile] = field(default_factory=dict)
    grown: set[int] = field(default_factory=set)
    replaced: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    departed: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    unchanged: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def changes_nothing(self) -> bool:
        """Whether the lake is up to date."""
        return not (self.tasks or self.refused or self.departed)

    @property
    def bytes(self) -> int:
        """Bytes on disk that the tasks will read."""
        return sum(task.size - task.start for task in self.tasks)


def plan(discovery: Discovery, ledger: Mapping[int, Entry], host: str) -> Plan:
    """Compares what is on disk with the ledger.

    Unchanged (same size and time) costs nothing more; grown is read from where it was left, after a check that
    what was read before is still there; anything else that differs is read whole and replaces its earlier rows.
    """
    result = Plan()
    for file in discovery.files:
        entry = ledger.get(file.file_id)
        result.found[file.file_id] = file
        try:
            _plan_file(file, entry, result)
        except OSError as error:
            result.failed.add(file.file_id)
            result.warnings.append(f"{file.path}: {error.strerror or error}; not read")
    # In the order of time, so that what is read together falls into few months, and so into few data files.
    result.tasks.sort(key=lambda task: result.found[task.file_id].mtime_ns)
    roots = [shown(root) for root in discovery.roots]
    for entry in ledger.values():
        if entry.host != host or entry.departed or entry.file_id in result.found:
            continue
        # Only a folder that could be listed tells that a file is gone.
        looked_for = any(is_below(entry.path, root) for root in roots)
        if looked_for and not any(is_below(entry.path, place) for place in discovery.unlisted):
            result.departed.add(entry.file_id)
    return result


def look(
    roots: Sequence[str | os.PathLike[str]] | None, host: str, ledger: Mapping[int, Entry]
) -> tuple[Discovery, Plan]:
    """Walks the roots and plans.

    A rewritten transcript may have been moved first, as logs are rotated, to a name that the walk did not see: then
    what it held would be forgotten and not found again. So the tree is walked once more after one was found rewritten.
    """
    known: set[int] = set()
    transcripts = {number: entry for number, entry in ledger.items() if entry.kind not in BESIDE_KINDS}
    while True:
        discovery = discover(roots, host)
        result = plan(discovery, transcripts, host)
        if result.replaced <= known:
            return discovery, result
        known |= result.replaced


def _plan_file(file: FoundFile, entry: Entry | None, result: Plan) -> None:
    if entry is None:
        _plan_whole(file, result)
        return
    if entry.size == file.size and entry.mtime_ns == file.mtime_ns and not entry.departed:
        result.unchanged += 1
    elif entry.kind not in REFUSED_KINDS and _only_grew(file, entry):
        result.grown.add(file.file_id)
        first_line = entry.lines + ends_a_line(file.path, entry.ingested_bytes)
        place = (entry.ingested_bytes, first_line, entry.prefix_hash)
        result.tasks.append(Task(file.file_id, file.path, file.size, *place))
    elif is_archive(file.path) and _lacks_what_was_read(file, entry):
        result.warnings.append(f"{file.path}: cut off, or being written; what was read of it before is kept")
    else:
        _plan_whole(file, result)  # first: a file that cannot be opened keeps its rows
        if entry.ingested_bytes:
            result.replaced.add(file.file_id)
        # What a file beside transcripts told is kept.
        if file.size < entry.ingested_bytes and not is_archive(file.path) and file.kind not in BESIDE_KINDS:
            result.warnings.append(
                f"{file.path}: cut from {entry.ingested_bytes:,} bytes to {file.size:,}: the lake now holds what it"
                " holds; restore the file from a backup to have the rest again"
            )


def _lacks_what_was_read(file: FoundFile, entry: Entry) -> bool:
    """Whether an archive is damaged, and less of it can be read than was read before."""
    damaged_at = Archive(file.path).damaged_at()
    return damaged_at is not None and damaged_at < entry.ingested_bytes


def _plan_whole(file: FoundFile, result: Plan) -> None:
    if file.kind in BESIDE_KINDS:
        with open(file.path, "rb"):  # one that cannot be opened is no task, as it is for transcripts
            pass
    elif _is_stream_dump(file.path):
        result.refused.add(file.file_id)
        result.warnings.append(f"{file.path}: output of --output-format stream-json, not a transcript; not read")
        return
    result.tasks.append(Task(file.file_id, file.path, file.size))


def _only_grew(file: FoundFile, entry: Entry) -> bool:
    if is_archive(file.path) or file.size < entry.ingested_bytes:
        return False
    if file.size == entry.size and entry.ingested_bytes > FINGERPRINT_BYTES:
        return False  # touched, or edited where the fingerprint does not look
    if fingerprint(file.path, entry.ingested_bytes) != entry.prefix_hash:
        return False
    return ends_a_line(file.path, entry.ingested_bytes) or _rest_of_line_is_blank(file.path, entry.ingested_bytes)


def _rest_of_line_is_blank(path: str, position: int) -> bool:
    """Whether nothing was written behind a last line that was taken before its newline came."""
    with open(path, "rb", buffering=0) as source:
        source.seek(position)
        rest = source.read(_HEAD_BYTES).split(b"\n", maxsplit=1)
    return len(rest) == 2 and not rest[0].strip(b" \t\r")


def _is_stream_dump(path: str) -> bool:
    try:
        with open_transcript(path) as source:
            head: bytes = source.read(_HEAD_BYTES)
    except OSError as error:
        if error.errno is not None:
            raise
        return False  # a damaged archive: what can be had of it is read
    line = head.lstrip().split(b"\n", maxsplit=1)[0]
    if b'"sessionId"' in line or not line.startswith(b"{"):
        return False
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and is_stream_dump(record)
