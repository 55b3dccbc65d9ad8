"""Which files are transcripts of Claude Code, and what a whole record in one looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""A transcript's name ends with one of these; the last two are archives."""

SKIPPED_NAMES = frozenset({"journal.jsonl", "sessions-index.json", "history.jsonl", "quota-samples.jsonl"})
SKIPPED_FOLDERS = frozenset({"memory"})


def kind_of(path: PurePath) -> str | None:
    """What sort of transcript a path is, or None where it is none (accounting rule 6).

    Returns main, agent (a subagent's), compaction (the compaction request itself) or workflow.
    """
    name = path.name
    if name in SKIPPED_NAMES or not name.endswith(SUFFIXES) or SKIPPED_FOLDERS.intersection(path.parts):
        return None
    if "workflows" in path.parts:
        return "workflow"
    if name.startswith("agent-acompact-"):
        return "compaction"
    return "agent" if name.startswith("agent-") else "main"


def is_stream_dump(first_record: Mapping[str, Any]) -> bool:
    """Whether a file that starts with this record is output of `--output-format stream-json` (accounting rule 6).

    Such a dump has the snake_case `session_id` alone; transcripts since 2.1.231 carry both spellings.
    """
    if "sessionId" in first_record or "leafUuid" in first_record or "snapshot" in first_record:
        return False
    kind = first_record.get("type")
    return kind in ("stream_event", "result", "rate_limit_event") or "session_id" in first_record


# --- records in damaged lines ---------------------------------------------------------------------------------

RESUME_POINT = re.compile(rb'\{"(?:parentUuid|type)"')
"""Where reading resumes behind a record that was cut off by the next one (accounting rule 2)."""

SESSIONLESS_TYPES = frozenset({"summary", "file-history-snapshot", "file-history-delta"})


def looks_like_record(value: object) -> bool:
    """Whether a JSON value found inside a damaged line is a whole record, not a block of a lost one."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return "sessionId" in value or value["type"] in SESSIONLESS_TYPES
