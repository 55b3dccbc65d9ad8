"""Runs the questions: over each corpus, made and ingested in a temporary folder, or over the user's own lake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tokenlake.errors import LakeError, SourceError, UsageError
from tokenlake.lake import Lake
from tokenlake.query import saved
from tokenlake.query.result import Meta
from tokenlake.reproduce import questions
from tokenlake.reproduce.figures import Answer, Figure, compared, worded
from tokenlake.reproduce.questions import Ask, Row
from tokenlake.synth import specs, specs_write
from tokenlake.synth.specs import Spec

Question = Callable[..., Iterable[Answer]]
Asked = Callable[[Meta], None]

QUESTIONS: Final[Mapping[str, Question]] = {
    "R1": questions.totals,
    "R2": questions.totals,
    "R3": questions.weeks,
    "R4": questions.days,
    "R5": questions.dearest_session,
    "R6": questions.dearest_block,
    "R7": questions.prefix,
    "R8": questions.burn,
    "R9": questions.versions,
    "R12": questions.lifetimes,
    "R17": questions.contexts,
    "R19": questions.other_lifetimes,
    "R21": questions.rebuilds,
    "R22": questions.duplicates,
    "29000": questions.totals,
}
"""The question behind each id."""


@dataclass(frozen=True, slots=True)
class OwnFigure:
    """One row of `--own`: a published figure beside the same one of the user's lake."""

    id: str
    source: str
    figure: str
    published: str
    own: str | None
    formula: str
    note: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where figures are from, and what of their corpus is made up."""

    source: str
    ids: str
    title: str
    url: str
    invented: str

    @classmethod
    def of(cls, spec: Spec) -> Source:
        """The source of a spec."""
        ids = ", ".join(dict.fromkeys(figure.id for figure in spec.figures))
        return cls(spec.source, ids, spec.title, spec.url, " ".join(spec.invented.split()))


def specs_folder() -> Path:
    """The folder of the specs: with the samples, in the installed package and in the checkout."""
    return saved.shipped_folder().parent / "data-samples" / "specs"


def known_specs() -> list[Spec]:
    """All specs in the order of their figures. Raises SourceError where they are missing."""
    found = specs.load_all(specs_folder())
    if not found:
        raise SourceError(f"the specs are missing: there is none in {specs_folder()}; install tokenlake again")
    order = list(QUESTIONS)
    return sorted(found, key=lambda spec: min(order.index(figure.id) for figure in spec.figures))


def chosen(ids: Sequence[str]) -> list[tuple[Spec, list[str]]]:
    """The specs of these ids, of figures or of specs, and which of their figures are asked for; all without any.

    Raises UsageError for an id that nothing has.
    """
    known = known_specs()
    wanted = {name.upper() for name in ids}
    names = {spec.id.upper() for spec in known} | QUESTIONS.keys()
    if unknown := sorted(wanted - names):
        by_source = ", ".join(spec.id for spec in known)
        raise UsageError(f"{unknown[0]!r} is no figure; there are {', '.join(QUESTIONS)}, and by source {by_source}")
    result = []
    for spec in known:
        own = list(dict.fromkeys(figure.id for figure in spec.figures))
        taken = own if not wanted or spec.id.upper() in wanted else [name for name in own if name in wanted]
        if taken:
            result.append((spec, taken))
    return result


def reproduce(
    ids: Sequence[str] = (), *, begin: Callable[[Spec], None] | None = None, asked: Asked | None = None
) -> Iterator[Figure]:
    """Every published figure of these ids (default: all) beside what the saved queries compute.

    Each spec is written as transcripts, ingested into a new lake and asked, in a temporary folder. `begin` is told of
    each spec, `asked` of every query with what its answer depends on. Raises UsageError for an unknown id, LakeError
    and its kin where an ingest does.
    """
    for spec, wanted in chosen(ids):
        if begin is not None:
            begin(spec)
        answers: dict[tuple[str, str], Answer] = {}
        if spec.cells:
            with TemporaryDirectory(prefix="tokenlake-reproduce-") as folder:
                answers = _answers(spec, wanted, Path(folder), asked)
        for figure in spec.figures:
            if figure.id in wanted:
                yield compared(spec.source, figure, answers.get((figure.id, figure.name)))


def own(
    lake: Lake, ids: Sequence[str] = (), *, tz: str | None = None, asked: Asked | None = None
) -> Iterator[OwnFigure]:
    """The same questions to a lake, of days in the zone `tz` (default: the machine's).

    Raises UsageError for an unknown id or zone, LakeError and its kin where the lake cannot be read.
    """
    ask = _asker(lake, tz, asked)
    answers: dict[Question, dict[str, Answer]] = {}
    for spec, wanted in chosen(ids):
        for figure in spec.figures:
            if figure.id not in wanted:
                continue
            question = QUESTIONS[figure.id]
            if question not in answers:
                answers[question] = {answer.name: answer for answer in question(ask)}
            answer = answers[question].get(figure.name)
            yield OwnFigure(
                figure.id,
                spec.source,
                figure.name,
                figure.text,
                worded(answer.value, figure.text) if answer else None,
                f"{answer.formula} ({answer.query})" if answer else "",
                answer.of if answer else "the lake has nothing to say to this",
            )


def _answers(spec: Spec, wanted: Sequence[str], folder: Path, asked: Asked | None) -> dict[tuple[str, str], Answer]:
    """What the queries say of the corpus, by id and name."""
    logs, lake = folder / "logs", Lake(folder / "lake")
    try:
        specs_write.write_corpus(spec, logs)
    except OSError as error:
        raise LakeError(
            f"{logs}: cannot be written: {error.strerror or error}; $TMPDIR names a folder with 500 MB of room"
        ) from None
    lake.refresh([logs], host="corpus", totals=False)
    ask = _asker(lake, "UTC", asked)
    answers: dict[tuple[str, str], Answer] = {}
    for name in wanted:
        question = QUESTIONS[name]
        if name == "R5":
            question = partial(question, session=spec.session_id(spec.cells[0].session))
        elif name == "R6":
            question = partial(question, day=str(spec.cells[1].first.date()))
        answers |= {(name, answer.name): answer for answer in question(ask)}
    return answers


def _asker(lake: Lake, tz: str | None, asked: Asked | None) -> Ask:
    """What runs saved queries over the lake, each with the same parameters once."""
    known: dict[str, Sequence[Row]] = {}

    def ask(name: str, /, **params: Any) -> Sequence[Row]:
        key = f"{name} {sorted(params.items())}"
        if key not in known:
            result = lake.run(name, tz=tz, **params)
            if asked is not None:
                asked(result.meta)
            known[key] = result.to_pylist()
        return known[key]

    return ask
