"""Requests on both sides of the instant 0, from which quarter hours are counted, fall into days of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.query import lakes

from tokenlake.query.run import run

TIMES = ("1969-12-31T23:30:00", "1969-12-31T23:50:00", "1970-01-01T00:05:00")


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("cost/daily", {}, [2, 1]),
        ("cache/overhead", {"by": "day"}, [2, 1]),
        ("cache/ttl-mix", {}, [2, 1]),
        ("cache/savings", {"by": "day"}, [2, 1]),
        ("cache/rebuild-causes", {}, [1, 1]),  # each writes anew what the one before it had written
        ("behaviour/long-context", {"by": "day"}, [2, 1]),
    ],
)
def test_quarter_hours_are_rounded_down(
    tmp_path: Path, name: str, params: dict[str, object], expected: list[int]
) -> None:
    rows = [lakes.request(f"r{n}", ts, (1, 1, 50_000, 0, 0), offset=n) for n, ts in enumerate(TIMES)]
    lake = lakes.publish(tmp_path, {"requests": rows})
    found = run(lake, name, {"tz": "UTC", **params}).to_pylist()
    days = [str(row.get("by") or row.get("day")) for row in found]
    counts = [row.get("requests", row.get("rebuilds")) for row in found]
    assert dict(zip(days, counts, strict=True)) == dict(zip(("1969-12-31", "1970-01-01"), expected, strict=True))
