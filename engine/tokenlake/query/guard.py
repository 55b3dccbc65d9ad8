"""What SQL may not do unless its caller allows external access: write files, run text as SQL, change the engine.

A connection is locked to the lake's folder (`connect`), but the engine knows no folder that may be read and not
written: a COPY could overwrite the lake's own files, also as the body of a CTE of what is parsed as a SELECT. So the
statements are judged before they run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tokenlake.errors import QueryError

if TYPE_CHECKING:
    from duckdb import Statement

ALLOWING = "--allow-external (allow_external=True in Python) allows it"
"""What to do about SQL that is refused and is meant."""

# By kind as parsed: what reads, and what changes no more than the connection's own memory.
_ALLOWED = frozenset(
    ["SELECT", "EXPLAIN", "CREATE", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "ALTER", "DROP", "SET", "MULTI"]
)
# These take a text and run it: no check of the words would see what is in it.
_RUN_TEXT = frozenset(["query", "json_execute_serialized_sql"])

_UNUSUAL_SPACE = re.compile(r"[^\S\n]|[\u200b-\u200f\u2060\ufeff]")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def refuse_external(text: str, statements: Sequence[Statement]) -> None:
    """Raises QueryError where `text`, which holds `statements`, would do more than read the lake."""
    for statement in statements:
        kind = str(statement.type).rsplit(".", 1)[-1]
        if kind not in _ALLOWED:
            raise QueryError(f"{kind.replace('_', ' ')} is not allowed: SQL only reads the lake; {ALLOWING}")
    lowered = text.lower()
    if "copy" not in lowered and not any(name in lowered for name in _RUN_TEXT):
        return
    read = list(tokens(text))
    for (word, is_quoted), following in zip(read, [*(word for word, _ in read[1:]), ""], strict=True):
        if word == "copy" and not is_quoted:
            raise QueryError(f'COPY is not allowed: SQL only reads the lake; {ALLOWING} (of a name, write "copy")')
        if word in _RUN_TEXT and following == "(":
            raise QueryError(f"{word}() is not allowed: it runs a text as SQL; {ALLOWING}")


def tokens(text: str) -> Iterator[tuple[str, bool]]:
    """The words and signs of SQL in lower case, and whether they were quoted; strings and comments left out."""
    import duckdb

    data = _UNUSUAL_SPACE.sub(" ", text).encode()
    found = duckdb.tokenize(data.decode())
    ends = [start for start, _ in found[1:]] + [len(data)]
    for (start, kind), end in zip(found, ends, strict=True):
        if kind in (duckdb.token_type.string_const, duckdb.token_type.comment):
            continue
        word = data[start:end].decode().strip().lower()
        quoted = _QUOTED.fullmatch(word)
        yield (quoted[1].replace('""', '"'), True) if quoted else (word, False)
