"""How ccusage 20.0.24 reads one line of a transcript: what it counts, and why it leaves a line out.

Found by experiment with the program. `read` is exact, in plain Python, for damaged lines and for files that the
lake does not hold; the patterns say the same of lines that were parsed as logged, for SQL.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

VERSION = "20.0.24"
"""The version whose rules these are."""

MARK = b'"usage":{'
"""Only lines that hold these bytes are looked at."""

NO_MARK = 'usage not written as "usage":{'

NULL_FIELDS = (
    *("id", "cwd", "model", "speed", "costUSD", "version", "sessionId", "requestId", "isApiErrorMessage"),
    *("cache_creation_input_tokens", "cache_read_input_tokens"),
)
"""A null in a field of one of these names, anywhere in a line, and the line is left out."""

# Begins with a literal, which the engine's matcher seeks three times as fast; inside a string the quotes are escaped.
NULL_PATTERN = rf'"({"|".join(NULL_FIELDS)})"\s*:\s*null'
VERSION_PATTERN = r"[0-9]+[.][0-9]+[.][0-9]+.*"
ZONED_PATTERN = r".*(Z|[+-][0-9]{2}:?[0-9]{2})"
TIME_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{3})?(Z|[+-][0-9]{2}:[0-5][0-9])"

_MAX_COUNT = 2**64 - 1
_MAX_DEPTH = 127
_MAX_DIGITS = 308
_MAX_TRIES = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOUR_CENTURIES = timedelta(days=146_097)


@dataclass(frozen=True, slots=True)
class Row:
    """What ccusage counts of a line: ids as logged, None where absent; tokens by kind as it reads them.

    `ts` are microseconds since 1970, UTC. Calls of an advisor that a request lists are rows of their own:
    `advisor_entry` is the place in the list, from 0, and `message_id` that of the request with the call's number
    among its advisor calls.
    """

    ts: int
    session_id: str | None
    message_id: str | None
    request_id: str | None
    uuid: str | None
    is_replayable: bool
    is_progress: bool
    model: str | None
    speed: str | None
    input_tokens: int
    output_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    cost_logged: float | None
    advisor_entry: int | None = None


def why_skipped(line: bytes) -> str | None:
    """Why a physical line is left out; None where it is counted."""
    found = read(line)
    return found if isinstance(found, str) else None


def read(line: bytes) -> list[Row] | str:
    """What ccusage counts of a physical line, without its newline, or why it counts nothing.

    The first row is the request's, those of advisor calls follow.
    """
    if MARK not in line:
        return NO_MARK
    nulls: list[str] = []
    try:
        record = _parse(line, nulls)
        if nulls:
            return f"null in {nulls[0]}"
        try:
            return _direct(record)
        except _RefusedError:
            if not isinstance(record.get("data"), dict) or not isinstance(record["data"].get("message"), dict):
                raise
            return [_embedded(record)]
    except _RefusedError as refused:
        return str(refused)


class _RefusedError(Exception):
    """Says why a line is left out."""


class _Object(dict[str, Any]):
    """A JSON object that remembers which names it was given twice."""

    __slots__ = ("twice",)
    twice: set[str]


def _parse(line: bytes, nulls: list[str]) -> _Object:
    """The record; appends the names of the fields that must not be null and are."""
    # It looks for nulls first, in lines where one may be, and thereby minds every name of every object.
    has_null = b"null" in line

    def made(pairs: list[tuple[str, Any]]) -> _Object:
        found = _Object(pairs)
        seen: set[str] = set()
        found.twice = set()
        for name, value in pairs:
            if name in seen and has_null:
                raise _RefusedError(f"{name} given twice")
            (found.twice if name in seen else seen).add(name)
            if value is None and name in NULL_FIELDS:
                nulls.append(name)
        return found

    try:
        text = line.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=made, parse_float=_float, parse_int=_integer, parse_constant=_constant
        )
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise _RefusedError("invalid UTF-8") from None
    except UnicodeEncodeError:
        raise _RefusedError("lone surrogate") from None
    except RecursionError:
        raise _RefusedError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _RefusedError(_damage(line, error)) from None
    if _is_deep(line, value):
        raise _RefusedError("nested too deeply")
    if not isinstance(value, _Object):
        raise _RefusedError("not a JSON object")
    return value


def _damage(line: bytes, error: json.JSONDecodeError) -> str:
    if b"\0" in line:
        return "NUL bytes"
    if line.startswith(b"\xef\xbb\xbf"):
        return "byte order mark"
    if error.msg == "Extra data":
        return "several records on a line" if error.doc[error.pos] == "{" else "something behind the record"
    if error.msg.startswith("Invalid control"):
        return "control character in a text"
    return "several records on a line" if _holds_another(error.doc) else "broken JSON"


def _holds_another(text: str) -> bool:
    """Whether a broken line goes on with a whole record: one that was cut off is followed by the next."""
    for start in itertools.islice(re.finditer(r'\{"(?:parentUuid|type)"', text[1:]), _MAX_TRIES):
        try:
            value, _ = json.JSONDecoder(strict=False).raw_decode(text, start.start() + 1)
        except (ValueError, RecursionError):
            continue
        if "sessionId" in value:
            return True
    return False


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _RefusedError("number out of range")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise _RefusedError("number out of range")
    return int(digits)


def _constant(name: str) -> None:
    raise _RefusedError("broken JSON")


def _is_deep(line: bytes, value: object) -> bool:
    if line.count(b"[") + line.count(b"{") <= _MAX_DEPTH:
        return False
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        inside = (child for item in level for child in (item.values() if isinstance(item, dict) else item))
        level = [child for child in inside if isinstance(child, dict | list)]
    return depth > _MAX_DEPTH


def _direct(record: _Object) -> list[Row]:
    """A record with a message of its own, whatever its type."""
    known = ("timestamp", "message", "version", "sessionId", "costUSD", "requestId", "isSidechain")
    message = _object(record, known, "message")
    fields = _texts(record, ("version", "sessionId", "requestId"))
    version = fields["version"]
    if version is not None and not re.fullmatch(VERSION_PATTERN, version, re.DOTALL):
        raise _RefusedError("version is not semver")
    row = _row(record, message, fields["sessionId"], fields["requestId"], False)
    return [row, *_advisors(row, message["usage"].get("iterations"))]


def _advisors(row: Row, iterations: object) -> list[Row]:
    """The calls of an advisor; none where any entry is not as expected."""
    found: list[Row] = []
    try:
        for place, entry in enumerate(iterations if isinstance(iterations, list) else []):
            if not isinstance(entry, _Object) or not isinstance(entry.get("type"), str):
                return []
            model = _texts(entry, ("model",))["model"]
            counts, speed = _counts(entry), entry.get("speed")
            if entry["type"] == "advisor_message" and model:
                named = f"{row.message_id}:advisor:{len(found)}" if row.message_id is not None else None
                fresh, output, short, long, read = counts
                found.append(
                    replace(
                        row,
                        message_id=named,
                        model=model,
                        speed=speed,
                        input_tokens=fresh,
                        output_tokens=output,
                        cache_write_5m_tokens=short,
                        cache_write_1h_tokens=long,
                        cache_read_tokens=read,
                        cost_logged=None,
                        advisor_entry=place,
                    )
                )
    except _RefusedError:
        return []
    return found


def _embedded(record: _Object) -> Row:
    """A progress record: of the message of the subagent in it the time, the ids and the usage count."""
    inner = _object(_object(record, ("data", "sessionId"), "data"), ("message",), "message")
    message = _object(inner, ("timestamp", "message", "costUSD", "requestId", "isSidechain"), "message")
    session = _texts(record, ("sessionId",))["sessionId"]
    return _row(inner, message, session, _texts(inner, ("requestId",))["requestId"], True)


def _row(owner: _Object, message: _Object, session: str | None, request: str | None, is_progress: bool) -> Row:
    names = _texts(message, ("id", "model"))
    usage = _object(message, ("usage", "model", "id"), "usage")
    fresh, output, short, long, read = _counts(usage)
    side = owner.get("isSidechain")
    if side is not None and not isinstance(side, bool):
        raise _RefusedError("isSidechain of another type")
    cost = owner.get("costUSD")
    if isinstance(cost, bool) or not isinstance(cost, int | float | None):
        raise _RefusedError("costUSD of another type")
    ts = _time(owner.get("timestamp"))
    for name, value in (("sessionId", session), ("requestId", request), *names.items()):
        if value == "":
            raise _RefusedError(f"empty {name}")
    uuid = owner.get("uuid")
    return Row(
        ts=ts,
        session_id=session,
        message_id=names["id"],
        request_id=request,
        uuid=uuid if isinstance(uuid, str) and uuid else None,
        is_replayable=bool(side),
        is_progress=is_progress,
        model=names["model"],
        speed=usage.get("speed"),
        input_tokens=fresh,
        output_tokens=output,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
        cache_read_tokens=read,
        cost_logged=None if cost is None else float(cost),
    )


def _counts(usage: _Object) -> tuple[int, int, int, int, int]:
    """Input, output, 5m and 1h writes, reads."""
    counted = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    _refuse_twice(usage, (*counted, "cache_creation", "speed"))
    fresh, output, short, read = (_count(usage, name, required=name in counted[:2]) for name in counted)
    if usage.get("speed") not in (None, "standard", "fast"):
        raise _RefusedError("speed is neither standard nor fast")
    long = 0
    if (split := usage.get("cache_creation")) is not None:
        # Where a split is given it stands for all writes, also one of {0, 0} under a flat count.
        if not isinstance(split, _Object):
            raise _RefusedError("cache_creation of another type")
        parts = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
        _refuse_twice(split, parts)
        if any(name in split and split[name] is None for name in parts):
            raise _RefusedError("count is no whole number")
        short, long = (_count(split, name) for name in parts)
    return fresh, output, short, long, read


def _object(owner: _Object, known: tuple[str, ...], name: str) -> _Object:
    _refuse_twice(owner, known)
    value = owner.get(name)
    if not isinstance(value, _Object):
        raise _RefusedError(f"no {name}" if value is None else f"{name} of another type")
    return value


def _refuse_twice(owner: _Object, known: tuple[str, ...]) -> None:
    if twice := owner.twice.intersection(known):
        raise _RefusedError(f"{min(twice)} given twice")


def _texts(owner: _Object, names: tuple[str, ...]) -> dict[str, str | None]:
    for name in names:
        if not isinstance(owner.get(name), str | None):
            raise _RefusedError(f"{name} of another type")
    return {name: owner.get(name) for name in names}


def _count(owner: _Object, name: str, required: bool = False) -> int:
    value = owner.get(name)
    if value is None:
        if required:
            raise _RefusedError(f"no {name}")
        return 0
    if isinstance(value, str):
        raise _RefusedError("count written as text")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        raise _RefusedError("count is no whole number")
    return value


def _time(text: object) -> int:
    """Microseconds since 1970; of the calendar's year 0 too, which Python has not."""
    if text is None:
        raise _RefusedError("no timestamp")
    if isinstance(text, str) and re.fullmatch(TIME_PATTERN, text):
        try:
            # Years repeat after 400 of them.
            moved = _FOUR_CENTURIES if text.startswith("0000-") else timedelta()
            found = datetime.fromisoformat(f"0400{text[4:]}" if moved else text)
            return (found - _EPOCH - moved) // timedelta(microseconds=1)
        except ValueError:
            raise _RefusedError("timestamp is no time") from None
    if not isinstance(text, str) or re.fullmatch(ZONED_PATTERN, text):
        raise _RefusedError("timestamp in another form")
    raise _RefusedError("timestamp without zone")
