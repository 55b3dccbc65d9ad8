"""A result's form follows the ending of its file, unless it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenlake_cli.options import report

COMMON = {"limit": None, "lake": None, "roots": (), "refresh": False}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.csv", "csv"),
        ("a.json", "json"),
        ("a.JSONL", "jsonl"),
        ("a.md", "markdown"),
        ("a.txt", "table"),
        ("a", "table"),
    ],
)
def test_the_ending_names_the_form(name: str, form: str) -> None:
    assert report({"format_": None, "output": Path(name), **COMMON}).output.format == form


def test_a_named_form_goes_before_the_ending() -> None:
    assert report({"format_": "json", "output": Path("a.csv"), **COMMON}).output.format == "json"


def test_without_a_file_it_is_a_table() -> None:
    assert report({"format_": None, "output": None, **COMMON}).output.format == "table"
