"""What is compared: the cold count of a whole tree, the warm one after little or no change, starting up."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.answers import Answer
from benchmarks.contenders import (
    Contender,
    Run,
    all_cold,
    ccusage_daily,
    find_ccusage,
    find_tokenlake,
    tokenlake_ingest,
    tokenlake_report,
)
from benchmarks.corpus import Corpus
from benchmarks.lines import answer_of, request_line
from benchmarks.rounds import Outcome, run_rounds

_SAMPLES = Path(__file__).parent.parent / "data-samples" / "logs"


def cold(corpus: Corpus, runs: int, only: Sequence[str] = ()) -> list[Outcome]:
    """Count the whole tree: an ingest into an empty lake against everybody else's report, or `only` some of them."""
    contenders = [one for one in all_cold()[0] if not only or any(text in one.name for text in only)]
    return run_rounds(contenders, corpus.root, runs, lambda: corpus.answer)


def warm(corpus: Corpus, runs: int) -> list[Outcome]:
    """Count again after one new request, then with nothing new, then report on the lake as it is.

    The peer keeps nothing, so its whole count stands against each of these. The tree is put back afterwards.
    """
    tokenlake, ccusage = find_tokenlake(), find_ccusage()
    contenders: list[Contender] = []
    with tempfile.TemporaryDirectory(prefix="tokenlake-bench-") as folder, _growing(corpus) as growth:
        run = Run(corpus.root, Path(folder) / "lake")
        if isinstance(tokenlake, list):
            ingest = tokenlake_ingest(tokenlake)
            subprocess.run(ingest.command(run), check=True, stdout=subprocess.DEVNULL)
            contenders = [
                replace(
                    ingest,
                    name="tokenlake ingest, one request appended",
                    prepare=lambda run: growth.append_request(),
                ),
                replace(ingest, name="tokenlake ingest, nothing new"),
                tokenlake_report(tokenlake),
            ]
        if isinstance(ccusage, list):
            contenders.append(ccusage_daily(ccusage))
        return run_rounds(contenders, corpus.root, runs, growth.answer, run.lake)


def startup(runs: int) -> list[Outcome]:
    """Time what a person waits for on a small lake; Python doing nothing is the floor."""
    contenders: list[Contender] = []
    tokenlake = find_tokenlake()
    with tempfile.TemporaryDirectory(prefix="tokenlake-bench-") as folder:
        lake = Path(folder) / "lake"
        if isinstance(tokenlake, list):
            ingest = [*tokenlake, "ingest", "--root", str(_SAMPLES), "--lake", str(lake)]
            subprocess.run(ingest, check=True, stdout=subprocess.DEVNULL)
            query = [*tokenlake, "cache", "overhead", "--lake", str(lake), "--no-refresh"]
            contenders = [
                Contender("tokenlake --help", command=lambda run: [*tokenlake, "--help"]),
                Contender("tokenlake cache overhead", command=lambda run: query),
            ]
        contenders.append(Contender("python -c pass", command=lambda run: [sys.executable, "-c", "pass"]))
        return run_rounds(contenders, _SAMPLES, runs, None, lake)


@dataclass(slots=True)
class Growth:
    """A transcript that gets one request after another, and what the tree's totals are by then."""

    path: Path
    start: Answer
    appended: int = 0

    def append_request(self) -> None:
        """Append one request of one row, with ids of its own."""
        self.appended += 1
        with self.path.open("ab") as file:
            file.write(request_line(self.path.stem, self.appended))

    def answer(self) -> Answer:
        """Give the totals of the tree as it is now."""
        return answer_of(self.appended, self.start)


@contextmanager
def _growing(corpus: Corpus) -> Iterator[Growth]:
    """Give the newest session's transcript to append to, and cut it back in the end."""
    path = max((corpus.root / "projects").glob("*/*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    before = path.stat()
    try:
        yield Growth(path, corpus.answer)
    finally:
        os.truncate(path, before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
