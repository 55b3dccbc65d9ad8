"""Parsing a batch of lines, as SQL: assistant records, which carry usage, and all others."""

from __future__ import annotations

import re

from tokenlake.sources.claude.columns import CCUSAGE_COLUMNS, MESSAGE_COLUMNS, RESULT_COLUMNS, SAID_COLUMNS, TARGET
from tokenlake.sources.claude.shapes import ASSISTANT, OTHER, structure

# Lines are a relation (row, file_id, line, offset, odd, salvaged, raw); `salvaged` is null for lines as logged. The
# parsing queries must stay free of short-circuiting expressions (CASE, COALESCE, AND): the optimiser would parse each
# line again inside every branch.

HEAD_BYTES = 640
LOOKS_LIKE_ASSISTANT = """
-- A guess, from the first bytes of a line, at what it is parsed as; where it is wrong, the line is parsed again.
select contains(head, ':"assistant"') and not contains(head, ':"progress"') as as_assistant from heads
"""

_RECORD_COLUMNS = """
  "row", file_id, line, "offset", bytes, odd, salvaged,
  r is null as refused,
  r.type as type,
  r.uuid as uuid,
  r.timestamp as timestamp,
  try_cast(r.timestamp as timestamptz) as ts,
  r.sessionId as session_id,
  r.cwd as cwd,
  r.isSidechain::varchar as is_sidechain,
  r.agentId as agent_id
"""

_ASSISTANTS = f"""
select
  {_RECORD_COLUMNS},
  r.requestId as request_id,
  r.gitBranch as git_branch,
  r.version as version,
  r.entrypoint as entrypoint,
  r.effort as effort,
  r.forkedFrom as forked_from,
  r.costUSD::varchar as cost_logged,
  {CCUSAGE_COLUMNS},
  {MESSAGE_COLUMNS.format(r="r")},
  {SAID_COLUMNS.format(target=TARGET, b="r.message.content[1]")},
  -- What tells whether these are of another type.
  left(r.message.content[1].thinking, 40) as thinking_head,
  left(r.message.content[1].input, 1) as input_head
from (select *, json_transform(raw, {structure(ASSISTANT)}) as r from RELATION)
"""

_OTHERS = f"""
select
  {_RECORD_COLUMNS},
  r.promptId as prompt_id,
  r.toolDenialKind as denial,
  r.toolUseResult.searchCount::varchar as search_count,
  r.subtype as subtype,
  r.attachment.type as attachment_type,
  r.attachment is not null as has_attachment,
  r.data.type as data_type,
  r.data is not null as has_data,
  len(r.message.content) as n_blocks,
  r.message.content[1].type as block_type,
  r.message.content[1].tool_use_id as tool_use_id,
  {RESULT_COLUMNS.format(b="r.message.content[1]")}
from (select *, json_transform(raw, {structure(OTHER)}) as r from RELATION)
"""


def assistants(relation: str, *, may_refuse: bool = True) -> str:
    """The query that parses the lines of `relation` as assistant records.

    A line that is no JSON makes a row of nulls, which takes a copy of every value; unless it `may_refuse`, an error.
    """
    return _parsing(_ASSISTANTS, relation, may_refuse)


def others(relation: str, *, may_refuse: bool = True) -> str:
    """The query that parses the lines of `relation` as any other record, in the same way."""
    return _parsing(_OTHERS, relation, may_refuse)


def _parsing(query: str, relation: str, may_refuse: bool) -> str:
    if may_refuse:
        query = re.sub(r"json_transform\(.*\)(?= as r from)", r"try(\g<0>)", query)
    return query.replace("RELATION", relation)
