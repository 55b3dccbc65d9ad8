"""Hypothesis strategies for small trees of transcripts: forks, copies, subagents, partial rows and damage."""

from __future__ import annotations

from typing import Any

from accounting.transcripts import (
    S1,
    S2,
    S3,
    Record,
    agent_progress,
    assistant,
    common,
    line,
    tool_use,
    usage,
    user,
)
from hypothesis import strategies as st

SESSIONS = (S1, S2, S3)
FILES = (
    f"-p/{S1}.jsonl",
    f"-p/{S2}.jsonl",
    f"-q/{S3}.jsonl",
    f"-p/{S1}/subagents/agent-a1b2c3d.jsonl",
    "-backup/copy.jsonl",
)
TIMES = (
    "2026-04-30T23:59:58.000Z",
    "2026-04-30T23:59:59.999Z",
    "2026-05-01T00:00:00.000Z",
    "2026-05-01T09:30:00.250Z",
    "2026-05-02T07:00:00.000Z",
)
NAMES = {"msg_1": "2.1.39", "msg_2": "2.1.120", "msg_3": "2.1.96", "msg_p": "2.1.39", None: "2.1.97"}
"""Message ids, and the version that writes all rows of each."""

OUTPUTS = (0, 1, 10, 11, 240)
COUNTS = (0, 7, 5000, "35", -2, 1.5, "x", None)
SAID = (
    "Aye.",
    "<command-name>/go</command-name>",
    "[Request interrupted by user]",
    "Caveat: none.",
    "<bash-input>a",
)

Tree = dict[str, bytes]


@st.composite
def usages(draw: st.DrawFn) -> Record:
    """A usage object, sometimes with odd counts, with or without a split, sometimes with an advisor."""
    counts = usage(
        draw(st.sampled_from(OUTPUTS)),
        w5=draw(st.sampled_from((0, 300))),
        w1=draw(st.sampled_from((0, 40))),
        read=draw(st.sampled_from(COUNTS)),
    )
    if draw(st.booleans()):
        counts["cache_creation_input_tokens"] = draw(st.sampled_from((0, 100, 1000)))
    if draw(st.integers(0, 4)) == 0:
        del counts["cache_creation"]
    if draw(st.integers(0, 4)) == 0:
        counts["server_tool_use"] = {"web_search_requests": draw(st.integers(0, 3))}
    if draw(st.integers(0, 5)) == 0:
        entry = {
            "type": "advisor_message",
            "model": "claude-opus-4-7",
            "input_tokens": 8,
            "output_tokens": 90,
        }
        counts["iterations"] = [{**entry, "type": "message"}, entry]
    return counts


@st.composite
def records(draw: st.DrawFn, number: int) -> Record:
    """One record; its uuid and tool ids come from its number, so that only copies share them."""
    uuid, session = f"uuid-{number}", draw(st.sampled_from(SESSIONS))
    time = draw(st.sampled_from((*TIMES, *TIMES, None)))
    name = draw(st.sampled_from(tuple(NAMES)))
    version = NAMES[name]
    kind = draw(st.sampled_from(("usage",) * 5 + ("user", "result", "progress", "synthetic", "bare", "hook")))
    shared: dict[str, Any] = {"uuid": uuid, "session": session, "version": version}
    if kind == "user":
        return user(draw(st.sampled_from(SAID)), time, **shared)
    if kind == "result":
        call = draw(st.integers(0, number))
        block = {"type": "tool_result", "tool_use_id": f"toolu_{call}", "content": "done"}
        return user([block], time, toolUseResult={"query": "tides", "searchCount": call % 3}, **shared)
    if kind == "progress":
        block = tool_use(f"read_{number}", "Read", file_path="/a")
        counts = usage(draw(st.sampled_from(OUTPUTS)), w1=draw(st.sampled_from((0, 40))))
        known = draw(st.sampled_from(("msg_p", "msg_q")))
        inner: dict[str, Any] = {"uuid": f"inner-{number}", "content": [block], "session": session}
        return agent_progress(known, counts, draw(st.sampled_from(TIMES)), **inner)
    if kind == "bare":
        title = {"type": "summary", "summary": "At the harbour", "leafUuid": uuid}
        return draw(st.sampled_from((title, {"type": "mode", "mode": "normal", "sessionId": session})))
    if kind == "hook":
        return common("system", uuid, time, session, version, subtype="local_command", content="ok")
    content = draw(
        st.sampled_from(
            (
                [{"type": "text", "text": "Aye, PLACE."}],
                [{"type": "thinking", "thinking": "Well.", "signature": "s"}],
                [{"type": "text", "text": "One."}, tool_use(f"toolu_{number}", "WebSearch", query="tides")],
            )
        )
    )
    if kind == "synthetic":
        zero = usage(0, fresh=0)
        return assistant(f"id-{number}", zero, time, model="<synthetic>", content=content, **shared)
    if name == "msg_p":
        shared |= {"isSidechain": True, "agentId": "a1b2c3d"}
    record = assistant(
        name,
        draw(usages()),
        time,
        stop=draw(st.sampled_from((None, "end_turn"))),
        model=draw(st.sampled_from(("claude-sonnet-4-6", "claude-opus-4-7"))),
        content=content,
        **shared,
    )
    if draw(st.integers(0, 7)) == 0:
        record["forkedFrom"] = {"sessionId": draw(st.sampled_from(SESSIONS)), "messageUuid": uuid}
    return record


@st.composite
def physical(draw: st.DrawFn, listed: list[Record]) -> bytes:
    """The records as a file that went through some accidents, at most one a line."""
    data = b""
    for record in listed:
        raw = line(record)
        accident = draw(st.sampled_from(("none",) * 12 + ACCIDENTS))
        if not data or data.endswith(b"\n"):
            if accident == "joined":
                data += raw
                continue
            if accident == "spliced":
                data += raw[: draw(st.integers(1, len(raw) - 1))]
                continue
            if accident == "cut":
                raw = raw[: draw(st.integers(1, len(raw) - 1))]
            elif accident in DAMAGE:
                raw = DAMAGE[accident](raw)
        data += raw + b"\n"
    if not data.endswith(b"\n"):
        data += b'{"type":"summary","summary":"The end","leafUuid":"leaf"}\n'
    end = draw(st.sampled_from(("newline",) * 3 + ("pending", "whole")))
    last = line(assistant("msg_2", usage(11), TIMES[2], uuid="uuid-last", session=S2))
    if end == "pending":
        data += last[: draw(st.integers(1, len(last) - 1))]
    return data + last if end == "whole" else data


DAMAGE = {
    "nul before": lambda raw: b"\x00" * 40 + raw,
    "nul after": lambda raw: raw + b"\x00" * 3,
    "blank before": lambda raw: b" \x00\n" + raw,
    "noise before": lambda raw: b"core dumped \xff\n[1]\n" + raw,
    "surrogate": lambda raw: raw.replace(b"PLACE", b"\\ud83d"),
    "invalid": lambda raw: raw.replace(b"PLACE", b"\xff\xc3"),
    "return": lambda raw: raw.replace(b"PLACE", b"\r") + b"\r",
    "separator": lambda raw: raw.replace(b"PLACE", "\u2028".encode()),
    "spaced": lambda raw: raw.replace(b'":', b'" : '),
}
ACCIDENTS = ("joined", "spliced", "cut", *DAMAGE)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """One to four files; one may be a fork or a copy of another."""
    names = draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=4, unique=True))
    files: dict[str, list[Record]] = {}
    number = 0
    for name in names:
        listed: list[Record] = []
        if draw(st.booleans()) and files:
            source = draw(st.sampled_from(sorted(files)))
            session = draw(st.sampled_from((*SESSIONS, None)))
            listed = [fork(record, session) for record in files[source]]
        for _ in range(draw(st.integers(1, 7))):
            listed.append(draw(records(number)))
            number += 1
        files[name] = listed
    return {name: draw(physical(records_of_file)) for name, records_of_file in files.items()}


def fork(record: Record, session: str | None) -> Record:
    """The record as a fork writes it, in a directory of its own, or a plain copy of it."""
    if session is None or "sessionId" not in record:
        return record
    return {**record, "sessionId": session, **({"cwd": "/home/ada/worktree"} if "cwd" in record else {})}
