"""Damage of every kind done to real-shaped lines: bytes cut, spliced and spoiled, fields of wrong types."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

SAMPLES = Path(__file__).resolve().parent.parent / "data-samples" / "logs" / "projects"

_TEXT = re.compile(rb'":"[^"\\]')
_PLACE = "\ue000place\ue000"
_KNOWN_FIELDS = ("type", "message", "usage", "content", "sessionId", "timestamp", "input_tokens", "cache_creation")

RUBBISH: tuple[bytes, ...] = (
    *(
        b"\0",
        b"\0" * 40,
        b" ",
        b"\t\r",
        b"\r",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xc3(",
        b"\xe2\x80",
        b"\xed\xa0\x80",
        b"\x80",
    ),
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"}{", b'{"type"', b'{"parentUuid"', b"core dumped", b"0", b"-"),
    *(rb"\ud83d", rb"\udc00", rb"\u0000", rb"\u", b"\x01", b"\x1b[31m", b"\xe2\x80\xa8", b"\xc2\x85", b"null", b"NaN"),
)
"""What accidents put into a line."""

WRONG: tuple[str, ...] = (
    *(
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "-0",
        "5",
        "1.5",
        "5.0",
        "1e3",
        "-1e-3",
        "1e999",
        "-1e999",
        "NaN",
        "inf",
    ),
    *("inf", "9223372036854775807", "9223372036854775808", "18446744073709551616", "1" + "0" * 40, "7" * 700),
    *('""', '"x"', '"5"', '"007"', '"12345678901234567890"', '"-5"', '"1.5"', '"true"', '"null"', '"NaN"', '"[1]"'),
    *('"{\\"a\\":1}"', '"2026-05-04T09:00:00.000Z"', '"2026-05-04"', '"2026-13-45T99:00:00Z"', '"assistant"', '"user"'),
    *('"1e5"', '"\\ud83d"', '"\\u0000"', '"\xe9\u2028"', "[]", "[null]", "[5]", '["x"]', "[[]]", "[{}]", "{}"),
    *('{"type":"text"}', '[{"type":"text","text":5}]', '{"type":"user","sessionId":"s"}', '[{"type":["x"]}]'),
    *('{"a":1,"a":2}', '{"type":5,"type":"user"}', "[1,2,]", '{"a":1,}', "[" * 60 + "]" * 60),
    *('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59.999-14:00"', '"infinity"', '"2026-05-04T24:00:00.000Z"'),
)
"""JSON that stands where something else belongs."""


def deep(depth: int, kind: str = "list") -> bytes:
    """JSON nested so deep."""
    return b"[" * depth + b"]" * depth if kind == "list" else b'{"a":' * depth + b"1" + b"}" * depth


def sample_lines(folder: Path = SAMPLES) -> list[bytes]:
    """Every undamaged line of the transcripts below a folder, without its newline."""
    lines: dict[bytes, None] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            try:
                if isinstance(json.loads(line), dict):
                    lines[line] = None
            except ValueError:
                continue
    return list(lines)


def mutated(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    """The line after one to three accidents; it may have become several records, or none, but never two lines."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        line = rng.choice(_ACCIDENTS)(line, pool, rng)
    return line.replace(b"\n", b"")


def transcript(pool: Sequence[bytes], rng: Random, witness: Callable[[], bytes] | None = None) -> bytes:
    """A file of damaged lines, each between two that are whole: those of `witness`, where it is given."""
    parts: list[bytes] = []
    for _ in range(rng.randint(1, 5)):
        if witness:
            parts.append(witness())
        line = rng.choice(pool)
        parts.append(mutated(line, pool, rng) if rng.random() < 0.9 else line)
    if witness:
        parts.append(witness())
    ends = [b"\n"] * len(parts)
    for number in range(len(parts) - 1):
        ends[number] += rng.choice((b"",) * 12 + (b"\n", b" \n", b"\0\0\n", b"\xef\xbb\xbf\n", b"\r\n"))
    if not witness and rng.random() < 0.3:
        ends[-1] = rng.choice((b"", b" ", b"\0\0\0", b"\r"))  # what is written last may be cut, or unfinished
        if rng.random() < 0.5:
            parts[-1] = parts[-1][: rng.randrange(len(parts[-1]) + 1)]
    return b"".join(part + end for part, end in zip(parts, ends, strict=True))


# --- accidents of bytes ----------------------------------------------------------------------------------------------


def _cut(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    return line[: rng.randrange(len(line) + 1)]


def _behead(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    return line[rng.randrange(len(line) + 1) :]


def _splice(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    return _cut(line, pool, rng) + rng.choice(pool)


def _splice_often(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    return b"".join(_cut(rng.choice(pool), pool, rng) for _ in range(rng.randint(2, 5))) + line


def _join(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    between = rng.choice((b"", b"", b" ", b"\0\0", b"\xef\xbb\xbf", b",", b"\r"))
    return line + between + rng.choice(pool)


def _list(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    return b"[" + line + b"," + rng.choice(pool) + b"]"


def _insert(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    at = rng.randrange(len(line) + 1)
    return line[:at] + rng.choice(RUBBISH) + line[at:]


def _insert_in_text(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    places = [found.end() for found in _TEXT.finditer(line)]
    if not places:
        return line
    at = rng.choice(places)
    return line[:at] + rng.choice(RUBBISH) + line[at:]


def _overwrite(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    at, rubbish = rng.randrange(len(line) + 1), rng.choice(RUBBISH)
    return line[:at] + rubbish + line[at + len(rubbish) :]


def _drop(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    at = rng.randrange(len(line) + 1)
    return line[:at] + line[at + rng.choice((1, 1, 2, 10, 100)) :]


def _repeat(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    at = rng.randrange(len(line) + 1)
    return line[:at] + line[at : at + rng.choice((1, 2, 10, 100))] * 2 + line[at:]


def _flip(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    changed = bytearray(line)
    for _ in range(rng.randint(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _widen(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    return line.decode("latin-1").encode("utf-16-le")  # as some shells redirect


# --- accidents of fields ---------------------------------------------------------------------------------------------


def _retype(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    """Gives some field another value."""
    wrong = rng.choice(WRONG) if rng.random() < 0.98 else deep(rng.choice((300, 3000)), rng.choice(("list", "")))
    return with_value(line, wrong if isinstance(wrong, bytes) else wrong.encode(), rng)


def _twice(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    """Gives a field of some object a second time, with another value, before or behind the first."""
    places = [found.start() for found in re.finditer(rb'"(\w+)":', line)]
    if not places:
        return line
    at = rng.choice(places)
    name = re.compile(rb'"\w+":').match(line, at)
    assert name is not None
    return line[:at] + name[0] + rng.choice(WRONG).encode() + b"," + line[at:]


def _add(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    """Adds a field of a known name to the record."""
    name = rng.choice((*_KNOWN_FIELDS, "isMeta", "customTitle", "toolUseResult", "costUSD", "forkedFrom", "data"))
    if not line.endswith(b"}"):
        return line
    return line[:-1] + b',"' + name.encode() + b'":' + rng.choice(WRONG).encode() + b"}"


def _remove(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    record = _parsed(line)
    places = list(_places(record))
    if not places:
        return line
    holder, name = rng.choice(places)
    del holder[name]
    return _written(record)


def _respace(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    record = _parsed(line)
    style = rng.choice(((", ", ": "), (" ,", " :"), (",\t", ":\r")))
    return json.dumps(record, ensure_ascii=rng.random() < 0.5, separators=style).encode("utf-8", "replace")


def _reorder(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    record = _parsed(line)
    if not isinstance(record, dict):
        return line
    names = list(record)
    rng.shuffle(names)
    return _written({name: record[name] for name in names})


def with_value(line: bytes, value: bytes, rng: Random) -> bytes:
    """The line with some field, list item or text of it replaced by this JSON."""
    record = _parsed(line)
    places = list(_places(record))
    if not places:
        return line
    holder, name = rng.choice(places)
    holder[name] = _PLACE
    return _written(record).replace(json.dumps(_PLACE, ensure_ascii=False).encode(), value)


def every_place(line: bytes) -> int:
    """How many places `with_value_at` knows in a line."""
    return len(list(_places(_parsed(line))))


def with_value_at(line: bytes, number: int, value: bytes) -> bytes:
    """The line with the value at one of its places replaced by this JSON."""
    record = _parsed(line)
    holder, name = list(_places(record))[number]
    holder[name] = _PLACE
    return _written(record).replace(json.dumps(_PLACE, ensure_ascii=False).encode(), value)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None


def _written(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every field and list item inside a value: what holds it, and its name or number."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict | list):
            inside = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
            found += [(holder, name) for name, _ in inside]
            waiting += [item for _, item in reversed(inside)]
    return found


_ACCIDENTS: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    *(_cut, _behead, _splice, _splice, _splice_often, _join, _join, _list, _insert, _insert, _insert_in_text),
    *(_insert_in_text, _overwrite, _drop, _repeat, _flip, _widen),
    *(_retype,) * 8,
    *(_twice, _twice, _add, _add, _remove, _respace, _reorder),
)
