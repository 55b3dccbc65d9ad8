"""Salvage: what is made of one damaged line, and that each of its bytes is in a record, in a reject, or blank."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenlake.ingest import values
from tokenlake.ingest.salvage import HEAD_BYTES, Recovered, Reject, salvage

FILE, LINE, OFFSET = 42, 7, 1000
BOM = b"\xef\xbb\xbf"


def record(name: str, **more: object) -> bytes:
    return json.dumps({"type": "user", "uuid": name, "sessionId": "s", **more}, separators=(",", ":")).encode()


A, B, C = record("a"), record("b"), record("c", text='{"type":1}')
assert (len(A), len(B)) == (42, 42)


def salvaged(raw: bytes, refused: bool = True) -> tuple[list[Recovered], list[Reject]]:
    """Records and rejects of a line, once it is clear that with what is blank they are all of its bytes."""
    found = salvage(raw, FILE, LINE, OFFSET, refused)
    for reject in found.rejects:
        start = reject.offset - OFFSET
        assert (reject.file_id, reject.line) == (FILE, LINE)
        assert reject.head == raw[start : start + min(reject.length, HEAD_BYTES)]
    lengths = [one.length for one in (*found.records, *found.rejects)]
    assert sum(lengths) + found.blank_bytes == len(raw)
    return found.records, found.rejects


def in_short(raw: bytes) -> tuple[list[tuple[int, str]], list[tuple[int, int, str]]]:
    """Offset from the line's start and uuid of every record; start, length and reason of every reject."""
    records, rejects = salvaged(raw)
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
        (A + b" rubbish ", [(0, "a")], [(43, 7, "not a JSON object")]),
        (b'{"type":"user",,}', [], [(0, 17, "broken JSON")]),
        (b"[" + A + b"]", [(1, "a")], [(0, 1, "cut off by the next record"), (43, 1, "not a JSON object")]),
        (b"17 " + A, [(3, "a")], [(0, 3, "cut off by the next record")]),
        (b"ru\0bb\0ish", [], [(0, 9, "not a JSON object")]),
        (b"\0rubbish\0", [], [(1, 7, "not a JSON object")]),
        (A[:20] + b"\0\0" + B, [(22, "b")], [(0, 20, "cut off by the next record")]),
        (b'x{"type":"x","inner":' + A + b"}" + B, [(64, "b")], [(0, 64, "cut off by the next record")]),
        (b"", [], []),
        (b" \0\t" + BOM + b"\r", [], []),
    ],
)
def test_records_and_rejects_by_hand(raw: bytes, records: list[object], rejects: list[object]) -> None:
    assert in_short(raw) == (records, rejects)


def test_places_are_those_of_the_file() -> None:
    records, (reject,) = salvaged(A + b"rubbish")
    assert (records[0].offset, records[0].length) == (1000, 42)
    assert reject == Reject(FILE, LINE, 1042, 7, "not a JSON object", b"rubbish")


def test_a_head_is_the_first_200_bytes_as_they_are() -> None:
    raw = b"\xff" + b"x" * 150 + b"\0" * 100 + b"y"
    (reject,) = salvaged(raw)[1]
    assert (reject.length, reject.head) == (252, raw[:200])


@pytest.mark.parametrize(
    ("logged", "stored"),
    [
        (b'"a\xffb"', "a\ufffdb"),
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (b'"x\0y"', "xy"),
        ("\u2028\x85".join('""').encode(), "\u2028\x85"),
    ],
)
def test_what_cannot_be_stored_is_replaced(logged: bytes, stored: str) -> None:
    (found,), rejects = salvaged(A[:-1] + b',"cwd":' + logged + b"}")
    assert json.loads(found.raw) == {**json.loads(A), "cwd": stored}
    assert (found.kind, found.odd, rejects) == ("user", 0, [])


def test_an_odd_field_is_null_and_counted_and_the_rest_is_kept() -> None:
    (found,), rejects = salvaged(record("a", cwd=5, isSidechain="no", other=5), refused=False)
    assert json.loads(found.raw) == {**json.loads(A), "cwd": None, "isSidechain": None, "other": 5}
    assert (found.odd, rejects) == (2, [])


def test_an_unfounded_doubt_changes_nothing() -> None:
    logged = b' {"type" : "user", "n": 1.50, "sessionId":"s"} '
    (found,), rejects = salvaged(logged, refused=False)
    assert (found.raw, found.odd, rejects) == (logged.decode().strip(), 0, [])


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "inf", "1e999", "7" * 5000])
def test_what_is_no_number_to_count_with_is_odd(number: str) -> None:
    usage = {"usage": {"input_tokens": 3, "output_tokens": "N"}}
    logged = record("a", message=usage).replace(b'"user"', b'"assistant"').replace(b'"N"', number.encode())
    (found,), rejects = salvaged(logged)
    assert json.loads(found.raw)["message"] == {"usage": {"input_tokens": 3, "output_tokens": None}}
    assert (found.odd, rejects) == (1, [])


def test_of_a_name_given_twice_the_first_counts() -> None:
    """As the engine reads it: what a line says must not depend on which of the two reads it."""
    (found,), _ = salvaged(A[:-1] + b',"uuid":"later","cwd":"/a","cwd":5}')
    assert (json.loads(found.raw)["uuid"], json.loads(found.raw)["cwd"], found.odd) == ("a", "/a", 0)


def test_a_comma_behind_the_last_item_is_no_damage() -> None:
    (found,), rejects = salvaged(b"\0" + A[:-1] + b',"list":[1,2,],}')
    assert (json.loads(found.raw), rejects) == ({**json.loads(A), "list": [1, 2]}, [])


@pytest.mark.parametrize("nested", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
@pytest.mark.parametrize("refused", [True, False])
def test_a_record_is_kept_however_deep_something_in_it_is(nested: bytes, refused: bool) -> None:
    logged = A[:-1] + b',"cwd":7,"x":' + nested + b"}"
    (found,), rejects = salvaged(logged, refused)
    assert (json.loads(found.raw)["uuid"], found.odd, found.length, rejects) == ("a", 1, len(logged), [])
    assert in_short(logged[:-1] + B)[0] == [(len(logged) - 1, "b")]


def test_a_list_of_more_values_than_memory_is_worth_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_VALUES", 50)
    (found,), rejects = salvaged(record("a", few=[1] * 20, many=[[2]] * 60))
    assert json.loads(found.raw) == {**json.loads(A), "few": [1] * 20, "many": None}
    assert rejects == []
    records, (reject,) = salvaged(record("a", **{f"f{n}": n for n in range(300)}) + B)
    assert [json.loads(one.raw)["uuid"] for one in records] == ["b"]
    assert reject.reason == "cut off by the next record"


def test_of_a_giant_record_what_is_not_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenlake.ingest.salvage.GIANT_BYTES", 100)
    monkeypatch.setattr("tokenlake.ingest.salvage.MAX_TEXT_CHARS", 100)
    image = {"type": "image", "source": {"data": "x" * 500}}
    logged = record("a", message={"content": [{"type": "text", "text": "Ahoy."}, image]}, toolUseResult={"a": 1})
    (found,), _ = salvaged(logged)
    said = {"content": [{"type": "text", "text": "Ahoy."}, {"type": "image"}]}
    assert json.loads(found.raw) == {**json.loads(A), "message": said, "toolUseResult": {}}
    assert (found.odd, found.length) == (0, len(logged))
    # A text that memory is not worth is null, and odd.
    (found,), _ = salvaged(record("a", message={"content": "x" * 500}))
    assert (json.loads(found.raw)["message"], found.odd) == ({"content": None}, 1)


# --- in time that grows with the bytes ----------------------------------------------------------------------------

NESTED_CUT = b'{"type":"x","a":'
HARD = {
    "small records": lambda n: A * n,
    "cut records": lambda n: (A[:-1] + b" ") * n,
    "never closed": lambda n: NESTED_CUT * n,
    "never closed, in lists": lambda n: b'{"type":"x","a":[' * n,
    "closed, behind rubbish": lambda n: b"x" + NESTED_CUT * n + b"1" + b"}" * n,
    "quotes": lambda n: b'"' * 40 * n,
    "half of each": lambda n: b'{"type":"' * n,
    "brackets": lambda n: b"[{" * 20 * n,
    "marks": lambda n: b"\xef\xbb\xbf" * 14 * n,
    "white space": lambda n: A[:20] + b" " * 40 * n + A,
    "every other byte NUL": lambda n: b"\0".join(bytes([byte]) for byte in A) * n,
}


@pytest.mark.parametrize("hard", HARD)
def test_twice_the_bytes_take_about_twice_the_time(hard: str) -> None:
    """Sixteen times the bytes may take forty times the time, not 256 times; the least of three runs each."""

    def seconds(times: int) -> float:
        line = HARD[hard](times)
        taken = []
        for _ in range(3):
            start = time.process_time()
            salvage(line, FILE, LINE, OFFSET)
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(8000) < 40 * max(seconds(500), 0.001)


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


@given(st.lists(PIECES, max_size=8))
def test_every_byte_is_in_a_record_in_a_reject_or_blank(pieces: list[tuple[str, bytes]]) -> None:
    raw = b"".join(piece for _, piece in pieces)
    records, rejects = salvaged(raw)
    places = sorted((lost.offset - OFFSET, lost.offset - OFFSET + lost.length) for lost in rejects)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(places))
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
    records, rejects = salvaged(line)
    assert all(OFFSET <= one.offset < one.offset + one.length <= OFFSET + len(line) for one in rejects)
    assert all(OFFSET <= one.offset < OFFSET + len(line) for one in records)
    assert all(isinstance(json.loads(one.raw), dict) for one in records)
