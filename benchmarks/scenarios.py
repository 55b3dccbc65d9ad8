"""What is compared: the cold count of a whole tree, the warm one after little or no change, starting up."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

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
from benchmarks.rounds import Outcome, run_rounds
from tokenlake.synth.truth import Counts

_SAMPLES = Path(__file__).parent.parent / "data-samples" / "logs"
# input, output, write 5m, write 1h, read: the request that is appended
_APPENDED_TOKENS = (3, 400, 900, 0, 42_000)
# 3 x 3 + 400 x 15 + 900 x 3.75 + 42,000 x 0.3 dollars a million
_APPENDED_DOLLARS = Fraction("0.021984")


def cold(corpus: Corpus, runs: int) -> list[Outcome]:
    """Count the whole tree: an ingest into an empty lake against everybody else's report."""
    contenders, _ = all_cold()
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
        template = (
            '{"parentUuid":null,"isSidechain":false,"userType":"external","cwd":"/home/dev","sessionId":"%s",'
            '"version":"2.1.101","gitBranch":"","message":{"model":"claude-sonnet-4-5-20250929","id":"%s",'
            '"type":"message","role":"assistant","content":[{"type":"text","text":"Done."}],'
            '"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":%d,'
            '"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"cache_creation":'
            '{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d},"output_tokens":%d,'
            '"service_tier":"standard"}},"requestId":"req_%s","type":"assistant","uuid":"%s",'
            '"timestamp":"2026-08-31T23:00:00.%03dZ"}\n'
        )
        unique = uuid4().hex
        sent, answered, write_5m, write_1h, read = _APPENDED_TOKENS
        usage = (sent, write_5m + write_1h, read, write_5m, write_1h, answered)
        self.appended += 1
        line = template % (self.path.stem, f"msg_{unique}", *usage, unique, uuid4(), self.appended % 1000)
        with self.path.open("ab") as file:
            file.write(line.encode())

    def answer(self) -> Answer:
        """Give the totals of the tree as it is now."""
        start = self.start.counts
        sent, answered, write_5m, write_1h, read = (self.appended * tokens for tokens in _APPENDED_TOKENS)
        counts = Counts(
            start.requests + self.appended,
            start.input_tokens + sent,
            start.output_tokens + answered,
            start.cache_write_5m_tokens + write_5m,
            start.cache_write_1h_tokens + write_1h,
            start.cache_read_tokens + read,
        )
        dollars = self.start.dollars
        return Answer(counts, None if dollars is None else dollars + self.appended * _APPENDED_DOLLARS)


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
