"""One API request as the log shows it: its blocks as lines, the usage on each, its tool results."""

from typing import Final

from tokenlake.synth.clock import stamp
from tokenlake.synth.disputes import Shape, draw_shape
from tokenlake.synth.draws import quantile_table
from tokenlake.synth.lines import NULL
from tokenlake.synth.tools import Call, draw_call
from tokenlake.synth.transcript import Transcript, UsageRow
from tokenlake.synth.truth import Tally, Tokens

_ROWS: Final = quantile_table(
    (0, 1), (0.27, 1), (0.2701, 2), (0.77, 2), (0.7701, 3), (0.935, 3), (0.98, 4), (0.995, 7), (1, 20)
)
_OUTPUT: Final = quantile_table((0, 50), (0.4, 190), (0.7, 480), (0.9, 1500), (0.99, 4000), (1, 5000))
_WRITE: Final = quantile_table((0, 90), (0.5, 650), (0.75, 1900), (0.9, 6000), (0.99, 24_000), (1, 40_000))
_FIRST_WRITE: Final = quantile_table((0, 4000), (0.5, 12_000), (1, 34_000))
_SYSTEM_READ: Final = quantile_table((0, 0), (0.3, 0), (0.31, 11_000), (1, 18_500))
_TEXT: Final = quantile_table((0, 30), (0.5, 120), (0.85, 1200), (0.99, 5500), (1, 11_000))
_THINKING: Final = quantile_table((0, 60), (0.5, 350), (0.9, 1900), (0.99, 9000), (1, 14_000))
_SIGNATURE: Final = quantile_table((0, 200), (0.5, 440), (0.9, 1800), (1, 6000))
_BASH_PROGRESS: Final = quantile_table((0, 10), (0.5, 500), (0.85, 3000), (0.95, 4200), (1, 9000))
_HOOK_OUTPUT: Final = quantile_table((0, 20), (0.5, 190), (0.75, 1200), (0.9, 3100), (1, 3200))
_TOOL_MS: Final = quantile_table((0, 5), (0.5, 120), (0.9, 6000), (0.99, 60_000), (1, 120_000))

_LOGGED_NANODOLLARS: Final = (3000, 15_000, 3750, 6000, 300)

Block = tuple[bytes, Call | None]


def write_request(
    transcript: Transcript,
    tally: Tally,
    *,
    closing: bool = False,
    only: Call | None = None,
    expired: bool = False,
) -> bytes:
    """Write the lines of one request, and those of its tool results, and plant its tokens.

    A `closing` request has no tool call; `only` gives the one tool call, whose result is left to the caller;
    with `expired` the cache is read no more and written anew. Gives the id of the last tool call (empty when
    closing).
    """
    draws = transcript.draws
    random = draws.random
    rows = _ROWS[int(random() * 1024)]
    blocks = _blocks(transcript, min(rows, 3) if only else rows, closing, only)
    tokens, outputs = _draw_tokens(transcript, len(blocks), expired=expired)
    stop, has_stop = _stop_reason(transcript, closing)
    final_stop = transcript.release.is_current_shape

    message_id, request_id = draws.message_id(), draws.request_id()
    sent_ms = transcript.now_ms
    transcript.now_ms += 1200 + int(random() * 7000)
    partial = not has_stop or (not final_stop and tokens[1] <= 10)
    template, usage_template = transcript.frames.assistant, transcript.usage
    copies = 2 if transcript.repeats else 1
    if transcript.disputed_share and only is None and random() < transcript.disputed_share:
        shape = _dispute(transcript, tally, tokens, blocks, partial=partial, copies=copies)
        template, usage_template = shape.line, shape.usage
    else:
        logged = _logged_cost(tokens) if transcript.release.logs_cost else None
        tally.plant(transcript.now_ms, transcript.model, tokens, partial=partial, cost_logged_nanodollars=logged)
    transcript.last_tokens = tokens
    transcript.raw.usage_rows += len(blocks) * copies
    write = transcript.write
    # Results of parallel calls may stream in between the rows of the request that made them.
    interleaved = rows > 3 and random() < 0.5
    pending: list[tuple[bytes, Call]] = []
    keep_rows = transcript.place.sidechain and transcript.release.has_agent_progress
    cost = _cost_fragment(tokens, transcript.now_ms - sent_ms) if transcript.release.logs_cost else b""
    usage = b""
    written_output = -1
    last = len(blocks) - 1
    tool_use_id = b""
    for row, (block, call) in enumerate(blocks):
        if row:
            transcript.now_ms += 30 + int(random() * (transcript.now_ms - sent_ms) * 0.3)
        if call is not None:
            tool_use_id = draws.tool_use_id()
            block = block % (tool_use_id, call.name, call.input)
        if outputs[row] != written_output:
            written_output = outputs[row]
            usage = _usage(usage_template, tokens, written_output)
        row_stop = stop if final_stop or row == last else NULL
        uuid, timestamp = draws.uuid(), stamp(transcript.now_ms)
        line = template % (transcript.parent, message_id, block, row_stop, usage, request_id, cost, uuid, timestamp)
        write(line)
        if copies > 1:
            write(line)
        transcript.parent = uuid
        if keep_rows:
            transcript.usage_rows.append(UsageRow(timestamp, message_id, block, row_stop, usage, request_id, uuid))
        if call is not None:
            if interleaved and only is None:
                _write_result(transcript, call, tool_use_id)
            else:
                pending.append((tool_use_id, call))
    if only is None:
        for pending_id, call in pending:
            _write_result(transcript, call, pending_id)
    return tool_use_id


def _dispute(
    transcript: Transcript, tally: Tally, tokens: Tokens, blocks: list[Block], *, partial: bool, copies: int
) -> Shape:
    """Give a request a shape that readers disagree about, and plant what a right count finds in it."""
    name, shape = draw_shape(transcript, tokens, len(blocks), calls=blocks[-1][1] is not None)
    tally.disputed[name] += 1
    tally.plant(
        transcript.now_ms,
        transcript.model,
        shape.tokens,
        partial=partial,
        factors=shape.factors,
        web_searches=shape.web_searches,
        cost_logged_nanodollars=_logged_cost(tokens) if shape.logs_cost else None,
    )
    if shape.advised is not None:
        tally.plant(transcript.now_ms, transcript.advisor_model, shape.advised, partial=partial)
        transcript.raw.advisor_usage_rows += len(blocks) * copies
    if shape.call is not None:
        blocks[-1] = (blocks[-1][0], shape.call)
    return shape


def _blocks(transcript: Transcript, rows: int, closing: bool, only: Call | None) -> list[Block]:
    """Draw the blocks of a request, each with its call if it is one and then slots for id, name, input."""
    draws, release = transcript.draws, transcript.release
    share = draws.random()
    if closing:
        thinks, speaks, uses = share < 0.25, True, 0
    elif rows == 1:
        thinks, speaks, uses = False, False, 1
    elif rows == 2:
        thinks, speaks = share < 0.18, 0.18 <= share < 0.64
        uses = rows - thinks - speaks
    else:
        thinks, speaks = share < 0.5, share > 0.3
        uses = rows - thinks - speaks
    if only is not None:
        uses = 1
    blocks: list[Block] = []
    if thinks:
        length = _THINKING[int(draws.random() * 1024)]
        if release.is_current_shape:
            length = length if draws.random() < 0.5 else 0
        signature = draws.base64(_SIGNATURE[int(draws.random() * 1024)])
        thinking = draws.text(length) if length else b""
        blocks.append((b'{"type":"thinking","thinking":"%b","signature":"%b"}' % (thinking, signature), None))
    if speaks:
        text = draws.text(_TEXT[int(draws.random() * 1024)])
        blocks.append((b'{"type":"text","text":"%b"}' % text, None))
    frame = b'{"type":"tool_use","id":"%b","name":"%b","input":%b}'
    if release.since(2, 1, 39):
        frame = b'{"type":"tool_use","id":"%b","name":"%b","input":%b,"caller":{"type":"direct"}}'
    blocks += [(frame, only or draw_call(draws, release, transcript.base)) for _ in range(uses)]
    return blocks


def _draw_tokens(transcript: Transcript, rows: int, *, expired: bool) -> tuple[Tokens, list[int]]:
    """Draw a request's tokens (input, output, write 5m, write 1h, read) and the output each row shows."""
    random = transcript.draws.random
    release = transcript.release
    if transcript.first_request:
        read = _SYSTEM_READ[int(random() * 1024)]
        write = _FIRST_WRITE[int(random() * 1024)] * transcript.eagerness
        transcript.first_request = False
    elif expired:
        read = min(transcript.context_tokens, 11_000)
        write = transcript.context_tokens - read + _WRITE[int(random() * 1024)] * transcript.eagerness
    else:
        read = transcript.context_tokens
        write = _WRITE[int(random() * 1024)] * transcript.eagerness
    # The prompt has ten tokens at most besides, and the window holds it all.
    write = max(0, min(write, transcript.window_tokens - read))
    transcript.context_tokens = read + write
    write_1h = write if transcript.writes_1h and release.has_write_split else 0
    if write_1h and random() < 0.03:
        write_1h -= write // 4

    output = _OUTPUT[int(random() * 1024)]
    outputs = [output] * rows
    if release.outputs == "growing":
        if release.since(2, 0, 0) and random() < 0.3:
            output = 1 + int(random() * 10)
        shown = output if random() < 0.3 else 1 + int(random() * min(output, 8))
        outputs = [shown] * (rows - 1) + [output]
    elif release.outputs == "placeholder":
        if random() < 0.64:
            output = 1 + int(random() * 10)
        shown = output if random() < 0.78 else 1 + int(random() * min(output, 4))
        outputs = [shown] * (rows - 1) + [output]
    return (int(random() * 11), output, write - write_1h, write_1h, read), outputs


def _stop_reason(transcript: Transcript, closing: bool) -> tuple[bytes, bool]:
    """Draw the stop_reason JSON of the last row and whether it is set."""
    if transcript.draws.random() >= transcript.release.stop_share:
        return NULL, False
    return b'"end_turn"' if closing else b'"tool_use"', True


def _usage(template: bytes, tokens: Tokens, output: int) -> bytes:
    """Fill in `message.usage`."""
    return template % {
        b"input": tokens[0],
        b"output": output,
        b"w5": tokens[2],
        b"w1": tokens[3],
        b"write": tokens[2] + tokens[3],
        b"read": tokens[4],
    }


def _logged_cost(tokens: Tokens) -> int:
    """Give what the agent takes a request to cost, in nanodollars: by one list of prices, whatever the model."""
    return sum(count * price for count, price in zip(tokens, _LOGGED_NANODOLLARS, strict=True))


def _cost_fragment(tokens: Tokens, duration_ms: int) -> bytes:
    """Give the fields with a request's cost and time; each of its rows has the whole of both."""
    whole, rest = divmod(_logged_cost(tokens), 10**9)
    return b'"costUSD":%d.%b,"durationMs":%d,' % (whole, (b"%09d" % rest).rstrip(b"0") or b"0", duration_ms)


def _write_result(transcript: Transcript, call: Call, tool_use_id: bytes) -> None:
    """Write the line with a call's result; subagent files of the later layouts lack the structured form."""
    transcript.now_ms += _TOOL_MS[int(transcript.draws.random() * 1024)]
    release = transcript.release
    extra = b"" if transcript.place.agent_id else b',"toolUseResult":%b' % call.result
    if release.has_source_uuid:
        extra += b',"sourceToolAssistantUUID":%b' % transcript.parent
    write_result_line(transcript, tool_use_id, call.content, extra)
    random = transcript.draws.random
    if transcript.place.sidechain:
        return
    if release.has_progress and random() < 0.95:
        for _ in range(5):
            transcript.write_linked_late(transcript.frames.hook_progress, (tool_use_id, tool_use_id))
        if call.name == b"Bash":
            for second in range(int(random() * 9)):
                output = transcript.draws.text(_BASH_PROGRESS[int(random() * 1024)])
                fields = (output, second, 12, second, tool_use_id)
                transcript.write_linked_late(transcript.frames.bash_progress, fields)
    elif release.is_current_shape:
        if random() < 0.7:
            output = transcript.draws.text(_HOOK_OUTPUT[int(random() * 1024)])
            hook = b'"type":"hook_success","hookName":"PostToolUse:%b","toolUseID":"%b","content":"%b","stdout":"%b"'
            transcript.write_linked(transcript.frames.attachment, (hook % (call.name, tool_use_id, output, output),))
    elif not release.since(2, 0, 0) and random() < 0.9:
        for event in (b"PreToolUse", b"PostToolUse"):
            notice = b"%b:%b [/usr/local/bin/check-hook] completed successfully" % (event, call.name)
            transcript.write_linked(transcript.frames.hook_notice, (notice,), (tool_use_id,))


def write_result_line(transcript: Transcript, tool_use_id: bytes, content: bytes, extra: bytes) -> None:
    """Write a tool_result line; `content` is the content JSON, `extra` the fields after the timestamp."""
    fields = (transcript.prompt_fragment(), tool_use_id, content)
    transcript.write_linked(transcript.frames.tool_result, fields, (extra,))
    if transcript.repeats:
        transcript.write(transcript.lines[-1])
