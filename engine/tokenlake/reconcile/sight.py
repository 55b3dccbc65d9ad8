"""Which transcripts ccusage sees, and how each is known to the lake."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenlake.errors import UsageError
from tokenlake.sources.claude.files import kind_of
from tokenlake.store.ledger import REFUSED_KINDS

AS_INGESTED = "as ingested"
READ_NOW = "read now"
UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Known:
    """What the lake's table `files` says of a transcript of the host."""

    file_id: int
    path: str
    kind: str
    size: int
    mtime_ns: int
    is_departed: bool


@dataclass(frozen=True, slots=True)
class Sighted:
    """A transcript: whether ccusage sees it, as the lake holds it or only by reading it now, and why not or why so.

    `place` is where to read it, None where that is not needed.
    """

    file_id: int
    path: str
    state: str
    reason: str
    place: str | None = None


@contextmanager
def folders(roots: Sequence[Path]) -> Iterator[list[Path]]:
    """The folders to give to ccusage, each with a folder `projects` that is, or leads to, what it reads of a root.

    Raises UsageError where no root is a folder.
    """
    real = _real(roots)
    if not real:
        raise UsageError(f"{', '.join(map(str, roots))}: no folder that ccusage could read; name one with --root")
    if all(_below(root).name == "projects" and "," not in str(root) for root in real):
        yield [_below(root).parent for root in real]
        return
    with TemporaryDirectory(prefix="tokenlake-roots-") as made:
        # Numbered in the order of the paths that they stand for: the order of paths decides between copies.
        found = []
        for number, root in enumerate(real):
            folder = Path(made, f"{number:04}")
            folder.mkdir()
            (folder / "projects").symlink_to(_below(root), target_is_directory=True)
            found.append(folder)
        yield found


def on_disk(roots: Sequence[Path]) -> dict[str, tuple[str, os.stat_result]]:
    """Every file that ccusage reads below the roots: by its path as the lake shows it, where it is and its state."""
    found = {}
    for root in _real(roots):
        for folder, _, names in os.walk(_below(root)):
            for name in names:
                place = os.path.join(folder, name)
                if name.endswith(".jsonl") and name != ".jsonl" and not os.path.islink(place):
                    try:
                        found[_shown(place)] = place, os.stat(place)
                    except FileNotFoundError:  # removed since the folder was listed
                        continue
    return found


def look(known: Sequence[Known], disk: Mapping[str, tuple[str, os.stat_result]]) -> list[Sighted]:
    """Every transcript of the host, and every file that ccusage reads beside them."""
    found = [_known_one(file, disk.get(file.path)) for file in known]
    paths = {file.path for file in known}
    # A file that the lake does not hold has a number of its own, less than any hash.
    for number, path in enumerate(sorted(disk.keys() - paths)):
        reason = "not ingested yet" if kind_of(Path(path)) else "no transcript by its name"
        found.append(Sighted(-1 - number, path, READ_NOW, reason, disk[path][0]))
    return found


def remember(known: Sequence[Known]) -> list[Sighted]:
    """Every transcript of a host whose disk cannot be looked at, as the lake last saw it."""
    return [
        Sighted(file.file_id, file.path, UNSEEN, reason)
        if (reason := _why_unseen(file, file.is_departed))
        else Sighted(file.file_id, file.path, AS_INGESTED, "")
        for file in known
    ]


def _known_one(file: Known, there: tuple[str, os.stat_result] | None) -> Sighted:
    if there is None:
        reason = _why_unseen(file, not os.path.exists(file.path)) or "outside of projects/"
        return Sighted(file.file_id, file.path, UNSEEN, reason)
    place, stat = there
    if file.kind in REFUSED_KINDS:
        return Sighted(file.file_id, file.path, READ_NOW, "another format", place)
    if (file.size, file.mtime_ns) != (stat.st_size, stat.st_mtime_ns) or file.is_departed:
        return Sighted(file.file_id, file.path, READ_NOW, "changed since it was ingested", place)
    return Sighted(file.file_id, file.path, AS_INGESTED, "", place)


def _why_unseen(file: Known, is_gone: bool) -> str | None:
    if is_gone:
        return "departed"
    return None if file.path.endswith(".jsonl") else "archive"


def _below(root: Path) -> Path:
    """The folder that ccusage reads for a root: its `projects`, or the root where it has none."""
    projects = root / "projects"
    return projects if root.name != "projects" and projects.is_dir() else root


def _real(roots: Sequence[Path]) -> list[Path]:
    real = {Path(os.path.realpath(root)) for root in roots if os.path.isdir(root)}
    return sorted(real, key=lambda root: f"{root}/")


def _shown(place: str) -> str:
    return place.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
