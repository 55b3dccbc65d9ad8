"""A second look at some records, as SQL: what else is parsed of them, what is kept, and which of it is doubted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tokenlake.sources.claude.columns import CCUSAGE_COLUMNS, MESSAGE_COLUMNS
from tokenlake.sources.claude.doubts import MESSAGE_COUNTS, MESSAGE_TEXTS, SUSPECT_MESSAGE, some
from tokenlake.sources.claude.shapes import (
    BLOCK,
    DETAILS,
    PROGRESS,
    QUEUED,
    QUEUED_IN_BLOCKS,
    SAID_IN_BLOCKS,
    SAID_PLAINLY,
    structure,
)

# A second look at a record finds more: what is parsed, and what is kept of it. Which look a record gets is told by
# LOOKS_TAKEN; a query is planned for those only that some record gets.
_TRUTHS_KEPT = "r.isMeta::varchar as is_meta, r.isCompactSummary::varchar as is_compact_summary"
LOOKS: dict[str, tuple[Mapping[str, Any], str]] = {
    "said": (SAID_PLAINLY, f"{_TRUTHS_KEPT}, r.message.content as said"),
    "blocks": (SAID_IN_BLOCKS, f"{_TRUTHS_KEPT}, r.message.content as blocks"),
    "queued": (
        QUEUED,
        "r.attachment.prompt as said, r.attachment.commandMode as command_mode,"
        f" try(json_transform(raw, {structure(QUEUED_IN_BLOCKS)})).attachment.prompt as blocks",
    ),
    "progress": (
        PROGRESS,
        f"r.version as version, r.gitBranch as git_branch, r.entrypoint as entrypoint, r.data as data,"
        f" {CCUSAGE_COLUMNS}",
    ),
    "details": (DETAILS, "r as details"),
}
_LOOKED = '"row", file_id, "offset", line, type, salvaged'
LOOKS_TAKEN = f"""
select {_LOOKED},
  case
    when type = 'user' then case when n_blocks is null then 'said'
      when block_type is distinct from 'tool_result' or n_blocks > 1 then 'blocks' end
    when type = 'attachment' then case when attachment_type = 'queued_command' then 'queued' end
    when type = 'progress' then case when data_type = 'agent_progress' then 'progress' end
    when type <> 'file-history-snapshot' then 'details' end as look
from others where look is not null
union all
select {_LOOKED}, 'blocks' from assistants where n_blocks > 1
union all
select {_LOOKED}, 'details' from assistants where model = '<synthetic>'
"""
LOOKED_AT = """
-- These with their lines: as logged or as repaired.
select looks.*, raw
from looks join (select "row", raw from lines union all select "row", raw from repaired) using ("row")
"""


def _type_of(shape: Any) -> str:
    """The type of what the JSON engine makes of a shape."""
    if isinstance(shape, list):
        return f"{_type_of(shape[0])}[]"
    if isinstance(shape, Mapping):
        return "struct(" + ", ".join(f'"{name}" {_type_of(inner)}' for name, inner in shape.items()) + ")"
    return str(shape)


_NO_LOOK = f"""
select null::bigint as file_id, null::bigint as "offset", null::bigint as line, null::varchar as type,
  null::varchar as salvaged, null::varchar as is_meta, null::varchar as is_compact_summary, null::varchar as said,
  null::{_type_of([BLOCK])} as blocks, null::varchar as command_mode, null::varchar as version,
  null::varchar as git_branch, null::varchar as entrypoint, null::{_type_of(PROGRESS["data"])} as data,
  null::boolean as has_usage_bytes, null::varchar as null_field, null::{_type_of(DETAILS)} as details
limit 0
"""


def second_look(looks: Iterable[str]) -> str:
    """The query that makes these looks at the lines in `looked_at`; its columns are those of all of them."""
    parts = [
        f"""
select file_id, "offset", line, type, salvaged, {LOOKS[look][1]}
from (select *, try(json_transform(raw, {structure(LOOKS[look][0])})) as r from looked_at where look = '{look}')"""
        for look in LOOKS
        if look in looks
    ]
    return " union all by name ".join(f"({part})" for part in (_NO_LOOK, *parts))


_ODD_BLOCKS = f"""
  len(list_filter(blocks, lambda b: b.type is null  -- also where it is no object
    or {some("maybe_unquoted", "b.type", "b.tool_use_id", "b.id", "b.name", "left(b.thinking, 40)")}
    or coalesce(left(b.input, 1) <> '{{', false) or not_a_truth(b.is_error)
    or (maybe_unquoted(b.text) and json_valid(b.text)))) > 0
"""
_DOUBTS = {
    "said": """
  not_a_truth(is_meta) or not_a_truth(is_compact_summary) or (said is null)
  or (maybe_unquoted(said) and json_valid(said))
""",
    "blocks": f"""
  not_a_truth(is_meta) or not_a_truth(is_compact_summary) or (blocks is not null and {_ODD_BLOCKS})
""",
    "queued": f"""
  maybe_unquoted(command_mode) or (blocks is null and maybe_unquoted(said) and json_valid(said))
  or (blocks is not null and {_ODD_BLOCKS})
""",
    "progress": some("maybe_unquoted", "version", "git_branch", "entrypoint", "data.agentId"),
    "details": some("maybe_unquoted", "details.customTitle", "details.aiTitle", "details.agentName"),
}
_LOOKED_BY = {
    "said": "type = 'user' and blocks is null",
    "blocks": "blocks is not null and type <> 'attachment'",
    "queued": "type = 'attachment'",
    "progress": "data is not null",
    "details": "details is not null",
}
_DOUBTED_MESSAGES = f"""
select file_id, "offset" from (
  select file_id, "offset", e.type as type, e.timestamp as timestamp, try_cast(e.timestamp as timestamptz) as ts,
    e.uuid as uuid, e.requestId as request_id, e.message.content as blocks, {MESSAGE_COLUMNS.format(r="e")}
  from (select file_id, "offset", data.message as e from second_look where salvaged is null and data is not null)
)
where type is null or not_a_time(timestamp, ts) or {some("maybe_unquoted", "type", "uuid", "request_id")}
  or (type = 'assistant' and ({SUSPECT_MESSAGE}))
  or (type = 'assistant' and ({some("maybe_unquoted", *MESSAGE_TEXTS)} or {some("not_a_count", *MESSAGE_COUNTS)}))
  or (type in ('assistant', 'user') and (n_blocks is null or {_ODD_BLOCKS}))
"""


def suspect_looks(looks: Iterable[str]) -> str:
    """Of these looks, the lines to be repaired by hand: they find more fields, and so more wrong types."""
    doubts = [
        f'select file_id, "offset" from second_look where salvaged is null and {_LOOKED_BY[look]} and ({doubt})'
        for look, doubt in _DOUBTS.items()
        if look in looks
    ]
    doubts += [_DOUBTED_MESSAGES] if "progress" in looks else []
    return f"""
select distinct looked_at."row", false as refused
from ({" union all ".join(f"({doubt})" for doubt in doubts)}) odd join looked_at using (file_id, "offset")
"""
