"""What one ingest, merge or rebuild did, as shown when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """Counts of one ingest, then the totals of the lake after it.

    `files_*`, `bytes_read`, `lines`, `records`, `rejects`, `odd_fields` speak of this ingest alone, of transcripts,
    `rejects` and `odd_fields` also of the files beside them (history.jsonl, quota-samples.jsonl); `requests`
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


@dataclass(frozen=True, slots=True)
class MergeSummary:
    """What came of merging another lake into one.

    Of the `files_other` transcripts of the other lake, `files_new` were not known here, `files_replaced` were changed
    later or read further there, or have texts there that were missing here, `files_same` are alike, and of
    `files_older` this lake knows more. `requests_before` and `requests_other` are those of the two lakes; `lake` has
    the totals after the merge, where a request that both held counts once.
    """

    files_other: int = 0
    files_new: int = 0
    files_replaced: int = 0
    files_same: int = 0
    files_older: int = 0
    requests_before: int = 0
    requests_other: int = 0
    lake: IngestSummary = field(default_factory=IngestSummary)
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RebuildSummary:
    """What a rebuild did: `files` were made anew from `lines` and `bytes_read` that the lake kept.

    The rows of `files_taken_over` transcripts, whose bytes were not all kept, are as they were; `lake` has the totals
    of the lake afterwards.
    """

    files: int = 0
    files_taken_over: int = 0
    lines: int = 0
    bytes_read: int = 0
    records: int = 0
    rejects: int = 0
    odd_fields: int = 0
    lake: IngestSummary = field(default_factory=IngestSummary)
    seconds: float = 0.0
