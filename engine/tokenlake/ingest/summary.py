"""What one ingest did, as shown when it ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """Counts of one ingest, then the totals of the lake after it.

    `files_*`, `bytes_read`, `lines`, `records`, `rejects`, `odd_fields` speak of this ingest alone; `requests`
    and the token totals speak of the whole lake (deduplicated by accounting rules 8 to 11).
    """

    files_found: int = 0
    files_read: int = 0
    files_unchanged: int = 0
    files_departed: int = 0
    files_refused: int = 0
    bytes_read: int = 0
    lines: int = 0
    records: int = 0
    rejects: int = 0
    odd_fields: int = 0
    pending_bytes: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
