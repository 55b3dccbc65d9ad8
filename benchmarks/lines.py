"""Lines of transcripts for the benchmarks: a request of known tokens, and the tool result before it."""

from fractions import Fraction
from uuid import UUID

from benchmarks.answers import Answer
from tokenlake.synth.truth import Counts

_SENT, _ANSWERED, _WRITE_5M, _WRITE_1H, _READ = 3, 400, 900, 0, 42_000
# 3 x 3 + 400 x 15 + 900 x 3.75 + 42,000 x 0.3 dollars a million
_DOLLARS = Fraction("0.021984")

_REQUEST = (
    '{"parentUuid":null,"isSidechain":false,"userType":"external","cwd":"/home/dev","sessionId":"%s",'
    '"version":"2.1.101","gitBranch":"","message":{"model":"claude-sonnet-4-5-20250929","id":"msg_%s",'
    '"type":"message","role":"assistant","content":[{"type":"text","text":"Done."}],'
    f'"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":{_SENT},'
    f'"cache_creation_input_tokens":{_WRITE_5M + _WRITE_1H},"cache_read_input_tokens":{_READ},"cache_creation":'
    f'{{"ephemeral_5m_input_tokens":{_WRITE_5M},"ephemeral_1h_input_tokens":{_WRITE_1H}}},'
    f'"output_tokens":{_ANSWERED},"service_tier":"standard"}}}},"requestId":"req_%s","type":"assistant","uuid":"%s",'
    '"timestamp":"2026-08-31T23:%02d:%02d.%03dZ"}\n'
)
_RESULT = (
    '{"parentUuid":null,"isSidechain":false,"userType":"external","cwd":"/home/dev","sessionId":"%s",'
    '"version":"2.1.101","gitBranch":"","type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_%s",'
    '"type":"tool_result","content":"%s"}]},"uuid":"%s","timestamp":"2026-08-31T23:%02d:%02d.%03dZ"}\n'
)


def request_line(session_id: str, number: int) -> bytes:
    """Give the row of a request; `number` makes its ids, and its time within an hour."""
    unique = UUID(int=number)
    return (_REQUEST % (session_id, unique.hex, unique.hex, unique, *_time(number))).encode()


def result_line(session_id: str, number: int, text: str) -> bytes:
    """Give a user record with the result of a tool; `text` needs no escapes."""
    unique = UUID(int=1 << 100 | number)
    return (_RESULT % (session_id, unique.hex, text, unique, *_time(number))).encode()


def answer_of(requests: int, start: Answer | None = None) -> Answer:
    """Give the totals of so many request lines, and of what was there before."""
    before = start or Answer(Counts(), Fraction(0))
    counts = before.counts
    return Answer(
        Counts(
            counts.requests + requests,
            counts.input_tokens + requests * _SENT,
            counts.output_tokens + requests * _ANSWERED,
            counts.cache_write_5m_tokens + requests * _WRITE_5M,
            counts.cache_write_1h_tokens + requests * _WRITE_1H,
            counts.cache_read_tokens + requests * _READ,
        ),
        None if before.dollars is None else before.dollars + requests * _DOLLARS,
    )


def _time(number: int) -> tuple[int, int, int]:
    """Minute, second and millisecond; numbers beyond an hour begin again."""
    seconds, ms = divmod(number % 3_600_000, 1000)
    return seconds // 60, seconds % 60, ms
