"""Whatever type a field takes, its record's other fields are kept, it is counted as odd, and the totals are right."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from accounting.lakes import one, tokens
from accounting.transcripts import S1, assistant, jsonl, usage
from benchmarks.mutations import WRONG, every_place, sample_lines, with_value_at
from tests.conftest import Ingest

from fuzz.agreement import differences


def shape(line: bytes) -> tuple[Any, ...]:
    """What tells kinds of records apart: their types, and which fields they have."""
    record = json.loads(line)
    message = record.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    blocks = tuple(block.get("type") for block in content)[:3] if isinstance(content, list) else type(content).__name__
    kinds = [(record.get(name) or {}).get("type") for name in ("data", "attachment")]
    return (record.get("type"), record.get("subtype"), *kinds, blocks, tuple(sorted(record)))


SUMMARY = b'{"type":"summary","summary":"At the harbour","leafUuid":"leaf"}'
SHAPES = list({shape(line): line for line in (*sample_lines(), SUMMARY)}.values())


def test_there_is_a_line_of_every_kind_of_record() -> None:
    kinds = {json.loads(line)["type"] for line in SHAPES}
    assert {"assistant", "user", "system", "progress", "attachment", "summary", "custom-title", "mode"} <= kinds


@pytest.mark.parametrize("part", range(4))
def test_every_field_of_every_kind_of_record(part: int) -> None:
    """Two wrong values in every place of each kind of record, others in each of four parts."""
    tree = {}
    for number, line in enumerate(SHAPES[part::4]):
        rng = Random(f"types:{part}:{number}")
        for place in range(every_place(line)):
            lines = [with_value_at(line, place, wrong.encode()) for wrong in rng.sample(WRONG, 2)]
            tree[f"-p/{number:03d}-{place:03d}.jsonl"] = b"\n".join(lines) + b"\n"
    assert differences(tree) == []


@pytest.mark.parametrize("length", [10, 99, 101, 5000])
@pytest.mark.parametrize("block", [0, 1])
def test_a_text_of_another_type_is_odd_however_long(ingest: Ingest, length: int, block: int) -> None:
    """As JSON that text would be the same; only quotes tell them apart."""
    said = {"a": "x" * length}
    content = [{"type": "text", "text": "Aye."}] * block
    spoken = assistant("msg_1", usage(11), content=[*content, {"type": "text", "text": json.dumps(said)}])
    wrong = assistant("msg_1", usage(11), content=[*content, {"type": "text", "text": said}], uuid="uuid-2")
    lake = ingest({f"-p/{S1}.jsonl": jsonl(spoken)})
    assert one(lake, "files")["odd_fields"] == 0
    assert lake.sql("select max(chars)::int as chars from texts").to_pylist() == [{"chars": len(json.dumps(said))}]
    lake = ingest({f"-p/{S1}.jsonl": jsonl(wrong)})
    assert one(lake, "files")["odd_fields"] == 1
    assert tokens(one(lake)) == (2, 11, 0, 0, 0)
    assert len(lake.sql("from texts").to_pylist()) == block


@pytest.mark.parametrize("first", [[], ["result"], {"type": "x"}, 5, None])
def test_the_type_of_the_first_record_may_be_anything(ingest: Ingest, first: object) -> None:
    """What a file is, is asked of its first record before it is read."""
    lake = ingest({f"-p/{S1}.jsonl": jsonl({"type": first, "uuid": "u"}, assistant("msg_1", usage(11)))})
    file = one(lake, "files")
    assert (file["records"], file["odd_fields"], file["rejects"]) == (2, int(first is not None), 0)
