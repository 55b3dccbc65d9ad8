"""The only writer to stdout: a result in any of the formats, to the terminal, a pipe or a file."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from tokenlake.errors import UsageError
from tokenlake_cli import messages, values

if TYPE_CHECKING:
    from tokenlake.query.pricing import Unpriced
    from tokenlake.query.result import Meta, Result

FORMATS = ("table", "json", "jsonl", "csv", "markdown", "parquet", "arrow")
BINARY_FORMATS = ("parquet", "arrow")

_ODD_PATHS = "surrogateescape"
"""Bytes of a path that are no UTF-8 leave the program as they came."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where a result goes, and how; `path` None is stdout, `limit` None is every row."""

    format: str = "table"
    path: Path | None = None
    limit: int | None = None

    def check(self) -> None:
        """Raises UsageError for bytes to a terminal: before the work, not after it."""
        if self.format in BINARY_FORMATS and self.path is None and sys.stdout.isatty():
            raise UsageError(f"{self.format} is no text for a terminal: name a file with --output, or pipe it")


class Rows(Protocol):
    """What the text formats need of a result."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names."""

    def rows(self, limit: int | None = None) -> Iterable[Sequence[Any]]:
        """The rows."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows that the command line made itself."""

    columns: tuple[str, ...]
    data: Sequence[Sequence[Any]]

    def rows(self, limit: int | None = None) -> Iterable[Sequence[Any]]:
        """The rows."""
        return self.data[:limit]


def write_text(text: str) -> None:
    """A text that is itself the answer, to stdout."""
    if sys.stdout.isatty():
        text = "\n".join(map(values.visible, text.expandtabs().split("\n")))
    with _text_stream(None) as stream:
        stream.write(text if text.endswith("\n") else text + "\n")


def write_result(result: Result, output: Output, extra_notes: Sequence[str] = ()) -> None:
    """A query's result; what it means stands below a table, and goes to stderr beside every other format."""
    total = len(result)
    notes = _notes(result)
    if output.limit is not None and total > output.limit:
        notes.append(f"showing {output.limit:,} of {total:,} rows (--limit)")
    notes.extend(extra_notes)
    if output.format in BINARY_FORMATS:
        _write_binary(result, output)
    else:
        write_rows(result, output, [*notes, *_help(result)] if output.format == "table" else ())
    if output.format != "table":
        for note in notes:
            messages.say(note)


def write_rows(result: Rows, output: Output, notes: Sequence[str] = ()) -> None:
    """Rows in one of the text formats; the notes are shown by `table` only."""
    rows = result.rows(output.limit)
    with _text_stream(output.path) as stream:
        if output.format == "table":
            stream.write(_table(result.columns, list(rows), notes, output.path))
        elif output.format == "csv" and output.path is None and sys.stdout.isatty():
            _write_csv(stream, *_visible(result.columns, rows))
        else:
            _WRITERS[output.format](stream, result.columns, rows)


def _notes(result: Result) -> list[str]:
    """The title, one line of what the figures depend on, what the query itself says, and two of prices."""
    meta = result.meta
    costs = _cost_notes(meta)
    if meta.name is None and not meta.filters:
        return costs
    settings = [f"{name} {value}" for name, value in meta.filters.items()]
    settings += [f"{name} {values.text(value)}" for name, value in meta.parameters.items() if value is not None]
    settings += [f"time zone {meta.tz}"] if meta.tz else []
    settings += [f"dedup {meta.dedup}"] if meta.dedup else []
    settings += [f"cost mode {meta.cost_mode}"] if meta.cost_mode else []
    if meta.partial_share is not None:
        settings.append(f"{meta.partial_share:.1%} of requests have partial output")
    return [meta.title, *(["; ".join(settings)] if settings else []), *meta.notes, *costs]


def _cost_notes(meta: Meta) -> list[str]:
    """Where prices are from, and which requests have none (accounting rule 21)."""
    notes = [f"prices: {', '.join(meta.prices)}"] if meta.prices else []
    if meta.unpriced:
        shown = [unpriced_text(found) for found in meta.unpriced[:_UNPRICED_SHOWN]]
        more = len(meta.unpriced) - len(shown)
        notes.append(f"unpriced: {'; '.join([*shown, f'and {more} more models'] if more else shown)}")
    return notes


_UNPRICED_SHOWN = 5


def unpriced_text(found: Unpriced) -> str:
    """One model without a price, in words."""
    name = values.visible(found.model) if found.model is not None else "(none)"
    return f"model {name} ({found.requests:,} request{'s' * (found.requests != 1)}, {found.tokens:,} tokens)"


def _help(result: Result) -> list[str]:
    return result.meta.help.split("\n") if result.meta.help else []


def _table(names: tuple[str, ...], rows: list[Sequence[Any]], notes: Sequence[str], path: Path | None) -> str:
    from tokenlake_cli import table
    from tokenlake_cli.column import columns

    width = None
    if path is None and sys.stdout.isatty():
        from shutil import get_terminal_size

        width = get_terminal_size().columns
    return table.draw(columns(names, rows), notes, width)


def _write_json(stream: IO[str], names: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> None:
    stream.write("[")
    for number, line in enumerate(_json_objects(names, rows)):
        stream.write(",\n " if number else "\n ")
        stream.write(line)
    stream.write("\n]\n")


def _write_jsonl(stream: IO[str], names: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> None:
    for line in _json_objects(names, rows):
        stream.write(line + "\n")


def _json_objects(names: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    keys = [values.json(name) for name in names]
    for row in rows:
        yield "{" + ", ".join(f"{k}: {values.json(v)}" for k, v in zip(keys, row, strict=True)) + "}"


def _write_csv(stream: IO[str], names: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(map(values.text, row) for row in rows)


def _visible(names: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> tuple[tuple[str, ...], Iterator[Sequence[Any]]]:
    """Names and rows for the eyes only: a file or a pipe gets them as they are, a terminal must not obey them."""
    return tuple(map(values.visible, names)), ([values.visible(values.text(cell)) for cell in row] for row in rows)


def _write_markdown(stream: IO[str], names: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> None:
    from tokenlake_cli.column import columns

    shown = columns(names, held := list(rows))
    stream.write("| " + " | ".join(map(_markdown, names)) + " |\n")
    stream.write("| " + " | ".join("---:" if column.is_number else "---" for column in shown) + " |\n")
    for row in held:
        stream.write("| " + " | ".join(_markdown(values.text(value)) for value in row) + " |\n")


def _markdown(text: str) -> str:
    escaped = _MARKUP.sub(r"\\\g<0>", values.visible(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


# What Markdown, and GitHub's, takes for more than itself within a cell: an underscore not inside a word, a backslash
# before punctuation.
_MARKUP = re.compile(r"[|*`~$\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\\(?=[!-/:-@\[-`{-~])")


_WRITERS = {"json": _write_json, "jsonl": _write_jsonl, "csv": _write_csv, "markdown": _write_markdown}


def _write_binary(result: Result, output: Output) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = result.table if output.limit is None else result.table.slice(0, output.limit)
    try:
        with _binary_stream(output.path) as stream:
            if output.format == "parquet":
                pq.write_table(table, stream, compression="zstd")
            else:
                with pa.ipc.new_file(stream, table.schema) as writer:
                    writer.write_table(table)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise UsageError(f"{output.format} cannot hold this result: {error}; cast the column in the SQL") from None


@contextmanager
def _text_stream(path: Path | None) -> Iterator[IO[str]]:
    if path is None:
        if hasattr(sys.stdout, "reconfigure"):  # a redirected stdout may be in a legacy encoding
            sys.stdout.reconfigure(encoding="utf-8", errors=_ODD_PATHS, newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    with _written(path, "w", encoding="utf-8", errors=_ODD_PATHS, newline="") as file:
        yield file
    messages.say(f"written: {path}")


@contextmanager
def _binary_stream(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with _written(path, "wb") as file:
        yield file
    messages.say(f"written: {path}")


@contextmanager
def _written(path: Path, mode: str, **options: Any) -> Iterator[IO[Any]]:
    """A file that takes its place once it is whole: until then there is what was there before."""
    real = Path(os.path.realpath(path))
    # A device or a pipe has no earlier content, and where no file can be made, the one that is there is written.
    is_direct = (real.exists() and not real.is_file()) or not os.access(real.parent, os.W_OK)
    target = real if is_direct else real.with_name(f".tokenlake-{os.getpid()}{real.suffix}")
    try:
        with open(target, mode, **options) as file:
            yield file
        if not is_direct:
            if real.exists():
                target.chmod(real.stat().st_mode & 0o7777)
            os.replace(target, real)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror or error}") from None
    finally:
        if not is_direct:
            target.unlink(missing_ok=True)
