"""What ccusage, the peer, says of a folder of transcripts; skips where the program is not installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

KINDS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_write_tokens": "cacheCreationTokens",
    "cache_read_tokens": "cacheReadTokens",
}


def daily(root: Path) -> dict[str, dict[str, int]]:
    """Tokens by kind and UTC day, as `ccusage claude daily` counts them."""
    program = os.environ.get("CCUSAGE_BIN") or shutil.which("ccusage")
    if not program:
        pytest.skip("ccusage is neither named by CCUSAGE_BIN nor on the PATH")
    command = [program, "claude", "daily", "--json", "--offline", "-m", "calculate", "-z", "UTC"]
    environment = {**os.environ, "CLAUDE_CONFIG_DIR": str(root), "TZ": "UTC"}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return {day["date"]: {ours: day[theirs] for ours, theirs in KINDS.items()} for day in json.loads(output)["daily"]}


def as_ccusage(listed: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Rows of cache/overhead by day, with the two kinds of cache writes in one count."""
    found = {}
    for row in listed:
        writes = row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"]
        found[row["by"]] = {name: row.get(name, writes) for name in KINDS}
    return found
