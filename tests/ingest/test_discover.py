"""Finding transcripts: default roots, kinds by path, links, nested roots, and what is missing or unreadable."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tokenlake.errors import SourceError
from tokenlake.ingest.discover import Discovery, default_roots, discover, file_id

SESSION = "5e550000-0001-4000-8000-000000000000"


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}\n")
    return root


def below(root: Path, discovery: Discovery) -> list[str]:
    return [os.path.relpath(file.path, root) for file in discovery.files]


# --- where agents keep their logs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "wanted"),
    [
        ("/a/claude", ["/a/claude/projects"]),
        ("/a/claude/projects", ["/a/claude/projects"]),
        ("/a/claude/projects/", ["/a/claude/projects"]),
        ("/a/one, /b/two/projects ,,/c", ["/a/one/projects", "/b/two/projects", "/c/projects"]),
        ("~/work-claude", ["/home/ada/work-claude/projects"]),
    ],
)
def test_the_config_folder_replaces_the_defaults(
    monkeypatch: pytest.MonkeyPatch, configured: str, wanted: list[str]
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    found = default_roots({"CLAUDE_CONFIG_DIR": configured, "XDG_CONFIG_HOME": "/xdg"})
    assert [str(path) for path in found] == wanted


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, "/home/ada/.config/claude/projects"),
        ({"XDG_CONFIG_HOME": "/xdg"}, "/xdg/claude/projects"),
        ({"XDG_CONFIG_HOME": "", "CLAUDE_CONFIG_DIR": " "}, "/home/ada/.config/claude/projects"),
    ],
)
def test_without_it_both_default_folders_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], first: str
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert [str(path) for path in default_roots(environment)] == [first, "/home/ada/.claude/projects"]


def test_all_default_folders_that_exist_are_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "one/projects/-p/a.jsonl", "two/projects/-p/b.jsonl", "two/elsewhere.jsonl")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{tmp_path}/one,{tmp_path}/gone,{tmp_path}/two/projects")
    found = discover(None, "h")
    assert below(tmp_path, found) == ["one/projects/-p/a.jsonl", "two/projects/-p/b.jsonl"]
    assert found.roots == (f"{tmp_path}/one/projects", f"{tmp_path}/two/projects")


def test_without_any_default_folder_all_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{tmp_path}/x,{tmp_path}/y")
    with pytest.raises(SourceError, match=f"{tmp_path}/x/projects, {tmp_path}/y/projects .*--root"):
        discover(None, "h")


# --- what is a transcript -----------------------------------------------------------------------------------------

KINDS = {
    f"-p/{SESSION}.jsonl": "main",
    f"-p/{SESSION}.jsonl.gz": "main",
    f"-p/{SESSION}.jsonl.zst": "main",
    "-p/agent-1a2b.jsonl": "agent",
    f"-p/{SESSION}/subagents/agent-1a2b.jsonl": "agent",
    f"-p/{SESSION}/subagents/agent-acompact-1a2b.jsonl": "compaction",
    f"-p/{SESSION}/subagents/workflows/wf_1/agent-1a2b.jsonl": "workflow",
}
OTHERS = (
    f"-p/{SESSION}/subagents/workflows/wf_1/journal.jsonl",
    f"-p/{SESSION}/subagents/agent-1a2b.meta.json",
    "-p/memory/notes.jsonl",
    "-p/memory/MEMORY.md",
    "-p/sessions-index.json",
    "-p/a.jsonl.bak",
    "-p/a.json",
    "history.jsonl",
)


@pytest.mark.parametrize("folder", ["logs", "memory/workflows/agent-7"])
def test_kinds_go_by_the_path_below_the_root(tmp_path: Path, folder: str) -> None:
    root = make(tmp_path / folder, *KINDS, *OTHERS)
    found = discover([root], "h")
    assert {os.path.relpath(file.path, root): file.kind for file in found.files} == KINDS
    assert below(root, found) == sorted(KINDS)
    assert found.warnings == ()


def test_a_file_is_described_as_it_is_on_disk(tmp_path: Path) -> None:
    make(tmp_path, "-p/a.jsonl")
    os.utime(tmp_path / "-p/a.jsonl", ns=(5, 1_700_000_000_123_456_789))
    (file,) = discover([tmp_path], "h").files
    assert (file.path, file.size, file.mtime_ns) == (f"{tmp_path}/-p/a.jsonl", 3, 1_700_000_000_123_456_789)


def test_file_ids_are_the_same_on_every_run_and_differ_by_host_and_path() -> None:
    # The ledger of every lake is keyed by these: another number would read each transcript a second time.
    # printf 'h\0/a.jsonl' | b2sum -l 64, as a number of 63 bits.
    assert file_id("h", "/a.jsonl") == 6491999798027413640
    ids = {file_id("h", "/a.jsonl"), file_id("i", "/a.jsonl"), file_id("h", "/b.jsonl")}
    assert len(ids) == 3
    assert all(0 <= number < 2**63 for number in ids)


# --- roots and links ----------------------------------------------------------------------------------------------


def test_a_root_may_be_a_single_transcript(tmp_path: Path) -> None:
    make(tmp_path, "-p/a.jsonl", "-p/b.jsonl", "-p/c.txt")
    assert below(tmp_path, discover([tmp_path / "-p" / "a.jsonl"], "h")) == ["-p/a.jsonl"]
    assert below(tmp_path, discover([tmp_path / "-p" / "a.jsonl", tmp_path / "-p"], "h")) == [
        "-p/a.jsonl",
        "-p/b.jsonl",
    ]
    assert below(tmp_path, discover([tmp_path / "-p" / "c.txt"], "h")) == []


def test_nested_and_repeated_roots_are_walked_once(tmp_path: Path) -> None:
    make(tmp_path, "logs/-p/a.jsonl", "logs2/-p/b.jsonl")
    logs = tmp_path / "logs"
    found = discover([logs / "-p", logs, f"{logs}/", logs / "-p" / ".." / "-p", tmp_path / "logs2"], "h")
    assert found.roots == (str(logs), f"{logs}2")
    assert below(tmp_path, found) == ["logs/-p/a.jsonl", "logs2/-p/b.jsonl"]


def test_links_inside_a_root_are_read_once_by_their_own_path(tmp_path: Path) -> None:
    root = make(tmp_path / "logs", "-p/a.jsonl", "-q/b.jsonl")
    (root / "-p" / "copy.jsonl").symlink_to(root / "-q" / "b.jsonl")
    (root / "-p" / "folder").symlink_to(root / "-q")
    (root / "-p" / "loop").symlink_to(root)
    found = discover([root], "h")
    assert below(root, found) == ["-p/a.jsonl", "-q/b.jsonl"]
    assert found.warnings == ()


def test_links_out_of_the_roots_are_named_and_not_followed(tmp_path: Path) -> None:
    root = make(tmp_path / "logs", "-p/a.jsonl")
    make(tmp_path / "away", "b.jsonl", "-q/c.jsonl")
    (root / "-p" / "b.jsonl").symlink_to(tmp_path / "away" / "b.jsonl")
    (root / "-q").symlink_to(tmp_path / "away" / "-q")
    found = discover([root], "h")
    assert below(root, found) == ["-p/a.jsonl"]
    assert sorted(text.split(":")[0] for text in found.warnings) == [f"{root}/-p/b.jsonl", f"{root}/-q"]
    assert f"add --root {tmp_path}/away/-q" in next(text for text in found.warnings if f"{root}/-q:" in text)
    both = discover([root, tmp_path / "away"], "h")
    assert below(tmp_path, both) == ["away/-q/c.jsonl", "away/b.jsonl", "logs/-p/a.jsonl"]
    assert both.warnings == ()


def test_only_links_that_may_be_transcripts_are_named_and_of_many_the_first(tmp_path: Path) -> None:
    root = make(tmp_path / "logs", "-p/a.jsonl")
    make(tmp_path / "away", "b.jsonl", "notes.txt")
    (root / "notes.txt").symlink_to(tmp_path / "away" / "notes.txt")
    (root / "gone").symlink_to(tmp_path / "away" / "nothing")
    assert discover([root], "h").warnings == ()
    for number in range(12):
        (root / f"link{number}.jsonl").symlink_to(tmp_path / "away" / "b.jsonl")
    *named, rest = discover([root], "h").warnings
    assert len({text.split(":")[0] for text in named if "a link out of the root" in text}) == len(named) == 10
    assert rest == f"{root}: 2 more links out of the root like these, not followed"


def test_a_root_that_is_a_link_is_walked_by_its_own_path(tmp_path: Path) -> None:
    make(tmp_path / "logs", "-p/a.jsonl")
    (tmp_path / "link").symlink_to(tmp_path / "logs")
    assert [file.path for file in discover([tmp_path / "link"], "h").files] == [f"{tmp_path}/logs/-p/a.jsonl"]
    assert len(discover([tmp_path / "link", tmp_path / "logs"], "h").files) == 1


# --- what is missing or unreadable --------------------------------------------------------------------------------


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    make(tmp_path, "here/a.jsonl")
    with pytest.raises(SourceError, match=f"{tmp_path}/gone: .*--root"):
        discover([tmp_path / "here", tmp_path / "gone"], "h")


def test_a_root_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.jsonl")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SourceError, match=f"{tmp_path}: .*permission"):
        discover([tmp_path], "h")


def test_an_unreadable_folder_is_named_and_the_others_are_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "-p/a.jsonl", "-q/b.jsonl")
    scandir = os.scandir

    def refusing(folder: str) -> Any:
        if folder.endswith("-q"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    found = discover([tmp_path], "h")
    assert below(tmp_path, found) == ["-p/a.jsonl"]
    assert found.warnings == (f"{tmp_path}/-q: Permission denied; its transcripts were not read",)


@pytest.mark.parametrize("folder", [None, "-q"])
def test_what_is_removed_during_the_walk_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str | None
) -> None:
    """The agent removes old transcripts at any time, this one right after its folder was listed."""
    make(tmp_path, "-p/a.jsonl", "-p/old.jsonl", "-q/b.jsonl")
    scandir = os.scandir

    def listing(path: str) -> Iterable[os.DirEntry[str]]:
        entries = list(scandir(path))
        if path.endswith("-p"):
            (tmp_path / "-p" / "old.jsonl").unlink()
        if folder and path == str(tmp_path):
            (tmp_path / folder / "b.jsonl").unlink(missing_ok=True)
            (tmp_path / folder).rmdir()
        return entries

    monkeypatch.setattr(os, "scandir", listing)
    found = discover([tmp_path], "h")
    assert below(tmp_path, found) == (["-p/a.jsonl"] if folder else ["-p/a.jsonl", "-q/b.jsonl"])


def test_a_root_of_an_unknown_user_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"^~nobody-of-that-name/logs: could not determine home directory; check --root$"
    ):
        discover(["~nobody-of-that-name/logs"], "h")
