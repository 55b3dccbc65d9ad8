"""Doubts about parsed lines, as SQL: which ones are to be repaired by hand."""

from __future__ import annotations

from tokenlake.sources.claude.shapes import USAGE_COUNTS


def _any(macro: str, *columns: str) -> str:
    return " or ".join(f"{macro}({column})" for column in columns)


def some(macro: str, *columns: str) -> str:
    """The same, planned faster and computed slower: for few rows."""
    return f"len(list_filter([{', '.join(columns)}], lambda x: {macro}(x))) > 0"


_SUSPECT = f"""
  refused or (type is null) or not_a_time(timestamp, ts) or not_a_truth(is_sidechain)
  or {_any("maybe_unquoted_id", "uuid", "session_id")} or {_any("maybe_unquoted", "cwd", "agent_id")}
"""
_ADVISOR_COUNTS = "|".join(sorted(USAGE_COUNTS))
MESSAGE_TEXTS = ("message_id", "model", "stop_reason", "service_tier", "speed", "inference_geo")
MESSAGE_COUNTS = ("input_tokens", "output_tokens", "cache_write_flat", "cache_read_tokens", "web_searches")
SUSPECT_MESSAGE = f"""
  n_blocks is null or output_tokens is null or (has_tool_counts and web_searches is null)
  or (cache_split is not null and not regexp_full_match(cache_split,
      '\\{{"ephemeral_(1h|5m)_input_tokens":[0-9]{{1,18}},"ephemeral_(1h|5m)_input_tokens":[0-9]{{1,18}}\\}}'))
  or (iterations is not null and not starts_with(iterations, '['))
  or (contains(iterations, 'advisor_message') and regexp_matches(iterations,
      '"(({_ADVISOR_COUNTS})":([^0-9]|[0-9]+[.eE]|[0-9]{{19}})|cache_creation":[^{{]|(model|type)":[^"])'))
"""
_SUSPECT_BLOCK = f"""
  {_any("maybe_unquoted", "block_type", "tool_use_id", "name", "thinking_head")}
  or (input_head <> '{{')
"""
SUSPECT_ASSISTANTS = f"""
-- Lines to be repaired by hand: refused by the engine, or with a value that may be of the wrong type.
select "row", refused from assistants
where salvaged is null and (
  {_SUSPECT}
  or {_any("maybe_unquoted", "request_id", "git_branch", "version", "entrypoint", "effort")}
  or {_any("maybe_unquoted", *MESSAGE_TEXTS)} or {_any("not_a_count", *MESSAGE_COUNTS)}
  or {SUSPECT_MESSAGE}
  or {_SUSPECT_BLOCK}
  or (n_blocks > 0 and block_type is null)
  or (cost_logged is not null and (try_cast(cost_logged as decimal(18, 9)) is null or starts_with(cost_logged, '-')
    or starts_with(cost_logged, '"')))
  or (forked_from is not null and json_type(forked_from, '$.sessionId') is distinct from 'VARCHAR')
)
"""
SPOKEN_JSON = """
-- Texts that are JSON by themselves, as models say them at times: strings, nearly all of them.
select "row" from assistants where salvaged is null and (maybe_unquoted(text)) and (json_valid(text))
"""
SUSPECT_SPOKEN = """
select "row" from spoken where json_type(raw, '$.message.content[0].text') <> 'VARCHAR'
"""
SUSPECT_OTHERS = f"""
select "row", refused from others
where salvaged is null and (
  {_SUSPECT}
  or {_any("maybe_unquoted", "type", "subtype", "denial", "attachment_type", "data_type", "block_type", "tool_use_id")}
  or maybe_unquoted_id(prompt_id) or not_a_count(search_count) or not_a_truth(is_error)
  or (type = 'user' and n_blocks > 0 and block_type is null)
  or (has_attachment and attachment_type is null) or (has_data and data_type is null)
)
"""
