"""Bad input: one clear line on stderr, a documented exit code, no traceback, and nothing lost."""

from __future__ import annotations

import builtins
import errno
import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import S1, assistant, jsonl, usage, user
from tests.cli.conftest import Ran, Run

from tokenlake.store import catalog

GOOD = jsonl(user(), assistant("msg_1", usage(5)))
DUMP = b'{"type":"system","subtype":"init","session_id":"x"}\n{"type":"result","session_id":"x","usage":{}}\n'


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A root with one good transcript."""
    folder = tmp_path / "logs" / "-p"
    folder.mkdir(parents=True)
    (folder / f"{S1}.jsonl").write_bytes(GOOD)
    return folder.parent


@pytest.fixture
def lake(tmp_path: Path) -> list[str]:
    return ["--lake", str(tmp_path / "lake")]


def is_one_line(ran: Ran, code: int, *words: str) -> bool:
    """Whether stderr is one line of ours that holds the words, beside the exit code and the news of a new lake."""
    assert "Traceback" not in ran.err + ran.out
    assert ran.code == code, ran.err
    (said,) = [line for line in ran.err.splitlines() if not line.startswith("tokenlake: a new lake was made at ")]
    assert said.startswith("tokenlake: ")
    assert [word for word in words if word not in said] == [], ran.err
    return True


def asked(run: Run, lake: list[str], query: str) -> list[dict[str, Any]]:
    ran = run("sql", query, "--no-refresh", "--format", "json", *lake)
    assert ran.code == 0, ran.err
    answer: list[dict[str, Any]] = json.loads(ran.out)
    return answer


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- transcripts that are none: a warning, and the others are read ------------------------------------------------

LOST = "select count(*)::int as rows, sum(bytes)::bigint as bytes from rejects"


@pytest.mark.parametrize(
    ("name", "data", "words", "rejects", "bytes_"),
    [
        ("empty.jsonl", b"", ["empty"], 0, None),
        ("notes.jsonl", b"Dear diary,\n\ntoday I sailed.\n", ["not a transcript"], 2, 26),
        ("image.jsonl", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\n", ["not a transcript"], 3, None),
        ("dump.jsonl", DUMP, ["stream-json"], 0, None),
        ("cut.jsonl.gz", gzip.compress(GOOD)[:-30], ["Compressed file ended"], 1, 0),
    ],
    ids=["empty", "not JSON", "binary", "stream-json", "damaged archive"],
)
def test_a_file_that_is_no_transcript_is_named(
    run: Run, logs: Path, lake: list[str], name: str, data: bytes, words: list[str], rejects: int, bytes_: int | None
) -> None:
    (logs / "-p" / name).write_bytes(data)
    ran = run("ingest", "--root", str(logs), "--format", "json", *lake)
    assert is_one_line(ran, 0, "warning", str(logs / "-p" / name), *words)
    (summary,) = json.loads(ran.out)
    assert (summary["files_found"], summary["requests"], summary["output_tokens"]) == (2, 1, 5)
    (lost,) = asked(run, lake, LOST)
    assert lost["rows"] == rejects
    if bytes_ is not None:
        assert lost["bytes"] == bytes_


def test_a_file_without_permission_is_named_and_read_when_it_may_be(
    run: Run, logs: Path, lake: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = logs / "-p" / "secret.jsonl"
    secret.write_bytes(jsonl(assistant("msg_2", usage(7))))
    opened = builtins.open

    def refusing(file: Any, *args: Any, **kwargs: Any) -> Any:
        if str(file) == str(secret):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), file)
        return opened(file, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", refusing)
        ran = run("ingest", "--root", str(logs), *lake)
    assert is_one_line(ran, 0, "warning", str(secret), "Permission denied")
    assert asked(run, lake, "select sum(output_tokens)::int as output from requests") == [{"output": 5}]
    assert run("ingest", "--root", str(logs), *lake)[::2] == (0, "")
    assert asked(run, lake, "select sum(output_tokens)::int as output from requests") == [{"output": 12}]


# --- roots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["ingest"], ["cache", "overhead"]], ids=["ingest", "report"])
def test_a_missing_root_is_named_and_no_lake_is_made(
    run: Run, logs: Path, lake: list[str], tmp_path: Path, command: list[str]
) -> None:
    ran = run(*command, "--root", str(logs), "--root", str(tmp_path / "gone"), *lake)
    assert is_one_line(ran, 3, str(tmp_path / "gone"), "--root")
    assert ran.out == ""
    assert not (tmp_path / "lake").exists()


def test_a_root_without_permission_is_named(
    run: Run, logs: Path, lake: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert is_one_line(run("ingest", "--root", str(logs), *lake), 3, str(logs), "permission")
    assert not (tmp_path / "lake").exists()


def test_a_folder_without_transcripts_is_named(run: Run, lake: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("mine")
    ran = run("ingest", "--root", str(tmp_path / "empty"), "--format", "json", *lake)
    said = [f"tokenlake: warning: {tmp_path}/empty: no transcripts there"]
    said.append(f"tokenlake: no lake was made at {tmp_path}/lake: there is nothing to put into it")
    assert (ran.code, ran.err.splitlines()) == (0, said)
    (summary,) = json.loads(ran.out)
    assert (summary["lake"], summary["requests"]) == (None, 0)
    ran = run("ingest", "--root", str(tmp_path / "empty"), *lake)
    assert (ran.code, ran.err.splitlines(), ran.out) == (0, said, "")
    ran = run("cost", "daily", "--root", str(tmp_path / "empty"), "--format", "json", *lake)
    assert (ran.code, json.loads(ran.out)) == (0, [])
    assert "no transcripts" in ran.err
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("what", ["the folder", "every file"])
def test_a_root_of_which_nothing_can_be_read_is_an_error(
    run: Run, logs: Path, lake: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    scandir, opened = os.scandir, builtins.open

    def refusing(path: Any, *rest: Any, **more: Any) -> Any:
        if str(path).startswith(str(logs)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return (scandir if what == "the folder" else opened)(path, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(*((os, "scandir") if what == "the folder" else (builtins, "open")), refusing)
        assert is_one_line(run("ingest", "--root", str(logs), *lake), 3, "nothing could be read", "Permission denied")
    assert not (tmp_path / "lake").exists()
    # A part that can be read is enough; so is a lake for a report without --root.
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.jsonl").write_bytes(jsonl(assistant("msg_9")))
    with monkeypatch.context() as patched:
        patched.setattr(*((os, "scandir") if what == "the folder" else (builtins, "open")), refusing)
        both = run("ingest", "--root", str(logs), "--root", str(tmp_path / "more"), *lake)
    assert is_one_line(both, 0, "warning", "Permission denied")


@pytest.mark.parametrize(
    "arguments", [["ingest", "--root", ""], ["ingest", "--lake", ""], ["cost", "daily", "--root", ""], ["merge", ""]]
)
def test_an_empty_path_is_refused(run: Run, arguments: list[str]) -> None:
    """It would stand for the working directory."""
    assert is_one_line(run(*arguments), 2, "it is empty")


# --- lakes --------------------------------------------------------------------------------------------------------

WRONG = {
    "a folder of other things": ("thesis.tex", b"mine", "is not a lake"),
    "a damaged catalog": (catalog.CATALOG_NAME, b"{", "not a readable catalog"),
    "a newer schema": (catalog.CATALOG_NAME, b'{"schema_version": 999, "commit": 1, "files": {}}', "newer tokenlake"),
    "an older schema": (
        catalog.CATALOG_NAME,
        b'{"schema_version": 0, "commit": 1, "files": {}}',
        "tokenlake ingest --lake",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("command", [["ingest"], ["cache", "overhead"]], ids=["ingest", "report"])
def test_a_wrong_lake_is_refused_and_left_as_it_is(
    run: Run, logs: Path, tmp_path: Path, wrong: str, command: list[str]
) -> None:
    name, data, words = WRONG[wrong]
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / name).write_bytes(data)
    ran = run(*command, "--root", str(logs), "--lake", str(folder))
    assert is_one_line(ran, 4, str(folder), words)
    assert ran.out == ""
    assert contents(folder) == {name: data}


@pytest.mark.parametrize("lost", ["files", "requests"])
def test_a_lake_that_lost_a_data_file_is_named(
    run: Run, logs: Path, lake: list[str], tmp_path: Path, lost: str
) -> None:
    run("ingest", "--root", str(logs), *lake)
    (data_file,) = (tmp_path / "lake" / lost).rglob("*.parquet")
    data_file.unlink()
    (logs / "-p" / f"{S1}.jsonl").write_bytes(GOOD + jsonl(assistant("msg_1", usage(9), uuid="more")))
    for command in (["ingest"], ["cache", "overhead"]):
        assert is_one_line(run(*command, "--root", str(logs), *lake), 4, data_file.name)


# --- the installed program ----------------------------------------------------------------------------------------

LIMITED = """
import resource
import sys
from tokenlake_cli.main import main
if sys.argv[1] != "-":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
main(sys.argv[2:])
"""


def program(limit: str, *arguments: str) -> Ran:
    """Runs `tokenlake ARGUMENTS` in a process that cannot write files beyond `limit` bytes, as on a full disk."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, limit, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_a_full_disk_leaves_the_lake_as_it_was(run: Run, logs: Path, lake: list[str], tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="this platform has no limit on the size of files")
    ingest = ("ingest", "--root", str(logs), *lake)
    assert run(*ingest).code == 0
    before = contents(tmp_path / "lake")
    noise = "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(10_000))
    (logs / "-p" / "long.jsonl").write_bytes(jsonl(user(noise, uuid="long"), assistant("msg_2", usage(7), "09:02")))
    # 640,000 hexadecimal digits are 320,000 bytes when compressed.
    ran = program("100000", *ingest)
    assert is_one_line(ran, 4, str(tmp_path / "lake"), "cannot be written", "as it was before")
    assert contents(tmp_path / "lake") == before
    assert run(*ingest)[::2] == (0, "")
    assert asked(run, lake, "select sum(output_tokens)::int as output from requests") == [{"output": 12}]


def test_a_program_that_failed_says_so_by_its_exit_status(tmp_path: Path) -> None:
    missing = program("-", "ingest", "--root", str(tmp_path / "gone"), "--lake", str(tmp_path / "lake"))
    assert is_one_line(missing, 3, str(tmp_path / "gone"))
    wrong = program("-", "ingest", "--roots", str(tmp_path))
    assert is_one_line(wrong, 2, "--roots")


@pytest.mark.parametrize("refused", [".lock", ".staging"])
def test_a_report_on_a_lake_that_cannot_be_written_is_of_the_last_commit(
    run: Run, logs: Path, lake: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """Neither its lock can be taken, nor, where the lock is there, can a data file be made."""
    root, query = tmp_path / "lake", "select count(*)::int as n from requests"
    report = ("sql", query, "--format", "json", "--root", str(logs), *lake)
    assert run("ingest", "--root", str(logs), *lake).code == 0
    (logs / "-p" / "more.jsonl").write_bytes(jsonl(assistant("msg_more", usage(7), "09:02")))
    opened, made = os.open, os.mkdir

    def refuse(path: Any) -> None:
        if Path(os.fsdecode(path)).name == refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", lambda path, *rest, **more: (refuse(path), opened(path, *rest, **more))[1])
    monkeypatch.setattr(os, "mkdir", lambda path, *rest, **more: (refuse(path), made(path, *rest, **more))[1])
    ran = run(*report)
    assert (ran.code, json.loads(ran.out)) == (0, [{"n": 1}])
    assert f"{root}: cannot be written: Permission denied; " in ran.err
    assert ran.err.endswith("; this report is of the last commit\n")
    assert is_one_line(run("ingest", "--root", str(logs), *lake), 4, str(root), "cannot be written")
    none = ("--lake", str(tmp_path / "none"))
    assert is_one_line(run(*report[:-2], *none), 4, str(tmp_path / "none"), "cannot be written")
    monkeypatch.undo()
