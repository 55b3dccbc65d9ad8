"""What all tests share: where samples and real transcripts are, and a lake made of a few written files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from tokenlake.lake import Lake

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS))

_quiet: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("quick", max_examples=10, derandomize=True, phases=(Phase.explicit, Phase.generate), **_quiet)
settings.register_profile("deep", max_examples=200, **_quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

Ingest = Callable[..., "Lake"]


@pytest.fixture(scope="session")
def price_surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables by which prices are those of nobody, and kept where no one else looks."""
    folder = tmp_path_factory.mktemp("prices")
    own = folder / "own.csv"
    own.touch()
    return {"TOKENLAKE_PRICES": str(own), "TOKENLAKE_CACHE": str(folder / "cache")}


@pytest.fixture(autouse=True)
def _no_logs_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, price_surroundings: dict[str, str]) -> None:
    """A test that forgets to name a lake or a root must not find those of whoever runs it, nor their prices."""
    for name, value in price_surroundings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOKENLAKE_HOME", str(tmp_path / "home-lake"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "no-logs"))


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder data-samples of this checkout."""
    return ROOT / "data-samples"


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """The folder of published real transcripts beside this checkout; skips where it is absent."""
    folder = ROOT.parent / "shared" / "data" / "real-logs"
    if not (folder / "expected.json").is_file():
        pytest.skip(f"no real transcripts at {folder}")
    return folder


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """The folder that stands for ~/.claude in this test; what it holds is below projects/."""
    return tmp_path / "logs"


@pytest.fixture
def ingest(tmp_path: Path, logs: Path) -> Ingest:
    """A function that writes files (path below projects/ to bytes) and refreshes the test's one lake."""
    from tokenlake.lake import Lake

    lake = Lake(tmp_path / "lake")

    def run(tree: Mapping[str, bytes], host: str = "h", root: Path = logs, **options: Any) -> Lake:
        root.mkdir(parents=True, exist_ok=True)
        for name, data in tree.items():
            path = root / "projects" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        lake.refresh([root], host=host, **options)
        return lake

    return run
