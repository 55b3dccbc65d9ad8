"""A word that is none of the program's: what was probably meant is said; and help is found however it is asked for."""

from __future__ import annotations

import pytest
from tests.cli.conftest import Run

from tokenlake.errors import UsageError
from tokenlake.lake import Lake
from tokenlake.query.saved import shipped_folder
from tokenlake.store.catalog import Snapshot


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cots"], "No such command 'cots'; did you mean cost? (see tokenlake --help)"),
        (["cost", "dialy"], "No such command 'dialy'; did you mean daily? (see tokenlake cost --help)"),
        (["cost", "xyzzy"], "No such command 'xyzzy' (see tokenlake cost --help)"),
        (["cache", "overhead", "--by", "days"], "'turn'; did you mean day? (see tokenlake cache overhead --help)"),
        (["cost", "daily", "--dedup", "mox"], "'ccusage'; did you mean max? (see"),
        (["cost", "weekly", "--week-start", "sun"], "did you mean sunday?"),
        (["schema", "--format", "q"], "'arrow' (see tokenlake schema --help)"),
        (["ingest", "/logs"], "extra argument (/logs); a folder of transcripts is named with --root (see"),
        (["completion", "bash", "zsh"], "extra argument (zsh) (see"),
    ],
)
def test_the_nearest_word_is_named(run: Run, words: list[str], said: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err


def test_the_nearest_word_is_named_in_python(lake: Snapshot) -> None:
    opened = Lake(lake.root)
    with pytest.raises(UsageError, match=r"by: 'dy' is none of .*; did you mean day\?"):
        opened.run("cache/overhead", by="dy")
    with pytest.raises(UsageError, match=r"dedup: 'frist' is none of .*; did you mean first\?"):
        opened.run("cache/overhead", dedup="frist")
    with pytest.raises(UsageError, match=r"no table 'request'; .*; did you mean requests\?"):
        opened.scan("request")


def test_help_is_found_however_it_is_asked_for(run: Run) -> None:
    for words in ([], ["cost"], ["cost", "daily"], ["ingest"]):
        long = run(*words, "--help")
        assert long.code == 0
        assert long.out.startswith(" ".join(["Usage: tokenlake", *words]))
        assert run(*words, "-h") == long
        assert run("help", *words) == long
    assert run("help", "cots").code == 2


def test_a_group_of_queries_is_listed(run: Run) -> None:
    ran = run("queries", "cache")
    assert ran.code == 0
    names = [line.split()[0] for line in ran.out.splitlines()[2:] if line.startswith("cache/")]
    assert names == sorted(f"cache/{path.stem}" for path in (shipped_folder() / "cache").glob("*.sql"))
    assert len(names) > 1
    assert run("queries", "cache/") == ran
    assert run("queries", "cach").code == 2
