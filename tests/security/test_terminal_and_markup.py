"""Nothing that a transcript says is obeyed by a terminal or read as markup; files and pipes get it exactly."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from accounting.transcripts import assistant, jsonl, tool_result, tool_use, usage, user

from tokenlake.lake import Lake
from tokenlake_cli import messages, render, values

pytestmark = pytest.mark.usefixtures("few_views")

HOSTILE = (
    "a\x1b[2J\x1b]0;pwned\x07\x1b]8;;http://x\x1b\\b\rc\x08d\x7fe\x9b31mf\u202eg\u2066h\u200fi\u2028j\nk\tl\x00"
    " [red]m[/red] :smile: |n| `o` <script>p</script> **q** _r_ \\|s ![t](u) &lt; ~~v~~ $w$ \ufeffx"
)


def is_obeyed(char: str) -> bool:
    """Whether a terminal may do more than print it: C0, DEL, C1, bidirectional and other format characters."""
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char not in "\n\u200c\u200d"


def obeyed(text: str) -> list[str]:
    return [f"{char!r} in {text[max(0, at - 20) : at + 20]!r}" for at, char in enumerate(text) if is_obeyed(char)]


@pytest.fixture
def lake(ingest: Any) -> Lake:
    """Everything that a transcript can say, said by someone hostile."""
    session = f"s{HOSTILE}"
    told: dict[str, Any] = {"session": session, "cwd": f"/home/{HOSTILE}", "gitBranch": HOSTILE}
    calls = [tool_use(f"t{HOSTILE}", f"Tool{HOSTILE}", file_path=f"/x/{HOSTILE}")]
    limit = [{"type": "text", "text": f"Limit reached {HOSTILE}"}]
    lake: Lake = ingest(
        {
            "p/hostile.jsonl": jsonl(
                user(HOSTILE, **told),
                assistant(
                    f"m{HOSTILE}",
                    usage(5, read=100, w5=10, service_tier=HOSTILE, speed=HOSTILE),
                    model=f"model{HOSTILE}",
                    content=[{"type": "text", "text": HOSTILE}],
                    version=f"2.1.{HOSTILE}",
                    entrypoint=HOSTILE,
                    effort=HOSTILE,
                    stop=HOSTILE,
                    request_id=HOSTILE,
                    agentId=HOSTILE,
                    **told,
                ),
                assistant("m2", usage(6, read=200), "09:02", content=calls, model=f"model{HOSTILE}", **told),
                tool_result(f"t{HOSTILE}", time="09:03", error=True, **told),
                assistant("m3", usage(1), "09:04", model="<synthetic>", content=limit, **told),
                {"type": "custom-title", "customTitle": HOSTILE, "sessionId": session},
                {"type": f"system{HOSTILE}", "subtype": HOSTILE, "timestamp": "2026-05-04T09:05:00Z", **told},
                {"type": "summary", "summary": HOSTILE, "leafUuid": HOSTILE},
            )
            + b"{broken "
            + HOSTILE.replace("\n", "").encode()
            + b"\n"
        },
        host=f"h{HOSTILE}",
    )
    return lake


REPORTS = [
    ("cost", "model"),
    ("cost", "session"),
    ("cache", "overhead", "--by", "session"),
    ("behaviour", "tools"),
    ("behaviour", "turns"),
    ("windows", "limits"),
    ("lake", "rejects"),
    ("lake", "coverage"),
    ("prices", "--used"),
    ("sql", "select * from requests"),
    ("sql", "select * from tool_calls union all by name select * from events union all by name from texts"),
    ("sql", "select * from sessions union all by name select * from prompts union all by name from rejects"),
    ("sql", f'select 1 as "{HOSTILE.replace(chr(0), "")}"'),
]


@pytest.mark.parametrize("width", [None, 80])
def test_tables_and_messages_are_not_obeyed(
    run: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch, width: int | None
) -> None:
    if width is not None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("NO_COLOR", "1")
    for name in REPORTS:
        on = ("--lake", str(lake.path), *(() if name[0] == "prices" else ("--no-refresh",)))
        ran = run(*name, *on)
        assert ran.code == 0, ran.err
        own = re.compile(r"\x1b\[[0-9;]*m")  # the table's own bold and dim
        assert obeyed(own.sub("", ran.out) if width else ran.out) == []
        assert obeyed(ran.err) == []
        if "\\x1b[2J" in ran.out:
            assert "[red]m[/red]" in ran.out
            assert ":smile:" in ran.out


def test_other_text_formats_are_not_obeyed_and_json_keeps_every_character(run: Any, lake: Lake) -> None:
    for name in REPORTS:
        on = ("--lake", str(lake.path), *(() if name[0] == "prices" else ("--no-refresh",)))
        for form in ("json", "markdown"):
            ran = run(*name, *on, "--format", form)
            assert ran.code == 0, ran.err
            assert obeyed(ran.out) == [], (name, form)
            assert obeyed(ran.err) == [], (name, form)


FIELDS = "select session_id, project, git_branch, model, version, stop_reason from requests where key like 'm%[2J%'"
WANTED = [f"s{HOSTILE}", f"/home/{HOSTILE}", HOSTILE, f"model{HOSTILE}", f"2.1.{HOSTILE}", HOSTILE]


def test_data_is_kept_exactly(run: Any, lake: Lake, tmp_path: Path) -> None:
    on = ("--no-refresh", "--lake", str(lake.path))
    assert list(json.loads(run("sql", FIELDS, *on, "--format", "json").out)[0].values()) == WANTED
    assert list(json.loads(run("sql", FIELDS, *on, "--format", "jsonl").out).values()) == WANTED
    piped = run("sql", FIELDS, *on, "--format", "csv").out
    assert list(csv.reader(io.StringIO(piped, newline="")))[1] == WANTED
    for form in ("json", "csv", "parquet", "arrow"):
        assert run("sql", FIELDS, *on, "--output", str(tmp_path / f"out.{form}")).code == 0
    assert list(json.loads((tmp_path / "out.json").read_text())[0].values()) == WANTED
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1] == WANTED
    assert list(pq.read_table(tmp_path / "out.parquet").to_pylist()[0].values()) == WANTED
    assert list(pa.ipc.open_file(tmp_path / "out.arrow").read_all().to_pylist()[0].values()) == WANTED


def test_csv_on_a_terminal_is_for_the_eyes(run: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    ran = run("sql", FIELDS, "--no-refresh", "--lake", str(lake.path), "--format", "csv")
    assert obeyed(ran.out) == []
    assert ran.out.count("\n") == 2
    assert "\\x1b[2J" in ran.out
    assert "[red]m[/red]" in ran.out


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table: a pipe ends one unless an odd number of backslashes is before it."""
    found, cell, at = [], "", 0
    while at < len(line):
        if line[at] == "\\" and at + 1 < len(line):
            cell += line[at : at + 2]
            at += 2
        elif line[at] == "|":
            found.append(cell.strip())
            cell, at = "", at + 1
        else:
            cell += line[at]
            at += 1
    return found[1:]


def test_markdown_has_no_markup_of_the_data(run: Any, lake: Lake) -> None:
    ran = run("sql", FIELDS, "--no-refresh", "--lake", str(lake.path), "--format", "markdown")
    header, rule, row = ran.out.splitlines()
    assert len(cells(header)) == len(cells(rule)) == len(cells(row)) == 6
    plain = re.sub(r"\\[!-/:-@\[-`{-~]", "", " ".join(cells(row)))  # what is escaped is text
    assert not re.search(r"[|`*~$\[\]<]", plain)
    assert not re.search(r"&(?!amp;|lt;)", plain)
    assert not re.search(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", plain)
    assert r"\\\|s" in row  # a backslash of the data does not free the pipe behind it
    assert "\\_r\\_" in row
    assert "&lt;script>" in row


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("a\\b", r"a\b"),
        ("\\", "\\"),
        ("snake_case_name", "snake_case_name"),
        ("_em_ __strong__", r"\_em\_ \_\_strong\_\_"),
        ("<b>&amp;", "&lt;b>&amp;amp;"),
        ("[x](y) ![z](w)", r"\[x\](y) !\[z\](w)"),
        ("$1$ ~~no~~ *it* `c`", r"\$1\$ \~\~no\~\~ \*it\* \`c\`"),
        ("two\nlines", r"two\nlines"),
    ],
)
def test_a_cell_of_markdown(text: str, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    render.write_rows(render.Sheet(("name",), [(text,)]), render.Output("markdown"))
    assert capsys.readouterr().out.splitlines()[2] == f"| {wanted} |"


ALL = "".join(
    map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xD800])
)


def test_every_control_character_is_escaped_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """C0, DEL, C1, the bidirectional controls, and half a surrogate pair, as in the name of a file."""
    assert values.visible(ALL).isprintable()
    assert values.json(ALL).isprintable()
    assert json.loads(values.json(ALL)) == ALL
    assert values.json({ALL: [ALL]}).isprintable()
    assert json.loads(values.json("\U000e0001 \U0001f600")) == "\U000e0001 \U0001f600"
    for say in (messages.say, messages.warn, messages.fail, messages.say_text):
        say(ALL)
        err = capsys.readouterr().err
        assert all(char.isprintable() or char == "\n" for char in err)
        assert err.count("\n") == (2 if say is messages.say_text else 1)


def test_a_text_on_a_terminal_is_for_the_eyes(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    render.write_text("-- \x1b[31mred\n\tselect 1")
    assert capsys.readouterr().out == "-- \x1b[31mred\n\tselect 1\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    render.write_text("-- \x1b[31mred\n\tselect 1")
    assert capsys.readouterr().out == "-- \\x1b[31mred\n        select 1\n"


def test_names_of_files_in_warnings_and_errors_are_not_obeyed(run: Any, tmp_path: Path, logs: Path) -> None:
    bad = "bad\x1b[2J\u202e[red]"
    project = logs / "projects" / bad
    project.mkdir(parents=True)
    (project / f"{bad}.jsonl").write_bytes(b'{"type":"result","session_id":"x"}\n')
    (project / f"link{bad}").symlink_to("/etc", target_is_directory=True)
    ran = run("ingest", "--root", str(logs), "--lake", str(tmp_path / "lake"))
    assert ran.code == 0
    assert ran.err.count("\n") == 3
    assert "not a transcript" in ran.err
    assert "not followed" in ran.err
    assert obeyed(ran.err + ran.out) == []
    on = ("--no-refresh", "--lake", str(tmp_path / "lake"))
    for arguments in (
        ("ingest", "--root", f"/{bad}"),
        ("cost", bad),
        ("sql", f"select {bad}", *on),
        ("sql", f"select '{bad}'::int", *on),
        ("cost", "daily", "--tz", bad, *on),
        ("cost", "daily", "--no-refresh", "--lake", f"/{bad}"),
    ):
        ran = run(*arguments)
        assert ran.code in (2, 3, 4)
        assert ran.err.count("\n") == 1
        assert obeyed(ran.err) == []
