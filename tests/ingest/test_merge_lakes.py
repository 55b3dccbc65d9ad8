"""Many machines, one lake: merging lakes gives the tables of one lake that ingested everything in the first place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from accounting.lakes import one, requests, rows, total
from accounting.test_laws import Step, folder, schedules, tables
from accounting.transcripts import S1, S2, assistant, jsonl, tool_result, tool_use, usage, user
from accounting.trees import Tree, trees
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tokenlake.errors import LakeDamagedError, LakeError, LakeVersionError
from tokenlake.ingest import absorb, commit
from tokenlake.lake import Lake
from tokenlake.schema import SCHEMA_VERSION
from tokenlake.store import catalog
from tokenlake.store.catalog import Settings

FEW = max(2, (settings.default.max_examples if settings.default else 0) // 5)
"""Each example makes several lakes."""


def contents(lake: Lake) -> dict[str, list[str]]:
    """Every table, its rows sorted, every column; but sums, which are by data file (tests/accounting compares them)."""
    return {name: sorted(map(repr, listed)) for name, listed in tables(lake).items() if name != "request_sums"}


def copied(lake: Lake, name: str) -> Lake:
    """The lake once more, beside itself."""
    shutil.copytree(lake.path, lake.path.parent / name)
    return Lake(lake.path.parent / name)


def write(root: Path, step: Step) -> None:
    """Appends to the files of a machine; history and samples lie beside its projects."""
    for path, data in step.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        with open(root / path, "ab") as out:
            out.write(data)


def told(number: int) -> Step:
    """What a machine's history and status line told: one prompt and one sample are the same on both."""
    prompts = [
        {"display": "Go.", "timestamp": 1_777_000_000_000 + ms, "project": "/p", "sessionId": S1} for ms in (0, number)
    ]
    limits = {"five_hour": {"used_percentage": 10 + number, "resets_at": 1_777_010_000}}
    samples = [{"timestamp": f"2026-05-04T0{n}:00:00Z", "rate_limits": limits, "host": "shared"} for n in (0, number)]
    return {
        name: b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        for name, lines in (("history.jsonl", prompts), ("quota-samples.jsonl", samples))
    }


@contextmanager
def small_segments() -> Iterator[None]:
    """Every transcript is a segment of its own."""
    size = absorb._ROWS_SEGMENT_BYTES
    absorb._ROWS_SEGMENT_BYTES = 1
    try:
        yield
    finally:
        absorb._ROWS_SEGMENT_BYTES = size


# --- the law ------------------------------------------------------------------------------------------------------


@settings(max_examples=FEW)
@given(trees(), st.data())
def test_lakes_of_two_hosts_merge_to_one_that_ingested_both(tree: Tree, data: st.DataObject) -> None:
    """Any transcripts on either host or on both, merged in either direction, again, and by way of a third lake."""
    places = {name: data.draw(st.sampled_from(("a", "b", "ab"))) for name in sorted(tree)}
    with folder() as base:
        together, lakes = Lake(base / "together"), {host: Lake(base / host) for host in "ab"}
        for number, host in enumerate("ab", 1):
            root = base / "logs"  # the same paths on both
            shutil.rmtree(root, ignore_errors=True)
            write(root, {f"projects/{name}": tree[name] for name, where in places.items() if host in where})
            write(root, told(number))
            for lake in (lakes[host], together):
                lake.refresh([root], host=host, keep_raw=True)
        expected = contents(together)
        assert all(expected[name] for name in ("known_prompts", "quota_samples"))
        third = Lake(base / "third")
        with small_segments():
            third.merge(lakes["b"])
            third.merge(lakes["a"])
        assert contents(third) == expected
        assert third.snapshot().settings == Settings(keep_raw=True)
        other = copied(lakes["b"], "b-too")
        other.merge(lakes["a"])
        assert contents(other) == expected
        before = other.snapshot()
        for lake in (lakes["a"], third, together):
            other.merge(lake)
        assert other.snapshot() == before


@settings(max_examples=FEW)
@given(trees(), st.data())
def test_of_a_transcript_in_both_lakes_the_later_state_counts(tree: Tree, data: st.DataObject) -> None:
    """One machine's logs, as two lakes saw them at two times: grown, rewritten, new and untouched transcripts."""
    first, second, *_ = data.draw(schedules(tree))
    assume(first)  # nothing makes no lake
    rewritten = data.draw(st.sets(st.sampled_from(sorted(tree))))
    with folder() as base:
        root, early, late = base / "logs", Lake(base / "early"), Lake(base / "late")
        root.mkdir()
        write(root, first)
        stamp(root, 1)
        early.refresh([root], host="h", keep_raw=True)
        for name in rewritten & first.keys():
            (root / name).write_bytes(jsonl(user("Anew.", uuid=f"anew-{name}"), assistant("msg_new")))
        write(root, second)
        stamp(root, 2, before=first.keys() - second.keys() - rewritten)
        together = copied(early, "together")
        for lake in (late, together):
            lake.refresh([root], host="h", keep_raw=True)
        expected = contents(together)
        assert contents(late) == expected
        merged = copied(late, "late-too")
        merged.merge(early)
        assert contents(merged) == expected
        early.merge(late)
        assert contents(early) == expected


def stamp(root: Path, second: int, before: set[str] | frozenset[str] = frozenset()) -> None:
    """Sets the time at which the files of a step were changed, those of `before` left out."""
    for path in root.rglob("*.jsonl"):
        if str(path.relative_to(root)) not in before:
            os.utime(path, ns=(0, (1_780_000_000 + second) * 10**9))


# --- by hand ------------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path):
    """A function that makes the lake of a machine from its transcripts."""

    def make(host: str, tree: Mapping[str, bytes], name: str | None = None, **options: Any) -> Lake:
        write(tmp_path / f"logs-{host}", {f"projects/{path}": data for path, data in tree.items()})
        lake = Lake(tmp_path / (name or host))
        lake.refresh([tmp_path / f"logs-{host}"], host=host, **options)
        return lake

    return make


def test_a_request_seen_on_two_hosts_counts_once(machine) -> None:
    """The laptop saw the beginning of msg_1, the server all of it; msg_2 and msg_3 are of one machine each."""
    laptop = machine(
        "laptop", {"-p/a.jsonl": jsonl(assistant("msg_1", usage(5), "09:00"), assistant("msg_2", time="09:05"))}
    )
    server = machine(
        "server",
        {
            "-p/b.jsonl": jsonl(
                assistant("msg_1", usage(70), "09:01", session=S2),
                assistant("msg_3", usage(3), time="09:06", session=S2),
            )
        },
    )
    summary = laptop.merge(server)
    assert (summary.files_other, summary.files_new, summary.requests_before, summary.requests_other) == (1, 1, 2, 2)
    assert (summary.lake.requests, summary.lake.output_tokens) == (3, 70 + 10 + 3)
    found = requests(laptop)
    # The kept row is the server's; the request is that of the session which started first.
    assert (found["msg_1"]["output_tokens"], found["msg_1"]["n_rows"], found["msg_1"]["session_id"]) == (70, 2, S1)
    by_host = laptop.run("cost/host", tz="UTC").to_pylist()
    assert {row["host"]: row["requests"] for row in by_host} == {"laptop": 2, "server": 1}
    overhead = laptop.run("cache/overhead", by="host", tz="UTC").to_pylist()
    assert {next(iter(row.values())): row["output_tokens"] for row in overhead} == {"laptop": 80, "server": 3}
    coverage = laptop.run("lake/coverage", tz="UTC").to_pylist()
    assert {row["host"]: row["files"] for row in coverage} == {"laptop": 1, "server": 1}


def test_a_call_and_its_result_find_each_other_across_lakes(machine) -> None:
    call = assistant("msg_1", content=[tool_use("toolu_1", "Bash", command="ls")])
    one_lake = machine("a", {"-p/a.jsonl": jsonl(call)})
    one_lake.merge(machine("b", {"-p/b.jsonl": jsonl(tool_result("toolu_1", time="09:07"))}))
    found = one(one_lake, "tool_calls")
    assert (found["tool_use_id"], found["result_ts"].minute, found["host"]) == ("toolu_1", 7, "a")


def test_copied_trees_and_lakes_of_a_host_are_the_same_transcripts(machine, tmp_path: Path) -> None:
    """A tree that was ingested here with --host, and the lake that the machine made itself."""
    tree = {"-p/a.jsonl": jsonl(user(), assistant("msg_1"))}
    theirs = machine("laptop", tree)
    here = machine("server", {"-p/s.jsonl": jsonl(assistant("msg_2"))})
    here.refresh([tmp_path / "logs-laptop"], host="laptop")
    summary = here.merge(theirs)
    assert (summary.files_same, summary.files_new, summary.lake.requests) == (1, 0, 2)


def test_a_transcript_that_only_one_lake_found_missing_is_departed(machine, tmp_path: Path) -> None:
    tree = {"-p/a.jsonl": jsonl(assistant("msg_1")), "-p/b.jsonl": jsonl(assistant("msg_2"))}
    early = machine("h", tree)
    late = copied(early, "late")
    (tmp_path / "logs-h/projects/-p/a.jsonl").unlink()
    moment = datetime.now(UTC).replace(microsecond=0)
    late.refresh([tmp_path / "logs-h"], host="h", now=moment)
    late_contents = contents(late)
    late.merge(early)
    assert contents(late) == late_contents
    assert early.merge(late).files_same == 2
    assert contents(early) == late_contents
    assert [row["departed_at"] for row in rows(early, "files", "path")] == [moment, None]


def test_a_transcript_that_came_back_and_grew_is_there(tmp_path: Path) -> None:
    """Departed in the lake that saw it last before; what was written after that is no departed transcript's."""
    root, early, late = tmp_path / "logs", Lake(tmp_path / "early"), Lake(tmp_path / "late")
    path = root / "a.jsonl"

    def written(data: bytes, day: int) -> None:
        path.write_bytes(data)
        os.utime(path, (0, datetime(2026, 5, day, tzinfo=UTC).timestamp()))

    root.mkdir()
    written(jsonl(assistant("msg_1")), day=5)
    early.refresh([root], host="h")
    path.unlink()
    early.refresh([root], host="h", now=datetime(2026, 5, 10, tzinfo=UTC))
    written(jsonl(assistant("msg_1"), assistant("msg_2")), day=11)
    late.refresh([root], host="h")
    early.merge(late)
    assert (one(early, "files")["departed_at"], len(requests(early))) == (None, 2)


def test_settings_stay_and_a_new_lake_takes_them_over(machine, tmp_path: Path) -> None:
    theirs = machine("laptop", {"-p/a.jsonl": jsonl(user(), assistant())}, keep_raw=True)
    here = machine("server", {"-p/s.jsonl": jsonl(assistant("msg_2"))}, keep_text=False)
    summary = here.merge(theirs)
    assert [warning.startswith(f"{theirs.path} keeps ") for warning in summary.warnings] == [True, True]
    settings_now = here.snapshot().settings
    # The other's folders are those of another machine.
    assert (settings_now.keep_raw, settings_now.keep_text, list(settings_now.roots)) == (False, False, ["server"])
    assert [row["text"] for row in rows(here, "prompts")] == [None]
    assert rows(here, "records") == []
    new = Lake(tmp_path / "new")
    new.merge(theirs)
    assert new.snapshot().settings == replace(theirs.snapshot().settings, roots={})
    assert len(rows(new, "records")) == 2


@settings(max_examples=FEW)
@given(trees())
def test_a_lake_without_text_takes_none_over(tree: Tree) -> None:
    """What it has afterwards is what it would have read itself."""
    with folder() as base:
        write(base / "logs", tree)
        full, bare, merged = (Lake(base / name) for name in ("full", "bare", "merged"))
        full.refresh([base / "logs"], host="h")
        bare.refresh([base / "logs"], host="h", keep_text=False)
        (base / "empty").mkdir()
        merged.refresh([base / "empty"], host="h", keep_text=False)
        merged.merge(full)
        assert contents(merged) == contents(bare)


def test_lines_are_taken_over_for_transcripts_that_are_the_same(machine, tmp_path: Path) -> None:
    """This lake was told to keep lines after it had read them; the other had kept them all along."""
    here = machine("h", {"-p/a.jsonl": jsonl(user(), assistant())}, "here")
    theirs = machine("h", {}, "theirs", keep_raw=True)
    here.refresh([tmp_path / "logs-h"], host="h", keep_raw=True)
    assert rows(here, "records") == []
    assert here.merge(theirs).files_same == 1
    assert rows(here, "records", '"offset"') == rows(theirs, "records", '"offset"')
    assert here.rebuild().files == 1


# --- what is no other lake ----------------------------------------------------------------------------------------


@pytest.fixture
def pair(machine) -> tuple[Lake, Lake]:
    return machine("a", {"-p/a.jsonl": jsonl(assistant())}), machine("b", {"-p/b.jsonl": jsonl(assistant("msg_2"))})


def on_disk(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def refused(lake: Lake, other: Path, error: type[LakeError], text: str) -> None:
    """One clear line, and this lake is as it was."""
    before = on_disk(lake.path)
    with pytest.raises(error, match=text) as raised:
        lake.merge(other)
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)
    assert {name: data for name, data in on_disk(lake.path).items() if not name.startswith(".lock")} == {
        name: data for name, data in before.items() if not name.startswith(".lock")
    }


def test_the_lake_itself_is_refused_under_any_name(pair: tuple[Lake, Lake], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pair[0].path)
    for name in (pair[0].path, tmp_path / "link", tmp_path / "logs-a" / ".." / "a"):
        refused(pair[0], name, LakeError, "is the lake itself")


def test_what_is_no_lake_is_refused(pair: tuple[Lake, Lake], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for name in ("nowhere", "logs-a", "file"):
        refused(pair[0], tmp_path / name, LakeError, f"there is no lake at {tmp_path / name}")


def test_a_newer_lake_is_refused(pair: tuple[Lake, Lake]) -> None:
    path = pair[1].path / catalog.CATALOG_NAME
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "schema_version": SCHEMA_VERSION + 1}))
    refused(pair[0], pair[1].path, LakeVersionError, "newer tokenlake")


def test_a_damaged_catalog_is_refused(pair: tuple[Lake, Lake]) -> None:
    (pair[1].path / catalog.CATALOG_NAME).write_text("{")
    refused(pair[0], pair[1].path, LakeDamagedError, "not a readable catalog")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Lake]:
    """Two lakes; no test changes them."""
    base = tmp_path_factory.mktemp("whole")
    trees = {"a": jsonl(assistant()), "b": jsonl(user("x" * 500), assistant("msg_2")) + b"rubbish\n"}
    for host, data in trees.items():
        write(base / f"logs-{host}", {"projects/-p/a.jsonl": data})
        Lake(base / host).refresh([base / f"logs-{host}"], host=host, keep_raw=True)
    return Lake(base / "a"), Lake(base / "b")


@pytest.mark.parametrize("table", ["files", "usage_rows", "texts", "rejects", "records"])
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_damaged_data_file_is_refused(whole: tuple[Lake, Lake], tmp_path: Path, table: str, damage: str) -> None:
    here, theirs = whole
    shutil.copytree(theirs.path, tmp_path / "b")
    other = Lake(tmp_path / "b")
    path = Path(other.snapshot().paths(table)[0])
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(data[:4] + bytes(255 - byte for byte in data[4:200]) + data[200:])
    refused(here, other.path, LakeDamagedError, f"{other.path}: .*(missing|cannot be read).*restore it from a backup")


def test_data_files_outside_of_the_other_lake_are_not_read(pair: tuple[Lake, Lake], tmp_path: Path) -> None:
    here, other = pair
    (requests_file,) = here.snapshot().files["requests"]
    snapshot = other.snapshot()
    for name in (f"../a/{requests_file}", str(here.path / requests_file)):
        catalog.publish(replace(snapshot, files={**snapshot.files, "requests": (name,)}))
        refused(here, other.path, LakeDamagedError, "is missing")


class Killed(BaseException):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("step", ["write", "publish"])
def test_a_merge_that_is_killed_leaves_the_lake_and_can_be_done_again(
    pair: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    here, other = pair
    before = contents(here)

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(*((absorb, "commit") if step == "write" else (commit.catalog, "publish")), die)
        with pytest.raises(Killed):
            here.merge(other)
    assert contents(here) == before
    here.merge(other)
    assert total(here)[0] == 2


def test_folders_of_another_machine_are_not_read_here(machine, tmp_path: Path) -> None:
    """Both lakes were made on one machine, this one from the default folders: they are still read after a merge."""
    here = machine("h", {"-p/a.jsonl": jsonl(assistant("msg_1"))})
    before = here.snapshot().settings.roots
    other = Lake(tmp_path / "other")
    write(tmp_path / "old", {"projects/-p/b.jsonl": jsonl(assistant("msg_2"))})
    other.refresh([tmp_path / "old"], host="h")
    here.merge(other)
    assert here.snapshot().settings.roots == before
    assert len(requests(here)) == 2


@pytest.mark.parametrize("poorer", [{"keep_text": False, "keep_raw": True}, {"keep_raw": False}])
def test_a_poorer_state_of_a_transcript_takes_nothing_away(poorer: dict[str, bool], tmp_path: Path) -> None:
    """The other lake read a transcript further, but without texts or without lines: what is here stays, and is said."""
    root, here, other = tmp_path / "logs", Lake(tmp_path / "here"), Lake(tmp_path / "other")
    path = root / "projects/-p/a.jsonl"
    write(root, {"projects/-p/a.jsonl": jsonl(user(), assistant("msg_1"))})
    os.utime(path, (0, 1_000_000))
    here.refresh([root], host="h", keep_raw=True)
    path.write_bytes(path.read_bytes() + jsonl(assistant("msg_2")))
    os.utime(path, (0, 2_000_000))
    other.refresh([root], host="h", **poorer)
    before = {name: rows(here, name) for name in ("texts", "prompts", "records", "requests")}
    summary = here.merge(other)
    assert {name: rows(here, name) for name in before} == before
    assert any("read 1 transcripts further" in warning for warning in summary.warnings)


def test_lines_that_either_lake_kept_come_together(tmp_path: Path) -> None:
    """One lake kept the first line, the other the second: together both."""
    root, here, other = tmp_path / "logs", Lake(tmp_path / "here"), Lake(tmp_path / "other")
    path = root / "projects/-p/a.jsonl"
    write(root, {"projects/-p/a.jsonl": jsonl(assistant("msg_1"))})
    here.refresh([root], host="h", keep_raw=True)
    other.refresh([root], host="h", keep_raw=False)
    path.write_bytes(path.read_bytes() + jsonl(assistant("msg_2")))
    os.utime(path, (0, 2_000_000_000))
    here.refresh([root], host="h", keep_raw=False)
    other.refresh([root], host="h", keep_raw=True)
    here.refresh([root], host="h", keep_raw=True)
    assert (len(rows(here, "records")), len(rows(other, "records"))) == (1, 1)
    here.merge(other)
    assert sorted(row["line"] for row in rows(here, "records")) == [1, 2]


def test_a_folder_that_is_something_else_is_left_as_it_is(machine, tmp_path: Path) -> None:
    theirs = machine("laptop", {"-p/a.jsonl": jsonl(assistant())})
    folder = tmp_path / "something"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / "letter.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(LakeError, match="is not a lake"):
        Lake(folder).merge(theirs)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


# --- texts that this lake lacks -----------------------------------------------------------------------------------


def bare_and_full(machine, tmp_path: Path, **here: bool) -> tuple[Lake, Lake]:
    """Two lakes of one transcript: one that was told to keep texts after it had read it, and one that kept them."""
    tree = {"-p/a.jsonl": jsonl(user("Fix it."), assistant("msg_1")), "-p/b.jsonl": jsonl(assistant("msg_2"))}
    full = machine("h", tree, "full")
    bare = Lake(tmp_path / "bare")
    bare.refresh([tmp_path / "logs-h"], host="h", keep_text=False, **here)
    bare.refresh([tmp_path / "logs-h"], host="h", keep_text=True, **here)
    assert [row["text"] for row in rows(bare, "prompts")] == [None]
    return bare, full


def test_texts_that_are_missing_here_are_taken_from_transcripts_that_are_the_same(machine, tmp_path: Path) -> None:
    bare, full = bare_and_full(machine, tmp_path)
    poor = copied(bare, "poor")
    summary = bare.merge(full)
    assert (summary.files_replaced, summary.files_same, summary.warnings) == (2, 0, ())
    assert contents(bare) == contents(full)
    before = bare.snapshot()
    assert (bare.merge(full).files_same, bare.snapshot()) == (2, before)
    # The other way round there is nothing to be had.
    before = full.snapshot()
    assert (full.merge(poor).files_same, full.snapshot()) == (2, before)


def test_texts_are_not_bought_with_lines(machine, tmp_path: Path) -> None:
    """The texts stay out, the summary says so and how to have them; that way gives them."""
    bare, full = bare_and_full(machine, tmp_path, keep_raw=True)
    lines = rows(bare, "records")
    (warning,) = bare.merge(full).warnings
    assert warning.startswith(f"{full.path} has the texts of 2 transcripts that are here without them")
    assert "tokenlake rebuild" in warning
    assert (rows(bare, "records"), [row["text"] for row in rows(bare, "prompts")]) == (lines, [None])
    bare.rebuild()
    assert [row["text"] for row in rows(bare, "prompts")] == ["Fix it."]
    assert bare.merge(full).warnings == ()


# --- what lies beside transcripts ---------------------------------------------------------------------------------


def test_rejects_of_a_history_come_over_and_are_not_doubled(machine, tmp_path: Path) -> None:
    write(tmp_path / "logs-a", {"history.jsonl": told(1)["history.jsonl"] + b"rubbish\n"})
    write(tmp_path / "logs-b", {"quota-samples.jsonl": b"{}\n" + told(2)["quota-samples.jsonl"]})
    one_lake = machine("a", {"-p/a.jsonl": jsonl(assistant()) + b"also rubbish\n"})
    other = machine("b", {"-p/b.jsonl": jsonl(assistant("msg_2"))})
    summary = other.merge(one_lake)
    assert (summary.files_other, summary.files_new) == (1, 1)
    assert sorted(row["head"] for row in rows(other, "rejects")) == ["also rubbish", "rubbish", "{}"]
    kinds = [(row["host"], row["kind"], row["rejects"]) for row in rows(other, "files", "host, kind")]
    assert kinds == [("a", "history", 1), ("a", "main", 1), ("b", "main", 0), ("b", "quota-samples", 1)]
    write(tmp_path / "logs-a", {"history.jsonl": b"more\n"})
    one_lake.refresh([tmp_path / "logs-a"], host="a")
    summary = other.merge(one_lake)
    assert (summary.files_replaced, summary.files_same) == (0, 1)
    assert sorted(row["head"] for row in rows(other, "rejects")) == ["also rubbish", "more", "rubbish", "{}"]
    before = other.snapshot()
    assert (other.merge(one_lake).files_same, other.snapshot()) == (1, before)
