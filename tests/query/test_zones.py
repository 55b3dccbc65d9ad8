"""Time zones: the machine's, and names that are none."""

from __future__ import annotations

import re

import pytest

from tokenlake.errors import UsageError
from tokenlake.query import zones


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Asia/Taipei", "Asia/Taipei"),
        (":Asia/Taipei", "Asia/Taipei"),
        ("", "UTC"),
        ("UTC", "UTC"),
        ("/usr/share/zoneinfo/Asia/Taipei", "Asia/Taipei"),
    ],
)
def test_the_environment_names_the_zone(monkeypatch: pytest.MonkeyPatch, value: str, expected: str) -> None:
    monkeypatch.setenv("TZ", value)
    assert zones.machine_zone() == expected


def test_a_wrong_zone_in_the_environment_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Mars/Olympus")
    with pytest.raises(UsageError, match=r"^\$TZ: 'Mars/Olympus' is not a time zone.*--tz"):
        zones.machine_zone()


def test_without_it_the_machine_has_some_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ")
    zones.zone(zones.machine_zone())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Asia/Taipeh", "did you mean Asia/Taipei?"),
        ("taipei", "did you mean Asia/Taipei?"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("nowhere at all", "give an IANA name"),
        ("../../etc/passwd", "give an IANA name"),
        ("", "give an IANA name"),
    ],
)
def test_a_name_that_is_none_gets_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"{name!r} is not a time zone: {hint}")):
        zones.zone(name)
