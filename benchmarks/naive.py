"""The script that people write first: `json.loads` on each line, usage added up. Run on its own, it needs only Python.

`python naive.py FOLDER` counts every row; `--by-id` keeps the last row of each message id.
"""

import json
import sys
from pathlib import Path
from typing import Any

KINDS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
}


def main(arguments: list[str]) -> None:
    """Print the totals of a folder as JSON."""
    by_id = "--by-id" in arguments
    [folder] = [argument for argument in arguments if argument != "--by-id"]
    kept: dict[Any, dict[str, Any]] = {}
    for path in sorted(Path(folder).rglob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(record, dict) or record.get("type") != "assistant":
                    continue
                message = record.get("message") or {}
                usage = message.get("usage")
                if isinstance(usage, dict):
                    key = message.get("id") if by_id else None
                    kept[key if key is not None else len(kept)] = usage
    totals = {name: sum(_number(usage.get(field)) for usage in kept.values()) for name, field in KINDS.items()}
    print(json.dumps(totals))


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


if __name__ == "__main__":
    main(sys.argv[1:])
