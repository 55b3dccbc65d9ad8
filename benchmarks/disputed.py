"""A disputed row: a tiny tree with its answer worked out by hand, and what each contender counts of it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import Answer, Totals, mismatches
from benchmarks.contenders import Contender, Run
from benchmarks.measure import FailedRunError, measure


@dataclass(frozen=True, slots=True)
class Dispute:
    """One disputed row: the files of its tree by path, and what they amount to, in tokens and dollars."""

    name: str
    files: Mapping[str, bytes]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one contender counted for one dispute; `wrong` is empty where it is right, `error` says why it failed."""

    dispute: str
    contender: str
    totals: Totals
    wrong: list[str]
    error: str = ""


def judge(contenders: Sequence[Contender], disputes: Sequence[Dispute]) -> list[Verdict]:
    """Have every contender count every dispute, each in a fresh process over a tree of its own."""
    verdicts = []
    for dispute in disputes:
        for contender in contenders:
            with tempfile.TemporaryDirectory(prefix="tokenlake-dispute-") as folder:
                run = Run(Path(folder) / "tree", Path(folder) / "lake")
                _write(dispute.files, run.tree)
                try:
                    _, output = measure(contender.command(run), contender.env(run))
                    totals = contender.totals(run, output)
                except FailedRunError as error:
                    verdicts.append(Verdict(dispute.name, contender.name, {}, ["failed"], str(error)))
                    continue
                verdicts.append(Verdict(dispute.name, contender.name, totals, mismatches(totals, dispute.answer)))
    return verdicts


def _write(files: Mapping[str, bytes], root: Path) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
