"""The rows that tools disagree on: a tiny tree for each dispute, with its answer worked out by hand.

Prices are dollars per million tokens, as published: Sonnet 4.5 is 3 in, 15 out, 3.75 and 6 for writes (5 minutes, one
hour), 0.30 for reads, and 6 / 22.50 / 7.50 / 12 / 0.60 where the whole context is above 200,000 tokens.
"""

import json
from collections.abc import Callable
from fractions import Fraction

from benchmarks.answers import Answer
from benchmarks.disputed import Dispute
from benchmarks.disputed_lines import FORK, MAIN, PROJECT, SESSION, as_file, as_line, make_record, make_usage
from tokenlake.synth.truth import Counts


def _answer(requests: int, tokens: tuple[int, int, int, int, int], dollars: str) -> Answer:
    return Answer(Counts(requests, *tokens), Fraction(dollars))


_PLAIN = make_record(1, make_usage(10, 200, 1_000, 0, 20_000))
"""A request that nobody disputes stands beside most disputed ones: $0.00003 + 0.003 + 0.00375 + 0.006 = 0.01278."""


def _beside(
    name: str, *lines: bytes, tokens: tuple[int, int, int, int, int], dollars: str, requests: int = 1
) -> Dispute:
    """A dispute whose lines follow the plain request in one file; `tokens` and `dollars` are those of the lines."""
    plain = (10, 200, 1_000, 0, 20_000)
    both = tuple(one + other for one, other in zip(plain, tokens, strict=True))
    content = as_file(_PLAIN) + b"".join(lines)
    counts = Counts(1 + requests, *both)
    return Dispute(name, {MAIN: content}, Answer(counts, Fraction(dollars) + Fraction("0.01278")))


def all_disputes() -> list[Dispute]:
    """Give every dispute, the common ones first."""
    return [make() for make in _MAKERS]


def _streaming() -> Dispute:
    # The count of output grows from row to row and the last row does not have to be the one that is final.
    rows = [make_record(n, make_usage(4, out, 500, 0, 30_000), key=2) for n, out in ((2, 1), (3, 340), (4, 12))]
    # 4 x 3 + 340 x 15 + 500 x 3.75 + 30,000 x 0.3 = 12 + 5,100 + 1,875 + 9,000 = 15,987 / 1e6
    return _beside("streaming partials: one request in three rows", as_file(*rows),
                   tokens=(4, 340, 500, 0, 30_000), dollars="0.015987")  # fmt: skip


def _fork() -> Dispute:
    old = [_PLAIN, make_record(2, make_usage(5, 300, 800, 0, 21_000))]
    copied = [{**record, "sessionId": FORK} for record in old]
    new = make_record(3, make_usage(6, 100, 700, 0, 22_000), sessionId=FORK)
    files = {MAIN: as_file(*old), f"{PROJECT}/{FORK}.jsonl": as_file(*copied, new)}
    # 21 x 3 + 600 x 15 + 2,500 x 3.75 + 63,000 x 0.3 = 63 + 9,000 + 9,375 + 18,900 = 37,338 / 1e6
    return Dispute("fork that copies its history", files, _answer(3, (21, 600, 2_500, 0, 63_000), "0.037338"))


def _subagent() -> Dispute:
    agent = make_record(2, make_usage(8, 150, 4_000, 0, 0), isSidechain=True, agentId="a1b2c3d")
    files = {MAIN: as_file(_PLAIN), f"{PROJECT}/{SESSION}/subagents/agent-a1b2c3d.jsonl": as_file(agent)}
    # beside the plain one: 8 x 3 + 150 x 15 + 4,000 x 3.75 = 24 + 2,250 + 15,000 = 17,274 / 1e6
    return Dispute("subagent in a file of its own", files, _answer(2, (18, 350, 5_000, 0, 20_000), "0.030054"))


def _progress() -> Dispute:
    inner = make_record(2, make_usage(8, 150, 4_000, 0, 0))
    line = {name: inner[name] for name in ("parentUuid", "cwd", "sessionId", "version", "uuid", "timestamp")} | {
        "isSidechain": False,
        "type": "progress",
        "data": {
            "type": "agent_progress",
            "agentId": "a1b2c3d",
            "message": {name: inner[name] for name in ("type", "message", "requestId", "uuid", "timestamp")},
        },
    }
    return _beside("subagent known from progress records alone", as_file(line),
                   tokens=(8, 150, 4_000, 0, 0), dollars="0.017274")  # fmt: skip


def _synthetic() -> Dispute:
    usage = make_usage(700, 90, 0, 0, 0)
    line = make_record(2, usage, model="<synthetic>", isApiErrorMessage=True, without=("requestId",))
    return _beside("<synthetic> row: no request", as_file(line), requests=0, tokens=(0, 0, 0, 0, 0), dollars="0")


def _one_hour() -> Dispute:
    # 3 x 3 + 80 x 15 + 10,000 x 6 + 40,000 x 0.3 = 9 + 1,200 + 60,000 + 12,000 = 73,209 / 1e6
    return _beside("one-hour cache writes", as_file(make_record(2, make_usage(3, 80, 0, 10_000, 40_000))),
                   tokens=(3, 80, 0, 10_000, 40_000), dollars="0.073209")  # fmt: skip


def _null_in_usage() -> Dispute:
    line = make_record(2, make_usage(7, 120, 600, 0, 25_000, speed=None), costUSD=None)
    # 7 x 3 + 120 x 15 + 600 x 3.75 + 25,000 x 0.3 = 21 + 1,800 + 2,250 + 7,500 = 11,571 / 1e6
    return _beside("null as the speed and the cost of a row", as_file(line),
                   tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")  # fmt: skip


def _null_in_tool() -> Dispute:
    block = {"type": "tool_use", "id": "toolu_01Disputed", "name": "Lookup", "input": {"id": None, "model": None}}
    line = make_record(2, make_usage(7, 120, 600, 0, 25_000), message={"content": [block]})
    return _beside("null inside the input of a tool", as_file(line),
                   tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")  # fmt: skip


def _space() -> Dispute:
    line = json.dumps(make_record(2, make_usage(7, 120, 600, 0, 25_000))).encode() + b"\n"
    return _beside('a space after "usage":', line, tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")


def _empty_split() -> Dispute:
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    usage = {**make_usage(2, 40, 100_000, 0, 0), "cache_creation": split}
    # 2 x 3 + 40 x 15 + 100,000 x 3.75 = 6 + 600 + 375,000 = 375,606 / 1e6
    return _beside("split {0,0} under a flat count of 100,000", as_file(make_record(2, usage)),
                   tokens=(2, 40, 100_000, 0, 0), dollars="0.375606")  # fmt: skip


def _flat() -> Dispute:
    usage = {name: value for name, value in make_usage(2, 40, 9_000, 0, 0).items() if name != "cache_creation"}
    # 6 + 600 + 33,750 = 34,356 / 1e6
    return _beside("flat count without a split", as_file(make_record(2, usage)),
                   tokens=(2, 40, 9_000, 0, 0), dollars="0.034356")  # fmt: skip


def _without_request_id() -> Dispute:
    rows = [
        make_record(n, make_usage(7, out, 600, 0, 25_000), key=2, without=("requestId",))
        for n, out in ((2, 1), (3, 120))
    ]
    return _beside("one message in two rows without requestId", as_file(*rows),
                   tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")  # fmt: skip


def _two_on_a_line() -> Dispute:
    rows = [make_record(n, make_usage(7, 120, 600, 0, 25_000)) for n in (2, 3)]
    return _beside("two records on one line", as_line(rows[0]) + as_line(rows[1]) + b"\n", requests=2,
                   tokens=(14, 240, 1_200, 0, 50_000), dollars="0.023142")  # fmt: skip


def _cut_off() -> Dispute:
    cut = as_line(make_record(2, make_usage(9, 900, 0, 0, 0)))[:180]
    whole = as_line(make_record(3, make_usage(7, 120, 600, 0, 25_000)))
    return _beside("a record cut off by the next one", cut + whole + b"\n",
                   tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")  # fmt: skip


def _nuls() -> Dispute:
    line = b"\0" * 512 + as_line(make_record(2, make_usage(7, 120, 600, 0, 25_000))) + b"\n"
    return _beside("a run of NUL bytes before a record", line, tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")


def _surrogate() -> Dispute:
    line = as_line(make_record(2, make_usage(7, 120, 600, 0, 25_000), text="cut in the middle: SURROGATE"))
    return _beside("a lone surrogate in a text", line.replace(b"SURROGATE", rb"\ud83d") + b"\n",
                   tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")  # fmt: skip


def _invalid_utf8() -> Dispute:
    line = as_line(make_record(2, make_usage(7, 120, 600, 0, 25_000), text="latin: LETTER")).replace(b"LETTER", b"\xe9")
    return _beside("bytes that are no UTF-8", line + b"\n", tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")


def _strings() -> Dispute:
    usage = make_usage(7, 120, 600, 0, 25_000)
    usage |= {name: str(usage[name]) for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")}
    return _beside("counts written as strings", as_file(make_record(2, usage)),
                   tokens=(7, 120, 600, 0, 25_000), dollars="0.011571")  # fmt: skip


def _searches() -> Dispute:
    usage = make_usage(7, 120, 600, 0, 25_000, server_tool_use={"web_search_requests": 10})
    # 10 searches at $10 a thousand.
    return _beside("ten web searches", as_file(make_record(2, usage)),
                   tokens=(7, 120, 600, 0, 25_000), dollars="0.111571")  # fmt: skip


def _band_200k() -> Dispute:
    # The context is above 200,000: 150,000 x 6 + 40 x 22.5 + 150,000 x 0.6 = 900,000 + 900 + 90,000
    line = make_record(2, make_usage(150_000, 40, 0, 0, 150_000))
    return _beside("Sonnet 4.5 above 200,000 tokens of context", as_file(line),
                   tokens=(150_000, 40, 0, 0, 150_000), dollars="0.9909")  # fmt: skip


def _band_100k() -> Dispute:
    line = make_record(2, make_usage(150_000, 40, 0, 0, 0), model="claude-haiku-5-5-20261007",
                   timestamp="2026-11-02T10:02:00.000Z")  # fmt: skip
    # Above 100,000 tokens of context: 150,000 x 0.5 + 40 x 2.5 = 75,100 / 1e6
    return _beside("Haiku 5.5 above 100,000 tokens of context", as_file(line),
                   tokens=(150_000, 40, 0, 0, 0), dollars="0.0751")  # fmt: skip


def _fast() -> Dispute:
    line = make_record(2, make_usage(100_000, 40, 0, 0, 0, speed="fast"), model="claude-opus-4-6")
    # Six times 5 and 25: 100,000 x 30 + 40 x 150 = 3,006,000 / 1e6
    return _beside("fast mode of Opus 4.6", as_file(line), tokens=(100_000, 40, 0, 0, 0), dollars="3.006")


def _read_price() -> Dispute:
    model = "claude-sonnet-5-5"
    early = make_record(2, make_usage(0, 10, 0, 0, 100_000), model=model, timestamp="2026-10-06T12:00:00.000Z")
    late = make_record(3, make_usage(0, 10, 0, 0, 100_000), model=model, timestamp="2026-10-07T12:00:00.000Z")
    # 2 x 10 x 10 + 100,000 x 0.20 + 100,000 x 0.10 = 30,200 / 1e6
    return _beside("reads of Sonnet 5.5 on both sides of a new price", as_file(early, late), requests=2,
                   tokens=(0, 20, 0, 0, 200_000), dollars="0.0302")  # fmt: skip


def _advisor() -> Dispute:
    advice = {
        "type": "advisor_message",
        "model": "claude-opus-4-5-20251101",
        "input_tokens": 3_000,
        "output_tokens": 400,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    own = {"type": "message", "input_tokens": 7, "output_tokens": 120}
    usage = make_usage(7, 120, 600, 0, 25_000, iterations=[own, advice])
    # The advisor's own: 3,000 x 5 + 400 x 25 = 25,000 / 1e6
    return _beside("advisor call inside a request", as_file(make_record(2, usage)), requests=2,
                   tokens=(3_007, 520, 600, 0, 25_000), dollars="0.036571")  # fmt: skip


def _tool_result_usage() -> Dispute:
    line = make_record(2, {}, without=("requestId",)) | {
        "type": "user",
        "message": {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_01Disputed", "content": "report"}],
        },
        "toolUseResult": {"status": "completed", "totalTokens": 55_000, "usage": make_usage(9, 500, 0, 0, 54_000)},
    }
    return _beside("usage in the result of a tool: no request", as_file(line), requests=0,
                   tokens=(0, 0, 0, 0, 0), dollars="0")  # fmt: skip


_MAKERS: tuple[Callable[[], Dispute], ...] = (
    _streaming, _fork, _subagent, _progress, _synthetic, _one_hour, _flat, _empty_split, _without_request_id,
    _null_in_usage, _null_in_tool, _space, _strings, _two_on_a_line, _cut_off, _nuls, _surrogate, _invalid_utf8,
    _tool_result_usage, _advisor, _searches, _band_200k, _band_100k, _fast, _read_price,
)  # fmt: skip
