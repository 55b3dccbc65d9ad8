"""Runs commands in processes forked from one that has everything imported, and kills them on time."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from types import TracebackType
from typing import IO, Any, Final

from benchmarks.crash_child import STAGES, Order, carry_out

KILLED: Final = -signal.SIGKILL

_LONGEST_S: Final = 120.0
_IMPORTED: Final = (
    *("duckdb", "filelock", "numpy", "pyarrow.compute", "pyarrow.parquet"),
    *("tokenlake_cli.ingest", "tokenlake_cli.merge", "tokenlake_cli.rebuild", "tokenlake.query.run"),
    *("tokenlake.ingest.absorb", "tokenlake.ingest.rebuild", "tokenlake.ingest.segment", "tokenlake.ingest.told"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: exit status (a signal's number below 0), what it said, what it printed.

    `stage` is the one it had reached, `began_s` when each began (seconds since it started), `steps` those counted.
    `hung` says that it had to be ended after two minutes.
    """

    status: int
    said: str
    printed: str
    stage: str
    began_s: dict[str, float]
    steps: tuple[str, ...]
    seconds: float
    hung: bool

    @property
    def killed(self) -> bool:
        """Whether the kill came before the end."""
        return self.status == KILLED


class Worker:
    """A process that carries out one order after the other, each in a forked process of its own.

    Every command is a fresh process that is killed with SIGKILL from outside; only the imports are done beforehand.
    """

    def __enter__(self) -> "Worker":
        """Start the process."""
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.crash_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        with self._process as process:
            process.terminate()

    def run(self, order: Order) -> Outcome:
        """Carry out an order, and wait for its end."""
        self.start(order)
        return self.result()

    def start(self, order: Order) -> None:
        """Begin to carry out an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()

    def result(self) -> Outcome:
        """How the order that was started ended. Raises ChildProcessError when the worker itself is gone."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"the worker ended with status {self._process.wait()}")
        content: dict[str, Any] = json.loads(line)
        return Outcome(**{**content, "steps": tuple(content["steps"])})


def serve() -> None:
    """Read orders, a line each, from standard input; write their outcomes to standard output."""
    for name in _IMPORTED:
        import_module(name)
    for line in sys.stdin:
        content = json.loads(line)
        outcome = _carry_out(Order(**{**content, "arguments": tuple(content["arguments"])}))
        print(json.dumps(asdict(outcome)), flush=True)


def _carry_out(order: Order) -> Outcome:
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
        reading, writing = os.pipe()
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _be_child(order, writing, printed.fileno(), said.fileno())
        os.close(writing)
        began, steps, hung = _follow(order, pid, reading, started)
        os.close(reading)
        _, status = os.waitpid(pid, 0)
        seconds = time.monotonic() - started
        texts = [_content(file) for file in (said, printed)]
    stage = max(began, key=STAGES.index) if began else STAGES[0]
    exit_status = os.waitstatus_to_exitcode(status)
    return Outcome(exit_status, texts[0], texts[1], stage, began, tuple(steps), seconds, hung)


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _be_child(order: Order, channel: int, printed: int, said: int) -> None:
    status = 70
    try:
        for number, target in ((os.open(os.devnull, os.O_RDONLY), 0), (printed, 1), (said, 2)):
            os.dup2(number, target)
        status = carry_out(order, lambda line: _tell(channel, line))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _tell(channel: int, line: str) -> None:
    os.write(channel, line.encode() + b"\n")


def _follow(order: Order, pid: int, channel: int, started: float) -> tuple[dict[str, float], list[str], bool]:
    """Note what the child tells until it ends; kill it when the time has come."""
    began: dict[str, float] = {}
    steps: list[str] = []
    rest, hung = b"", False
    last = started + _LONGEST_S
    deadline = last
    while True:
        ready, _, _ = select.select([channel], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            hung = hung or deadline == last
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + _LONGEST_S
            continue
        told = os.read(channel, 1 << 16)
        if not told:
            return began, steps, hung
        *lines, rest = (rest + told).split(b"\n")
        for line in lines:
            kind, _, text = line.decode(errors="replace").partition(" ")
            if kind == "step":
                steps.append(text)
            elif text not in began:
                began[text] = time.monotonic() - started
                if text == order.kill_stage:
                    deadline = time.monotonic() + order.kill_after_s


if __name__ == "__main__":
    serve()
