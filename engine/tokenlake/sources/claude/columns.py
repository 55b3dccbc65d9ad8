"""Columns that are made of a message, its blocks and its line, wherever these come from."""

from __future__ import annotations

from tokenlake.sources import ccusage

MESSAGE_COLUMNS = """
  {r}.message.id as message_id,
  {r}.message.model as model,
  {r}.message.stop_reason as stop_reason,
  {r}.message.usage.input_tokens as input_tokens,
  {r}.message.usage.output_tokens as output_tokens,
  {r}.message.usage.cache_creation_input_tokens as cache_write_flat,
  {r}.message.usage.cache_read_input_tokens as cache_read_tokens,
  {r}.message.usage.cache_creation as cache_split,
  {r}.message.usage.service_tier as service_tier,
  {r}.message.usage.speed as speed,
  {r}.message.usage.inference_geo as inference_geo,
  {r}.message.usage.server_tool_use.web_search_requests as web_searches,
  {r}.message.usage.server_tool_use is not null as has_tool_counts,
  {r}.message.usage.iterations as iterations,
  {r}.message.usage is not null as has_usage,
  len({r}.message.content) as n_blocks
"""

# The first of these fields says what a tool is used on; the value as JSON wrote it, between its quotes.
TARGET = (
    r'"(?:file_path|notebook_path|command|url|query|pattern|path|skill|subagent_type|description)":'
    r'"((?:[^"\\]|\\.)*)'
)

SAID_COLUMNS = """
  {b}.type as block_type,
  {b}.text as text,
  length({b}.thinking) as thinking_chars,
  {b}.id as tool_use_id,
  {b}.name as name,
  regexp_extract(left({b}.input, 2000), '{target}', 1) as target_json,
  strlen({b}.input) as input_bytes
"""

RESULT_COLUMNS = """
  strlen({b}.content) as result_bytes,
  -- Added up, not OR: see above.
  starts_with({b}.content, 'The user doesn''t want to')::int
    + starts_with({b}.content, 'Permission to use')::int as refusals,
  {b}.is_error::varchar as is_error
"""

# Anywhere in the line, as ccusage looks for them.
CCUSAGE_COLUMNS = f"""
  contains(raw, '{ccusage.MARK.decode()}') as has_usage_bytes,
  regexp_extract(raw, '{ccusage.NULL_PATTERN}', 1) as null_field
"""
