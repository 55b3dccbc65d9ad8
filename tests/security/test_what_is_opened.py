"""What a whole ingest and reports open, as the kernel and Python tell it: no credentials, nothing else, no network."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import assistant, jsonl, usage, user

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's interfaces are those of Linux")

ROOT = Path(__file__).resolve().parents[2]
SECRET_NAMES = (".credentials.json", ".claude.json", "settings.json", "settings.local.json", "credentials.jsonl.bak")

AUDITED = """
import json, sys
MODULES = ("socket", "urllib", "http", "ftplib", "smtplib", "subprocess", "webbrowser", "pty")
EVENTS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.startfile")
events = []
def hear(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        events.append(["open", arguments[0] if isinstance(arguments[0], str) else arguments[0].decode()])
    elif event != "socket.gethostname" and event.split(".")[0] in MODULES or event in EVENTS:  # it asks the kernel
        events.append([event, repr(arguments)[:200]])
sys.addaudithook(hear)
from tokenlake_cli import main
codes = [int(main.run(line)) for line in json.loads(sys.argv[1])]
with open(sys.argv[2], "w") as out:
    json.dump([codes, events], out)
"""

NO_INTERNET = """
import ctypes, platform, struct, sys
# A filter of system calls that kills the process where it asks for a socket of the internet (AF_INET, AF_INET6).
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
def step(code, jump_true, jump_false, value): return struct.pack("HBBI", code, jump_true, jump_false, value)
program = b"".join([
    step(0x20, 0, 0, 0), step(0x15, 0, 3, number),
    step(0x20, 0, 0, 16), step(0x15, 2, 0, 2), step(0x15, 1, 0, 10),
    step(0x06, 0, 0, 0x7FFF0000), step(0x06, 0, 0, 0x80000000)])
held = ctypes.create_string_buffer(program)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
if libc.prctl(22, 2, ctypes.byref(Program(7, ctypes.addressof(held)))) != 0: sys.exit(77)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with logs, and beside them everything that must stay closed."""
    config = tmp_path / "home" / ".claude"
    project = config / "projects" / "-home-ada-x"
    project.mkdir(parents=True)
    (project / "s.jsonl").write_bytes(jsonl(user(), assistant("m1", usage(5)), assistant("m2", usage(6), "09:05")))
    (config / "history.jsonl").write_bytes(b"")
    for folder in (tmp_path / "home", config, config / "projects", project):
        for name in SECRET_NAMES:
            (folder / name).write_text(json.dumps({"secret": "sk-ant-1"}))
    (project / "s.meta.json").write_text("{}")
    (project / "notes.txt").write_text("sk-ant-1")
    return tmp_path / "home"


def lines(lake: Path) -> list[list[str]]:
    """The command lines of one life: ingest, reports of every kind of view, formats, an ingest of nothing new."""
    on = ["--lake", str(lake)]
    return [
        ["ingest", *on],
        ["cost", "daily", *on],
        ["cache", "overhead", *on, "--format", "json"],
        ["windows", "blocks", *on, "--format", "parquet", "--output", str(lake.parent / "out.parquet")],
        ["sql", "select count(*) from selected", *on, "--no-refresh"],
        ["prices", "--used", *on],
        ["lake", "coverage", *on],
        ["ingest", *on],
    ]


def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    own = {
        "HOME": str(home),
        "TOKENLAKE_CACHE": str(tmp_path / "cache"),
        "TOKENLAKE_QUERIES": str(tmp_path / "queries"),
    }
    (tmp_path / "temporary").mkdir(exist_ok=True)
    own["TMPDIR"] = str(tmp_path / "temporary")
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "Europe/Berlin", "PYTHONDONTWRITEBYTECODE": "1", **own}


def python(program: str, arguments: Sequence[str], home: Path, tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        cwd=tmp_path,
        env=environment(home, tmp_path),
        check=False,
    )


class Opened:
    """The names of the files in some folders that anyone opens or reads, as the kernel tells it."""

    def __init__(self, *folders: Path) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self.libc.inotify_init1(os.O_NONBLOCK)
        opened_or_read = 0x20 | 0x1
        self.folders = {
            self.libc.inotify_add_watch(self.descriptor, os.fsencode(folder), opened_or_read): folder
            for folder in folders
        }

    def files(self) -> set[Path]:
        found = set()
        try:
            while data := os.read(self.descriptor, 1 << 16):
                at = 0
                while at < len(data):
                    watch, _, _, length = struct.unpack_from("iIII", data, at)
                    name = data[at + 16 : at + 16 + length].rstrip(b"\0")
                    at += 16 + length
                    if name and (path := self.folders[watch] / os.fsdecode(name)).is_file():
                        found.add(path)
        except BlockingIOError:
            return found
        finally:
            os.close(self.descriptor)
        return found


def test_no_file_but_transcripts_is_opened_in_the_agents_folders(home: Path, tmp_path: Path) -> None:
    """By Python or by the engines: the kernel tells."""
    config = home / ".claude"
    opened = Opened(home, config, config / "projects", config / "projects" / "-home-ada-x")
    program = (
        "import json, sys\nfrom tokenlake_cli import main\nprint([int(main.run(x)) for x in json.loads(sys.argv[1])])"
    )
    ran = python(program, [json.dumps(lines(tmp_path / "lake"))], home, tmp_path)
    assert ran.stdout.splitlines()[-1] == b"[0, 0, 0, 0, 0, 0, 0, 0]", ran.stderr
    names = {path.name for path in opened.files()}
    assert names >= {"s.jsonl"}
    assert names <= {"s.jsonl", "history.jsonl"}


def test_the_doctor_opens_the_settings_for_one_number_and_no_other_file_of_the_agents(
    home: Path, tmp_path: Path
) -> None:
    config = home / ".claude"
    (config / "settings.json").write_text(json.dumps({"cleanupPeriodDays": 77, "apiKeyHelper": "sk-ant-1"}))
    opened = Opened(home, config, config / "projects", config / "projects" / "-home-ada-x")
    program = "from tokenlake_cli import main\nimport sys\nsys.exit(int(main.run(sys.argv[1:])))"
    assert python(program, ["ingest", "--lake", str(tmp_path / "lake")], home, tmp_path).returncode == 0
    ran = python(program, ["doctor", "--lake", str(tmp_path / "lake")], home, tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert b"77 days after their last change" in ran.stdout
    assert b"sk-ant-1" not in ran.stdout + ran.stderr
    assert {path.relative_to(config).as_posix() for path in opened.files()} == {
        "projects/-home-ada-x/s.jsonl",
        "history.jsonl",
        "settings.json",
    }


def test_only_transcripts_the_lake_and_the_program_are_opened(home: Path, tmp_path: Path) -> None:
    ran = python(AUDITED, [json.dumps(lines(tmp_path / "lake")), str(tmp_path / "events.json")], home, tmp_path)
    codes, events = json.loads((tmp_path / "events.json").read_text())
    assert codes == [0] * len(codes), ran.stderr
    opened = {path for kind, path in events if kind == "open"}
    assert [event for event in events if event[0] != "open"] == []
    transcript = home / ".claude" / "projects" / "-home-ada-x" / "s.jsonl"
    assert {str(transcript), str(tmp_path / "lake" / "tokenlake.json")} <= opened
    own = (tmp_path / "lake", tmp_path / "cache", tmp_path / "temporary", home / ".config" / "tokenlake")
    files = (transcript, home / ".claude" / "history.jsonl", tmp_path / "out.parquet", tmp_path / "events.json")
    program = (ROOT, sys.prefix, sys.base_prefix, *filter(None, sys.path), "/usr/share/zoneinfo")
    system = ("/etc/localtime", "/etc/timezone", "/proc", "/sys", "/dev/null", "/dev/urandom")
    # An output is written beside its place, into which it is moved.
    beside = [path for path in opened if path.startswith(str(tmp_path / ".tokenlake-"))]
    assert len(beside) == 1
    assert not Path(beside[0]).exists()
    allowed = [Path(place) for place in (*own, *files, *beside, *program, *system)]
    # A bare name is one within a folder that is being removed: the staging folder.
    strays = [path for path in opened if "/" in path and not any(Path(path).is_relative_to(place) for place in allowed)]
    assert strays == []
    assert not [path for path in opened if "/" not in path and (tmp_path / path).exists()]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the numbers of system calls are others")
def test_no_socket_of_the_internet_is_asked_for(home: Path, tmp_path: Path) -> None:
    """By Python or by the engines: the kernel would kill the process."""
    dead = python(NO_INTERNET + "import socket\nsocket.socket()", [], home, tmp_path)
    if dead.returncode == 77:
        pytest.skip("no filters of system calls here")
    assert dead.returncode == -31  # SIGSYS: the filter is in force
    program = "from tokenlake_cli import main\nprint([int(main.run(x)) for x in __import__('json').loads(sys.argv[1])])"
    ran = python(NO_INTERNET + program, [json.dumps(lines(tmp_path / "lake"))], home, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == b"[0, 0, 0, 0, 0, 0, 0, 0]"


def test_unreadable_credentials_hurt_nothing(
    home: Path, tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pipes in their place: to open one would wait for ever."""
    for path in home.rglob("*"):
        if path.name in SECRET_NAMES:
            path.unlink()
            os.mkfifo(path, 0o000)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / ".claude"))
    for line in lines(tmp_path / "lake")[:2]:
        ran = run(*line)
        assert (ran.code, ran.err.count("warning")) == (0, 0)
