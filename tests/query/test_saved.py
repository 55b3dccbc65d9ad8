"""Saved queries: what a header declares, which folder counts, and how a broken file is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tokenlake.errors import QueryError
from tokenlake.query import saved
from tokenlake.query.parameters import Parameter

WHOLE = """\
-- Requests of a model
-- One row per day.
--   indented    as it stands
--
-- $top integer = 20: how many rows
-- $by text = 'day' {day|week}: rows of the result
-- $share number = 0.5: least share
-- $all boolean = false: the small ones too
-- $from date = null: first day
-- $name text: the model, which must be given
-- note: select 'a note of ' || $name from requests
-- example: tokenlake mine models --name opus
-- example: tokenlake mine models --name opus --top 3

-- no part of the header: $nonsense
select 1 as one, '$text' as text
from selected -- $comment
where model = $name and $all and 1 > $share and $by = 'day' and ts >= $from
    and (ts at time zone $tz)::date >= $since
limit $top
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of queries."""
    monkeypatch.setenv("TOKENLAKE_QUERIES", str(tmp_path))
    (tmp_path / "mine").mkdir()
    return tmp_path


def test_a_header_declares_title_help_parameters_and_examples(folder: Path) -> None:
    (folder / "mine" / "models.sql").write_text(WHOLE)
    query = saved.load("mine/models")
    assert query.title == "Requests of a model"
    assert query.help == "One row per day.\n  indented    as it stands"
    assert [note.text for note in query.notes] == ["select 'a note of ' || $name from requests"]
    assert [WHOLE.splitlines()[note.line - 1] for note in query.notes] == [f"-- note: {query.notes[0].text}"]
    assert query.examples == (
        "tokenlake mine models --name opus",
        "tokenlake mine models --name opus --top 3",
    )
    assert query.parameters == (
        Parameter("top", "integer", "how many rows", 5, False, 20),
        Parameter("by", "text", "rows of the result", 6, False, "day", ("day", "week")),
        Parameter("share", "number", "least share", 7, False, 0.5),
        Parameter("all", "boolean", "the small ones too", 8, False, False),
        Parameter("from", "date", "first day", 9, False, None),
        Parameter("name", "text", "the model, which must be given", 10, True),
    )


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("select 1", 1, "no title"),
        ("\n\n-- \nselect 1", 1, "no title"),
        ("-- T\n-- $by: rows\nselect $by", 2, "not a parameter"),
        ("-- T\n-- $by word = 'a': rows\nselect $by", 2, "unknown type 'word'"),
        ("-- T\n-- $top integer = many: rows\nselect $top", 2, "'many' is not a whole number"),
        ("-- T\n-- $by text = 'x' {a|b}: rows\nselect $by", 2, "'x' is none of a, b"),
        ("-- T\n-- $n integer = 1 {1|2}: rows\nselect $n", 2, "choices are for text"),
        ("-- T\n-- $a text = '': x\n-- $a text = '': x\nselect $a", 3, "declared twice"),
        ("-- T\n-- $tz text = 'UTC': zone\nselect $tz", 2, "option of every report"),
        ("-- T\n-- $format text = 'x': form\nselect $format", 2, "option of every report"),
        ("-- T\n-- $a integer = 1: x\nselect 1", 2, "$a is declared and never used"),
        ("-- T\nselect 1,\n  $b", 3, "$b is used and not declared"),
        ("-- T\nselect 1;\nselect 2", 1, "exactly one SELECT"),
        ("-- T\ncreate table x (i int)", 1, "exactly one SELECT"),
        ("-- T\n", 1, "exactly one SELECT"),
        ("-- T\nselect 1\nfrom where", 3, "syntax error"),
        ("-- T\n-- note: select from where\nselect 1", 2, "syntax error"),
        ("-- T\n-- note: drop table x\nselect 1", 2, "a note is exactly one SELECT, this holds DROP"),
        ("-- T\n-- note: select $b\nselect 1", 2, "$b is used and not declared"),
        ("-- T\n--\n-- note: select 1\n-- note: select $b\nselect 1", 4, "$b is used and not declared"),
        ("-- T\n-- note: select $b\nselect 1,\n$b", 4, "$b is used and not declared"),
        ("-- T\n-- note:\nselect 1", 2, "a note is exactly one SELECT, this holds nothing"),
        ("-- T\n-- note: select 1\n-- note: select 1 from where\nselect 1", 3, "syntax error"),
    ],
)
def test_a_broken_file_is_refused_with_file_line_and_reason(folder: Path, text: str, line: int, reason: str) -> None:
    path = folder / "mine" / "broken.sql"
    path.write_text(text)
    with pytest.raises(QueryError) as caught:
        saved.load("mine/broken")
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_file_does_not_hurt_the_others(folder: Path) -> None:
    (folder / "mine" / "broken.sql").write_text("select")
    (folder / "mine" / "latin.sql").write_bytes(b"-- T\xe9\nselect 1")
    (folder / "mine" / "Bad Name.sql").write_text("-- T\nselect 1")
    (folder / "mine" / "good.sql").write_text("-- T\nselect 1")
    library = saved.load_all()
    assert {"mine/good", "cache/overhead"} <= library.queries.keys()
    assert [str(error).split("/mine/")[1].split(":")[0] for error in library.errors] == [
        "Bad Name.sql",
        "broken.sql",
        "latin.sql",
    ]


def test_of_two_queries_with_one_name_the_users_counts(folder: Path) -> None:
    (folder / "cache").mkdir()
    (folder / "cache" / "overhead.sql").write_text("-- Mine\nselect 1")
    assert saved.load("cache/overhead").title == "Mine"


def test_views_and_hidden_files_are_no_queries(folder: Path) -> None:
    for name in ("views", ".git"):
        (folder / name).mkdir()
        (folder / name / "v.sql").write_text("select")
    (folder / "top.sql").write_text("-- T\nselect 1")
    assert [name for name in saved.files() if "/" not in name or name.startswith(("views", "."))] == ["top"]


def test_a_missing_query_is_answered_with_a_near_one() -> None:
    with pytest.raises(QueryError, match=r"no saved query 'cache/overhed': did you mean cache/overhead\?"):
        saved.load("cache/overhed")


def test_the_users_folder_is_in_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TOKENLAKE_QUERIES")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert saved.user_folder() == tmp_path / "tokenlake" / "queries"


def test_reading_headers_imports_no_engine() -> None:
    """`tokenlake --help` reads them all."""
    code = (
        "import sys; from tokenlake.query import saved\n"
        "[saved.header(name, path) for name, path in saved.files().items()]\n"
        "print(sorted({'duckdb', 'pyarrow', 'polars', 'numpy', 'rich'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == "[]\n"
