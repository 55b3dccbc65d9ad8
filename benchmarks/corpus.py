"""The trees that are measured: made once by seed and size, kept in the temporary folder, with their truth."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tokenlake.synth
from benchmarks.answers import Answer
from benchmarks.dollars import dollars
from tokenlake.synth.options import SynthOptions
from tokenlake.synth.truth import Truth, load_truth

_TRUTH = "truth.json"


@dataclass(frozen=True, slots=True)
class Corpus:
    """A tree on disk (`<root>/projects/...`), what was planted in it, and how it was asked for."""

    root: Path
    truth: Truth
    total_bytes: int
    seed: int
    damage_share: float = 0.0

    @property
    def answer(self) -> Answer:
        """What a right count of the tree gives."""
        return Answer(self.truth.total, dollars(self.truth.priced))


def open_corpus(total_bytes: int, seed: int, damage_share: float = 0.0) -> Corpus:
    """Give the tree of a size, seed and share of damaged lines, made now if it is not there yet.

    It is made in a process of its own: a child's peak memory is never reported below its parent's, so the
    measuring process must stay small. Raises subprocess.CalledProcessError when making it fails.
    """
    root = corpus_root(total_bytes, seed, damage_share)
    if not (root / _TRUTH).is_file():
        print(f"making {total_bytes:,} bytes of transcripts in {root}", file=sys.stderr)
        command = [
            sys.executable,
            "-m",
            "benchmarks",
            "corpus",
            "--size",
            str(total_bytes),
            "--seed",
            str(seed),
            "--damage-share",
            str(damage_share),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Corpus(root, load_truth(root / _TRUTH), total_bytes, seed, damage_share)


def make_corpus(total_bytes: int, seed: int, damage_share: float = 0.0) -> Path:
    """Make the tree unless it is there, and give its folder."""
    from tokenlake.synth.tree import write_tree

    root = corpus_root(total_bytes, seed, damage_share)
    if (root / _TRUTH).is_file():
        return root
    unfinished = root.with_suffix(".part")
    for leftover in (root, unfinished):
        shutil.rmtree(leftover, ignore_errors=True)
    truth = write_tree(SynthOptions(total_bytes=total_bytes, seed=seed, damage_share=damage_share), unfinished)
    truth.save(unfinished / _TRUTH)
    unfinished.rename(root)
    return root


def corpus_root(total_bytes: int, seed: int, damage_share: float = 0.0) -> Path:
    """Give the folder of the tree; another generator makes another tree, so its source counts too."""
    source = hashlib.sha256()
    for path in sorted(Path(tokenlake.synth.__path__[0]).glob("*.py")):
        source.update(path.read_bytes())
    damage = f"-damage-{damage_share}" if damage_share else ""
    name = f"{total_bytes}-bytes-seed-{seed}{damage}-{source.hexdigest()[:8]}"
    return Path(tempfile.gettempdir()) / "tokenlake-benchmarks" / name


def read_through(root: Path) -> None:
    """Read every file once, so that the first contender does not pay for the disk."""
    buffer = bytearray(1 << 20)
    for path in root.rglob("*.jsonl"):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
