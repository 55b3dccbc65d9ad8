"""Damage as found in real files: spliced and joined records, NUL runs, broken text, lines and tails cut off."""

from collections.abc import Callable
from typing import Final

from tokenlake.synth.draws import Draws
from tokenlake.synth.truth import Tally

# A place inside the text of a line where bytes can be put without breaking the JSON around it.
_TEXT_STARTS: Final = (b'"text":"', b'"stdout":"', b'"command":"', b'"content":"')


def damage_lines(lines: list[bytes], share: float, draws: Draws, tally: Tally) -> None:
    """Damage about `share` of the lines of a file in place and note in the tally what that did.

    No usage row is ever destroyed, so that the totals of a tree do not depend on its damage: only other
    records are cut off; usage rows are joined, prefixed with NULs, or given text that strict parsers refuse.
    """
    kinds = tuple(_KINDS.items())
    after_cut = False
    for index in range(len(lines) - 1):
        cut = False
        if draws.random() < share:
            name, damage = kinds[int(draws.random() * len(kinds))]
            # Two lost stretches in a row would be one.
            if not (after_cut and name in _CUTS) and damage(lines, index):
                tally.damage[name] += 1
                cut = name in _CUTS
                tally.lost_records += cut
                tally.rejects += cut
                tally.missing_newlines += name in _JOINS
        after_cut = cut
    _damage_end(lines, share, draws, tally)


def _damage_end(lines: list[bytes], share: float, draws: Draws, tally: Tally) -> None:
    """Cut a file's last line off, or let NULs follow it, in ten times the share of the files; or begin with a BOM."""
    chance = min(1.0, 10 * share)
    if draws.random() < chance * 0.2:
        lines[0] = b"\xef\xbb\xbf" + lines[0]
        tally.damage["byte_order_marks"] += 1
    if draws.random() >= chance:
        return
    last = lines[-1]
    # What stands before it on its line would be unfinished too.
    if draws.random() < 0.7:
        if _is_lesser(last) and lines[-2:-1] and lines[-2].endswith(b"\n"):
            lines[-1] = last[: len(last) // 2]
            tally.lost_records += 1
            tally.pending_lines += 1
            tally.damage["cut_tails"] += 1
    elif last.endswith(b"\n"):
        lines.append(b"\0" * (512 + len(last) % 8192))
        tally.damage["nul_tails"] += 1


def _is_plain(line: bytes) -> bool:
    """Say whether this is one undamaged record (a copied history is many in one entry)."""
    return line.startswith(b"{") and line.endswith(b"}\n") and line.count(b"\n") == 1


def _is_lesser(line: bytes) -> bool:
    """Say whether this is one undamaged record without usage of any kind."""
    return _is_plain(line) and b'"usage":' not in line and b'"type":"assistant"' not in line


def _join(lines: list[bytes], index: int) -> bool:
    if not (_is_plain(lines[index]) and _is_plain(lines[index + 1])):
        return False
    lines[index] = lines[index][:-1]
    return True


def _cut_splice(lines: list[bytes], index: int) -> bool:
    cut = _cut(lines[index])
    if cut is None or not _is_plain(lines[index + 1]):
        return False
    lines[index] = cut
    return True


def _cut_line(lines: list[bytes], index: int) -> bool:
    cut = _cut(lines[index])
    if cut is None:
        return False
    lines[index] = cut + b"\n"
    return True


def _cut(line: bytes) -> bytes | None:
    """Cut a tool's result two thirds in, which is inside its text or the structured copy of that."""
    if b'"type":"tool_result"' not in line or not _is_lesser(line):
        return None
    return line[: len(line) * 2 // 3]


def _prefix_nuls(lines: list[bytes], index: int) -> bool:
    if not _is_plain(lines[index]):
        return False
    lines[index] = b"\0" * (16 + len(lines[index]) % 4096) + lines[index]
    return True


def _nuls_inside(lines: list[bytes], index: int) -> bool:
    return _insert(lines, index, b"\0" * 64)


def _escaped_nul(lines: list[bytes], index: int) -> bool:
    return _insert(lines, index, rb"\u0000")


def _lone_surrogate(lines: list[bytes], index: int) -> bool:
    return _insert(lines, index, rb"\ud83c")


def _invalid_utf8(lines: list[bytes], index: int) -> bool:
    return _insert(lines, index, b"\xc3\xff")


def _insert(lines: list[bytes], index: int, broken: bytes) -> bool:
    """Put the bytes at the start of a text inside the line, if it has one."""
    line = lines[index]
    if not _is_plain(line):
        return False
    for start in _TEXT_STARTS:
        place = line.find(start)
        if place >= 0:
            place += len(start)
            lines[index] = line[:place] + broken + line[place:]
            return True
    return False


_KINDS: Final[dict[str, Callable[[list[bytes], int], bool]]] = {
    "joined_records": _join,
    "cut_splices": _cut_splice,
    "cut_lines": _cut_line,
    "nul_runs": _prefix_nuls,
    "nuls_inside": _nuls_inside,
    "escaped_nuls": _escaped_nul,
    "lone_surrogates": _lone_surrogate,
    "invalid_utf8": _invalid_utf8,
}
_CUTS: Final = frozenset({"cut_splices", "cut_lines"})
_JOINS: Final = frozenset({"joined_records", "cut_splices"})
