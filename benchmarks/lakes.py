"""The made-up lakes that queries are measured on: made once by size and seed, kept with their truth."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tokenlake.synth
from tokenlake.synth.lakes import TRUTH_NAME, LakeOptions
from tokenlake.synth.lakes_truth import LakeTruth, load_lake_truth

LARGEST_WHOLE_LAKE_REQUESTS = 5_000_000
"""Lakes with more requests than this hold requests, sessions and transcripts only, unless usage rows are asked for."""


@dataclass(frozen=True, slots=True)
class MadeLake:
    """A lake on disk and what is in it."""

    root: Path
    truth: LakeTruth

    @property
    def bytes(self) -> int:
        """The bytes of its data files."""
        return sum(path.stat().st_size for path in self.root.rglob("*.parquet"))


def open_lake(requests: int, seed: int, root: Path | None = None, *, usage_rows: bool = False) -> MadeLake:
    """Give the lake of a size and seed, made now if it is not there yet; in `root` when that is given.

    It is made in a process of its own: a child's peak memory is never reported below its parent's, so the
    measuring process must stay small. Raises subprocess.CalledProcessError when making it fails, ValueError when
    `root` holds a lake of another size.
    """
    root = root or lake_root(requests, seed, usage_rows=usage_rows)
    if not (root / TRUTH_NAME).is_file():
        print(f"making a lake of {requests:,} requests in {root}", file=sys.stderr)
        command = [sys.executable, "-m", "benchmarks", "lake", "--requests", str(requests), "--seed", str(seed)]
        command += ["--lake", str(root), *(["--usage-rows"] if usage_rows else [])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    truth = load_lake_truth(root / TRUTH_NAME)
    if truth.total.requests != requests:
        raise ValueError(f"{root} holds {truth.total.requests:,} requests, not {requests:,}: name another --lake")
    return MadeLake(root, truth)


def make_lake(requests: int, seed: int, root: Path | None = None, *, usage_rows: bool = False) -> Path:
    """Make the lake of a size and seed unless it is there, and give its folder."""
    from tokenlake.synth.lakes import write_lake

    root = root or lake_root(requests, seed, usage_rows=usage_rows)
    if (root / TRUTH_NAME).is_file():
        return root
    is_whole = requests <= LARGEST_WHOLE_LAKE_REQUESTS
    options = LakeOptions(requests=requests, seed=seed, usage_rows=usage_rows or is_whole, traces=is_whole)
    unfinished = root.with_name(f"{root.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_lake(unfinished, options, progress=_show_progress)
    unfinished.rename(root)
    return root


def lake_root(requests: int, seed: int, *, usage_rows: bool = False) -> Path:
    """Give the folder of the lake; another generator makes another lake, so its source counts too."""
    source = hashlib.sha256()
    for path in sorted(Path(tokenlake.synth.__path__[0]).glob("*.py")):
        source.update(path.read_bytes())
    rows = "-with-usage-rows" if usage_rows else ""
    name = f"lake-{requests}-requests-seed-{seed}{rows}-{source.hexdigest()[:8]}"
    return Path(tempfile.gettempdir()) / "tokenlake-benchmarks" / name


def _show_progress(done: int, requests: int) -> None:
    print(f"\r{done:,} of {requests:,} requests", end="\n" if done == requests else "", file=sys.stderr, flush=True)
