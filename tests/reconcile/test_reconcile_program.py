"""Finding and running the program, its prices, and how it reads a single line."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest
from accounting.transcripts import assistant, line, usage
from reconcile import peer
from reconcile.cases import LEFT_OUT, Name
from reconcile.conftest import without_program, write

from tokenlake.errors import SourceError, UsageError
from tokenlake.reconcile import program as peer_program
from tokenlake.reconcile import rates, totals
from tokenlake.sources import ccusage


def script(path: Path, text: str) -> str:
    """A program that a shell runs."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_no_program_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    without_program(monkeypatch)
    assert peer_program.find() is None
    with pytest.raises(SourceError, match=r"not on the PATH: install it \(npm install -g ccusage\), name it with"):
        peer_program.needed()


def test_a_name_that_is_no_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="nothing-here: there is no such program"):
        peer_program.find(str(tmp_path / "nothing-here"))
    monkeypatch.setenv("CCUSAGE_BIN", str(tmp_path))
    with pytest.raises(UsageError, match="there is no such program"):
        peer_program.find()


@pytest.mark.parametrize(
    ("text", "said"),
    [("echo no luck >&2; exit 3", "failed with code 3: no luck"), ("exit 4", "failed with code 4: nothing was said")],
)
def test_a_program_that_fails_is_quoted(tmp_path: Path, text: str, said: str) -> None:
    path = script(tmp_path / "ccusage", f'[ "$1" = --version ] && echo ccusage 1.2.3 && exit 0\n{text}')
    found = peer_program.needed(path)
    assert found.version == "1.2.3"
    with pytest.raises(SourceError, match=said):
        found.daily([tmp_path], "UTC")


def test_it_is_asked_without_network_and_without_settings_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the zone of the report, over the folders given, with an empty configuration."""
    monkeypatch.setenv("CCUSAGE_CLAUDE_EXTRA_DIRS", "/elsewhere")
    tell = 'echo "$@|$TZ|$CLAUDE_CONFIG_DIR|$CCUSAGE_CLAUDE_EXTRA_DIRS"; while [ $# -gt 1 ]; do shift; done; cat "$1"'
    asked = peer_program.needed(script(tmp_path / "ccusage", tell))
    arguments, zone, folders, more = asked.daily([Path("/a"), Path("/b")], "Asia/Tokyo").strip().split("|")
    wanted = "claude daily --json --offline -m calculate -z Asia/Tokyo --config"
    assert arguments.startswith(wanted)
    assert (zone, folders, more) == ("Asia/Tokyo", "/a,/b", "\n{}")


def test_its_prices_are_those_that_are_kept(program: str) -> None:
    """For the version whose rules these are."""
    installed = peer_program.needed(program)
    if installed.version != ccusage.VERSION:
        pytest.skip(f"ccusage {installed.version} is there, not {ccusage.VERSION}")
    kept = rates.kept()
    asked = rates.ask(installed, {rate.model for rate in kept})
    assert kept == [rate for rate in asked if rate.has_price]
    assert len(kept) > 80


def test_kept_prices_are_written_as_they_are_read() -> None:
    text = Path(rates.__file__).with_name(rates.KEPT).read_text("utf-8")
    assert [*rates.as_csv(rates.kept())] == text.splitlines()


@pytest.mark.parametrize("model", sorted(peer.PRICES))
def test_kept_prices_are_those_of_the_price_list(model: str) -> None:
    """Dollars per million against picodollars a token, in the usual and in fast mode."""
    prices, factor, above = peer.PRICES[model]
    found = {rate.is_fast: rate for rate in rates.kept() if rate.model == model}
    for is_fast, times in ((False, 1), (True, factor)):
        kept = [getattr(found[is_fast], f"{kind}_pico") for kind in rates.KINDS]
        kept_above = [getattr(found[is_fast], f"{kind}_above_pico") for kind in rates.KINDS]
        assert kept == [round(price * 1e6) * times for price in prices]
        assert kept_above == [round(price * 1e6) * times for price in above or prices]


def test_a_model_without_price_is_told(program: str) -> None:
    usual, fast = rates.ask(peer_program.needed(program), ["house-model-1", "<synthetic>", ""])
    assert (usual.model, usual.has_price, fast.has_price) == ("house-model-1", False, False)


PIECES = (b"null", b"-1", b'""', b"[]", b"1e999", b"\\ud800", b"2.1", b"Z", b"\0", b"}{")


def damaged(number: int, rnd: random.Random) -> bytes:
    """A row with ids of its own, and an accident or none."""
    record = assistant(f"msg_{number}", usage(10, w1=3), request_id=f"req_{number}", costUSD=0.5, isSidechain=False)
    own = line(record)
    at, other = rnd.randrange(len(own)), rnd.randrange(len(own))
    return rnd.choice(
        (
            own,
            own[:at] + own[at + 1 :],
            own[:at] + bytes([rnd.randrange(11, 256)]) + own[at:],
            own[:at] + own[other:],
            own[:at] + rnd.choice(PIECES) + own[at + rnd.randrange(6) :],
            own[:at] + own,
            own.replace(b":10,", b":" + rnd.choice(PIECES) + b","),
            own.replace(b'"2.1.120"', b'"' + rnd.choice(PIECES) + b'"'),
        )
    )


def test_a_line_is_read_as_the_program_reads_it(program: str, tmp_path: Path) -> None:
    """Lines left out by every rule, and 2,000 with accidents: what is counted is told to the token."""
    rnd = random.Random(11)
    listed = [damaged(number, rnd) for number in range(2_000)]
    for number, make in enumerate(LEFT_OUT.values()):
        (items,) = make(Name(number, f"line-{number}")).files.values()
        listed += [item if isinstance(item, bytes) else line(item) for item in items]
    listed = [item for item in listed if b"\n" not in item]
    read = [sum(map(size_of, rows)) if isinstance(rows := ccusage.read(item), list) else 0 for item in listed]
    assert 300 < sum(map(bool, read)) < 1_700
    installed = peer_program.needed(program)

    def said(numbers: range) -> int:
        root = tmp_path / f"{numbers.start}-{numbers.stop}"
        write(root, {"-l/s.jsonl": b"\n".join(listed[number] for number in numbers)})
        return sum(sum(counts_of(total)) for total in totals.read(installed.daily([root], "UTC"), "program"))

    numbers = range(len(listed))
    if said(numbers) == sum(read):
        return
    while len(numbers) > 1:  # which line is it
        half = numbers[: len(numbers) // 2]
        numbers = half if said(half) != sum(read[half.start : half.stop]) else numbers[len(numbers) // 2 :]
    pytest.fail(f"{listed[numbers[0]]!r}: {ccusage.read(listed[numbers[0]])}, {said(numbers)}")


def size_of(row: ccusage.Row) -> int:
    writes = row.cache_write_5m_tokens + row.cache_write_1h_tokens
    return row.input_tokens + row.output_tokens + writes + row.cache_read_tokens


def counts_of(total: totals.Total) -> tuple[int, ...]:
    return total.input_tokens, total.output_tokens, total.cache_write_tokens, total.cache_read_tokens


@pytest.mark.parametrize("case", LEFT_OUT)
def test_why_a_line_is_left_out(case: str) -> None:
    """In the words of the rule."""
    made = LEFT_OUT[case](Name(1, case))
    (items,) = made.files.values()
    (rule,) = made.rules
    reasons = {ccusage.why_skipped(item if isinstance(item, bytes) else line(item)) for item in items}
    assert {f"left out: {reason}" for reason in reasons} == {rule}
