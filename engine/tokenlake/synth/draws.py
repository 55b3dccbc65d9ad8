"""Seeded chance: endless tapes of ids, tables of quantiles, and text cut from a pool of escaped words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from random import Random
from struct import iter_unpack
from typing import Final

from tokenlake.synth.words import escaped_text

LONGEST_TEXT_BYTES: Final = 130_000
LONGEST_BASE64_BYTES: Final = 600_000
_POOL_BYTES: Final = 1_000_000
_TAPE_BLOCK: Final = 1024
_UUID_LOOK: Final = b'"00000000-0000-4000-8000-000000000000"'
_UUID_COLUMNS: Final = tuple(column for column, digit in enumerate(_UUID_LOOK) if digit == ord("0"))
_BASE62: Final = bytes((b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" * 5)[i] for i in range(256))
_BASE64: Final = bytes((b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" * 4)[i] for i in range(256))


@dataclass(frozen=True, slots=True)
class Draws:
    """The sources of chance of one tree; each call takes the next value of its own seeded sequence.

    `random` gives floats in [0, 1); `uuid` gives quoted UUIDs; the other ids are bare; `text(n)` gives about
    n bytes of JSON-escaped text (off by 5 at most, so that no escape is cut), `base64(n)` exactly n bytes.
    """

    random: Callable[[], float]
    uuid: Callable[[], bytes]
    message_id: Callable[[], bytes]
    request_id: Callable[[], bytes]
    tool_use_id: Callable[[], bytes]
    hex_id: Callable[[], bytes]
    text: Callable[[int], bytes]
    base64: Callable[[int], bytes]


def open_draws(seed: int) -> Draws:
    """Open the sources for a seed. Only `random()` and `randbytes()` are used: Python keeps both stable."""
    random = Random(f"{seed}:draws").random
    pool, back = _pool()
    base64_pool = Random("base64").randbytes(_POOL_BYTES).translate(_BASE64)
    text_span = len(pool) - LONGEST_TEXT_BYTES
    base64_span = len(base64_pool) - LONGEST_BASE64_BYTES

    def text(length: int) -> bytes:
        start = int(random() * text_span)
        end = start + length
        return pool[start - back[start] : end - back[end]]

    def base64(length: int) -> bytes:
        start = int(random() * base64_span)
        return base64_pool[start : start + length]

    return Draws(
        random=random,
        uuid=_uuids(Random(f"{seed}:uuid")).__next__,
        message_id=_ids(Random(f"{seed}:message"), b"msg_01", 22).__next__,
        request_id=_ids(Random(f"{seed}:request"), b"req_011", 21).__next__,
        tool_use_id=_ids(Random(f"{seed}:tool"), b"toolu_01", 22).__next__,
        hex_id=_hex_ids(Random(f"{seed}:hex")).__next__,
        text=text,
        base64=base64,
    )


def quantile(knots: tuple[tuple[float, int], ...], share: float) -> int:
    """Read the value at a share in [0, 1) from (share, value) knots, straight lines between them."""
    for (left, low), (right, high) in pairwise(knots):
        if share < right:
            return low + int((share - left) / (right - left) * (high - low))
    return knots[-1][1]


def quantile_table(*knots: tuple[float, int]) -> tuple[int, ...]:
    """Make 1,024 equally likely values from (share, value) knots; draw with `table[int(random() * 1024)]`."""
    return tuple(quantile(knots, (i + 0.5) / 1024) for i in range(1024))


@lru_cache(maxsize=1)
def _pool() -> tuple[bytes, bytes]:
    """Give the text pool and, for each of its offsets, the bytes to step back to the start of a character."""
    return escaped_text(_POOL_BYTES)


def _uuids(rng: Random) -> Iterator[bytes]:
    while True:
        digits = rng.randbytes(16 * _TAPE_BLOCK).hex().encode()
        quoted = bytearray(_UUID_LOOK * _TAPE_BLOCK)
        for digit, column in enumerate(_UUID_COLUMNS):
            quoted[column :: len(_UUID_LOOK)] = digits[digit::32]
        for (uuid,) in iter_unpack(f"{len(_UUID_LOOK)}s", quoted):
            yield uuid


def _ids(rng: Random, prefix: bytes, length: int) -> Iterator[bytes]:
    while True:
        letters = rng.randbytes(length * _TAPE_BLOCK).translate(_BASE62)
        for (part,) in iter_unpack(f"{length}s", letters):
            yield prefix + part


def _hex_ids(rng: Random) -> Iterator[bytes]:
    while True:
        for (part,) in iter_unpack("16s", rng.randbytes(8 * _TAPE_BLOCK).hex().encode()):
            yield part
