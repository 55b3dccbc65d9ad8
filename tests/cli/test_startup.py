"""What starting costs: the modules that a command may import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {"duckdb", "polars", "pyarrow", "numpy", "rich", "pandas"}


def imported(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom tokenlake_cli import main\n"
        f"try: main.run({list(arguments)!r})\nexcept SystemExit: pass\n"
        f"print('loaded:' + ' '.join({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(done.stderr.rsplit("loaded:", 1)[1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["cache", "--help"], ["cache", "overhead", "--help"], ["queries", "--help"]]
)
def test_help_imports_no_engine(arguments: list[str]) -> None:
    assert imported(*arguments) == set()


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_a_report_needs_neither_polars_nor_pyarrow(lake, form: str) -> None:
    loaded = imported("cache", "overhead", "--no-refresh", "--lake", str(lake.root), "--format", form)
    assert loaded == ({"duckdb", "rich"} if form == "table" else {"duckdb"})
