"""The tables of a lake: every column with its type, unit and source, and the schema version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 3
"""Raised by one with every change that an older reader would misread; `store/migrate.py` says what each changed."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its DuckDB type (also its Parquet type), and what it holds, with its unit."""

    name: str
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what a row is, the column that names its row, the sort order, and its columns.

    `id` is the column that must be unique in the table, or None for a table of rows as logged.
    `monthly` tables are partitioned by the UTC month of `order[0]` (accounting rule 26).
    """

    name: str
    text: str
    id: str | None
    order: tuple[str, ...]
    columns: tuple[Column, ...]
    monthly: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)


def _columns(*lines: str) -> tuple[Column, ...]:
    parts = (line.split(maxsplit=2) for line in lines)
    return tuple(Column(name, kind, text) for name, kind, text in parts)


_PROVENANCE = (
    "host VARCHAR name of the machine whose logs these are",
    "file_id BIGINT the transcript, as in files.file_id",
    "offset BIGINT byte at which the record starts in that transcript",
)

_COUNTS = (
    "input_tokens BIGINT uncached input tokens (accounting rule 14)",
    "output_tokens BIGINT output tokens, thinking included",
    "cache_write_5m_tokens BIGINT tokens written to the 5-minute cache, unsplit writes included (rule 14)",
    "cache_write_1h_tokens BIGINT tokens written to the 1-hour cache",
    "cache_read_tokens BIGINT tokens read from the cache",
)

USAGE_ROWS = Table(
    "usage_rows",
    "record that carries usage, as logged; never deduplicated (accounting rule 7)",
    None,
    ("ts", "file_id", "offset"),
    _columns(
        "key VARCHAR request key: message id, else uuid, else file and offset (accounting rule 8)",
        "message_id VARCHAR message.id as logged",
        "request_id VARCHAR requestId as logged",
        "uuid VARCHAR uuid of the record",
        "origin VARCHAR assistant | agent_progress | advisor (accounting rule 7)",
        "session_id VARCHAR sessionId of the record",
        "forked_from VARCHAR forkedFrom.sessionId, where given",
        "agent_id VARCHAR agentId of a subagent's record",
        "is_sidechain BOOLEAN record of a subagent",
        "ts TIMESTAMPTZ time of the record, UTC (accounting rules 25 and 26)",
        "cwd VARCHAR working directory",
        "git_branch VARCHAR git branch",
        "version VARCHAR version of the agent that wrote the record",
        "entrypoint VARCHAR cli | sdk-cli | claude-desktop ...",
        "prompt_id VARCHAR promptId of the user turn that the record answers",
        "model VARCHAR model as logged",
        *_COUNTS,
        "cache_write_flat_tokens BIGINT cache_creation_input_tokens as logged, null where absent",
        "cache_split_present BOOLEAN the record has a cache_creation object",
        "cache_write_unsplit_tokens BIGINT what the flat count has beyond the split, counted as 5-minute writes",
        "web_searches BIGINT usage.server_tool_use.web_search_requests",
        "service_tier VARCHAR standard | batch | priority",
        "speed VARCHAR standard | fast",
        "inference_geo VARCHAR region of inference, as logged",
        "effort VARCHAR effort level, as logged",
        "stop_reason VARCHAR message.stop_reason, null while streaming",
        "text_chars BIGINT characters of text blocks of this record",
        "thinking_chars BIGINT characters of visible thinking of this record",
        "tool_calls BIGINT tool_use blocks of this record",
        "cost_logged DECIMAL(18,9) costUSD as logged (versions before 1.0.9), dollars",
        "ccusage_skips VARCHAR why ccusage leaves this record out, null where it counts it (dedup = ccusage)",
        *_PROVENANCE,
        "line BIGINT line number in the transcript, from 1",
    ),
)

REQUESTS = Table(
    "requests",
    "API request (accounting rules 7 to 16)",
    "key",
    ("ts", "key"),
    _columns(
        "key VARCHAR request key (accounting rule 8)",
        "ts TIMESTAMPTZ earliest time of its rows, UTC",
        "last_ts TIMESTAMPTZ latest time of its rows, UTC",
        "session_id VARCHAR session that owns it (accounting rule 11)",
        "project VARCHAR working directory (cwd) where the request was made: that of the owner's copy",
        "git_branch VARCHAR git branch there",
        "host VARCHAR name of that machine",
        "agent VARCHAR claude-code",
        "version VARCHAR agent version",
        "entrypoint VARCHAR cli | sdk-cli | claude-desktop ...",
        "model VARCHAR model as logged",
        "origin VARCHAR assistant | agent_progress | advisor",
        "is_sidechain BOOLEAN request of a subagent",
        "agent_id VARCHAR subagent, null for the main thread",
        "prompt_id VARCHAR user turn",
        *_COUNTS,
        "context_tokens BIGINT input + both cache writes + cache read (accounting rule 15)",
        "web_searches BIGINT web searches (accounting rule 17)",
        "service_tier VARCHAR standard | batch | priority",
        "speed VARCHAR standard | fast",
        "inference_geo VARCHAR region of inference, as logged",
        "effort VARCHAR effort level, as logged",
        "stop_reason VARCHAR stop reason of the kept row, else of any row",
        "output_is_partial BOOLEAN its output count was never finalised (accounting rule 16)",
        "n_rows BIGINT usage rows of this request in the lake",
        "n_sessions BIGINT sessions in which it was seen",
        "text_chars BIGINT characters of its text",
        "thinking_chars BIGINT characters of its visible thinking",
        "tool_calls BIGINT its tool calls",
        "cost_logged DECIMAL(18,9) costUSD as logged, dollars",
        "file_id BIGINT transcript of the kept row",
        "offset BIGINT byte at which the kept row starts",
    ),
)

_NOT_SUMMED = "a count is unknown, all tokens reach a billion, searches a million, or logged costs a million dollars"

REQUEST_SUMS = Table(
    "request_sums",
    "requests of a quarter hour that share session and price, summed by data file: what reports of totals read",
    None,
    (
        *("first_ts", "session_id", "project", "host", "version", "model", "is_sidechain"),
        *("is_fast", "is_us", "is_batch", "min_context_tokens", "web_searches", "cost_logged"),
    ),
    _columns(
        "first_ts TIMESTAMPTZ earliest time of the requests, UTC; all are of one quarter hour",
        "last_ts TIMESTAMPTZ latest time of them, UTC",
        "session_id VARCHAR session that owns them (accounting rule 11)",
        "project VARCHAR working directory (cwd) where they were made",
        "host VARCHAR name of that machine",
        "version VARCHAR agent version",
        "model VARCHAR model as logged",
        "is_sidechain BOOLEAN requests of subagents",
        "is_fast BOOLEAN requests in fast mode (accounting rule 20)",
        "is_us BOOLEAN requests with inference in the US",
        "is_batch BOOLEAN requests of the batch tier",
        "requests BIGINT how many they are",
        "partial_requests BIGINT those of them whose output was never finalised (accounting rule 16)",
        "min_context_tokens BIGINT least context of them (accounting rule 15)",
        "max_context_tokens BIGINT largest context of them",
        # Null in a row of which not all is known, or too much for exact prices: its requests are read then.
        *(f"{line}; null where {_NOT_SUMMED}" for line in _COUNTS),
        "web_searches BIGINT web searches (accounting rule 17), of every request or of none; null as the tokens are",
        "cost_logged DECIMAL(18,9) costUSD as logged, dollars, of every request or of none; null as the tokens are",
    ),
)

TOOL_ROWS = Table(
    "tool_rows",
    "tool_use or tool_result block, as logged; never deduplicated: what tool_calls is made from",
    None,
    ("ts", "file_id", "offset"),
    _columns(
        "tool_use_id VARCHAR id that joins use and result",
        "side VARCHAR use | result",
        "origin VARCHAR assistant | agent_progress",
        "key VARCHAR request key of the use",
        "session_id VARCHAR sessionId of the record",
        "agent_id VARCHAR subagent of the record",
        "is_sidechain BOOLEAN record of a subagent",
        "ts TIMESTAMPTZ time of the record, UTC",
        "name VARCHAR tool name (use)",
        "target VARCHAR file path, command, pattern, url or query (use)",
        "input_bytes BIGINT bytes of the input as JSON (use)",
        "result_bytes BIGINT bytes of the result's content (result)",
        "is_error BOOLEAN the result is an error (result)",
        "denied BOOLEAN the user or a rule refused the call (result)",
        "search_count BIGINT toolUseResult.searchCount of a WebSearch (result)",
        *_PROVENANCE,
    ),
)

TOOL_CALLS = Table(
    "tool_calls",
    "tool_use, joined to its result",
    "tool_use_id",
    ("ts", "tool_use_id"),
    _columns(
        "tool_use_id VARCHAR id of the call",
        "key VARCHAR request that made it, as in requests.key",
        "session_id VARCHAR session that owns it (accounting rule 11)",
        "agent_id VARCHAR subagent, null for the main thread",
        "is_sidechain BOOLEAN call of a subagent",
        "ts TIMESTAMPTZ time of the call, UTC",
        "result_ts TIMESTAMPTZ time of its result, null while there is none",
        "name VARCHAR tool name",
        "target VARCHAR file path, command, pattern, url or query",
        "input_bytes BIGINT bytes of the input as JSON",
        "result_bytes BIGINT bytes of the result's content",
        "is_error BOOLEAN the result is an error",
        "denied BOOLEAN the user or a rule refused the call",
        *_PROVENANCE,
    ),
)

PROMPTS = Table(
    "prompts",
    "human act: something typed, queued, interrupted, or a task's notification",
    "id",
    ("ts", "id"),
    _columns(
        "id VARCHAR uuid of the record, else file and offset",
        "uuid VARCHAR uuid of the record",
        "session_id VARCHAR session that owns it (accounting rule 11)",
        "prompt_id VARCHAR promptId: the user turn",
        "ts TIMESTAMPTZ time, UTC",
        "kind VARCHAR typed | slash | bash | queued | interrupt | task-notification",
        "chars BIGINT characters of the text",
        "text VARCHAR the text; null with --no-text",
        "project VARCHAR working directory (cwd)",
        *_PROVENANCE,
    ),
)

TEXTS = Table(
    "texts",
    "assistant text block",
    "id",
    ("ts", "id"),
    _columns(
        "id VARCHAR uuid of the record, else file and offset, and the block's number in it",
        "key VARCHAR request, as in requests.key",
        "session_id VARCHAR session that owns it (accounting rule 11)",
        "agent_id VARCHAR subagent, null for the main thread",
        "is_sidechain BOOLEAN text of a subagent",
        "ts TIMESTAMPTZ time, UTC",
        "chars BIGINT characters of the text",
        "text VARCHAR the text; null with --no-text",
        *_PROVENANCE,
        "line BIGINT line number in the transcript, from 1",
    ),
)

EVENTS = Table(
    "events",
    "anything else that has a time: compactions, api errors, limit hits, retries, turn durations, titles ...",
    "id",
    ("ts", "id"),
    _columns(
        "id VARCHAR uuid of the record, else file and offset",
        "type VARCHAR record type as logged: system, progress, attachment, assistant (synthetic) ...",
        "subtype VARCHAR subtype as logged; limit | api_error | synthetic for synthetic assistant records",
        "session_id VARCHAR session that owns it (accounting rule 11)",
        "agent_id VARCHAR subagent, null for the main thread",
        "is_sidechain BOOLEAN event of a subagent",
        "ts TIMESTAMPTZ time, UTC; of the file's previous record where it has none (accounting rule 26)",
        "detail VARCHAR the fields that belong to its type, as a JSON object",
        *_PROVENANCE,
    ),
)

SESSION_FILES = Table(
    "session_files",
    "session as seen in one transcript: what sessions is made from",
    None,
    ("session_id", "file_id"),
    _columns(
        "session_id VARCHAR sessionId of the records",
        "file_id BIGINT the transcript",
        "host VARCHAR machine",
        "first_ts TIMESTAMPTZ earliest record of the session in this transcript, UTC",
        "last_ts TIMESTAMPTZ latest record, UTC",
        "records BIGINT records",
        "project VARCHAR working directory of the first record that has one",
        "project_offset BIGINT where that record starts",
        "title VARCHAR last title given to the session in this transcript",
        "title_order BIGINT the greatest wins: first who gave the title (user, agent), then where in the transcript",
        "parent VARCHAR forkedFrom.sessionId, where given",
    ),
    monthly=False,
)

SESSIONS = Table(
    "sessions",
    "session",
    "session_id",
    ("first_ts", "session_id"),
    _columns(
        "session_id VARCHAR the session",
        "first_ts TIMESTAMPTZ earliest record, copied history included, UTC",
        "last_ts TIMESTAMPTZ latest record, UTC",
        "project VARCHAR working directory at its start",
        "title VARCHAR last title given",
        "host VARCHAR machine",
        "files BIGINT transcripts that hold records of it",
        "agents BIGINT subagents",
        "requests BIGINT requests that it owns",
        "prompts BIGINT human acts that it owns",
        "parent VARCHAR session that it was forked from, where logged",
    ),
)

FILES = Table(
    "files",
    "transcript known to the lake, or file beside transcripts: the ledger",
    "file_id",
    ("path", "host"),
    _columns(
        "file_id BIGINT hash of host and path",
        "path VARCHAR path of the transcript, absolute",
        "host VARCHAR machine",
        "kind VARCHAR main | agent | compaction | workflow; refused: stream-json | not-jsonl;"
        " beside transcripts: history | quota-samples",
        "size BIGINT bytes on disk at the last look",
        "mtime_ns BIGINT modification time at the last look, ns since 1970",
        "prefix_hash VARCHAR fingerprint of the ingested bytes: their first and last 4 KiB",
        "ingested_bytes BIGINT bytes ingested (after decompression); the rest is a pending last line",
        "pending_bytes BIGINT bytes of an unfinished last line, read again next time (accounting rule 3)",
        "lines BIGINT lines ingested",
        "records BIGINT records ingested",
        "usage_rows BIGINT usage rows ingested",
        "rejects BIGINT rows in rejects",
        "odd_fields BIGINT fields of an unexpected type, read as null (accounting rule 4)",
        "first_ts TIMESTAMPTZ earliest time in it, UTC",
        "last_ts TIMESTAMPTZ latest time in it, UTC",
        "resume_ts TIMESTAMPTZ time of its last record that has one: what a later record without one takes",
        "resume_prompt_id VARCHAR promptId in force at its end",
        "departed_at TIMESTAMPTZ when it was found missing, null while it is there",
        # Together ingested_bytes; null where an earlier version of tokenlake read it.
        "record_bytes BIGINT bytes of its records, each from its first brace to its last",
        "rejected_bytes BIGINT bytes in rejects",
        "newline_bytes BIGINT newlines",
        "blank_bytes BIGINT white space around records, NUL bytes, byte order marks",
    ),
    monthly=False,
)

REJECTS = Table(
    "rejects",
    "bytes that salvage could not recover (accounting rule 3)",
    None,
    ("file_id", "offset"),
    _columns(
        "file VARCHAR path of the transcript, or of the file beside transcripts",
        "line BIGINT line number, from 1",
        "offset BIGINT byte at which the lost part starts",
        "bytes BIGINT its length",
        "reason VARCHAR why it could not be read",
        "head VARCHAR its first 200 bytes, undecodable ones as U+FFFD",
        "host VARCHAR machine",
        "file_id BIGINT the transcript",
    ),
    monthly=False,
)

RECORDS = Table(
    "records",
    "record as logged, byte for byte; kept with --keep-raw",
    None,
    ("file_id", "offset"),
    _columns(
        "file_id BIGINT the transcript",
        "host VARCHAR machine",
        "line BIGINT line number, from 1",
        "offset BIGINT byte at which the line starts",
        "raw BLOB the line, without its newline",
    ),
    monthly=False,
)

QUOTA_SAMPLES = Table(
    "quota_samples",
    "use of one quota at one instant, as Claude Code told its status line: it is in no transcript",
    None,
    ("ts", "host", "window"),
    _columns(
        "ts TIMESTAMPTZ time of the sample, UTC",
        "host VARCHAR machine that took it, also where the account is used on several",
        "window VARCHAR five_hour | seven_day",
        "used_percentage DOUBLE share of the quota that is used, 0 to 100; samples of another are left out",
        "resets_at TIMESTAMPTZ when the window ends, UTC",
        "file_id BIGINT hash of host and path of the samples file",
        "offset BIGINT byte at which the sample starts in that file",
    ),
)

KNOWN_PROMPTS = Table(
    "known_prompts",
    "prompt that the agent's history.jsonl names, whether or not its transcript is in the lake; never usage",
    None,
    ("ts", "session_id"),
    _columns(
        "ts TIMESTAMPTZ time of the prompt, UTC",
        "session_id VARCHAR sessionId, null where an old version wrote none",
        "project VARCHAR working directory",
        "host VARCHAR name of the machine whose history it is",
        "file_id BIGINT hash of host and path of the history file",
        "offset BIGINT byte at which the prompt's line starts in that file",
    ),
)

TABLES: tuple[Table, ...] = (
    REQUESTS,
    REQUEST_SUMS,
    USAGE_ROWS,
    TOOL_CALLS,
    PROMPTS,
    TEXTS,
    EVENTS,
    SESSIONS,
    FILES,
    REJECTS,
    RECORDS,
    TOOL_ROWS,
    SESSION_FILES,
    QUOTA_SAMPLES,
    KNOWN_PROMPTS,
)

BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a table as it is stored, without the `month` partition column."""
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "BLOB": pa.binary(),
        "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
        "DECIMAL(18,9)": pa.decimal128(18, 9),
    }
    return pa.schema(
        pa.field(column.name, types[column.type], metadata={"comment": column.text}) for column in table.columns
    )
