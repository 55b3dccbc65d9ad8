"""Log trees with links and names made to lead astray: nothing outside a root is read, and nothing is lost below it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import assistant, jsonl, usage

from tokenlake.lake import Lake

pytestmark = pytest.mark.usefixtures("few_views")

SECRET = jsonl(assistant("msg_secret", usage(777)))
OWN = jsonl(assistant("msg_own", usage(5)))


def keys(lake: Lake) -> list[str]:
    return [row["key"] for row in lake.sql("select key from requests order by key").to_pylist()]


def test_links_out_of_a_root_are_not_followed(tmp_path: Path, logs: Path, ingest: Any) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "secret.jsonl").write_bytes(SECRET)
    (outside / "sub" / "secret.jsonl").write_bytes(SECRET)
    inside = logs / "projects" / "p"
    inside.mkdir(parents=True)
    (inside / "file.jsonl").symlink_to(outside / "secret.jsonl")
    (inside / "upwards.jsonl").symlink_to("../../../outside/secret.jsonl")
    (inside / "folder").symlink_to(outside, target_is_directory=True)
    (inside / "passwd.jsonl").symlink_to("/etc/passwd")
    (inside / "etc").symlink_to("/etc", target_is_directory=True)
    (inside / "root").symlink_to("/", target_is_directory=True)
    (inside / "chain.jsonl").symlink_to(inside / "file.jsonl")
    lake = ingest({"p/own.jsonl": OWN})
    assert keys(lake) == ["msg_own"]
    assert lake.sql("select path from files").to_pylist() == [{"path": str(inside / "own.jsonl")}]
    warnings = lake.refresh([logs], host="h").warnings
    assert sum("a link out of the root, not followed" in text for text in warnings) == 7


def test_loops_and_dangling_links_end(logs: Path, ingest: Any) -> None:
    inside = logs / "projects" / "p"
    inside.mkdir(parents=True)
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "up").symlink_to(logs, target_is_directory=True)
    (inside / "self.jsonl").symlink_to("self.jsonl")
    (inside / "gone.jsonl").symlink_to(inside / "nothing")
    (inside / "again.jsonl").symlink_to(inside / "own.jsonl")
    lake = ingest({"p/own.jsonl": OWN})
    assert lake.sql("select n_rows, key from requests").to_pylist() == [{"n_rows": 1, "key": "msg_own"}]


def test_what_is_no_file_is_not_opened(logs: Path, ingest: Any) -> None:
    """To open a pipe would wait for ever."""
    inside = logs / "projects" / "p"
    inside.mkdir(parents=True)
    os.mkfifo(inside / "pipe.jsonl")
    (inside / "folder.jsonl").mkdir()
    assert keys(ingest({"p/own.jsonl": OWN})) == ["msg_own"]


NAMES = [
    *(b"new\nline", b"\x1b]0;title\x07\x1b[31mred", b"[a-z]*?{x,y}", b'it\'s "quoted"', b"non\xffutf8", b"$(id)`id`%s"),
    *(
        b"..",
        b"..hidden",
        b"a;b#c&d|e",
        "«ü日本\u202e".encode(),
        b"back\\slash",
        b" blank ",
        b"-rf",
        b"~root",
        b"file:",
    ),
    *(b"x" * 200, b"month=2020-01", b"a,b"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="names are not bytes elsewhere")
def test_a_name_is_a_name(tmp_path: Path, run: Any) -> None:
    """As folder of a root, of a project, and as transcript; grown and departed ones are recognised again."""
    roots = []
    for number, name in enumerate(NAMES):
        root = os.fsencode(tmp_path) + b"/trees" + (b"" if name == b".." else b"/" + name)
        project = Path(os.fsdecode(root + b"/projects/p-" + name))
        project.mkdir(parents=True)
        (project / os.fsdecode(b"s-" + name + b".jsonl")).write_bytes(jsonl(assistant(f"msg_{number:02}", usage(5))))
        (project / "b.jsonl").write_bytes(OWN)
        roots.append(os.fsdecode(root))
    lake = Lake(tmp_path / "lake")
    assert lake.refresh(roots, host="h").files_read == 2 * len(NAMES)
    assert keys(lake) == [*(f"msg_{number:02}" for number in range(len(NAMES))), "msg_own"]
    transcripts = sorted((tmp_path / "trees").rglob("s-*.jsonl"))
    assert len(transcripts) == len(NAMES)
    for path in transcripts:
        with path.open("ab") as file:
            file.write(jsonl(assistant("msg_own", usage(6))))
    again = lake.refresh(host="h")
    assert (again.files_read, again.files_unchanged, again.lines) == (len(NAMES), len(NAMES), len(NAMES))
    assert keys(lake)[-1] == "msg_own"
    for path in transcripts:
        (path.parent / "b.jsonl").unlink()
    assert lake.refresh(roots, host="h").files_departed == len(NAMES)
    shown = run(
        "sql", "select path, departed_at is not null as gone from files", "--no-refresh", "--lake", str(lake.path)
    )
    assert shown.code == 0
    assert all(char.isprintable() or char == "\n" for char in shown.out + shown.err)
    assert shown.out.count("\n") == 2 + 2 * len(NAMES)  # header and rule


def test_sql_in_a_name_is_no_sql(tmp_path: Path, ingest: Any) -> None:
    hostile = "'; drop table requests; select 'x"
    lake = ingest({f"{hostile}/{hostile}.jsonl": jsonl(assistant("k'||'y", usage(5), session=hostile))}, host=hostile)
    assert lake.sql("select key, session_id, host from requests").to_pylist() == [
        {"key": "k'||'y", "session_id": hostile, "host": hostile}
    ]
    assert lake.run("cost/session", session=hostile, host=hostile).to_pylist()[0]["requests"] == 1
    ingest({f"{hostile}/{hostile}.jsonl": jsonl(assistant("k'||'z", usage(5), session=hostile))}, host=hostile)
    assert keys(lake) == ["k'||'z"]
