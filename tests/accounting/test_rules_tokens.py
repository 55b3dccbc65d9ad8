"""Accounting rules 14 to 18: what a request's counts are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from accounting.lakes import one, requests, rows, tokens, total
from accounting.transcripts import S1, Record, assistant, jsonl, tool_result, tool_use, usage, user
from tests.conftest import Ingest

if TYPE_CHECKING:
    from tokenlake.lake import Lake

FILE = f"-home-ada-harbour/{S1}.jsonl"


SPLIT = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
COLUMN = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
}


def odd_fields(lake: Lake) -> dict[int, int]:
    """Odd fields by the number of the file."""
    return {int(Path(row["path"]).stem): row["odd_fields"] for row in rows(lake, "files")}


def one_file_each(cases: list[Record]) -> dict[str, bytes]:
    """A file for each usage object, numbered like its request."""
    return {f"-p/{number}.jsonl": jsonl(assistant(f"msg_{number}", counts)) for number, counts in enumerate(cases)}


@pytest.mark.parametrize("name", COLUMN)
def test_rule_14_counts_are_integers_or_strings_of_them(ingest: Ingest, name: str) -> None:
    """Exact beyond what a double can hold; a string of digits is not odd."""
    values = [0, 7, "0", "120", 2**53 + 1, 2**62, "9007199254740993", 2**63 - 1]
    counted = [0, 7, 0, 120, 9007199254740993, 4611686018427387904, 9007199254740993, 9223372036854775807]
    lake = ingest(one_file_each([{**usage(0, fresh=0), name: value} for value in values]))
    kept = requests(lake)
    assert [kept[f"msg_{number}"][COLUMN[name]] for number in range(8)] == counted
    assert [sum(tokens(kept[f"msg_{number}"])) for number in range(8)] == counted
    assert odd_fields(lake) == dict.fromkeys(range(8), 0)


@pytest.mark.parametrize("name", COLUMN)
def test_rule_14_other_counts_are_zero_and_odd(ingest: Ingest, name: str) -> None:
    """The other counts of the record are kept."""
    values = [-1, 12.5, 10**20, -(10**20), 2**63, "many", "", "-4", "1.5", True, [], {}, [7]]
    lake = ingest(one_file_each([{**usage(40, fresh=30, w1=20, read=10), name: value} for value in values]))
    left = {"input_tokens": 30, "output_tokens": 40, "cache_read_tokens": 10, COLUMN[name]: 0}
    expected = (left["input_tokens"], left["output_tokens"], 0, 20, left["cache_read_tokens"])
    kept = requests(lake)
    found = {repr(value): tokens(kept[f"msg_{number}"]) for number, value in enumerate(values)}
    assert found == dict.fromkeys(map(repr, values), expected)
    odd = odd_fields(lake)
    assert {repr(value): odd[number] for number, value in enumerate(values)} == dict.fromkeys(map(repr, values), 1)
    assert rows(lake, "rejects") == []


def test_rule_14_absent_and_null_counts_are_zero_and_not_odd(ingest: Ingest) -> None:
    """Most fields came late to the format."""
    cases = []
    for name in COLUMN:
        absent = usage(40, fresh=30, read=10)
        del absent[name]
        cases += [absent, {**usage(40, fresh=30, read=10), name: None}]
    lake = ingest(one_file_each(cases))
    kept = requests(lake)
    assert [sum(tokens(kept[f"msg_{number}"])) for number in range(6)] == [50, 50, 40, 40, 70, 70]
    assert odd_fields(lake) == dict.fromkeys(range(6), 0)


def test_rule_14_flat_writes_beyond_the_split_are_5m(ingest: Ingest) -> None:
    """The parts count as they are; the flat count adds what it has beyond their sum."""
    cases: list[tuple[object, Record | None, int, int]] = [
        (5000, None, 5000, 0),
        (None, {SPLIT[0]: 300, SPLIT[1]: 200}, 300, 200),
        (500, {SPLIT[0]: 300, SPLIT[1]: 200}, 300, 200),
        (0, {SPLIT[0]: 300, SPLIT[1]: 200}, 300, 200),
        (1_000_000, {SPLIT[0]: 0, SPLIT[1]: 0}, 1_000_000, 0),
        (1000, {SPLIT[0]: 300, SPLIT[1]: 500}, 500, 500),
        (1000, {SPLIT[1]: 400}, 600, 400),
        (1000, {SPLIT[0]: 400}, 1000, 0),
        (400, {SPLIT[0]: 300, SPLIT[1]: 200}, 300, 200),
        (700, {}, 700, 0),
        ("80", {SPLIT[0]: "10", SPLIT[1]: "20"}, 60, 20),
        (None, None, 0, 0),
    ]
    logged = [usage(cache_creation_input_tokens=flat, cache_creation=split) for flat, split, _, _ in cases]
    lake = ingest(one_file_each(logged))
    kept = requests(lake)
    raw = {row["key"]: row for row in rows(lake, "usage_rows")}
    for number, (flat, split, w5, w1) in enumerate(cases):
        key = f"msg_{number}"
        assert tokens(kept[key]) == (2, 10, w5, w1, 0), cases[number]
        assert raw[key]["cache_split_present"] is (split is not None), cases[number]
        assert raw[key]["cache_write_flat_tokens"] == (None if flat is None else int(str(flat))), cases[number]
    assert odd_fields(lake) == dict.fromkeys(range(12), 0)


def test_rule_14_an_odd_part_of_the_split_leaves_the_rest_to_the_flat_count(ingest: Ingest) -> None:
    """A word for the 5m part is 0 and odd; of the flat 400, 100 are 1h and 300 are 5m."""
    split = {"ephemeral_5m_input_tokens": "lots", "ephemeral_1h_input_tokens": 100}
    lake = ingest({FILE: jsonl(assistant(counts=usage(cache_creation_input_tokens=400, cache_creation=split)))})
    assert tokens(one(lake)) == (2, 10, 300, 100, 0)
    assert one(lake, "files")["odd_fields"] == 1


def test_rule_15_context_is_what_the_model_was_given(ingest: Ingest) -> None:
    """Input, both cache writes and cache read; not output."""
    lake = ingest({FILE: jsonl(assistant(counts=usage(1000, fresh=1, w5=20, w1=300, read=4000)))})
    assert one(lake)["context_tokens"] == 4321


PARTIAL: list[tuple[str, list[tuple[int, str | None]], bool]] = [
    ("2.1.39", [(500, None), (500, None)], True),
    ("2.1.39", [(1, None), (10, "end_turn")], True),
    ("2.1.39", [(1, None), (11, "end_turn")], False),
    ("2.1.39", [(240, "tool_use"), (1, None)], False),
    ("2.1.39", [(1, "end_turn"), (240, None)], False),
    ("2.1.96", [(10, "end_turn")], True),
    ("2.1.97", [(10, "end_turn")], False),
    ("2.1.120", [(1, "end_turn")], False),
    ("2.1.120", [(900, None)], True),
    ("2.10.1", [(3, "end_turn")], False),
    ("1.0.120", [(9, "end_turn")], True),
    ("1.0.120", [(90, "end_turn")], False),
    ("3.0.0", [(0, "refusal")], False),
]


def test_rule_16_output_is_partial(ingest: Ingest) -> None:
    """No row with a stop_reason; or a version below 2.1.97, by number, and never more than 10 tokens."""
    records = [
        assistant(f"msg_{case}", usage(output), f"09:0{row}", version=version, stop=stop)
        for case, (version, logged, _) in enumerate(PARTIAL)
        for row, (output, stop) in enumerate(logged)
    ]
    kept = requests(ingest({FILE: jsonl(*records)}))
    found = [(*case[:2], kept[f"msg_{number}"]["output_is_partial"]) for number, case in enumerate(PARTIAL)]
    assert found == PARTIAL


def test_rule_16_the_stop_reason_may_stand_on_another_row_than_the_kept_one(ingest: Ingest) -> None:
    """It is shown all the same."""
    records = [
        assistant("msg_1", usage(5), "09:00", stop="end_turn"),
        assistant("msg_1", usage(50), "09:01", stop=None),
    ]
    assert one(ingest({FILE: jsonl(*records)}))["stop_reason"] == "end_turn"


def test_rule_17_web_searches_of_the_usage_count(ingest: Ingest) -> None:
    """Once, though every row of the request repeats them."""
    counts = usage(server_tool_use={"web_search_requests": 3, "web_fetch_requests": 1})
    lake = ingest({FILE: jsonl(assistant("msg_1", counts), assistant("msg_1", counts, "09:01"))})
    assert one(lake)["web_searches"] == 3


@pytest.mark.parametrize("logged", [None, {"web_search_requests": 0, "web_fetch_requests": 0}])
def test_rule_17_else_those_of_the_tool_result(ingest: Ingest, logged: object) -> None:
    """The result of a WebSearch call says how many searches the side request made."""
    calls = [tool_use("toolu_1", "WebSearch", query="tides"), tool_use("toolu_2", "WebSearch", query="moon")]
    lake = ingest(
        {
            FILE: jsonl(
                assistant("msg_1", usage(server_tool_use=logged), content=calls[:1]),
                assistant("msg_1", usage(server_tool_use=logged), "09:00:30", content=calls[1:]),
                tool_result("toolu_1", {"query": "tides", "results": [], "searchCount": 2}),
                tool_result("toolu_2", {"query": "moon", "results": [], "searchCount": 1}, "09:02"),
                assistant("msg_2", usage(server_tool_use=logged), "09:03"),
            )
        }
    )
    assert {key: row["web_searches"] or 0 for key, row in requests(lake).items()} == {"msg_1": 3, "msg_2": 0}


def test_rule_17_a_result_that_arrives_later_or_is_copied_counts_once(ingest: Ingest) -> None:
    """The result of a call may be in the next ingest, and in a fork as well."""
    call = assistant(content=[tool_use("toolu_1", "WebSearch", query="tides")])
    result = tool_result("toolu_1", {"query": "tides", "results": [], "searchCount": 2})
    lake = ingest({FILE: jsonl(call)})
    assert (one(lake)["web_searches"] or 0) == 0
    ingest({FILE: jsonl(call, result), "-backup/copy.jsonl": jsonl(call, result)})
    assert one(lake)["web_searches"] == 2


def call_of(key: str) -> Record:
    return assistant(key, content=[tool_use("toolu_1", "WebSearch", query="tides")])


def searched(count: int) -> Record:
    return tool_result("toolu_1", {"query": "tides", "results": [], "searchCount": count})


@pytest.mark.parametrize(
    ("first", "second", "gone", "expected"),
    [
        # The call of msg_1 goes, and msg_2 is left to have made it.
        ([call_of("msg_1")], [call_of("msg_2"), searched(3)], "first", {"msg_2": 3}),
        # Of two results the larger goes, or the only one.
        ([call_of("msg_1"), searched(2)], [searched(5)], "second", {"msg_1": 2}),
        ([call_of("msg_1")], [searched(3)], "second", {"msg_1": 0}),
    ],
)
def test_rule_17_a_call_or_result_that_a_rewritten_transcript_lacks(
    ingest: Ingest, first: list[Record], second: list[Record], gone: str, expected: dict[str, int]
) -> None:
    other = "-work/other.jsonl"
    before = {FILE: jsonl(*first), other: jsonl(*second)}
    ingest(before)
    lake = ingest({**before, FILE if gone == "first" else other: jsonl(user("so"))})
    assert {key: row["web_searches"] or 0 for key, row in requests(lake).items()} == expected


def test_rule_18_side_calls_are_not_guessed(ingest: Ingest) -> None:
    """Titles, summaries and the agent's own searches are in no record: totals hold logged requests only."""
    call = assistant("msg_1", content=[tool_use("toolu_1", "WebSearch", query="tides")])
    side = [
        {"type": "summary", "summary": "Tides", "leafUuid": "leaf"},
        {"type": "ai-title", "aiTitle": "Tides", "sessionId": S1},
    ]
    result = tool_result("toolu_1", {"query": "tides", "results": ["x" * 4000], "searchCount": 4})
    lake = ingest({FILE: jsonl(call, result, *side)})
    assert total(lake) == (1, 2, 10, 0, 0, 0)
