"""Requests logged in shapes that readers disagree about: what each changes in the lines, and in the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tokenlake.synth.draws import Draws
from tokenlake.synth.lakes_models import HAS_FAST, MODELS
from tokenlake.synth.releases import Release
from tokenlake.synth.tools import Call
from tokenlake.synth.transcript import Transcript
from tokenlake.synth.truth import BATCH, FAST, US, Tokens

_FAST_MODELS: Final = frozenset(model for model, has_fast in zip(MODELS, HAS_FAST, strict=True) if has_fast)


@dataclass(slots=True)
class Shape:
    """How one request is logged, and what a right count finds in it.

    `line` is the template of its rows, `usage` that of their usage, `tokens` what counts, `factors` and
    `web_searches` what its price depends on, `logs_cost` whether its rows say what it cost, `call` the tool call
    that its last row makes instead of its own, `advised` the tokens of an advisor's entry, a request of its own.
    """

    line: bytes
    usage: bytes
    tokens: Tokens
    factors: int = 0
    web_searches: int = 0
    logs_cost: bool = False
    call: Call | None = None
    advised: Tokens | None = None


def draw_shape(transcript: Transcript, tokens: Tokens, rows: int, *, calls: bool) -> tuple[str, Shape]:
    """Draw one of the shapes that a request of `rows` rows can have here, with its name; `calls`: it calls a tool."""
    draws = transcript.draws
    shape = Shape(transcript.frames.assistant, transcript.usage, tokens, logs_cost=transcript.release.logs_cost)
    names = _names(transcript.release, transcript.model in _FAST_MODELS, rows == 1, calls, transcript.place.sidechain)
    name = names[int(draws.random() * len(names))]
    _SHAPES[name](shape, transcript)
    return name, shape


@lru_cache(maxsize=256)
def _names(release: Release, has_fast: bool, is_one_row: bool, calls: bool, is_sidechain: bool) -> tuple[str, ...]:
    """Name the shapes that occur in a release."""
    names = ["null_fields", "spaced_usage", "missing_request_ids", "text_counts"]
    if release.has_write_split:
        names.append("unsplit_writes")
    # A parent's progress lines repeat the message id, so that it cannot be missing in one of the two.
    if is_one_row and not (is_sidechain and release.has_agent_progress):
        names.append("missing_message_ids")
    if release.since(2, 1, 17):
        names += ["us_inference", "batch_tier"]
    if release.since(2, 1, 30):
        names.append("web_searches")
    if release.since(2, 1, 41):
        names += ["null_speed", *(["fast_mode"] if has_fast else [])]
    if release.is_current_shape:
        names.append("advisor_entries")
    # Only the main thread's results have the structured form, where searches are counted (accounting rule 17).
    if release.since(2, 1, 181) and calls and not is_sidechain:
        names.append("searches_in_results")
    return tuple(names)


def _null_fields(shape: Shape, transcript: Transcript) -> None:
    if transcript.draws.random() < 0.5:
        cost, null = b'%b"type":"assistant","uuid"', b'%.0b"costUSD":null,"type":"assistant","uuid"'
        shape.line, shape.logs_cost = _replaced(shape.line, cost, null), False
    else:
        shape.line = _replaced(shape.line, b'"stop_sequence":null', b'"stop_sequence":null,"container":{"id":null}')


def _null_speed(shape: Shape, transcript: Transcript) -> None:
    shape.usage = _replaced(shape.usage, b'"speed":"standard"', b'"speed":null')


def _spaced_usage(shape: Shape, transcript: Transcript) -> None:
    shape.line = _replaced(shape.line, b'"usage":%b', b'"usage": %b')


def _missing_request_ids(shape: Shape, transcript: Transcript) -> None:
    # A precision of 0 takes the value and writes none of it.
    shape.line = _replaced(shape.line, b'"requestId":"%b",', b"%.0b")


def _missing_message_ids(shape: Shape, transcript: Transcript) -> None:
    shape.line = _replaced(shape.line, b'"id":"%b",', b"%.0b")


def _text_counts(shape: Shape, transcript: Transcript) -> None:
    for name in (b"input", b"output", b"write", b"read"):
        shape.usage = shape.usage.replace(b"%%(%b)d" % name, b'"%%(%b)d"' % name)


def _unsplit_writes(shape: Shape, transcript: Transcript) -> None:
    """A split of {0,0} under the flat count: all of it was written for five minutes (accounting rule 14)."""
    shape.usage = shape.usage.replace(b"%(w5)d", b"0").replace(b"%(w1)d", b"0")
    sent, answered, write_5m, write_1h, read = shape.tokens
    shape.tokens = (sent, answered, write_5m + write_1h, 0, read)


def _fast_mode(shape: Shape, transcript: Transcript) -> None:
    shape.usage = _replaced(shape.usage, b'"speed":"standard"', b'"speed":"fast"')
    shape.factors = FAST


def _us_inference(shape: Shape, transcript: Transcript) -> None:
    shape.usage = _replaced(shape.usage, b'"inference_geo":"not_available"', b'"inference_geo":"us"')
    shape.factors = US


def _batch_tier(shape: Shape, transcript: Transcript) -> None:
    shape.usage = _replaced(shape.usage, b'"service_tier":"standard"', b'"service_tier":"batch"')
    shape.factors = BATCH


def _web_searches(shape: Shape, transcript: Transcript) -> None:
    shape.web_searches = _few(transcript.draws)
    count = b'"web_search_requests":%d' % shape.web_searches
    shape.usage = _replaced(shape.usage, b'"web_search_requests":0', count)


def _searches_in_results(shape: Shape, transcript: Transcript) -> None:
    shape.web_searches = _few(transcript.draws)
    query = transcript.draws.text(40)
    shape.call = Call(
        b"WebSearch",
        b'{"query":"%b"}' % query,
        b'"%b"' % transcript.draws.text(1500),
        b'{"query":"%b","results":[],"durationSeconds":2.5,"searchCount":%d}' % (query, shape.web_searches),
    )


def _advisor_entries(shape: Shape, transcript: Transcript) -> None:
    sent, answered = 2000 + int(transcript.draws.random() * 30_000), 200 + int(transcript.draws.random() * 900)
    shape.advised = (sent, answered, 0, 0, 0)
    entry = (
        b',{"type":"advisor_message","model":"%b","input_tokens":%d,"output_tokens":%d,'
        b'"cache_read_input_tokens":0,"cache_creation_input_tokens":0}]'
    ) % (transcript.advisor_model.encode(), sent, answered)
    shape.usage = _replaced(shape.usage, b'"type":"message"}]', b'"type":"message"}' + entry)


_SHAPES: Final[dict[str, Callable[[Shape, Transcript], None]]] = {
    "null_fields": _null_fields,
    "null_speed": _null_speed,
    "spaced_usage": _spaced_usage,
    "missing_request_ids": _missing_request_ids,
    "missing_message_ids": _missing_message_ids,
    "text_counts": _text_counts,
    "unsplit_writes": _unsplit_writes,
    "fast_mode": _fast_mode,
    "us_inference": _us_inference,
    "batch_tier": _batch_tier,
    "web_searches": _web_searches,
    "searches_in_results": _searches_in_results,
    "advisor_entries": _advisor_entries,
}


def _few(draws: Draws) -> int:
    return 1 + int(draws.random() * 5)


def _replaced(template: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the one place, which every template has."""
    assert template.count(old) == 1, (old, template)
    return template.replace(old, new)
