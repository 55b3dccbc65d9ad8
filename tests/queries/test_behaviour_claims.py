"""behaviour/unverified-claims: which sentences claim something, and which calls could show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.queries.behaviour_rows import answer, at, prompt, publish, request, said, tool_call

from tokenlake.store.catalog import Snapshot


def kinds(tmp_path: Path, *texts: str) -> list[tuple[str, str]]:
    """Kind and sentence of every claim in these texts, with no tool call anywhere."""
    rows = [said(f"t{n:03}", "r1", 10 + n, text) for n, text in enumerate(texts)]
    lake = publish(tmp_path, requests=[request("r1", 0)], prompts=[prompt("p", 1, "do it")], texts=rows)
    return [(row["kind"], row["claim"]) for row in answer(lake, "unverified-claims")]


CLAIMS = (
    ("tests", "All tests pass."),
    ("tests", "All 12 tests pass, 0 failures."),
    ("tests", "The unit tests are now passing"),
    ("tests", "Tests passed with zero errors."),
    ("tests", "- Tests: 173 passed"),
    ("tests", "The suite is green."),
    ("build", "The build passes."),
    ("build", "Lint is clean"),
    ("build", "CI is green!"),
    ("file", "I've read config.py and the defaults look right."),
    ("file", "I have carefully reviewed src/app/main.ts."),
    ("file", "I checked the file README.md."),
    ("check", "I verified that the header is sent."),
    ("check", "I’ve double-checked the totals."),
    ("check", "I have confirmed all the links."),
)

NO_CLAIMS = (
    "The tests should pass.",
    "If the tests pass, merge it.",
    "Once all tests pass we can deploy.",
    "I will make sure the tests pass.",
    "Not all tests pass.",
    "Tests are passing except two.",
    "8 of 12 tests passed, 4 failed.",
    "The tests don't pass.",
    "Do all tests pass?",
    "Let me check that the tests pass.",
    "Run it until the tests pass.",
    "- [ ] All tests pass",
    "| tests pass | yes |",
    "> all tests pass",
    "```\nall tests pass\n```",
    "pass the flag to the tests",
    "The contest passes by.",
    "It bypasses the tests.",
    "I should have read config.py.",
    "I haven't checked config.py.",
    "I will verify that the header is sent.",
    "You checked config.py.",
    "I read about tests.",
    "I confirmed nothing.",
    "The build is not clean.",
    "Tests pass in your example.",
)


@pytest.mark.parametrize(("kind", "text"), CLAIMS)
def test_sentences_that_claim(tmp_path: Path, kind: str, text: str) -> None:
    assert kinds(tmp_path, text) == [(kind, text.replace("’", "'"))]


def test_sentences_that_claim_nothing(tmp_path: Path) -> None:
    assert kinds(tmp_path, *NO_CLAIMS) == []


def test_the_claim_is_found_among_other_sentences(tmp_path: Path) -> None:
    text = "The fix is in. **All tests pass.** Should I commit?\n\nLint is clean. All 9 tests passed."
    assert kinds(tmp_path, text) == [("build", "Lint is clean."), ("tests", "All 9 tests passed.")]


def test_a_compaction_sums_up_and_claims_nothing(tmp_path: Path) -> None:
    text = said("t", "r1", 9, "All tests pass.", agent_id="acompact-12ab", is_sidechain=True)
    assert answer(publish(tmp_path, requests=[request("r1", 0)], texts=[text]), "unverified-claims") == []


def test_texts_that_were_not_kept_claim_nothing(tmp_path: Path) -> None:
    text = said("t", "r1", 9, None, chars=15)
    assert answer(publish(tmp_path, requests=[request("r1", 0)], texts=[text]), "unverified-claims") == []


def verdicts(tmp_path: Path, text: str, *others: dict[str, Any], **params: Any) -> list[bool]:
    """`shown_earlier` of the claims of a text said at 100 s, in the turn begun at 50 s; the first turn began at 5 s."""
    prompts = [prompt("p1", 5, "do it"), prompt("p2", 50, "and now?")]
    prompts += [row for row in others if "kind" in row]
    lake = publish(
        tmp_path,
        requests=[request("r1", 0)],
        prompts=prompts,
        texts=[said("t", "r1", 100, text)],
        tool_calls=[row for row in others if "kind" not in row],
    )
    return [row["shown_earlier"] for row in answer(lake, "unverified-claims", **params)]


TESTS = "All tests pass."


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("Bash", "pytest -q"),
        ("Bash", "cd app && npm run test:unit 2>&1 | tail -5"),
        ("Bash", "cargo nextest run"),
        ("Bash", "make"),
        ("Bash", "git commit -m 'hooks run the tests'"),
        ("Bash", "cat > x.py <<'END'\n" + "x" * 1900),
        ("Task", "general-purpose"),
        ("Agent", None),
        ("TaskOutput", None),
        ("mcp__runner__start", None),
    ],
)
def test_calls_that_could_have_run_tests(tmp_path: Path, name: str, target: str | None) -> None:
    assert verdicts(tmp_path, TESTS, tool_call("c", "r1", 60, name, target)) == []


@pytest.mark.parametrize(("name", "target"), [("Bash", "ls -la"), ("Read", "/home/ada/test_app.py"), ("Edit", "a.py")])
def test_calls_that_could_not(tmp_path: Path, name: str, target: str) -> None:
    assert verdicts(tmp_path, TESTS, tool_call("c", "r1", 60, name, target)) == [False]


def test_a_call_of_an_earlier_turn_is_told_apart(tmp_path: Path) -> None:
    call = tool_call("c", "r1", 40, "Bash", "pytest")
    assert verdicts(tmp_path / "turn", TESTS, call) == [True]
    assert verdicts(tmp_path / "session", TESTS, call, scope="session") == []
    assert verdicts(tmp_path / "none", TESTS, scope="session") == [False]


def test_a_call_after_the_claim_or_refused_shows_nothing(tmp_path: Path) -> None:
    assert verdicts(tmp_path / "late", TESTS, tool_call("c", "r1", 101, "Bash", "pytest")) == [False]
    denied = tool_call("c", "r1", 60, "Bash", "pytest", denied=True, is_error=True)
    assert verdicts(tmp_path / "denied", TESTS, denied) == [False]
    elsewhere = tool_call("c", "r1", 60, "Bash", "pytest", session_id="s2")
    assert verdicts(tmp_path / "elsewhere", TESTS, elsewhere) == [False]


def test_the_user_or_a_notification_may_have_told_it(tmp_path: Path) -> None:
    for kind, text in (
        ("task-notification", "<task-notification>done"),
        ("bash", "<bash-input>pytest"),
        ("queued", "the tests pass here"),
    ):
        assert verdicts(tmp_path / kind, TESTS, prompt("told", 70, text, kind)) == []
    assert verdicts(tmp_path / "other", TESTS, prompt("told", 70, "go on", "queued")) == [False]


def test_a_build_is_shown_by_any_command(tmp_path: Path) -> None:
    assert verdicts(tmp_path / "bash", "The build passes.", tool_call("c", "r1", 60, "Bash", "tsc")) == []
    assert verdicts(tmp_path / "read", "The build passes.", tool_call("c", "r1", 60, "Read", "a.py")) == [False]


def test_a_file_is_shown_by_a_call_that_names_it(tmp_path: Path) -> None:
    claim = "I've read config.py."
    assert verdicts(tmp_path / "read", claim, tool_call("c", "r1", 60, "Read", "/srv/App/Config.py")) == []
    assert verdicts(tmp_path / "bash", claim, tool_call("c", "r1", 60, "Bash", "head -5 config.py")) == []
    assert verdicts(tmp_path / "other", claim, tool_call("c", "r1", 60, "Read", "/srv/main.py")) == [False]
    assert verdicts(tmp_path / "before", claim, tool_call("c", "r1", 40, "Read", "config.py")) == [True]


def test_a_check_is_shown_by_any_call(tmp_path: Path) -> None:
    claim = "I verified that the header is sent."
    assert verdicts(tmp_path / "any", claim, tool_call("c", "r1", 60, "Grep", "X-Header")) == []
    assert verdicts(tmp_path / "none", claim) == [False]


@pytest.fixture
def threads(tmp_path: Path) -> Snapshot:
    """A subagent runs the tests; another one, and the main thread, say that they pass."""
    agent = {"is_sidechain": True, "agent_id": "a1"}
    other = {"is_sidechain": True, "agent_id": "a2"}
    return publish(
        tmp_path,
        requests=[request("r1", 0)],
        prompts=[prompt("p1", 5, "do it"), prompt("p2", 30, "and now?")],
        tool_calls=[tool_call("c", "r1", 40, "Bash", "pytest", **agent)],
        texts=[
            said("main", "r1", 50, TESTS),
            said("same", "r1", 51, TESTS, **agent),
            said("else", "r1", 52, TESTS, **other),
        ],
    )


def test_the_main_thread_knows_of_its_subagents_and_they_not_of_each_other(threads: Snapshot) -> None:
    (row,) = answer(threads, "unverified-claims")
    assert row == {
        "ts": at(52),
        "session_id": "s1",
        "agent_id": "a2",
        "kind": "tests",
        "claim": TESTS,
        "shown_earlier": False,
        "path": "/logs/s1.jsonl",
        "line": 52,
    }


def test_kinds_and_filters_choose_claims(tmp_path: Path) -> None:
    texts = [said("a", "r1", 10, "All tests pass. The build passes."), said("b", "r2", 20, TESTS, session_id="s2")]
    lake = publish(tmp_path, requests=[request("r1", 0), request("r2", 1, session_id="s2")], texts=texts)
    assert [row["kind"] for row in answer(lake, "unverified-claims")] == ["build", "tests", "tests"]
    assert [row["kind"] for row in answer(lake, "unverified-claims", kind="build")] == ["build"]
    assert [row["session_id"] for row in answer(lake, "unverified-claims", kind="tests")] == ["s1", "s2"]
    assert [row["session_id"] for row in answer(lake, "unverified-claims", session="s2")] == ["s2"]
