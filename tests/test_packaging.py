"""What is installed is what is in the repository: the wheel's content, its size, and no word about this machine."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACES = {"engine/": "", "cli/": "", "queries/": "tokenlake/queries/", "data-samples/": "tokenlake/data-samples/"}
"""Where the folders of the repository are in the wheel."""


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Every file that git tracks here; skips outside of a checkout."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        top = subprocess.run(
            ["git", "rev-parse", "--show-prefix"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not in a git checkout: {error}")
    if top.stdout.strip():
        pytest.skip("the git checkout is another project's, which holds this one")
    # A file that is removed but not committed yet is on its way out.
    names = [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert "pyproject.toml" in names
    return names


@pytest.fixture(scope="module")
def wheel(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    pytest.importorskip("hatchling", reason="hatchling is in the test extra")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def below(tracked: list[str], folder: str) -> list[str]:
    return [name for name in tracked if name.startswith(folder)]


def test_every_tracked_file_is_in_the_wheel_as_it_is(tracked: list[str], wheel: zipfile.ZipFile) -> None:
    held = set(wheel.namelist())
    wanted = {
        name: place + name.removeprefix(folder) for folder, place in PLACES.items() for name in below(tracked, folder)
    }
    assert len(wanted) > 100
    assert [name for name, place in wanted.items() if place not in held] == []
    differing = [name for name, place in wanted.items() if wheel.read(place) != (ROOT / name).read_bytes()]
    assert differing == []


def test_the_wheel_holds_the_two_packages_alone(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    (info,) = (name for name in top if name.endswith(".dist-info"))
    assert top == {"tokenlake", "tokenlake_cli", info}
    assert [name for name in wheel.namelist() if "__pycache__" in name or name.endswith((".pyc", ".parquet"))] == []
    for package in ("tokenlake", "tokenlake_cli"):
        assert f"{package}/py.typed" in wheel.namelist()
    scripts = wheel.read(f"{info}/entry_points.txt").decode()
    assert "tokenlake = tokenlake_cli.main:main" in scripts
    assert "License-Expression: MIT" in wheel.read(f"{info}/METADATA").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_the_samples_are_small(tracked: list[str]) -> None:
    sizes = [(ROOT / name).stat().st_size for name in below(tracked, "data-samples/")]
    assert len(sizes) > 50
    assert sum(sizes) < 1_000_000


# Put together here, so that this file does not hold what it looks for.
FOREIGN = {
    "a path of the machine it was written on": re.compile(rb"(?<![\w./~$}-])/(?:work|tmp/w)(?![\w-])"),
    "the host of a registry": re.compile(
        rb"(?i)\b(?:"
        + rb"|".join((rb"pypi", rb"npmjs", rb"pythonhosted", rb"crates", rb"anaconda"))
        + rb")\.(?:org|io|com)\b"
    ),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_no_tracked_file_speaks_of_where_it_was_written(tracked: list[str], foreign: str) -> None:
    found = [
        f"{name}: {match.group().decode()}"
        for name in tracked
        for match in FOREIGN[foreign].finditer((ROOT / name).read_bytes())
    ]
    assert found == []


def test_what_is_foreign_would_be_found() -> None:
    place, host = FOREIGN.values()
    for machine in (b"/" + b"work", b"/tmp" + b"/w"):
        for text in (b" %s/main", b"'%s/venv", b"=%s", b"(%s)", b"%s\n"):
            assert place.search(text % machine)
    for text in (
        b"$TMP/work",
        b"~/work",
        b"../work",
        b"/workflows/",
        b"/tmp/wheel",
        b"a/work-claude",
        b"/home/ada/work",
    ):
        assert not place.search(text)
    for name in (b"files." + b"pythonhosted" + b".org", b"https://" + b"pypi" + b".org/simple"):
        assert host.search(name)
