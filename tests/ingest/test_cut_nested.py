"""What is read of records that lie inside a record that was cut off (accounting rules 2, 3, 7 and 9)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from accounting.transcripts import agent_progress, assistant, line, usage, user

from tokenlake.lake import Lake

Ingest = Callable[..., Lake]

NEXT = line(assistant("next", usage(7), "10:00"))
PROGRESS = line(agent_progress("inner", usage(20)))
WHOLE_INNER = PROGRESS.index(b',"normalizedMessages"')
"""Where the message of the subagent has just ended."""


def counted(lake: Lake) -> list[tuple[str, str, int]]:
    found = lake.sql("select key, origin, output_tokens from requests order by key")
    return [(row[0], row[1], row[2]) for row in found.rows()]


def lost(lake: Lake) -> list[tuple[int, int, str]]:
    found = lake.sql('select "offset", bytes, reason from rejects order by "offset"')
    return [(row[0], row[1], row[2]) for row in found.rows()]


@pytest.mark.parametrize("end", [WHOLE_INNER - 30, WHOLE_INNER, WHOLE_INNER + 1, WHOLE_INNER + 30])
def test_the_message_in_a_cut_progress_record_is_lost_with_it(ingest: Ingest, end: int) -> None:
    """It has no sessionId, so it is no record; what is behind it on the line is read."""
    lake = ingest({"p/s.jsonl": PROGRESS[:end] + NEXT + b"\n"})
    assert counted(lake) == [("next", "assistant", 7)]
    assert lost(lake) == [(0, end, "cut off by the next record")]


def test_a_cut_progress_record_costs_nothing_where_the_subagents_own_line_is_there(ingest: Ingest) -> None:
    own = line(assistant("inner", usage(20), isSidechain=True, agentId="a1b2c3d"))
    lake = ingest({"p/s.jsonl": PROGRESS[: WHOLE_INNER + 1] + NEXT + b"\n", "p/agent-a1b2c3d.jsonl": own + b"\n"})
    assert counted(lake) == [("inner", "assistant", 20), ("next", "assistant", 7)]


@pytest.mark.parametrize("times", [1, 2])
def test_a_record_that_a_text_quotes_is_no_record(ingest: Ingest, times: int) -> None:
    """Its quotes are escaped, however often."""
    text = line(assistant("quoted", usage(500))).decode()
    for _ in range(times):
        text = json.dumps(text)
    said = line(user(text))
    cut = said[: said.rindex(b"}") - 2]
    lake = ingest({"p/s.jsonl": cut + NEXT + b"\n"})
    assert counted(lake) == [("next", "assistant", 7)]
    assert lost(lake) == [(0, len(cut), "cut off by the next record")]


def test_a_whole_record_inside_a_cut_one_is_read(ingest: Ingest) -> None:
    """As rule 2 says: where it begins, reading resumes. It is counted once, also where it has a line of its own."""
    quoted = assistant("quoted", usage(500), "08:00")
    outer = line(user([], toolUseResult={"lines": [quoted], "more": "x" * 50}))
    cut = outer[: outer.index(b"xxx")]
    lake = ingest({"p/s.jsonl": cut + NEXT + b"\n"})
    assert counted(lake) == [("next", "assistant", 7), ("quoted", "assistant", 500)]
    again = ingest({"p/s.jsonl": cut + NEXT + b"\n", "p/t.jsonl": line(quoted) + b"\n"})
    assert counted(again) == [("next", "assistant", 7), ("quoted", "assistant", 500)]
