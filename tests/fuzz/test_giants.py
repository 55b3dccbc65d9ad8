"""Lines of 64 MB: read in bounded memory, and what stands beside them is read too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import S1, assistant, jsonl, line, usage, user

SIZE = 64_000_000
IMAGE = {"type": "image", "source": {"type": "base64", "data": "D"}}
INGEST = """
import json, resource, sys
from tokenlake.lake import Lake
lake = Lake(sys.argv[1])
lake.refresh([sys.argv[2]], host="h")
[file] = lake.sql("from files").to_pylist()
[rows] = lake.sql("select count(*) as requests, sum(output_tokens)::bigint as output from requests").to_pylist()
[said] = lake.sql("select max(chars) as chars from prompts").to_pylist()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 << 10 if sys.platform != "darwin" else 1 << 20)
print(json.dumps({**file, **rows, **said, "peak_mib": peak}, default=str))
"""


def ingested(tmp_path: Path, data: bytes) -> dict[str, Any]:
    """The only file of a lake that a process of its own made, sums of its requests, and that process's peak memory."""
    path = tmp_path / "logs" / f"{S1}.jsonl"
    path.parent.mkdir()
    path.write_bytes(data)
    ran = subprocess.run(
        [sys.executable, "-c", INGEST, str(tmp_path / "lake"), str(path.parent)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, Any] = json.loads(ran.stdout)
    parts = ("record_bytes", "rejected_bytes", "newline_bytes", "blank_bytes", "pending_bytes")
    assert sum(found[part] for part in parts) == len(data)
    path.unlink()
    return found


@pytest.mark.parametrize("kind", ["image", "prompt", "small values"])
def test_a_record_of_64_mb_between_two_others(tmp_path: Path, kind: str) -> None:
    giant = {
        "image": lambda: line(user([IMAGE])).replace(b'"D"', b'"' + b"D" * SIZE + b'"'),
        "prompt": lambda: line(user("D")).replace(b'"D"', b'"' + b"D" * SIZE + b'"'),
        "small values": lambda: line(user("D", toolUseResult="T")).replace(b'"T"', b"[1" + b",1" * (SIZE // 50) + b"]"),
    }[kind]()
    data = jsonl(assistant("msg_1", usage(11))) + giant + b"\n" + jsonl(assistant("msg_2", usage(7), "09:01"))
    found = ingested(tmp_path, data)
    assert (found["records"], found["rejects"], found["odd_fields"]) == (3, 0, 0)
    assert (found["requests"], found["output"]) == (2, 18)
    if kind == "prompt":
        assert found["chars"] == SIZE
    assert found["peak_mib"] < 2000


def test_a_line_of_64_mb_of_joined_and_cut_records(tmp_path: Path) -> None:
    """Sixty thousand records of a kilobyte on one line, a thousandth of them cut off by the next."""
    whole = line(user("D", uuid="same", attribution="x" * 800))
    cut = whole[:-200]
    data = (whole * 999 + cut) * (SIZE // 1000 // len(whole)) + line(assistant("msg_1", usage(11))) + b"\n"
    found = ingested(tmp_path, data)
    cuts = SIZE // 1000 // len(whole)
    assert (found["records"], found["rejects"]) == (999 * cuts + 1, cuts)
    assert (found["output"], found["rejected_bytes"]) == (11, cuts * len(cut))
    assert found["peak_mib"] < 2000
