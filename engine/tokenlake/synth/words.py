"""The made-up words that prompts, answers and tool output are written in."""

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


def escaped_text(length: int) -> bytes:
    """Make `length` or a few more bytes of text, the same every time, escaped as inside a JSON string."""
    random = Random("words").random
    words = [word + b" " for word in _CODE]
    while len(words) < 1500:
        syllables = 1 + int(random() * 3.4)
        parts = [_SYLLABLES[int(random() * len(_SYLLABLES))] for _ in range(syllables)]
        glue = "_" if random() < 0.15 else ""
        words.append(glue.join(parts).encode() + (b" " if random() < 0.9 else b". "))
    count, escapes = len(words), len(_ESCAPES)
    pieces: list[bytes] = []
    size = 0
    while size < length:
        share = random()
        if share < 0.14:
            piece = _ESCAPES[int(share / 0.14 * escapes)]
        else:
            # The cube makes early words common and late ones rare, as in real text.
            share = random()
            piece = words[int(share * share * share * count)]
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
