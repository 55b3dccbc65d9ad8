"""Every rule on rows made by hand: told by name, to the token and the dollar, and nothing left over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from accounting.transcripts import line
from reconcile.cases import CASES, FIRST_DAY, Case, Name
from reconcile.conftest import reconciled, without_program, write

if TYPE_CHECKING:
    from tokenlake.reconcile import Reconciliation


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    """The cases, each with names and a day of its own."""
    return {case: make(Name(number, case)) for number, (case, make) in enumerate(CASES.items())}


@pytest.fixture(scope="module", params=["model", "program"])
def found(
    request: pytest.FixtureRequest, cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reconciliation]:
    """All cases in one tree, reconciled with the program, and with the model of it."""
    program = request.getfixturevalue("program") if request.param == "program" else None
    from tokenlake.lake import Lake

    folder = tmp_path_factory.mktemp("rules")
    for case, made in cases.items():
        rows = {
            f"-{case}/{name}": b"".join((item if isinstance(item, bytes) else line(item)) + b"\n" for item in items)
            for name, items in made.files.items()
        }
        write(folder / "logs", rows)
    lake = Lake(folder / "lake")
    lake.refresh([folder / "logs"], host="h")
    with pytest.MonkeyPatch.context() as patch:
        if program is None:
            without_program(patch)
        made_up = reconciled(lake, folder / "logs", program)
    with closing(made_up.connection):
        yield made_up


@pytest.mark.parametrize("case", CASES)
def test_the_rule_is_told(found: Reconciliation, cases: dict[str, Case], case: str) -> None:
    """The differences of the case's day by rule, and no other."""
    rows = [row for row in found.rows().to_pylist() if f"/-{case}/" in row["file"]]
    told: dict[str, Any] = {}
    for row in rows:
        requests, tokens, dollars = told.get(row["rule"], (0, 0, Decimal(0)))
        counts = (row[f"{kind}_tokens"] for kind in ("input", "output", "cache_write", "cache_read"))
        told[row["rule"]] = (requests + row["requests"], tokens + sum(counts), dollars + row["cost"])
    wanted = cases[case].rules
    assert {rule: amount[: len(wanted.get(rule, "ab"))] for rule, amount in told.items()} == {
        rule: (*amount[:2], *map(Decimal, amount[2:])) for rule, amount in wanted.items()
    }


def test_nothing_is_unexplained(found: Reconciliation) -> None:
    """Neither a token nor a dollar, on any day of any model."""
    assert (found.unexplained_tokens, found.unexplained_cost) == (0, 0.0)
    assert found.is_explained
    for row in found.table("day-model").to_pylist():
        assert row["tokens_unexplained"] == row["cost_unexplained"] == 0
        assert row["tokens"] + row["tokens_explained"] == row["ccusage_tokens"]
        assert row["cost"] + row["cost_explained"] == row["ccusage_cost"]


def test_a_rule_names_file_line_and_key(found: Reconciliation) -> None:
    (row,) = [row for row in found.rows("number").to_pylist() if "/-count-float/" in row["file"]]
    assert (row["line"], row["key"], row["model"]) == (1, "msg_count-float_a", "claude-sonnet-4-6")
    assert Path(row["file"]).name == "s.jsonl"
    assert (row["input_tokens"], row["output_tokens"], row["requests"]) == (-2, -10, -1)


def test_a_move_to_another_day_takes_from_one_and_gives_to_the_other(found: Reconciliation) -> None:
    rows = [row for row in found.rows("another day").to_pylist() if "/-another-day/" in row["file"]]
    number = list(CASES).index("another-day")
    days = [(row["day"] - FIRST_DAY).days - 3 * number for row in rows]
    assert [(day, row["output_tokens"]) for day, row in zip(days, rows, strict=True)] == [(0, -40), (1, 40)]


def test_every_rule_has_a_meaning(found: Reconciliation) -> None:
    assert [row["rule"] for row in found.table("rule").to_pylist() if not row["meaning"]] == []
