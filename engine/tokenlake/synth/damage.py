"""Damage as found in real files: spliced and joined records, NUL runs, broken text, tails cut off."""

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
    kinds = (_join, _cut_splice, _prefix_nuls, _lone_surrogate, _invalid_utf8)
    for index in range(len(lines) - 1):
        if draws.random() < share:
            kinds[int(draws.random() * len(kinds))](lines, index, tally)
    last = lines[-1]
    if draws.random() < min(1.0, 10 * share) and _is_plain(last) and b"usage" not in last:
        lines[-1] = last[: len(last) // 2]
        tally.lost_records += 1
        tally.damage["cut_tails"] += 1


def _is_plain(line: bytes) -> bool:
    """Say whether this is one undamaged record (a copied history is many in one entry)."""
    return line.startswith(b"{") and line.endswith(b"}\n") and line.count(b"\n") == 1


def _join(lines: list[bytes], index: int, tally: Tally) -> None:
    if _is_plain(lines[index]) and _is_plain(lines[index + 1]):
        lines[index] = lines[index][:-1]
        tally.missing_newlines += 1
        tally.damage["joined_records"] += 1


def _cut_splice(lines: list[bytes], index: int, tally: Tally) -> None:
    line = lines[index]
    is_result = b'"type":"tool_result"' in line and b'"usage":' not in line
    if is_result and _is_plain(line) and _is_plain(lines[index + 1]):
        # Two thirds in is inside the text of the result or of its structured copy.
        lines[index] = line[: len(line) * 2 // 3]
        tally.lost_records += 1
        tally.missing_newlines += 1
        tally.damage["cut_splices"] += 1


def _prefix_nuls(lines: list[bytes], index: int, tally: Tally) -> None:
    if _is_plain(lines[index]):
        lines[index] = b"\0" * (16 + len(lines[index]) % 4096) + lines[index]
        tally.damage["nul_runs"] += 1


def _lone_surrogate(lines: list[bytes], index: int, tally: Tally) -> None:
    if _insert(lines, index, rb"\ud83c"):
        tally.damage["lone_surrogates"] += 1


def _invalid_utf8(lines: list[bytes], index: int, tally: Tally) -> None:
    if _insert(lines, index, b"\xc3\xff"):
        tally.damage["invalid_utf8"] += 1


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
