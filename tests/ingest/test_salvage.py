"""Salvage: what is made of one damaged line, and that each of its bytes is in a record, in a reject, or blank."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenlake.ingest.salvage import HEAD_BYTES, Recovered, Reject, salvage

FILE, LINE, OFFSET = 42, 7, 1000
BOM = b"\xef\xbb\xbf"


def record(name: str, **more: object) -> bytes:
    return json.dumps({"type": "user", "uuid": name, "sessionId": "s", **more}, separators=(",", ":")).encode()


A, B, C = record("a"), record("b"), record("c", text='{"type":1}')
assert (len(A), len(B)) == (42, 42)


def salvaged(raw: bytes, refused: bool = True) -> tuple[list[Recovered], list[Reject]]:
    records, rejects = salvage(raw, FILE, LINE, OFFSET, refused)
    for reject in rejects:
        start = reject.offset - OFFSET
        assert (reject.file_id, reject.line) == (FILE, LINE)
        assert reject.head == raw[start : start + HEAD_BYTES]
    return records, rejects


def in_short(raw: bytes) -> tuple[list[tuple[int, str]], list[tuple[int, int, str]]]:
    """Offset from the line's start and uuid of every record; start, length and reason of every reject."""
    records, rejects = salvage(raw, FILE, LINE, OFFSET)
    return (
        [(found.offset - OFFSET, json.loads(found.raw)["uuid"]) for found in records],
        [(lost.offset - OFFSET, lost.length, lost.reason) for lost in rejects],
    )


@pytest.mark.parametrize(
    ("raw", "records", "rejects"),
    [
        (A, [(0, "a")], []),
        (A + B, [(0, "a"), (42, "b")], []),
        (A + b" \0" + BOM + B + b"\r", [(0, "a"), (47, "b")], []),
        (b"\0\0" + BOM + A, [(0, "a")], []),
        (A[:20] + B, [(20, "b")], [(0, 20, "cut off by the next record")]),
        (A + B[:20], [(0, "a")], [(42, 20, "cut off")]),
        (A[:20] + B[:15] + C, [(35, "c")], [(0, 35, "cut off by the next record")]),
        (b"rubbish" + A, [(7, "a")], [(0, 7, "cut off by the next record")]),
        (A + b"rubbish" + B, [(0, "a"), (49, "b")], [(42, 7, "cut off by the next record")]),
        (A + b" rubbish ", [(0, "a")], [(43, 7, "not JSON")]),
        (b'{"type":"user",}', [], [(0, 16, "broken JSON")]),
        (b"[" + A + b"]", [], [(0, 44, "not a JSON object")]),
        (b"17 " + A, [(3, "a")], [(0, 2, "not a JSON object")]),
        (b"ru\0bb\0ish", [], [(0, 9, "not JSON")]),
        (b"\0rubbish\0", [], [(1, 7, "not JSON")]),
        (b"", [], []),
        (b" \0\t" + BOM + b"\r", [], []),
    ],
)
def test_records_and_rejects_by_hand(raw: bytes, records: list[object], rejects: list[object]) -> None:
    assert in_short(raw) == (records, rejects)


def test_places_are_those_of_the_file() -> None:
    records, (reject,) = salvage(A + b"rubbish", FILE, LINE, OFFSET)
    assert records[0].offset == 1000
    assert reject == Reject(FILE, LINE, 1042, 7, "not JSON", b"rubbish")


def test_a_head_is_the_first_200_bytes_as_they_are() -> None:
    raw = b"\xff" + b"x" * 150 + b"\0" * 100 + b"y"
    (reject,) = salvage(raw, FILE, LINE, OFFSET)[1]
    assert (reject.length, reject.head) == (252, raw[:200])


@pytest.mark.parametrize(
    ("logged", "stored", "flaw"),
    [
        (b'"a\xffb"', "a\ufffdb", "invalid bytes"),
        (rb'"\ud83d"', "\ufffd", "lone surrogate"),
        (rb'"\ud83d\ude00"', "\U0001f600", "invalid bytes"),
        (b'"x\0y"', "xy", "NUL bytes"),
        ("\u2028\x85".join('""').encode(), "\u2028\x85", "invalid bytes"),
    ],
)
def test_what_cannot_be_stored_is_replaced(logged: bytes, stored: str, flaw: str) -> None:
    (found,), rejects = salvage(A[:-1] + b',"cwd":' + logged + b"}", FILE, LINE, OFFSET)
    assert json.loads(found.raw) == {**json.loads(A), "cwd": stored}
    assert (found.kind, found.odd, found.flaw, rejects) == ("user", 0, flaw, [])


def test_an_odd_field_is_null_and_counted_and_the_rest_is_kept() -> None:
    (found,), rejects = salvage(record("a", cwd=5, isSidechain="no", other=5), FILE, LINE, OFFSET, refused=False)
    assert json.loads(found.raw) == {**json.loads(A), "cwd": None, "isSidechain": None, "other": 5}
    assert (found.odd, found.flaw, rejects) == (2, "odd field", [])


def test_an_unfounded_doubt_changes_nothing() -> None:
    logged = b' {"type" : "user", "n": 1.50, "sessionId":"s"} '
    (found,), rejects = salvage(logged, FILE, LINE, OFFSET, refused=False)
    assert (found.raw, found.odd, found.flaw, rejects) == (logged.decode().strip(), 0, "checked", [])


def test_numbers_that_json_does_not_have_become_null() -> None:
    (found,), _ = salvage(A[:-1] + b',"a":NaN,"b":-Infinity,"c":1e999,"d":2.5}', FILE, LINE, OFFSET)
    assert json.loads(found.raw) == {**json.loads(A), "a": None, "b": None, "c": None, "d": 2.5}


@pytest.mark.parametrize(
    ("value", "reason"), [(b"[" * 100_000 + b"]" * 100_000, "nested too deeply"), (b"7" * 5000, "too many digits")]
)
def test_what_python_cannot_hold_is_rejected_and_the_next_record_is_found(value: bytes, reason: str) -> None:
    broken = A[:-1] + b',"x":' + value + b"}"
    records, (reject,) = salvaged(broken)
    assert records == []
    assert (reject.offset, reject.length) == (OFFSET, len(broken))
    assert reason in reject.reason
    assert in_short(broken + B)[0] == [(len(broken), "b")]


def test_a_stray_quote_does_not_hide_the_record_behind_it() -> None:
    """`"{"` is a JSON string: taken for one, it would swallow the start of the record (rule 2)."""
    records, rejects = in_short(b'"' + A + B)
    assert records == [(1, "a"), (43, "b")]
    assert [lost[:2] for lost in rejects] == [(0, 1)]


# --- every byte is accounted for ----------------------------------------------------------------------------------

NAMES = st.uuids(version=4).map(str)
RECORDS = st.builds(record, NAMES, text=st.text(max_size=8), n=st.none() | st.integers() | st.lists(st.booleans()))
BLANKS = st.sampled_from((b" ", b"\t\r", b"\0", b"\0" * 30, BOM))
# Nothing here ends an object or opens a list, so that no record becomes a part of what stands before it.
RUBBISH = st.sampled_from((b"rubbish", b"\xff\xfe", b'"', b"12", b'"text"', b"]", b"{", b"null", b"\\", b'{"type"'))
PIECES = st.one_of(
    st.tuples(st.just("record"), RECORDS),
    st.tuples(st.just("blank"), BLANKS),
    st.tuples(st.just("rubbish"), RUBBISH),
    st.tuples(st.just("cut"), st.tuples(RECORDS, st.integers(1, 30)).map(lambda cut: cut[0][: -cut[1]])),
)


def spans(raw: bytes, records: list[Recovered], rejects: list[Reject]) -> list[tuple[int, int]]:
    """Where records and rejects lie in the line, found without salvage: a record ends where its JSON does."""
    kept = [position for position, byte in enumerate(raw) if byte]
    for mark in re.finditer(BOM, raw):
        kept = [position for position in kept if not mark.start() <= position < mark.end()]
    found = [(lost.offset - OFFSET, lost.offset - OFFSET + lost.length) for lost in rejects]
    for one in records:
        rest = [position for position in kept if position >= one.offset - OFFSET]
        text = bytes(raw[position] for position in rest).decode("latin-1")
        begin = len(text) - len(text.lstrip(" \t\r"))
        _, end = json.JSONDecoder(strict=False).raw_decode(text, begin)
        found.append((rest[begin], rest[end - 1] + 1))
    return sorted(found)


@given(st.lists(PIECES, max_size=8))
def test_every_byte_is_in_a_record_in_a_reject_or_blank(pieces: list[tuple[str, bytes]]) -> None:
    raw = b"".join(piece for _, piece in pieces)
    records, rejects = salvage(raw, FILE, LINE, OFFSET)
    found = spans(raw, records, rejects)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(found))
    left = bytearray(raw)
    for start, end in found:
        left[start:end] = b" " * (end - start)
    assert left.replace(BOM, b"").strip(b" \t\r\0") == b""
    # Whole records are found whatever stands between them (rule 2).
    whole = [json.loads(piece) for kind, piece in pieces if kind == "record"]
    assert [json.loads(one.raw)["uuid"] for one in records] == [one["uuid"] for one in whole]
    for one, logged in zip(records, whole, strict=True):
        assert json.loads(one.raw)["text"] == logged["text"]


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=2)), max_size=4))
def test_no_bytes_at_all_make_salvage_fail(rubbish: bytes, changes: list[tuple[int, bytes]]) -> None:
    raw = bytearray(A + rubbish + C)
    for position, change in changes:
        raw[position : position + len(change)] = change
    line = bytes(raw).replace(b"\n", b"")
    records, rejects = salvage(line, FILE, LINE, OFFSET)
    for start, end in spans(line, [], rejects):
        assert 0 <= start < end <= len(line)
    assert all(OFFSET <= one.offset < OFFSET + len(line) for one in records)
    assert all(isinstance(json.loads(one.raw), dict) for one in records)
