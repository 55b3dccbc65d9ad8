"""Finds the transcripts below the roots: where agents keep them, which files count, what they look like on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR

from tokenlake.errors import SourceError
from tokenlake.sources.claude.files import SUFFIXES, kind_of

_LINKS_NAMED = 10
"""How many links out of the roots are named: a tree that is none of transcripts may hold thousands."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A transcript on disk: absolute path, kind (sources), size in bytes, modification time in ns."""

    file_id: int
    path: str
    kind: str
    size: int
    mtime_ns: int

    @property
    def shown_path(self) -> str:
        """The path as text: bytes of a name that are no UTF-8 become U+FFFD."""
        return shown(self.path)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a walk found: the roots as walked, the transcripts in path order, and what had to be left out.

    `unlisted` are the folders and files below the roots that could not be looked at: what is missing there may be
    there still.
    """

    roots: tuple[str, ...]
    files: tuple[FoundFile, ...]
    warnings: tuple[str, ...]
    unlisted: tuple[str, ...] = ()


def default_roots(environment: Mapping[str, str]) -> list[Path]:
    """Where Claude Code keeps its logs on this machine, whether or not they exist.

    `$CLAUDE_CONFIG_DIR` (comma-separated, with or without `/projects`) replaces the defaults, which are
    `$XDG_CONFIG_HOME/claude` or `~/.config/claude`, and `~/.claude`.
    """
    configured = environment.get("CLAUDE_CONFIG_DIR", "")
    if configured.strip():
        folders = [Path(part.strip()).expanduser() for part in configured.split(",") if part.strip()]
    else:
        xdg = environment.get("XDG_CONFIG_HOME") or "~/.config"
        folders = [Path(xdg).expanduser() / "claude", Path("~/.claude").expanduser()]
    return [folder if folder.name == "projects" else folder / "projects" for folder in folders]


def present_default_roots() -> list[Path]:
    """Those of the default roots that are there."""
    return [root for root in default_roots(os.environ) if _is_folder(root)]


def remembered_roots(folders: Sequence[str]) -> list[str] | None:
    """Of the folders that a lake remembers, those that are there; None where it remembers none.

    Raises SourceError where none of them is there: another folder in their place would be a surprise.
    """
    if not folders:
        return None
    gone = gone_roots(folders)
    if len(gone) == len(folders):
        raise SourceError(f"{', '.join(folders)}: no longer there; name a folder with --root")
    return [folder for folder in folders if folder not in gone]


def gone_roots(folders: Sequence[str]) -> tuple[str, ...]:
    """Those of the remembered folders that are not there, or cannot be reached."""
    return tuple(folder for folder in folders if not os.path.exists(folder))


def discover(roots: Sequence[str | os.PathLike[str]] | None, host: str) -> Discovery:
    """Walks the roots (default: where agents keep their logs) and lists every transcript once.

    Symbolic links are not followed: one that leads to a file below a root is a copy that is read by its own
    path, one to a folder or transcript elsewhere is named in the warnings, of many the first. A given root may be
    a single transcript.
    Raises SourceError where a given root does not exist, cannot be read, or no default root exists.
    """
    if roots is None:
        wanted = present_default_roots()
        if not wanted:
            places = ", ".join(str(root) for root in default_roots(os.environ))
            raise SourceError(f"no transcripts: none of {places} exists; name a folder with --root")
    else:
        if not all(map(os.fspath, roots)):
            raise SourceError("a root is empty: name a folder with --root")
        wanted = [_expanded(Path(root)) for root in roots]
    real = _without_nested(_existing(wanted))
    warnings = _not_there(wanted) if roots is None else []
    links: list[str] = []
    unlisted: list[str] = []
    files: dict[str, FoundFile] = {}
    for root in real:
        for path, stat in _walk(root, real, warnings, links, unlisted):
            kind = kind_of(Path(path.removeprefix(root)) if path != root else Path(path))
            if kind is not None and path not in files:
                files[path] = FoundFile(file_id(host, path), path, kind, stat.st_size, stat.st_mtime_ns)
    warnings += links[:_LINKS_NAMED]
    if (more := len(links) - _LINKS_NAMED) > 0:
        warnings.append(f"{', '.join(real)}: {more:,} more links out of the root like these, not followed")
    if not files and not unlisted:
        warnings.append(f"{', '.join(real)}: no transcripts there")
    return Discovery(
        tuple(real), tuple(files[path] for path in sorted(files)), tuple(warnings), tuple(map(shown, unlisted))
    )


def shown(path: str) -> str:
    """A path as text, as the lake has it: bytes of a name that are no UTF-8 become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def file_id(host: str, path: str) -> int:
    """The number that stands for a transcript: a 63-bit hash of host and path, the same in every ingest."""
    digest = hashlib.blake2b(f"{host}\0{path}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _expanded(root: Path) -> Path:
    try:
        return root.expanduser()
    except RuntimeError as error:
        raise SourceError(f"{root}: {str(error).rstrip('.').lower()}; check --root") from None


def _is_folder(path: Path) -> bool:
    """Whether it is a folder, or may be one: what may not be looked at is not gone."""
    try:
        return S_ISDIR(path.stat().st_mode)
    except OSError as error:
        return isinstance(error, PermissionError)


def _not_there(present: Collection[Path]) -> list[str]:
    """What to say of folders that the environment names and that are missing; without its word, any may be."""
    if not os.environ.get("CLAUDE_CONFIG_DIR", "").strip():
        return []
    missing = [root for root in default_roots(os.environ) if root not in present]
    return [f"{root}: not there, although $CLAUDE_CONFIG_DIR names it" for root in missing]


def _existing(roots: Iterable[Path]) -> list[str]:
    real = []
    for root in roots:
        try:
            root.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise SourceError(f"{root}: no such file or folder; check --root") from None
        except OSError as error:
            raise SourceError(f"{root}: cannot be read: {error.strerror or error}; check its permissions") from None
        if not os.access(root, os.R_OK):
            raise SourceError(f"{root}: no permission to read it; check its permissions")
        real.append(os.path.realpath(root))
    return real


def _without_nested(roots: list[str]) -> list[str]:
    """Each root once, and none that lies inside another."""
    kept: list[str] = []
    for root in sorted(set(roots)):
        if not any(is_below(root, other) for other in kept):
            kept.append(root)
    return kept


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies inside it."""
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _walk(
    root: str, roots: list[str], warnings: list[str], links: list[str], unlisted: list[str]
) -> Iterator[tuple[str, os.stat_result]]:
    if os.path.isfile(root):
        with suppress(FileNotFoundError):  # removed since it was looked at
            yield root, os.stat(root)
        return

    def leave_out(path: str, error: OSError) -> None:
        warnings.append(f"{path}: {error.strerror or error}; its transcripts were not read")
        unlisted.append(path)

    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:  # removed since its own folder was listed
            continue
        except OSError as error:
            leave_out(folder, error)
            continue
        for entry in entries:
            try:
                if entry.is_symlink():
                    target = os.path.realpath(entry.path)
                    if not any(is_below(target, other) for other in roots) and _may_be_transcripts(entry, target):
                        links.append(f"{entry.path}: a link out of the root, not followed; add --root {target}")
                elif entry.is_dir():
                    folders.append(entry.path)
                elif entry.name.endswith(SUFFIXES) and entry.is_file():
                    yield entry.path, entry.stat()
            except FileNotFoundError:  # removed since the folder was listed
                continue
            except OSError as error:
                leave_out(entry.path, error)


def _may_be_transcripts(entry: os.DirEntry[str], target: str) -> bool:
    """Whether a link stands for a transcript, by its own name, or for a folder."""
    return entry.name.endswith(SUFFIXES) or os.path.isdir(target)
