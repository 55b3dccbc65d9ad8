"""One command in one fresh process: its wall time, processor time, peak memory, and what it printed."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run took: seconds of wall and of processor time (user and system), peak resident bytes."""

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int


class FailedRunError(Exception):
    """A measured command ended with another exit status than 0."""


def measure(command: Sequence[str], env: Mapping[str, str]) -> tuple[Measurement, bytes]:
    """Run a command to its end and give what it took and its standard output.

    `env` is added to this process's environment. Peak memory is that of the largest process of the command.
    Raises FailedRunError with the end of its standard error when the command fails.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env={**os.environ, **env}
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            tail = errors.read()[-2000:].decode(errors="replace")
            raise FailedRunError(f"exit status {process.returncode} from {' '.join(command)}\n{tail}")
        output.seek(0)
        # macOS counts ru_maxrss in bytes, Linux in KiB.
        unit = 1 if sys.platform == "darwin" else 1024
        return Measurement(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit), output.read()


def median_of(measurements: Sequence[Measurement]) -> Measurement:
    """Give the median of each figure by itself."""
    return Measurement(
        median(one.wall_s for one in measurements),
        median(one.cpu_s for one in measurements),
        int(median(one.peak_rss_bytes for one in measurements)),
    )
