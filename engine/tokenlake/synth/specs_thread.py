"""One transcript of a corpus: prompts, the rows of each request with the results of its calls, compactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tokenlake.synth.clock import stamp
from tokenlake.synth.draws import LONGEST_BASE64_BYTES, LONGEST_TEXT_BYTES, Draws
from tokenlake.synth.lines import NULL, Frames, Place, usage_template
from tokenlake.synth.releases import Release
from tokenlake.synth.specs_split import Request

_FAILURE: Final = b"API Error: 529 Overloaded"
_IMAGE: Final = b'{"type":"image","source":{"type":"base64","media_type":"image/png","data":"%b"}}'


Row = tuple[int, int, int, int, int, int]
"""A row as logged, in the order of Counts: 1, and its tokens by kind."""


@dataclass(slots=True)
class Thread:
    """One transcript at work.

    `user_per_assistant` are bytes of user lines for each byte of assistant lines, `owed_bytes` those still owed.
    `done` says of each request how many lines there were after it, its cell, and its rows.
    """

    draws: Draws
    place: Place
    user_per_assistant: float
    lines: list[bytes] = field(default_factory=list)
    parent: bytes = NULL
    prompt_id: bytes = b""
    owed_bytes: float = 0.0
    done: list[tuple[int, int, Sequence[Row]]] = field(default_factory=list)

    def add(self, template: bytes, before: tuple[object, ...], now_ms: int, after: tuple[object, ...] = ()) -> int:
        """A line whose slots are the parent, `before`, uuid, timestamp and `after`; its length."""
        uuid = self.draws.uuid()
        line = template % (self.parent, *before, uuid, stamp(now_ms), *after)
        self.lines.append(line)
        self.parent = uuid
        return len(line)


def write_prompt(thread: Thread, release: Release, frame: Frames, ms: int, title: str = "", images: int = 0) -> None:
    """What a human typed, or an agent was asked, half a second before it is answered; with `images` of 600 kB each."""
    draws = thread.draws
    text = draws.text(20 + int(draws.random() ** 3 * 900))
    if release.is_current_shape:
        thread.prompt_id = draws.uuid()
    if title and not thread.place.agent_id:
        thread.lines.append(frame.title % title.encode())
    if release.since(2, 0, 5) and not thread.place.agent_id:
        snapshot = draws.uuid()
        thread.lines.append(frame.snapshot % (snapshot, snapshot, stamp(ms - 500)))
    content = b'"%b"' % text
    if images:
        pasted = [_IMAGE % draws.base64(LONGEST_BASE64_BYTES) for _ in range(images)]
        content = b"[%b]" % b",".join([*pasted, b'{"type":"text","text":"%b"}' % text])
    size = thread.add(frame.prompt, (_prompt_id(thread), content), ms - 500)
    thread.owed_bytes -= 0 if images else size


def write_request(
    thread: Thread, release: Release, frame: Frames, tokens: Request, ms: int, gap_ms: int, closing: bool
) -> tuple[Row, ...]:
    """The rows of a request, and the results of its calls, within half of the gap to the next request.

    Returns the rows. A `closing` request calls nothing.
    """
    draws = thread.draws
    message_id, request_id = draws.message_id(), draws.request_id()
    is_finished = draws.random() < release.stop_share
    step_ms = min(gap_ms // (2 * tokens.rows + 2), 700)
    calls: list[bytes] = []
    rows: list[Row] = []
    for row in range(tokens.rows):
        is_last = row == tokens.rows - 1
        block, call = _block(draws, row, is_last, closing)
        calls += [call] if call else []
        # Releases before 2.1.97 show how much was written when the block began; the last row has it all.
        output = tokens.output_tokens
        if not is_last and release.outputs != "final":
            output = min(output, 1 + int(draws.random() * 8))
        final = (b'"end_turn"' if closing else b'"tool_use"') if is_finished else NULL
        stop = final if is_last or release.outputs == "final" else NULL
        usage = usage_template(release) % {
            b"input": tokens.input_tokens,
            b"output": output,
            b"w5": tokens.cache_write_5m_tokens,
            b"w1": tokens.cache_write_1h_tokens,
            b"write": tokens.cache_write_5m_tokens + tokens.cache_write_1h_tokens,
            b"read": tokens.cache_read_tokens,
        }
        # No published figure is about what early releases say of the cost.
        fields = (message_id, block, stop, usage, request_id, b"")
        size = thread.add(frame.assistant, fields, ms + row * step_ms)
        thread.owed_bytes += size * thread.user_per_assistant
        rows.append((1, tokens.input_tokens, output, *tokens[2:5]))
    for number, call in enumerate(calls, 1):
        _write_result(thread, release, frame, call, ms + (tokens.rows + number) * step_ms)
    return tuple(rows)


def _block(draws: Draws, row: int, is_last: bool, closing: bool) -> tuple[bytes, bytes]:
    """The block that a row holds, and the id of the call where it is one."""
    if closing and is_last:
        return b'{"type":"text","text":"%b"}' % draws.text(40 + int(draws.random() * 120)), b""
    if row == 0 and not is_last:
        return b'{"type":"thinking","thinking":"%b","signature":"%b"}' % (draws.text(60), draws.base64(120)), b""
    if closing:
        return b'{"type":"text","text":"%b"}' % draws.text(60), b""
    call = draws.tool_use_id()
    command = draws.text(16 + int(draws.random() * 60))
    return b'{"type":"tool_use","id":"%b","name":"Bash","input":{"command":"%b"}}' % (call, command), call


def _write_result(thread: Thread, release: Release, frame: Frames, call: bytes, ms: int) -> None:
    """The result of a call: mostly short, now and then all that user lines still owe."""
    draws = thread.draws
    owed = thread.owed_bytes * (1 if draws.random() < 0.15 else 0.3)
    length = max(int(owed / 2) - 500, 10)
    text = draws.text(min(length, LONGEST_TEXT_BYTES - 10))
    extra = b',"toolUseResult":{"stdout":"%b","stderr":"","interrupted":false,"isImage":false}' % text
    if thread.place.agent_id:
        extra = b""
    if release.has_source_uuid:
        extra += b',"sourceToolAssistantUUID":%b' % thread.parent
    fields = (_prompt_id(thread), call, b'"%b","is_error":false' % text)
    thread.owed_bytes -= thread.add(frame.tool_result, fields, ms, (extra,))


def write_compaction(thread: Thread, release: Release, frame: Frames, ms: int, before: Request) -> None:
    """A compaction, and an overloaded API before it: its error is a message of the program itself."""
    draws, last = thread.draws, thread.parent
    fields = (draws.uuid(), _FAILURE, b'"isApiErrorMessage":true,')
    thread.add(frame.synthetic, fields, ms - 3000)
    if release.since(2, 0, 65):
        thread.parent = NULL
        context = sum(before[:5]) - before.output_tokens
        thread.add(frame.compact_boundary, (last,), ms - 2000, (context,))
    summary = b"This session is being continued from a previous conversation. " + draws.text(1500)
    thread.owed_bytes -= thread.add(frame.compact_summary, (summary,), ms - 1000)


def _prompt_id(thread: Thread) -> bytes:
    return b'"promptId":%b,' % thread.prompt_id if thread.prompt_id else b""
