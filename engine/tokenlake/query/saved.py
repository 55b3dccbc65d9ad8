"""Saved queries: where their files lie, what their headers say, and the check that declared and used agree.

    -- Title of the query
    -- Help: any number of lines, with the definitions of its columns.
    --
    -- $by text = 'day' {day|week|month}: rows of the result
    -- $top integer = 20 {1..}: how many rows
    -- note: select count(*) || ' requests have no project' from selected where project is null having count(*) > 0
    -- example: tokenlake cost projects --by week

    select ... from selected where ... limit $top

A parameter without a default must be given; `= null` makes it optional. The parameters of every report
($tz, $now and the filters) need no line. A note is a query of its own, with the same parameters: each of its
rows is a sentence to be told beside the result. A folder is a group of commands; the file `cost/projects.sql` is
`tokenlake cost projects`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import QueryError
from tokenlake.query.parameters import COMMON, Parameter, declared

if TYPE_CHECKING:
    import duckdb

NOT_SAVED = ("views", "tables")
"""Folders that hold what the queries are made with."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
_USE = re.compile(r"\$([a-zA-Z_][a-zA-Z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Note:
    """A query whose rows are told beside the result, and the line of the file on which it stands."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """One `.sql` file: `name` is its path below the folder, without the suffix; `text` is the whole file."""

    name: str
    path: Path
    title: str
    help: str
    parameters: tuple[Parameter, ...]
    notes: tuple[Note, ...]
    examples: tuple[str, ...]
    text: str

    @property
    def body(self) -> str:
        """The text without its comment lines."""
        return "\n".join(line for line in self.text.splitlines() if not line.lstrip().startswith("--"))

    @property
    def reads(self) -> str:
        """All SQL of it, that of its notes too."""
        return "\n".join([self.body, *(note.text for note in self.notes)])

    @property
    def shows_output(self) -> bool:
        """Whether it or a note reads output or cost, which partial output makes a lower bound (accounting rule 16)."""
        return re.search(r"\b(output_tokens|cost\w*)\b", self.reads) is not None


@dataclass(frozen=True, slots=True)
class Library:
    """All saved queries by name, and why the others could not be loaded."""

    queries: dict[str, SavedQuery]
    errors: tuple[QueryError, ...]


def user_folder() -> Path:
    """The user's own queries: $TOKENLAKE_QUERIES, else `tokenlake/queries` in the user's configuration."""
    if own := os.environ.get("TOKENLAKE_QUERIES"):
        return Path(own).expanduser()
    from platformdirs import user_config_path

    return user_config_path("tokenlake", appauthor=False) / "queries"


def shipped_folder() -> Path:
    """The queries that come with the program: in the installed package, else at the checkout's root."""
    # The same place as importlib.resources.files("tokenlake"), without its import: `--help` passes here.
    package = Path(__file__).resolve().parents[1]
    installed = package / "queries"
    return installed if installed.is_dir() else package.parents[1] / "queries"


def folders() -> tuple[Path, ...]:
    """The folders of saved queries; of two queries with one name, the one in the earlier folder counts."""
    return user_folder(), shipped_folder()


def is_name(name: str) -> bool:
    """Whether a text can be the name of a query."""
    return _NAME.fullmatch(name) is not None


def is_own(path: Path) -> bool:
    """Whether a query's file is the user's, not one that comes with the program."""
    return path.is_relative_to(user_folder())


def files() -> dict[str, Path]:
    """Every saved query's file by name, sorted, without opening any."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in _sql_files(folder):
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
    return dict(sorted(found.items()))


def header(name: str, path: Path) -> SavedQuery:
    """The query as its header declares it, the SQL unparsed; QueryError names file, line and reason."""
    query, problems = examined(name, path)
    if problems or query is None:
        raise problems[0]
    return query


def examined(name: str, path: Path) -> tuple[SavedQuery | None, list[QueryError]]:
    """What a file's header declares, as far as it can be read, and every problem of it in the order of lines."""
    if not is_name(name):
        reason = "a query's file and folder are named with a-z, 0-9, - and _ only; rename it"
        return None, [QueryError(f"{path}:1: {reason}")]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return None, [QueryError(f"{path}:1: cannot be read: {error}")]
    problems: list[QueryError] = []
    help_lines: list[str] = []
    parameters: dict[str, Parameter] = {}
    notes: list[Note] = []
    examples: list[str] = []
    for number, comment in header_lines(text):
        if comment.startswith("$"):
            try:
                parameter = declared(comment, number)
                if parameter.name in parameters:
                    raise QueryError(f"${parameter.name} is declared twice")
            except QueryError as error:
                problems.append(QueryError(f"{path}:{number}: {error}"))
            else:
                parameters[parameter.name] = parameter
        elif comment.startswith("note:"):
            notes.append(Note(comment.removeprefix("note:").strip(), number))
        elif comment.startswith("example:"):
            examples.append(comment.removeprefix("example:").strip())
        else:
            help_lines.append(comment)
    if not help_lines or not help_lines[0]:
        reason = "has no title: begin the file with a comment line that says what it answers"
        return None, [QueryError(f"{path}:1: {reason}"), *problems]
    title, *rest = help_lines
    help_ = "\n".join(rest).strip("\n")
    return SavedQuery(
        name, path, title, help_, tuple(parameters.values()), tuple(notes), tuple(examples), text
    ), problems


def path_of(name: str) -> Path:
    """The file of a saved query; QueryError, with a name that is near, where there is none."""
    known = files()
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`tokenlake queries` lists them"
        raise QueryError(f"there is no saved query {name!r}: {hint}")
    return known[name]


def load(name: str) -> SavedQuery:
    """The saved query of a name, checked; QueryError where there is none, or its file is broken."""
    query = header(name, path_of(name))
    check(query)
    return query


def load_all() -> Library:
    """Every saved query, checked; a broken file is reported in `errors` and does not hurt the others."""
    loaded: dict[str, SavedQuery] = {}
    errors: list[QueryError] = []
    for name, path in files().items():
        try:
            query = header(name, path)
            check(query)
        except QueryError as error:
            errors.append(error)
        else:
            loaded[name] = query
    return Library(loaded, tuple(errors))


def check(query: SavedQuery, connection: duckdb.DuckDBPyConnection | None = None) -> None:
    """Raises QueryError unless the SQL is one query that parses and uses exactly the declared parameters."""
    if problems := problems_of_sql(query, connection):
        raise problems[0]


def problems_of_sql(query: SavedQuery, connection: duckdb.DuckDBPyConnection | None = None) -> list[QueryError]:
    """Every problem that the SQL has by itself: syntax, kind, and parameters that are unused or undeclared.

    It is parsed by `connection` where there is one: to open another takes longer than all the rest.
    """
    import duckdb

    used: dict[str, int] = {}
    for what, text, first_line in (("saved query", query.text, 1), *(("note", n.text, n.line) for n in query.notes)):
        try:
            statements = (connection or duckdb).extract_statements(text)
        except duckdb.Error as error:
            reason, line = explained(error)
            return [QueryError(f"{query.path}:{first_line - 1 + (line or 1)}: {reason}")]
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            reason = f"a {what} is exactly one SELECT, this holds {_kinds(statements)}"
            return [QueryError(f"{query.path}:{first_line}: {reason}")]
        for name in statements[0].named_parameters:
            used.setdefault(name, first_line if what == "note" else _line_of_use(query.text, name))
    names = {parameter.name for parameter in query.parameters}
    problems = [
        QueryError(f"{query.path}:{parameter.line}: ${parameter.name} is declared and never used")
        for parameter in query.parameters
        if parameter.name not in used
    ]
    undeclared = sorted((line, name) for name, line in used.items() if name not in names and name not in COMMON)
    problems += [
        QueryError(
            f"{query.path}:{line}: ${name} is used and not declared: "
            f"add `-- ${name} type = default: text` to the header"
        )
        for line, name in undeclared
    ]
    return problems


def explained(error: Exception) -> tuple[str, int | None]:
    """DuckDB's message on one line, and the line of the SQL that it speaks of, where it says so."""
    text = str(error)
    line = re.search(r"^LINE (\d+):.*", text, re.MULTILINE | re.DOTALL)
    reason = " ".join((text[: line.start()] if line else text).split())
    return reason, int(line[1]) if line else None


def header_lines(text: str) -> Iterator[tuple[int, str]]:
    """Line numbers and texts, without the dashes, of the comment block at the top of a file of SQL."""
    begun = False
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        stripped = line.strip()
        if not stripped.startswith("--"):
            if begun or stripped:
                return
            continue
        begun = True
        yield number, stripped.removeprefix("--").removeprefix(" ").rstrip()


def _sql_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*.sql")):
        parts = path.relative_to(folder).parts
        if parts[0] not in NOT_SAVED and not any(part.startswith(".") for part in parts):
            yield path


def _line_of_use(text: str, name: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if name in _USE.findall(line.partition("--")[0]):
            return number
    return 1


def _kinds(statements: Sequence[object]) -> str:
    kinds = [str(getattr(statement, "type", "")).rsplit(".", 1)[-1] for statement in statements]
    return ", ".join(kinds) or "nothing"
