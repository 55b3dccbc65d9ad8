"""--output never overwrites what the lake is made of or made from, whichever command writes it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Ran, Run

LOGS = Path(__file__).parents[2] / "data-samples" / "logs" / "projects" / "-home-ada-bom"


@pytest.mark.parametrize(
    "command",
    [
        ["sql", "--no-refresh", "select 1 as n"],
        ["cost", "daily", "--no-refresh"],
        ["prices"],
        ["doctor", "--quick"],
        ["reconcile", "--no-refresh"],
        ["reproduce", "--own", "--no-refresh", "R9"],
    ],
    ids=lambda command: command[0],
)
def test_an_output_among_the_files_of_the_lake_is_refused(run: Run, command: list[str], tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    assert run("ingest", "--root", str(LOGS), "--lake", str(lake)).code == 0
    catalog = lake / "tokenlake.json"
    before = catalog.read_bytes()
    for place in (catalog, lake / "new.csv", lake / "requests" / ".." / "tokenlake.json"):
        ran = run(*command, "--lake", str(lake), "--output", str(place))
        assert (ran.code, ran.out) == (2, "")
        assert "is in the folder of a lake" in ran.err
    assert catalog.read_bytes() == before
    assert not (lake / "new.csv").exists()


COST = ("cost", "monthly", "--format", "csv")


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of transcripts that is not where agents keep theirs, which is `tmp_path/config/projects`."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    shutil.copytree(LOGS, tmp_path / "logs" / "-p")
    return tmp_path / "logs"


def refused(ran: Ran, *words: str) -> bool:
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    return all(word in ran.err for word in words)


def test_an_output_below_a_folder_of_transcripts_is_refused(run: Run, logs: Path, tmp_path: Path) -> None:
    """Those that the lake remembers, the one given, and where agents keep them; also through links."""
    lake = ("--lake", str(tmp_path / "lake"))
    assert run("ingest", "--root", str(logs), *lake).code == 0
    (transcript,) = logs.rglob("*.jsonl")
    before = transcript.read_bytes()
    (tmp_path / "link.csv").symlink_to(transcript)
    (tmp_path / "near").symlink_to(logs, target_is_directory=True)
    below = "is in a folder of transcripts"
    for place in (transcript, logs / "new.csv", tmp_path / "link.csv", tmp_path / "near" / "-p" / "new.csv"):
        assert refused(run(*COST, *lake, "--output", str(place)), below, str(logs))
        assert refused(run(*COST, "--root", str(logs), "--lake", str(tmp_path / "none"), "--output", str(place)), below)
    usual = tmp_path / "config" / "projects"
    assert refused(run(*COST, *lake, "--output", str(usual / "new.csv")), below, str(usual))
    assert transcript.read_bytes() == before
    assert sorted(path.name for path in logs.iterdir()) == ["-p"]


@pytest.mark.parametrize("name", ["copy.jsonl", "old.jsonl.gz", "old.jsonl.zst", "COPY.JSONL"])
def test_a_file_that_may_be_a_transcript_is_not_replaced(run: Run, logs: Path, tmp_path: Path, name: str) -> None:
    on = ("--root", str(logs), "--lake", str(tmp_path / "lake"))
    (tmp_path / name).write_bytes(b"mine")
    assert refused(run(*COST, *on, "--output", str(tmp_path / name)), "may be a transcript", name)
    assert (tmp_path / name).read_bytes() == b"mine"
    (tmp_path / name).unlink()
    assert run(*COST, *on, "--output", str(tmp_path / name)).code == 0
    assert (tmp_path / name).read_bytes().startswith(b"month,")
    long = b'{"head": "%s"}\n' % (b"x" * 100_000)
    for again, earlier in (("again.csv", b"an earlier answer"), ("again.jsonl", b'{"cost": 1}\n'), ("a.jsonl", long)):
        (tmp_path / again).write_bytes(earlier)
        assert run(*COST, *on, "--output", str(tmp_path / again)).code == 0
        assert (tmp_path / again).read_bytes().startswith(b"month,")
    record = b'{"type": "user", "sessionId": "s", "message": {"role": "user", "content": "hi"}}\n'
    (tmp_path / "record.jsonl").write_bytes(record)
    assert refused(run(*COST, *on, "--output", str(tmp_path / "record.jsonl")), "may be a transcript")
    assert (tmp_path / "record.jsonl").read_bytes() == record


def test_a_written_file_is_named_and_a_dash_is_stdout(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    schema = ("schema", "rejects", "--limit", "1")
    for form in ("csv", "parquet"):
        ran = run(*schema, "--output", f"a.{form}")
        assert ran.out == ""
        assert f"written: a.{form}" in ran.err.splitlines()
    ran = run(*schema, "--format", "csv", "--output", "-")
    assert ran.out == (tmp_path / "a.csv").read_text()
    assert "written" not in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


@pytest.mark.parametrize("command", [["schema"], ["synth", "made"]], ids=["schema", "synth"])
def test_an_ending_that_stands_for_no_form_is_refused(
    run: Run, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(run(*command, "--output", "o.xlsx"), "o.xlsx: .xlsx stands for no form", ".csv", "--format")
    assert list(tmp_path.iterdir()) == []
    assert run("schema", "--format", "csv", "--output", "o.xlsx").code == 0


def test_an_output_among_the_files_of_another_lake_is_refused(run: Run, tmp_path: Path) -> None:
    for name in ("one", "other"):
        assert run("ingest", "--root", str(LOGS), "--lake", str(tmp_path / name)).code == 0
    (data,) = (tmp_path / "other" / "requests").rglob("*.parquet")
    before = data.read_bytes()
    for place in (tmp_path / "other" / "tokenlake.json", data, data.with_name("new.parquet")):
        ran = run(*COST, "--no-refresh", "--lake", str(tmp_path / "one"), "--output", str(place))
        assert refused(ran, f"is in the folder of a lake, {tmp_path / 'other'}")
    assert data.read_bytes() == before
    assert not data.with_name("new.parquet").exists()


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "arrow", "table"])
@pytest.mark.parametrize("had_one", [False, True])
def test_an_output_that_cannot_be_written_leaves_what_was_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, had_one: bool
) -> None:
    """The disk is full when the file takes its place, as it may be with every byte before."""
    lake, place = ("--lake", str(tmp_path / "lake")), tmp_path / "out" / f"x.{form}"
    assert run("ingest", "--root", str(LOGS), *lake).code == 0
    place.parent.mkdir()
    if had_one:
        place.write_bytes(b"before")
        place.chmod(0o640)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    arguments = ("cost", "monthly", "--no-refresh", *lake, "--format", form, "--output", str(place))
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert f"--output {place}: No space left on device" in ran.err
    assert "written" not in ran.err
    assert [(path.name, path.read_bytes()) for path in place.parent.iterdir()] == [(place.name, b"before")] * had_one
    assert run(*arguments).code == 0
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert not had_one or place.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_an_output_may_be_a_device(run: Run, tmp_path: Path) -> None:
    lake = ("--lake", str(tmp_path / "lake"))
    assert run("ingest", "--root", str(LOGS), *lake).code == 0
    assert run(*COST, "--no-refresh", *lake, "--output", "/dev/null").code == 0
    ran = run(*COST, "--no-refresh", *lake, "--output", "/dev/full")
    assert (ran.code, ran.err.splitlines()[-1]) == (2, "tokenlake: --output /dev/full: No space left on device")
    assert Path("/dev/full").is_char_device()
