"""Macros of the parsing queries and of what is made from their rows."""

from __future__ import annotations

from tokenlake.sources.claude import types

MACROS = (
    """
create or replace macro token_count(x) as
  case when regexp_full_match(x, '"?[0-9]{1,19}"?') then try_cast(trim(x, '"') as bigint) end;
-- Absurd counts are counted as far as the type goes.
create or replace macro bounded(x) as least(x, 9223372036854775807)::bigint;
create or replace macro not_a_count(x) as x is not null and token_count(x) is null;
create or replace macro not_a_truth(x) as x is not null and x not in ('true', 'false');
-- Text that JSON did not quote: a number, a truth value, an object or a list where a string belongs. It may hit a
-- true string too ("12" as a branch name): such lines are only looked at more closely.
create or replace macro maybe_unquoted(x) as
  (x >= '-' and x < ':' and not starts_with(x, '/')
    and regexp_full_match(x, '-?([0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?|(?i:nan|inf(inity)?))'))
  or (x >= '[' and x < '\\') or (x >= '{' and x < '|') or x = 'true' or x = 'false'
  or (strlen(x) in (3, 8) and regexp_full_match(x, '(?i)nan|inf(inity)?'));
-- The same for what is nearly always an identifier of 36 characters with dashes, as no number or truth value is.
create or replace macro maybe_unquoted_id(x) as
  (strlen(x) <> 36 or x >= '[' and x < '\\' or x >= '{' or not contains(x, '-')) and (maybe_unquoted(x));
create or replace macro not_a_time(logged, ts) as
  logged is not null and (ts is null or ts < 'FIRST'::timestamptz or ts >= 'LAST'::timestamptz
    or (logged not like '____-__-__T__:__:__.___Z' and not regexp_full_match(logged, 'PATTERN')));
""".replace("FIRST", types.FIRST_TIME.isoformat())
    .replace("LAST", types.LAST_TIME.isoformat())
    .replace("PATTERN", types.TIME_PATTERN)
)
