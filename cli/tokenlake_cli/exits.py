"""The exit codes of the command line."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the program's exit status says; the numbers of expected errors are those of tokenlake.errors."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    SOURCES = 3
    LAKE = 4
    FINDINGS = 5
    INTERRUPTED = 130

    @property
    def text(self) -> str:
        """The meaning of the code, as shown by --help."""
        return _TEXTS[self]


_TEXTS = {
    ExitCode.OK: "done; also when the reader of a pipe has left",
    ExitCode.UNEXPECTED: "something unforeseen: --debug shows where",
    ExitCode.USAGE: "a wrong option, parameter, name or query",
    ExitCode.SOURCES: "logs that cannot be found or read",
    ExitCode.LAKE: "a lake that cannot be opened, read or written",
    ExitCode.FINDINGS: "done, and what was checked is not as it should be",
    ExitCode.INTERRUPTED: "interrupted",
}
