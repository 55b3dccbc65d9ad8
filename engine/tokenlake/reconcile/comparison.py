"""The comparison as tables of a connection, each made by the definition in its .sql file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tokenlake.query import views
from tokenlake.query.saved import shipped_folder
from tokenlake.reconcile import logs, rates, rules, sight
from tokenlake.reconcile.program import Program
from tokenlake.reconcile.sight import Sighted
from tokenlake.reconcile.totals import Total

if TYPE_CHECKING:
    import duckdb

READS = "costs usage_rows files ccusage_rows ccusage_places priced price_names price_rates logged_models"
"""What the definitions read of a lake."""

_STEPS = ("their_costs", "differences", "compared")

# Absurd counts are shown as far as the type goes; what is explained is told by all their digits.
_MACROS = """
create or replace macro whole(x) as
  least(greatest(x, -9223372036854775807), 9223372036854775807)::bigint;
create or replace macro dollars(pico) as (pico * 0.000000000001)::decimal(38, 12);
"""


def begin(connection: duckdb.DuckDBPyConnection, said: Sequence[Total]) -> None:
    """Makes what stays the same however the transcripts are read: ccusage's totals, the rules in words."""
    import pyarrow as pa

    connection.execute(_MACROS)
    _make(connection, "their_totals", _of_dataclasses(Total, said))
    words = {"beginning": list(rules.MEANINGS), "words": list(rules.MEANINGS.values())}
    _make(connection, "rule_words", pa.table(words))
    connection.execute(f"create view ccusage_rows_ingested as {_view('ccusage_rows')}")


def compare(
    connection: duckdb.DuckDBPyConnection,
    found: Sequence[Sighted],
    asked: Program | None,
    values: Mapping[str, object],
) -> None:
    """Makes the tables that lead from the transcripts as `found` to `differences` and `compared`.

    `asked` is the program to ask for its prices; without one they are those that are kept. `values` are the parameters
    tz, cost_mode, first_day and last_day.
    """
    import pyarrow as pa

    transcripts = {
        "file_id": pa.array([file.file_id for file in found], pa.int64()),
        **{
            name: pa.array([getattr(file, name) for file in found], pa.string()) for name in ("path", "state", "reason")
        },
    }
    read_now, left_out = logs.read(file for file in found if file.state == sight.READ_NOW)
    _make(connection, "transcripts", pa.table(transcripts))
    _make(connection, "lines_read_now", read_now)
    _make(connection, "lines_left_out", left_out)
    connection.execute(f"create or replace view rows_read_now as {_text('rows_read_now')}")
    _price(connection, asked)
    _define(connection, "rows_seen", values)
    # The lake's own definitions go on from here, on other rows.
    connection.execute("create or replace view ccusage_rows as select * from rows_seen")
    _define(connection, "own_requests", values)
    _define(connection, "their_requests", values)
    # A view finds first what stands in its own schema: here the lake's view of prices meets the variants.
    connection.execute("create schema if not exists variants")
    connection.execute(f"create or replace view variants.requests_of_mode as {_text('cost_variants')}")
    connection.execute(f"create or replace view variants.priced as {_view('priced')}")
    for name in _STEPS:
        _define(connection, name, values)


def unexplained(connection: duckdb.DuckDBPyConnection) -> tuple[int, float]:
    """Tokens and dollars that no rule explains, whatever their sign."""
    ((tokens, pico),) = connection.execute(
        "select coalesce(sum(abs(unexplained)) filter (figure <> 'cost'), 0)::hugeint,"
        " coalesce(sum(abs(unexplained)) filter (figure = 'cost'), 0)::hugeint from compared"
    ).fetchall()
    return int(tokens), int(pico) / 1e12


def closer(connection: duckdb.DuckDBPyConnection, found: Sequence[Sighted]) -> list[Sighted]:
    """`found`, with the transcripts that hold something of an unexplained day to be read line by line."""
    rows = connection.execute(
        """
        with days as (
            select min(day) as first_day, max(day) as last_day
            from compared
            where unexplained <> 0 and figure <> 'cost' and day is not null
        )
        select file_id
        from files
        cross join days
        where coalesce(files.first_ts < days.last_day + interval 2 day, true)
            and coalesce(files.last_ts > days.first_day - interval 1 day, true)
        """
    ).fetchall()
    wanted = {file_id for (file_id,) in rows}
    return [
        replace(file, state=sight.READ_NOW, place=file.path)
        if file.state == sight.AS_INGESTED and file.file_id in wanted
        else file
        for file in found
    ]


def shown(connection: duckdb.DuckDBPyConnection, name: str, values: Mapping[str, object], leave_out: str = "") -> Any:
    """The Arrow table of one of the definitions that are shown, some columns left out."""
    columns = f" exclude ({leave_out})" if leave_out else ""
    relation = connection.sql(f"select *{columns} from ({_text(name)})", params=dict(values) or None)
    return relation.to_arrow_table()


def _price(connection: duckdb.DuckDBPyConnection, asked: Program | None) -> None:
    """Prices of all models that either side knows, ours and theirs."""
    connection.execute(
        "create or replace table logged_models as"
        " select distinct model from usage_rows union select distinct model from rows_read_now"
    )
    connection.execute(f"create or replace table price_rates as {_view('price_rates')}")
    names = [name for (name,) in connection.execute("select model from logged_models where model <> ''").fetchall()]
    if asked is not None:
        found = rates.ask(asked, names)
    else:
        listed = connection.execute("select model, price_model from price_names").fetchall()
        unpriced = connection.execute("select distinct model from their_totals where not has_price").fetchall()
        found = _kept_rates(names, dict(listed), {name for (name,) in unpriced})
    _make(connection, "their_rates", _of_dataclasses(rates.Rate, found))


def _kept_rates(names: Sequence[str], price_models: Mapping[str, str], unpriced: set[str]) -> list[rates.Rate]:
    """The prices that are kept, by the name itself, else by one that stands for the same model."""
    kept = {(rate.model, rate.is_fast): rate for rate in rates.kept()}
    found = []
    for name in names:
        for is_fast in (False, True):
            rate = kept.get((name, is_fast)) or kept.get((price_models.get(name, ""), is_fast))
            if name in unpriced:
                found.append(rates.Rate(name, is_fast, False))
            elif rate is not None:
                found.append(replace(rate, model=name))
    return found


def _define(connection: duckdb.DuckDBPyConnection, name: str, values: Mapping[str, object]) -> None:
    text = _text(name)
    bound = {key: value for key, value in values.items() if f"${key}" in text}
    connection.execute(f"create or replace table {name} as {text}", bound or None)


def _text(name: str) -> str:
    return files("tokenlake.reconcile").joinpath(f"{name}.sql").read_text("utf-8")


def _view(name: str) -> str:
    return views.shipped(shipped_folder() / "views")[name].text


def _make(connection: duckdb.DuckDBPyConnection, name: str, table: Any) -> None:
    connection.register("made", table)
    connection.execute(f"create or replace table {name} as select * from made")
    connection.unregister("made")


def _of_dataclasses(kind: type[Any], items: Sequence[Any]) -> Any:
    """Dataclasses of plain values as an Arrow table, also where there are none."""
    import pyarrow as pa

    types = {
        "str": pa.string(),
        "str | None": pa.string(),
        # Of its counts there may be some of 64 bits without a sign, and sums of them.
        "int": pa.decimal128(38, 0) if kind is Total else pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "dt.date | None": pa.date32(),
    }
    return pa.table(
        {
            field.name: pa.array([getattr(item, field.name) for item in items], types[str(field.type)])
            for field in fields(kind)
        }
    )
