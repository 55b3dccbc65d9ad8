"""behaviour/degradation and the views of signals behind it, against cases worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.queries.behaviour_rows import answer, prompt, publish, request, session, tool_call

from tokenlake.query.run import sql
from tokenlake.store.catalog import Snapshot

SIGNALS = ("tool_errors", "denied_calls", "interruptions", "corrections", "repeats")


def signals(lake: Snapshot, **params: Any) -> dict[str, tuple[int, ...]]:
    """The signals by request."""
    rows = sql(lake, "select * from request_signals", params).to_pylist()
    return {row["key"]: tuple(row[name] for name in SIGNALS) for row in rows}


def found(tmp_path: Path, *texts: str) -> list[str]:
    """Those of the prompts that count as corrections."""
    prompts = [prompt(f"p{n:03}", 10 + n, text) for n, text in enumerate(texts)]
    lake = publish(tmp_path, requests=[request("r1", 0)], prompts=prompts)
    rows = sql(lake, "select text from prompt_signals where is_correction order by ts").to_pylist()
    return [row["text"] for row in rows]


CORRECTIONS = (
    "no, the other file",
    "No. Use the staging database",
    "no just rename it",
    "Nope, still red",
    "wrong branch",
    "ok, wait, that is the old config",
    "Stop. You are editing generated code",
    "stop doing that",
    "please undo that",
    "Revert your last change",
    "hmm, undo",
    "That's wrong",
    "that’s not right, the list is sorted",
    "Look at the output: you're wrong about the order",
    "This is not what I asked for",
    "I said two columns",
    "I already told you to leave main alone",
    "you forgot the tests",
    "You have not fixed all of them",
    "it still does not work",
    "The build is still failing",
    "I didn't ask for a commit",
)

NO_CORRECTIONS = (
    "no",
    "no.",
    "No, thanks",
    "no need to commit",
    "now commit",
    "north of the river",
    "notice the header",
    "stop the server",
    "wait for CI and merge",
    "waiting",
    "continue",
    "what did you change?",
    "add a page that says what is wrong with a form",
    "is the undo stack tested?",
    "add an undo button",
    "explain why the test fails",
    "did I say two columns?",
)


def test_the_word_list_finds_corrections(tmp_path: Path) -> None:
    assert found(tmp_path, *CORRECTIONS) == list(CORRECTIONS)


def test_the_word_list_leaves_other_prompts_alone(tmp_path: Path) -> None:
    assert found(tmp_path, *NO_CORRECTIONS) == []


def test_a_correction_far_inside_a_long_prompt_is_not_looked_for(tmp_path: Path) -> None:
    """Pasted plans and logs speak of many things; 200 characters are looked at."""
    near, far = "x" * 180 + " that's wrong", "x" * 210 + " that's wrong"
    assert found(tmp_path, near, far) == [near]


def test_only_typed_and_queued_prompts_correct(tmp_path: Path) -> None:
    kinds = ("typed", "queued", "slash", "bash", "task-notification", "interrupt")
    prompts = [prompt(kind, 10, "no, undo that", kind) for kind in kinds]
    lake = publish(tmp_path, requests=[request("r1", 0)], prompts=prompts)
    rows = sql(lake, "select id, is_correction, is_interruption from prompt_signals order by id").to_pylist()
    assert [(row["id"], row["is_correction"], row["is_interruption"]) for row in rows] == [
        ("interrupt", False, True),
        ("queued", True, False),
        ("typed", True, False),
    ]


def test_repeats_are_equal_long_prompts_of_one_session(tmp_path: Path) -> None:
    """The first is none; case and spaces at the ends do not matter; short ones and other sessions do not count."""
    asked = "Solve the open issues, all of them"
    lake = publish(
        tmp_path,
        requests=[request("r1", 0), request("r2", 50, session_id="s2")],
        prompts=[
            prompt("a", 10, asked),
            prompt("b", 20, f"  {asked.upper()} "),
            prompt("c", 30, asked, "queued"),
            prompt("d", 40, "continue"),
            prompt("e", 41, "continue"),
            prompt("f", 60, asked, session_id="s2"),
            prompt("g", 70, asked, "slash"),
        ],
    )
    rows = sql(lake, "select id from prompt_signals where is_repeat order by id").to_pylist()
    assert [row["id"] for row in rows] == ["b", "c"]


def test_a_prompt_is_about_the_last_request_of_the_main_thread_before_it(tmp_path: Path) -> None:
    """Not a subagent's, not an advisor's, not another session's; none where it comes first or at the same instant."""
    lake = publish(
        tmp_path,
        requests=[
            request("main1", 10),
            request("sub", 20, is_sidechain=True, agent_id="a1"),
            request("main1:advisor:0", 21, origin="advisor"),
            request("other", 25, session_id="s2"),
            request("main2", 40),
        ],
        prompts=[
            prompt("early", 5, "no, not there"),
            prompt("i1", 30, "[Request interrupted by user]", "interrupt"),
            prompt("c1", 40, "that's wrong"),
            prompt("c2", 41, "that's wrong too"),
        ],
    )
    rows = sql(lake, "select id, key from prompt_signals order by ts, id").to_pylist()
    assert [(row["id"], row["key"]) for row in rows] == [
        ("early", None),
        ("i1", "main1"),
        ("c1", "main1"),
        ("c2", "main2"),
    ]
    assert signals(lake) == {"main1": (0, 0, 1, 1, 0), "main2": (0, 0, 0, 1, 0)}


def test_errors_belong_to_the_request_that_made_the_call(tmp_path: Path) -> None:
    """A refused call is no tool error, though its result says that it is one."""
    lake = publish(
        tmp_path,
        requests=[request("r1", 0), request("r2", 10, is_sidechain=True, agent_id="a1"), request("r3", 20)],
        tool_calls=[
            tool_call("t1", "r1", 1, is_error=True),
            tool_call("t2", "r1", 2, is_error=True),
            tool_call("t3", "r1", 3, is_error=True, denied=True),
            tool_call("t4", "r2", 11, is_error=True, is_sidechain=True, agent_id="a1"),
            tool_call("t5", "r3", 21),
            tool_call("t6", "r3", 22, is_error=None, denied=None, result_ts=None),
        ],
    )
    assert signals(lake) == {"r1": (2, 1, 0, 0, 0), "r2": (1, 0, 0, 0, 0)}


def test_a_request_counted_twice_has_its_signals_once(tmp_path: Path, lakes: Any) -> None:
    """Mode none counts both rows of r1; the error is that of the first."""
    lake = publish(
        tmp_path,
        requests=[request("r1", 0)],
        usage_rows=[
            lakes.usage_row("r1", "2026-05-04T09:00:00", (1, 1, 0, 0, 100), 5, tool_calls=1),
            lakes.usage_row("r1", "2026-05-04T09:00:01", (1, 9, 0, 0, 100), 8, tool_calls=0),
        ],
        tool_calls=[tool_call("t1", "r1", 1, is_error=True)],
    )
    (row,) = answer(lake, "degradation", by="none", dedup="none")
    assert (row["requests"], row["tool_calls"], row["tool_errors"]) == (2, 1, 1)


@pytest.fixture
def twenty(tmp_path: Path) -> Snapshot:
    """Twenty requests of 1,000 to 20,000 tokens, every half hour; each third makes a call that fails."""
    return publish(
        tmp_path,
        sessions=[session("s1", 0)],
        requests=[
            request(f"r{n:02}", 1800 * n, (0, 1, 0, 0, 1000 * n), tool_calls=1 if n % 3 == 0 else 0)
            for n in range(1, 21)
        ],
        tool_calls=[tool_call(f"t{n}", f"r{n:02}", 1800 * n, is_error=True) for n in range(3, 21, 3)],
        prompts=[prompt("p", 36005, "no, undo that")],
    )


def test_deciles_of_context(twenty: Snapshot) -> None:
    rows = answer(twenty, "degradation")
    assert [(row["by"], row["requests"], row["tool_errors"]) for row in rows] == [
        (str(n), 2, errors) for n, errors in enumerate((0, 1, 1, 0, 1, 1, 0, 1, 1, 0), 1)
    ]
    assert (rows[1]["least_context_tokens"], rows[1]["largest_context_tokens"]) == (3000, 4000)
    assert rows[1]["tool_errors_per_100"] == 50
    assert rows[1]["tool_error_share"] == 1
    assert rows[0]["tool_error_share"] is None
    assert [row["corrections"] for row in rows] == [0] * 9 + [1]
    assert rows[9]["corrections_per_100"] == 50


def test_ages_of_sessions(twenty: Snapshot) -> None:
    """Requests at 0.5 h, 1 h, ... 10 h: a border belongs to what follows it."""
    rows = answer(twenty, "degradation", by="session-age")
    assert [(row["by"], row["requests"], row["tool_errors"]) for row in rows] == [
        ("15 min to 1 h", 1, 0),
        ("1 h to 2 h", 2, 1),
        ("2 h to 5 h", 6, 2),
        ("5 h to 12 h", 11, 3),
    ]


def test_a_filter_changes_no_age(twenty: Snapshot) -> None:
    (row,) = answer(twenty, "degradation", by="session-age", since="2026-05-04T19:00:00")
    assert (row["by"], row["requests"], row["corrections"]) == ("5 h to 12 h", 1, 1)


def test_a_session_that_is_not_known_has_no_age(tmp_path: Path) -> None:
    lake = publish(tmp_path, requests=[request("r1", 0), request("r2", 1, session_id=None)])
    assert [(row["by"], row["requests"]) for row in answer(lake, "degradation", by="session-age")] == [("(none)", 2)]


def test_the_thread_can_be_chosen(tmp_path: Path) -> None:
    lake = publish(tmp_path, requests=[request("r1", 0), request("r2", 1, is_sidechain=True), request("r3", 2)])
    for thread, requests in (("all", 3), ("main", 2), ("subagent", 1)):
        (row,) = answer(lake, "degradation", by="none", thread=thread)
        assert (row["by"], row["requests"]) == ("all", requests)


@given(
    st.lists(
        st.tuples(st.integers(0, 90_000), st.integers(0, 9), st.booleans(), st.booleans()), min_size=1, max_size=40
    )
)
def test_groups_add_up_whatever_they_are(tmp_path_factory: pytest.TempPathFactory, made: list[Any]) -> None:
    requests = [
        request(f"r{n:02}", second, (size, 0, 0, 0, 0), is_sidechain=sub, model=f"m{size % 3}", version=None)
        for n, (second, size, sub, _) in enumerate(made)
    ]
    calls = [tool_call(f"t{n}", f"r{n:02}", 1, is_error=True) for n, (*_, failed) in enumerate(made) if failed]
    prompts = [prompt("p", 45_000, "that's wrong")]
    lake = publish(tmp_path_factory.mktemp("law"), requests=requests, tool_calls=calls, prompts=prompts,
                   sessions=[session()])  # fmt: skip
    (total,) = answer(lake, "degradation", by="none")
    corrected = any(second < 45_000 and not sub for second, _, sub, _ in made)
    assert (total["requests"], total["tool_errors"], total["corrections"]) == (len(made), len(calls), corrected)
    for by in ("context-decile", "session-age", "model", "version", "thread", "session"):
        rows = answer(lake, "degradation", by=by)
        for name in ("requests", *SIGNALS):
            assert sum(row[name] for row in rows) == total[name], (by, name)
