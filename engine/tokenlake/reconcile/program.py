"""Running ccusage, the peer: where it is found, how it is asked, what it answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenlake.errors import SourceError, UsageError

VARIABLE = "CCUSAGE_BIN"

_HOW = (
    "install it (npm install -g ccusage), name it with --ccusage or $CCUSAGE_BIN, or give the output of"
    " `ccusage claude daily --json --offline -m calculate -z ZONE` with --json FILE"
)


@dataclass(frozen=True, slots=True)
class Program:
    """An installed ccusage: its path, and its version as it says it."""

    path: str
    version: str

    def daily(self, folders: Sequence[Path], zone: str, cost_mode: str = "calculate") -> str:
        """Its report by day as JSON, of the transcripts below `<folder>/projects`, without network.

        Days are those of `zone`. Settings of the user's own do not count. Raises SourceError where it fails.
        """
        with TemporaryDirectory(prefix="tokenlake-ccusage-") as neutral:
            config = Path(neutral, "ccusage.json")
            config.write_text("{}", encoding="utf-8")
            command = [self.path, "claude", "daily", "--json", "--offline", "-m", cost_mode, "-z", zone]
            environment = {name: value for name, value in os.environ.items() if not name.startswith("CCUSAGE_")}
            environment |= {"CLAUDE_CONFIG_DIR": ",".join(map(str, folders)), "TZ": zone}
            return _output([*command, "--config", str(config)], environment)


def find(path: str | None = None) -> Program | None:
    """The program at `path`, that $CCUSAGE_BIN names, or that is on the PATH; None where none is.

    Raises UsageError for a `path` or $CCUSAGE_BIN that is no program.
    """
    named = path or os.environ.get(VARIABLE)
    found = shutil.which(named or "ccusage")
    if found is None:
        if named:
            raise UsageError(f"{named}: there is no such program; {_HOW}")
        return None
    words = _output([found, "--version"], dict(os.environ)).split()
    return Program(found, words[-1] if words else "of unknown version")


def needed(path: str | None = None) -> Program:
    """The program, as `find`; raises SourceError where there is none."""
    program = find(path)
    if program is None:
        raise SourceError(f"ccusage is not on the PATH: {_HOW}")
    return program


def _output(command: list[str], environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise SourceError(f"{command[0]}: cannot be run: {error.strerror or error}; {_HOW}") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:300] or "nothing was said"
        raise SourceError(f"{command[0]} failed with code {done.returncode}: {said}")
    return done.stdout
