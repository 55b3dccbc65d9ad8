"""The reference program against answers that were worked out without it: by hand, and by another program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from accounting.reference import TOKENS, Reference, count
from accounting.reference_reading import read_tree

PUBLISHED = {"requests": "n"} | dict(zip(TOKENS, ("i", "o", "w5", "w1", "r"), strict=True))


def published(figures: Mapping[str, Any]) -> dict[str, int]:
    """Totals of expected.json under our names."""
    return {ours: figures[theirs] for ours, theirs in PUBLISHED.items()}


@pytest.fixture(scope="module")
def real(real_logs: Path) -> tuple[Reference, dict[str, Any]]:
    """The reference's count of the real transcripts, and their published totals."""
    return count(read_tree(real_logs / "projects")), json.loads((real_logs / "expected.json").read_text())


@pytest.mark.parametrize("mode", ["max", "none", "first", "last"])
def test_reference_reproduces_the_published_totals(real: tuple[Reference, dict[str, Any]], mode: str) -> None:
    """In every dedup mode, to the token."""
    reference, expected = real
    assert reference.totals(mode) == published(expected[mode])


def test_reference_reproduces_the_published_groups(real: tuple[Reference, dict[str, Any]]) -> None:
    """By UTC day and by model; and how many requests were seen in two sessions."""
    reference, expected = real
    assert reference.grouped("day") == {day: published(figures) for day, figures in expected["by_day"].items()}
    assert reference.grouped("model") == {name: published(figures) for name, figures in expected["by_model"].items()}
    shared = sum(request["n_sessions"] > 1 for request in reference.requests.values())
    assert shared == expected["shared_between_sessions"]
    assert (len(reference.usage_rows), reference.synthetic) == (expected["usage_rows"], expected["synthetic"])
    assert (reference.records, reference.rejects) == (expected["stats"]["records"], [])


ANSWERS = json.loads((Path(__file__).resolve().parents[2] / "data-samples" / "answers.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def tree(samples: Path) -> dict[str, bytes]:
    """All files of the samples."""
    return read_tree(samples / "logs")


def as_answer(request: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request that an answer names, in the answer's words."""
    shown = {name: request[name] for name in names if name in request}
    for name, value in shown.items():
        if isinstance(value, datetime):
            shown[name] = value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return shown if names["key"] else shown | {"key": None}


@pytest.mark.parametrize("quirk", list(ANSWERS["quirks"]))
def test_reference_gives_the_answers_of_a_sample(tree: dict[str, bytes], quirk: str) -> None:
    """Requests one by one, rejects to the byte, and the counts beside them."""
    answer = ANSWERS["quirks"][quirk]
    found = count({path: data for path, data in tree.items() if path.split("/")[1] in answer["folders"]})
    assert found.totals() == {name: answer[name] for name in ("requests", *TOKENS)}
    left = list(found.requests.values())
    for wanted in answer["request_rows"]:
        known = {name: value for name, value in wanted.items() if not left or name in left[0]}
        hits = [request for request in left if as_answer(request, known) == known]
        assert hits, wanted
        left.remove(hits[0])
    assert [[r.path, r.line, r.offset, r.length] for r in found.rejects] == [
        [reject["file"], reject["line"], reject["offset"], reject["bytes"]] for reject in answer["rejects"]
    ]
    assert (found.records, found.pending, found.refused) == (
        answer["records"],
        answer["pending"],
        answer["refused"],
    )
    assert sum(found.odd_fields.values()) == answer["odd_fields"]
    assert dict(found.prompts) == answer["prompts"]
    assert len(found.tool_calls) == answer["tool_calls"]
    assert len(found.texts) == answer.get("texts", len(found.texts))


def test_reference_gives_the_totals_of_all_samples(tree: dict[str, bytes]) -> None:
    """No quirk disturbs another: the totals are the sums of the quirks."""
    found, answer = count(tree), ANSWERS["totals"]
    assert found.totals() == {name: answer[name] for name in ("requests", *TOKENS)}
    assert found.grouped("day") == answer["by_day"]
    assert found.grouped("model") == answer["by_model"]
    assert (len(found.rejects), found.pending, found.refused) == (
        answer["rejects"],
        answer["pending"],
        answer["refused"],
    )
