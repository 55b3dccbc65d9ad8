"""A case for every rule by which ccusage and the lake differ: rows of one day, and what the rule then amounts to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounting.transcripts import Record, agent_progress, assistant, line, usage

FIRST_DAY = dt.date(2026, 1, 1)
TEN = b'"output_tokens":10'

Lines = list[bytes | Record]


@dataclass(frozen=True)
class Case:
    """Files by name below a project of its own; `rules` are (requests, tokens) by the name of the rule.

    Where dollars are told too, they are the rule's third number.
    """

    files: dict[str, Lines]
    rules: dict[str, tuple[Any, ...]]


Maker = Callable[["Name"], Case]


class Name:
    """The names that rows of one case have: message ids, request ids, a session, times of its day."""

    def __init__(self, number: int, case: str) -> None:
        self.number, self.case = number, case
        self.session = f"{number:08d}-0001-4000-8000-000000000000"

    def at(self, time: str = "12:00:00.000Z", days: int = 0) -> str:
        """A time of the case's day, or of one after it."""
        return f"{FIRST_DAY + dt.timedelta(days=3 * self.number + days)}T{time}"

    def row(self, name: str = "a", counts: Record | None = None, **more: Any) -> Record:
        """An assistant record of 2 tokens of input and 10 of output, unless told otherwise."""
        message = f"msg_{self.case}_{name}" if name else None
        more.setdefault("request_id", f"req_{self.case}_{name}")
        uuid = more.pop("uuid", f"uuid-{self.case}-{name}-{more.get('request_id')}")
        time = more.pop("time", self.at())
        session = more.pop("session", self.session)
        return assistant(message, usage(10) if counts is None else counts, time, uuid=uuid, session=session, **more)


def one(rule: str, change: Callable[[Name], Lines], tokens: int = -12, requests: int = -1) -> Maker:
    """A case of a single file whose only rule leaves out its only request."""
    return lambda name: Case({"s.jsonl": change(name)}, {rule: (requests, tokens)})


def raw(name: Name, old: bytes, new: bytes, **more: Any) -> Lines:
    """The usual row with some bytes changed."""
    logged = line(name.row(**more))
    assert old in logged
    return [logged.replace(old, new)]


def added(name: Name, text: bytes) -> Lines:
    """The usual row with a field more at its end."""
    return [line(name.row())[:-1] + b"," + text + b"}"]


def counted(name: Name, **counts: Any) -> Lines:
    """The usual row with other counts."""
    return [name.row(counts=usage(**counts))]


def _deep(name: Name) -> Lines:
    return added(name, b'"more":' + b"[" * 130 + b"]" * 130)


LEFT_OUT: dict[str, Maker] = {
    "null-cwd": one("left out: null in cwd", lambda n: [n.row(cwd=None)]),
    "null-speed": one("left out: null in speed", lambda n: [n.row(counts=usage(10) | {"speed": None})]),
    "null-cost": one("left out: null in costUSD", lambda n: [n.row(costUSD=None)]),
    "null-request": one("left out: null in requestId", lambda n: [n.row(requestId=None)]),
    "null-version": one("left out: null in version", lambda n: [n.row(version=None)]),
    "null-flat": one(
        "left out: null in cache_creation_input_tokens",
        lambda n: [n.row(counts=usage(10) | {"cache_creation_input_tokens": None})],
    ),
    "null-id-far-away": one(
        "left out: null in id",
        lambda n: [n.row(content=[{"type": "tool_use", "id": "t", "name": "Bash", "input": {"task": {"id": None}}}])],
    ),
    "null-spaced": one("left out: null in model", lambda n: added(n, b'"tool":{"model" :\tnull}')),
    "no-output": one("left out: no output_tokens", lambda n: counted(n, output=None), -2),
    "no-input": one("left out: no input_tokens", lambda n: counted(n, fresh=None), -10),
    "count-float": one("left out: count is no whole number", lambda n: counted(n, read=1.5)),
    "count-negative": one("left out: count is no whole number", lambda n: counted(n, read=-3)),
    "count-text": one("left out: count written as text", lambda n: counted(n, read="100"), -112),
    "version-short": one("left out: version is not semver", lambda n: [n.row(version="2.1")]),
    "version-v": one("left out: version is not semver", lambda n: [n.row(version="v2.1.100")]),
    "time-naive": one("left out: timestamp without zone", lambda n: [n.row(time=n.at("12:00:00.000"))]),
    "time-short-offset": one("left out: timestamp in another form", lambda n: [n.row(time=n.at("12:00:00+0000"))]),
    "time-microseconds": one("left out: timestamp in another form", lambda n: [n.row(time=n.at("12:00:00.000123Z"))]),
    "surrogate": one("left out: lone surrogate", lambda n: raw(n, b"Aye.", b"\\ud83d")),
    "nul-prefix": one("left out: NUL bytes", lambda n: [b"\0" * 32 + line(n.row())]),
    "bom": one("left out: byte order mark", lambda n: [b"\xef\xbb\xbf" + line(n.row())]),
    "not-utf8": one("left out: invalid UTF-8", lambda n: raw(n, b"Aye.", b"Aye\xff")),
    "two-on-a-line": one(
        "left out: several records on a line", lambda n: [line(n.row()) + line(n.row("b"))], -24, -2
    ),
    "space": one('left out: usage not written as "usage":{', lambda n: raw(n, b'"usage":{', b'"usage": {')),
    "deep": one("left out: nested too deeply", _deep),
    "empty-request": one("left out: empty requestId", lambda n: [n.row(requestId="")]),
    "empty-session": one("left out: empty sessionId", lambda n: [n.row(sessionId="")]),
    "speed-odd": one(
        "left out: speed is neither standard nor fast", lambda n: [n.row(counts=usage(10) | {"speed": "turbo"})]
    ),
    "cost-text": one("left out: costUSD of another type", lambda n: [n.row(costUSD="0.5")]),
    "twice-given": one("left out: output_tokens given twice", lambda n: raw(n, TEN, TEN + b"," + TEN)),
}  # fmt: skip


def _no_time(name: Name) -> Case:
    """The time is that of the record before it."""
    second = name.row("b")
    del second["timestamp"]
    return Case({"s.jsonl": [name.row(), second]}, {"left out: no timestamp": (-1, -12)})


def _another_row_of_it(name: Name) -> Case:
    """The final row has a null: ccusage takes the partial one of 4 tokens."""
    rows: Lines = [name.row(counts=usage(4), stop=None), name.row(counts=usage(300), cwd=None)]
    return Case({"s.jsonl": rows}, {"left out: null in cwd": (0, -296)})


def _odd_field(name: Name) -> Case:
    """A branch that is a number is odd to the lake and nothing to ccusage."""
    return Case({"s.jsonl": [name.row(gitBranch=7)]}, {})


def _escaped(name: Name) -> Case:
    """A null inside a text is none."""
    text = [{"type": "text", "text": '{"id":null,"cwd":null} and "usage": {'}]
    return Case({"s.jsonl": [name.row(content=text)]}, {})


def _no_request_id(name: Name) -> Case:
    """Two blocks of one message, a second apart, without requestId: counted twice."""
    rows: Lines = [name.row(request_id=None), name.row(request_id=None, time=name.at("12:00:01.000Z"))]
    return Case({"s.jsonl": rows}, {"twice: no requestId": (1, 12)})


def _other_request_id(name: Name) -> Case:
    rows: Lines = [name.row(counts=usage(10)), name.row(counts=usage(30), request_id="req_replayed")]
    return Case({"s.jsonl": rows}, {"twice: another requestId": (1, 12)})


def _no_message_id(name: Name) -> Case:
    """A fork copies a row without message id: the lake knows it by its uuid."""
    copy = name.row("", uuid="uuid-of-both")
    fork = {**copy, "sessionId": name.session.replace("-0001-", "-0002-")}
    return Case({"s.jsonl": [copy], "t.jsonl": [fork]}, {"twice: no message id": (1, 12)})


def _progress_beside(name: Name) -> Case:
    """The progress record has another requestId than the subagent's transcript."""
    progress = agent_progress(f"msg_{name.case}_a", usage(50), name.at(), session=name.session)
    progress["data"]["message"]["requestId"] = "req_of_progress"
    own = name.row(isSidechain=True, agentId="a1b2c3d")
    files: dict[str, Lines] = {"s.jsonl": [progress], "s/subagents/agent-a1b2c3d.jsonl": [own]}
    # The subagent's row meets the progress record's of its session, and is the lesser.
    return Case(files, {"row kept: agent_progress": (0, 40)})


def _progress_twice(name: Name) -> Case:
    """Beside a row of the main thread both count."""
    progress = agent_progress(f"msg_{name.case}_a", usage(50), name.at(), session=name.session)
    progress["data"]["message"]["requestId"] = "req_of_progress"
    return Case({"s.jsonl": [progress, name.row()]}, {"twice: agent_progress": (1, 52)})


def _progress_larger(name: Name) -> Case:
    progress = agent_progress(f"msg_{name.case}_a", usage(50), name.at(), session=name.session)
    progress["data"]["message"]["requestId"] = f"req_{name.case}_a"
    return Case({"s.jsonl": [progress, name.row()]}, {"row kept: agent_progress": (0, 40)})


def _progress_null(name: Name) -> Case:
    """The only trace of a subagent's request, and ccusage passes it over."""
    progress = agent_progress(f"msg_{name.case}_a", usage(50), name.at(), session=name.session, cwd=None)
    return Case({"s.jsonl": [progress]}, {"left out: null in cwd": (-1, -52)})


def _sidechain_replay(name: Name) -> Case:
    """A subagent replays a message of the main thread under a new requestId, with more output."""
    replay = name.row(counts=usage(70), request_id="req_side", isSidechain=True, agentId="b1")
    files: dict[str, Lines] = {"s.jsonl": [name.row()], "s/subagents/agent-b1.jsonl": [replay]}
    return Case(files, {"row kept: main thread before subagent": (0, -60)})


def _largest(name: Name) -> Case:
    """The row with most output is not the one with most tokens."""
    rows: Lines = [name.row(counts=usage(10, read=5000)), name.row(counts=usage(20))]
    return Case({"s.jsonl": rows}, {"row kept: the largest": (0, 4990)})


def _another_day(name: Name) -> Case:
    rows: Lines = [
        name.row(counts=usage(4), stop=None, time=name.at("23:59:58.000Z")),
        name.row(counts=usage(40), time=name.at("00:00:03.000Z", days=1)),
    ]
    return Case({"s.jsonl": rows}, {"another day": (0, 0)})


def _split(name: Name) -> Case:
    counts = usage(10) | {"cache_creation_input_tokens": 4000}
    return Case({"s.jsonl": [name.row(counts=counts)]}, {"split of cache writes": (0, -4000)})


def _split_of_a_huge_count(name: Name) -> Case:
    """What the lake reads of it and what ccusage does are no 64 bits together."""
    counts = usage(10, w5=1000, w1=7) | {"cache_creation_input_tokens": 2**63 - 101}
    return Case({"s.jsonl": [name.row(counts=counts)]}, {"split of cache writes": (0, 1007 - (2**63 - 101))})


def _synthetic(name: Name) -> Case:
    return Case({"s.jsonl": [name.row(model="<synthetic>", counts=usage(9))]}, {"synthetic": (1, 11)})


ADVICE: Record = {"type": "advisor_message", "model": "claude-opus-4-7", "input_tokens": 100, "output_tokens": 50}
PLAIN: Record = {"type": "message", "input_tokens": 2, "output_tokens": 10}


def _advisor(name: Name) -> Case:
    """Counted by both, under its own model."""
    return Case({"s.jsonl": [name.row(counts=usage(10) | {"iterations": [PLAIN, ADVICE]})]}, {})


def _advisor_left_out(name: Name) -> Case:
    counts = usage(10) | {"iterations": [PLAIN, ADVICE]}
    return Case({"s.jsonl": [name.row(counts=counts, cwd=None)]}, {"left out: null in cwd": (-2, -162)})


def _advisor_listed_elsewhere(name: Name) -> Case:
    """The call stands at two places of two rows' lists: two requests to the lake, its first advisor to ccusage."""
    rows: Lines = [name.row(counts=usage(10) | {"iterations": its}) for its in ([PLAIN, ADVICE], [ADVICE])]
    return Case({"s.jsonl": rows}, {"one request there": (-1, -150)})


def _user_record(name: Name) -> Case:
    """A record of another type with usage: the lake has no row for it."""
    return Case({"s.jsonl": [{**name.row(), "type": "user"}]}, {"not held: no usage row": (1, 12)})


def _memory(name: Name) -> Case:
    files: dict[str, Lines] = {"memory/notes.jsonl": [name.row("b")], "s.jsonl": [name.row()]}
    return Case(files, {"not held: no transcript by its name": (1, 12)})


def _journal(name: Name) -> Case:
    files: dict[str, Lines] = {"s/subagents/workflows/wf/journal.jsonl": [name.row("b")], "s.jsonl": [name.row()]}
    return Case(files, {"not held: no transcript by its name": (1, 12)})


def _tie(name: Name) -> Case:
    """Of rows of one size the dearer counts: 20 tokens of output, not of input."""
    rows: Lines = [name.row(counts=usage(10, fresh=20)), name.row(counts=usage(20, fresh=10))]
    return Case({"s.jsonl": rows}, {})


def _copy(name: Name) -> Case:
    """A fork and a backup of one request are one to both."""
    row = name.row()
    fork = {**row, "sessionId": name.session.replace("-0001-", "-0002-")}
    return Case({"s.jsonl": [row], "t.jsonl": [fork], "backup/s.jsonl": [row]}, {})


COUNTED: dict[str, Maker] = {
    "no-time": _no_time,
    "another-row-of-it": _another_row_of_it,
    "odd-field": _odd_field,
    "escaped": _escaped,
    "no-request-id": _no_request_id,
    "other-request-id": _other_request_id,
    "no-message-id": _no_message_id,
    "progress-beside": _progress_beside,
    "progress-twice": _progress_twice,
    "progress-larger": _progress_larger,
    "progress-null": _progress_null,
    "sidechain-replay": _sidechain_replay,
    "largest": _largest,
    "another-day": _another_day,
    "split": _split,
    "split-huge": _split_of_a_huge_count,
    "synthetic": _synthetic,
    "advisor": _advisor,
    "advisor-left-out": _advisor_left_out,
    "advisor-listed-elsewhere": _advisor_listed_elsewhere,
    "user-record": _user_record,
    "memory": _memory,
    "journal": _journal,
    "tie": _tie,
    "copy": _copy,
}


def priced(rule: str, dollars: str, model: str = "claude-sonnet-4-6", output: int = 1000, **more: Any) -> Maker:
    """A case of one row that counts alike and costs something else there: `dollars` more."""

    def case(name: Name) -> Case:
        tokens = {kind: more[kind] for kind in ("fresh", "w5", "w1", "read") if kind in more}
        counts = usage(output, **({"fresh": 0} | tokens))
        counts |= {key: value for key, value in more.items() if key not in tokens}
        return Case({"s.jsonl": [name.row(counts=counts, model=model)]}, {rule: (0, 0, dollars)})

    return case


PRICED: dict[str, Maker] = {
    # Ten dollars per 1,000 searches.
    "web-search": priced("web searches", "-0.03", server_tool_use={"web_search_requests": 3}),
    # Output at 15 dollars per million: half of it is missing here.
    "batch": priced("batch tier", "0.0075", service_tier="batch"),
    # A tenth more here; offered from Opus 4.6 on, at 25 dollars.
    "us": priced("US inference", "-0.0025", "claude-opus-4-6", inference_geo="us"),
    # No fast mode of Sonnet is known here, and ccusage takes it for the usual one.
    "fast-unpriced": priced("unpriced here", "0.015", speed="fast"),
    # Six times as much on both sides.
    "fast": lambda name: Case(
        {"s.jsonl": [name.row(counts=usage(1000) | {"speed": "fast"}, model="claude-opus-4-6")]}, {}
    ),
    # 250,000 tokens of input: at 6 instead of 3 dollars here, there only the last 50,000; output at 22.5 against 15.
    "long": priced("long context", "-0.6075", "claude-sonnet-4-5-20250929", fresh=250_000),
    # Half a million of reads of a model without bands: alike.
    "no-bands": lambda name: Case(
        {"s.jsonl": [name.row(counts=usage(1000, read=500_000), model="claude-opus-4-6")]}, {}
    ),
    # 2 dollars per million of input, 10 of output; ccusage has no such model.
    "unpriced-there": priced("unpriced there", "-0.01", "claude-sonnet-5-5"),
    "unpriced-both": lambda name: Case({"s.jsonl": [name.row(model="house-model-1")]}, {}),
    # 13 there against 15 here.
    "price": priced("price of output", "-0.002", "claude-sonnet-3-7"),
    "price-of-writes": priced("price of 1h writes", "-0.0008", "claude-sonnet-3-7", output=0, w1=1000),
}

CASES: dict[str, Maker] = {**LEFT_OUT, **COUNTED, **PRICED}
