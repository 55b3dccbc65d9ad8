"""The made-up words that prompts, answers and tool output are written in."""

import re
import sys
from array import array
from random import Random
from typing import Final

_SYLLABLES: Final = (
    *("ba", "co", "di", "fu", "ga", "he", "ji", "ko", "la", "me", "no", "pi", "qua", "ro", "sa", "te"),
    *("un", "vo", "wex", "zi", "for", "map", "net", "set", "log"),
)
_CODE: Final = (
    b"def return self import class None for in if else = == -> { } ( ) [ ] : ; , + / * # 0 1 2 42 100 3.14 "
    b"const let await async function => test assert error ok value key path file line row data"
).split(b" ")
# Weighted by repetition; they stand in the text as JSON strings hold them. U+2028 is data, not a line end.
_ESCAPES: Final = (
    [rb"\n"] * 30
    + [rb"\n    "] * 40
    + [rb"\n        "] * 20
    + [rb"\n\t"] * 6
    + [rb"\n\n"] * 8
    + [rb"\""] * 24
    + [rb"\\"] * 4
    + [rb"\u001b[32m", rb"\u001b[0m", rb"\r\n"]
    + [char.encode() for char in ("é ", "→ ", "漢字", "… ", "🙂 ", "\u2028", "ü", "привет ")]
)


_PLACES: Final = 1 << 14
_DRAWN_AT_ONCE: Final = 1 << 14
# What must stay whole when text is cut: JSON escapes and multi-byte UTF-8 characters.
_UNITS: Final = re.compile(rb"\\u[0-9a-f]{4}|\\.|[\xc0-\xff][\x80-\xbf]+", re.DOTALL)


def escaped_text(length: int) -> tuple[bytes, bytes]:
    """Make `length` or a few more bytes of text, the same every time, escaped as inside a JSON string.

    The second value has for each offset of the text, its end included, how many bytes before it the character or
    escape starts that it lies inside of (0 where it lies inside of none).
    """
    pieces = _pieces()
    backs = [_steps_back(piece) for piece in pieces]
    stream = Random("text")
    texts, steps = [b""], [b""]
    while sum(map(len, texts)) < length:
        places = array("H", stream.randbytes(2 * _DRAWN_AT_ONCE))
        if sys.byteorder == "big":
            places.byteswap()
        texts.append(b"".join([pieces[place % _PLACES] for place in places]))
        steps.append(b"".join([backs[place % _PLACES] for place in places]))
    return b"".join(texts), b"".join(steps) + b"\0"


def _pieces() -> list[bytes]:
    """Make the pieces that text is put together from, each as often as it is to be drawn."""
    random = Random("words").random
    words = [word + b" " for word in _CODE]
    while len(words) < 1500:
        syllables = 1 + int(random() * 3.4)
        parts = [_SYLLABLES[int(random() * len(_SYLLABLES))] for _ in range(syllables)]
        glue = "_" if random() < 0.15 else ""
        words.append(glue.join(parts).encode() + (b" " if random() < 0.9 else b". "))
    escaped = int(0.14 * _PLACES)
    pieces = [_ESCAPES[int(random() * len(_ESCAPES))] for _ in range(escaped)]
    # The cube makes early words common and late ones rare, as in real text.
    return pieces + [words[int(random() ** 3 * len(words))] for _ in range(_PLACES - escaped)]


def _steps_back(piece: bytes) -> bytes:
    """Give for each byte of a piece how far before it its character or escape starts."""
    back = bytearray(len(piece))
    for match in _UNITS.finditer(piece):
        for offset in range(match.start() + 1, match.end()):
            back[offset] = offset - match.start()
    return bytes(back)
