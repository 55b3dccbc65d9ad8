"""The price table in force: made from its sources, kept in the user's cache, shown in connections.

What is kept is a small database file whose name is a fingerprint of all that it was made from: a new version of
the package or a changed CSV is another file, so nothing kept is ever stale. A file appears by a rename, whole,
and is never written again. Where nothing can be kept, the table is made anew each time.
"""

from __future__ import annotations

import csv
import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from tokenlake.errors import TokenlakeError
from tokenlake.query.prices import sheets
from tokenlake.query.prices.columns import PRICE_TABLES
from tokenlake.query.prices.names import spellings
from tokenlake.query.prices.rows import MAKER, Factor, Name, Price, laid_over
from tokenlake.query.saved import shipped_folder
from tokenlake.store import private

if TYPE_CHECKING:
    import duckdb

_FORMAT = "1"
"""Changed with the meaning of the kept files."""

_STORE = "price_store"
"""The name under which the kept file is attached to a connection."""

_KEPT = 4
"""Files that stay in the cache: other environments of the same user may have other packages."""


def load(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the price tables (`PRICE_TABLES`) known to a connection.

    Raises UsageError for a price file of the user's that is broken, with its line.
    """
    import duckdb

    data = _sheets()
    kept = _cache_folder() / f"{_fingerprint(data)}.duckdb"
    if kept.is_file():
        with suppress(duckdb.Error):  # damaged, or swept away by another process meanwhile: made anew below
            _show(connection, kept, "view")
            return
    tables = _made(data)
    with suppress(OSError, duckdb.IOException):  # nothing can be written there: only time is lost
        private.make_folder(kept.parent)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=kept.parent) as folder:
            made = _write(connection, Path(folder), tables)
            made.chmod(private.FILE_MODE)
            made.replace(kept)
        _sweep(kept)
        _show(connection, kept, "view")
        return
    with tempfile.TemporaryDirectory(prefix="tokenlake-prices-") as folder:
        _show(connection, _write(connection, Path(folder), tables), "table")
        connection.execute(f"detach {_STORE}")


def _show(connection: duckdb.DuckDBPyConnection, file: Path, kind: str) -> None:
    connection.execute(f"attach '{_quoted(file)}' as {_STORE} (read_only)")
    try:
        for name in PRICE_TABLES:
            connection.execute(f"create or replace {kind} {name} as select * from {_STORE}.{name}")
    except BaseException:
        connection.execute(f"detach {_STORE}")
        raise


def _write(connection: duckdb.DuckDBPyConnection, folder: Path, tables: dict[str, list[Sequence[object]]]) -> Path:
    """A database file with the tables, in a folder of its own."""
    file = folder / "prices.duckdb"
    connection.execute(f"attach '{_quoted(file)}' as {_STORE}")
    try:
        for name, columns in PRICE_TABLES.items():
            sheet = folder / f"{name}.csv"
            with sheet.open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream).writerows(tables[name])
            types = ", ".join(f"'{column}': '{type_}'" for column, type_ in columns.items())
            connection.execute(
                f"create table {_STORE}.{name} as select * from read_csv('{_quoted(sheet)}', header = false, "
                f"auto_detect = false, delim = ',', quote = '\"', escape = '\"', columns = {{{types}}})"
            )
    finally:
        connection.execute(f"detach {_STORE}")
    return file


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _sheets() -> dict[Path, bytes]:
    """The CSV files that prices are made of, with their bytes; the user's own last, if there is one."""
    folder = shipped_folder() / "tables"
    data = {folder / name: (folder / name).read_bytes() for name in sheets.SHIPPED}
    if (own := sheets.own_text()) is not None:
        data[sheets.own_path()] = own
    return data


def _fingerprint(data: dict[Path, bytes]) -> str:
    """A name for all that the table is made from."""
    import duckdb

    found = blake2b(digest_size=16)
    parts = [part for path, content in data.items() for part in (os.fsencode(path), content)]
    for part in (_FORMAT.encode(), duckdb.__version__.encode(), os.fsencode(_package_state()), *parts):
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def _package_state() -> str:
    """What tells one installed version of the package from another, without the cost of its import."""
    from importlib.util import find_spec

    spec = find_spec("genai_prices")
    if spec is None or not spec.origin:
        raise TokenlakeError("the package genai-prices is not installed: pip install genai-prices")
    folder = Path(spec.origin).parent
    infos = sorted(path.name for path in folder.parent.glob("genai_prices-*.dist-info"))
    stat = (folder / "data.py").stat()
    return f"{folder} {infos} {stat.st_size} {stat.st_mtime_ns}"


def _cache_folder() -> Path:
    """Where tables are kept: $TOKENLAKE_CACHE, else the platform's folder for what may be lost."""
    if own := os.environ.get("TOKENLAKE_CACHE"):
        return Path(own).expanduser() / "prices"
    from platformdirs import user_cache_path

    return user_cache_path("tokenlake", appauthor=False) / "prices"


def _sweep(kept: Path) -> None:
    """Removes what was kept longest ago, and what was given up in the making."""
    others = [(path.stat().st_mtime, path) for path in kept.parent.iterdir() if path != kept]
    files = sorted((item for item in others if not item[1].name.startswith(".")), reverse=True)
    yesterday = kept.stat().st_mtime - 86_400
    for _, path in files[_KEPT - 1 :]:
        path.unlink()
    for written, path in others:
        if path.name.startswith(".") and written < yesterday:
            shutil.rmtree(path, ignore_errors=True)


def _made(data: dict[Path, bytes]) -> dict[str, list[Sequence[object]]]:
    """The rows of every table."""
    from importlib.metadata import version

    from tokenlake.query.prices import package

    shipped = list(data.items())[: len(sheets.SHIPPED)]
    by_name = {path.name: (content, path) for path, content in shipped}
    own_prices: list[Price] = []
    own_names: list[Name] = []
    for path, content in list(data.items())[len(shipped) :]:
        own_prices, own_names = sheets.own(content, path)
    base, names, factors = package.read()
    installed = version(package.PACKAGE)
    base = [replace(price, source_version=installed) for price in base]
    corrections = sheets.corrections(*by_name[sheets.CORRECTIONS])
    known = {(factor.kind, factor.model) for factor in factors}
    shipped_factors = sheets.factors(*by_name[sheets.FACTORS])
    factors += [factor for factor in shipped_factors if (factor.kind, factor.model) not in known]
    providers = {price.model: price.provider for price in base}
    for model, stands_for in _stand_ins(own_names, names, providers.keys()).items():
        base += [replace(price, model=model) for price in base if price.model == stands_for]
        corrections += [replace(price, model=model) for price in corrections if price.model == stands_for]
        factors += [replace(factor, model=model) for factor in factors if factor.model == stands_for]
        providers[model] = providers[stands_for]
    names += sheets.families(*by_name[sheets.FAMILIES])
    layers = [
        [replace(price, provider=providers.get(price.model, "")) for price in layer]
        for layer in (base, corrections, own_prices)
    ]
    sources = [f"{package.PACKAGE} {installed}{_installed_on()}"]
    if corrections:
        sources.append(f"corrections of {max(price.source_version for price in corrections)}")
    if own_prices:
        sources.append(f"own {sheets.own_path()}")
    return {
        "prices": _texts(laid_over(layers)),
        "price_aliases": _texts([*names, *own_names]),
        "price_factors": _texts(factors),
        "price_sources": [(source,) for source in sources],
    }


def _stand_ins(own: list[Name], names: list[Name], models: Collection[str]) -> dict[str, str]:
    """For each name that the user prices and others know by another: the model whose prices hold on other days."""
    by_name = {name.name: name.model for name in names if name.rank == MAKER}
    found: dict[str, str] = {}
    for name in own:
        if name.name not in models:
            known = (by_name[spelling] for spelling in spellings(name.name) if spelling in by_name)
            if (model := next(known, None)) is not None:
                found[name.name] = model
    return found


def _installed_on() -> str:
    """The day from which the package's prices are at the latest: it says none itself."""
    from genai_prices import data

    try:
        written = Path(data.__file__).stat().st_mtime
    except OSError:
        return ""
    return f" (installed {dt.datetime.fromtimestamp(written, dt.UTC).date()})"


def _texts(rows: Iterable[Price | Name | Factor]) -> list[Sequence[object]]:
    return [[_text(value) for value in astuple(row)] for row in rows]


def _text(value: object) -> object:
    return format(value, "f") if isinstance(value, Decimal) else value
