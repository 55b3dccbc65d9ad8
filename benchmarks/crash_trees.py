"""A tree of transcripts that goes on changing: they grow, are rewritten, vanish and come back.

So do a history and quota samples, which lie beside them.
"""

import json
import os
import random
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

Sources = Mapping[str, bytes]
"""What transcripts will hold once they are complete, by their path."""


def made_up_sources(total_bytes: int, seed: int, damage_share: float = 0.01) -> Sources:
    """Make up transcripts, many rather than large, and what lies beside them; about 1% of their lines are damaged."""
    from tokenlake.synth.options import SynthOptions
    from tokenlake.synth.tree import write_tree

    sources: dict[str, bytes] = _beside(seed, damage_share)
    with tempfile.TemporaryDirectory(prefix="tokenlake-crashes-") as folder:
        while (made := sum(map(len, sources.values()))) < total_bytes:
            options = SynthOptions(total_bytes=_PORTION_BYTES, seed=seed * 1_000_003 + made, damage_share=damage_share)
            root = Path(folder) / str(made) / "projects"
            write_tree(options, root.parent)
            sources |= {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.jsonl"))}
    return sources


def _beside(seed: int, damage_share: float) -> dict[str, bytes]:
    """A history and quota samples of 400 lines each."""
    draws = random.Random(seed)
    histories, samples = [], []
    for number in range(400):
        session = f"5e550000-0000-4000-8000-{number % 9:012d}"
        prompt = {
            "display": "Réponds.",
            "timestamp": _FIRST_MS + number * 60_000,
            "project": "/p",
            "sessionId": session,
        }
        time = f"2026-03-{1 + number // 24:02d}T{number % 24:02d}:00:00Z"
        window = {"used_percentage": number % 100, "resets_at": _FIRST_MS // 1000 + number // 5 * 18_000}
        histories.append(prompt)
        samples.append({"timestamp": time, "rate_limits": {"five_hour": window, "seven_day": window}})
    found = {}
    for name, records in (("history.jsonl", histories), ("quota-samples.jsonl", samples)):
        lines = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records]
        for number in range(len(lines)):
            if draws.random() < damage_share:
                lines[number] = draws.choice((lines[number][:40], b"\0\xff rubbish\n", b'{"display":"no time"}\n'))
        found[name] = b"".join(lines)
    return found


_FIRST_MS: Final = 1_772_323_200_000  # 2026-03-01, in ms
_PORTION_BYTES: Final = 100_000


class ChangingTree:
    """The transcripts below `root`, each of which holds the beginning of its source, or did until it was rewritten.

    What happens next is drawn from `draws`; equal draws make equal trees.
    """

    def __init__(self, root: Path, sources: Sources, draws: random.Random) -> None:
        self.root = root
        self.sources = sources
        self.draws = draws
        self.taken: dict[str, int] = {}
        self.gone: dict[str, bytes] = {}
        root.mkdir(parents=True, exist_ok=True)
        for name in sorted(sources)[::2]:
            self._append(name, len(sources[name]) // 2)

    def change(self) -> str:
        """Let one thing of any kind happen; gives its name."""
        kinds: list[Callable[[], str]] = [self.grow, self.grow, self.grow, self.rewrite, self.shrink, self.edit]
        kinds += [self.vanish] if len(self._present()) > 2 else []
        kinds += [self.come_back] if self.gone else []
        return self.draws.choice(kinds)()

    def grow(self) -> str:
        """Up to four transcripts grow, or begin, by anything from a byte to 200 KB, cut anywhere."""
        open_ended = [name for name in sorted(self.sources) if name not in self.gone and self._left(name)]
        if not open_ended:
            return self.shrink()
        for name in self.draws.sample(open_ended, min(len(open_ended), self.draws.randint(1, 4))):
            self._append(name, self.draws.randint(1, self.draws.choice((3, 100, 3_000, 30_000, 200_000))))
        return "grown"

    def rewrite(self) -> str:
        """A transcript is replaced by one that lacks some of its lines."""
        name = self.draws.choice(self._present())
        lines = (self.root / name).read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if self.draws.random() > 0.2]
        self._replace(name, b"".join(kept))
        return "rewritten"

    def shrink(self) -> str:
        """A transcript is cut back, in place; it will grow again."""
        name = self.draws.choice(self._present())
        size = self.draws.randint(0, min(self.taken[name], (self.root / name).stat().st_size))
        os.truncate(self.root / name, size)
        self.taken[name] = size
        return "cut back"

    def edit(self) -> str:
        """A few bytes of a transcript are blanked out, in place: its size stays."""
        name = self.draws.choice(self._present())
        size = (self.root / name).stat().st_size
        with open(self.root / name, "r+b") as file:
            file.seek(self.draws.randint(0, size))
            file.write(b"x" * min(size - file.tell(), 12))
        return "edited"

    def vanish(self) -> str:
        """A transcript is deleted."""
        name = self.draws.choice(self._present())
        self.gone[name] = (self.root / name).read_bytes()
        (self.root / name).unlink()
        return "vanished"

    def come_back(self) -> str:
        """A transcript that was deleted is there again, as it was."""
        name = self.draws.choice(sorted(self.gone))
        self._replace(name, self.gone.pop(name))
        return "came back"

    def _present(self) -> list[str]:
        return sorted(self.taken.keys() - self.gone.keys())

    def _left(self, name: str) -> int:
        return len(self.sources[name]) - self.taken.get(name, 0)

    def _append(self, name: str, count: int) -> None:
        path, taken = self.root / name, self.taken.get(name, 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            file.write(self.sources[name][taken : taken + count])
        self.taken[name] = min(taken + count, len(self.sources[name]))

    def _replace(self, name: str, content: bytes) -> None:
        """Write a transcript anew under another name, then move it into place."""
        path = self.root / name
        beside = path.with_name(path.name + ".new")
        beside.write_bytes(content)
        os.replace(beside, path)
