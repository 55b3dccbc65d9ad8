"""The data files against the catalog: there, of the right size and bytes, with the schema's columns, and no others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePath

from tokenlake.doctor import request_sums
from tokenlake.doctor.findings import Finding, counted, listed, ok, problem, warning
from tokenlake.ingest.commit import STAGING_NAME
from tokenlake.schema import (
    BY_NAME,
    FILES,
    KNOWN_PROMPTS,
    QUOTA_SAMPLES,
    RECORDS,
    REJECTS,
    REQUEST_SUMS,
    SCHEMA_VERSION,
    Table,
    arrow_schema,
)
from tokenlake.store import catalog, lock
from tokenlake.store.catalog import Snapshot
from tokenlake.store.checksums import checksum, size_of

_OWN = (catalog.CATALOG_NAME, catalog.SAMPLES_NAME, lock.LOCK_NAME, STAGING_NAME)
"""What else lies in a lake's folder, or begins the name of it."""

_AT_ONCE = 4

_NOT_MADE_ANEW = {table.name for table in (FILES, RECORDS, REJECTS, QUOTA_SAMPLES, KNOWN_PROMPTS)}
"""The tables that a rebuild reads or leaves as they are."""


def check(snapshot: Snapshot, quick: bool = False) -> tuple[list[Finding], Snapshot]:
    """The findings, and the snapshot with only those data files that can be read and have the right columns.

    With `quick`, the bytes of the files are not read: only their sizes and what they say of themselves.
    """
    strange, missing, damaged, columns = _sorted_out(snapshot, quick)
    unsound = {*strange, *missing, *damaged, *columns}
    remedy = _remedy(snapshot, unsound)
    findings = [_there(snapshot, missing, strange, remedy), _intact(snapshot, damaged, quick, remedy)]
    if snapshot.version == SCHEMA_VERSION:
        findings.append(_columns(snapshot, columns, remedy))
    findings.append(_extra(snapshot))
    files = {table: tuple(n for n in names if n not in unsound) for table, names in snapshot.files.items()}
    return findings, replace(snapshot, files=files)


def _names(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Table and name of every data file of the catalog."""
    return [(table, name) for table, names in sorted(snapshot.files.items()) for name in names]


def _sorted_out(snapshot: Snapshot, quick: bool) -> tuple[list[str], list[str], dict[str, str], dict[str, str]]:
    """Names that lead out of the lake, files that are missing, and why others are damaged or have other columns."""
    strange, missing, damaged, columns = [], [], {}, {}
    present = []
    for table, name in _names(snapshot):
        pure = PurePath(name)
        if pure.is_absolute() or ".." in pure.parts or not _is_within(snapshot.root / name, snapshot.root):
            strange.append(name)
        elif not (snapshot.root / name).is_file():
            missing.append(name)
        else:
            present.append((table, name))
    with ThreadPoolExecutor(_AT_ONCE, "tokenlake-doctor") as pool:
        reasons = pool.map(lambda item: _damage(snapshot, item[1], quick), present)
        for (table, name), reason in zip(present, reasons, strict=True):
            if reason:
                damaged[name] = reason
            elif snapshot.version == SCHEMA_VERSION and (other := _other_columns(snapshot.root / name, table)):
                columns[name] = other
    return strange, missing, damaged, columns


def _is_within(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _damage(snapshot: Snapshot, name: str, quick: bool) -> str | None:
    """Why a file is not what was written; None where nothing says so."""
    path = snapshot.root / name
    known = snapshot.checksums.get(name)
    try:
        if known:
            size = path.stat().st_size
            if size != size_of(known):
                return f"{size:,} bytes instead of {size_of(known):,}"
            if not quick:
                with open(path, "rb", buffering=0) as file:
                    if checksum(file) != known:
                        return "its bytes have changed"
        return _unreadable(path, thoroughly=not known and not quick)
    except OSError as error:
        return error.strerror or str(error)


def _unreadable(path: Path, thoroughly: bool) -> str | None:
    """Why a file cannot be read as Parquet; `thoroughly` decodes all of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups) if thoroughly else ():
                read = file.read_row_group(group)
                if read.num_rows != file.metadata.row_group(group).num_rows:
                    return "fewer rows than it says"
                read.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        return " ".join(str(error).split())[:120]
    return None


def _other_columns(path: Path, table: str) -> str | None:
    """How the columns of a file differ from the schema's; None where they do not."""
    import pyarrow.parquet as pq

    known = _table(table)
    if known is None:
        return None
    wanted = {field.name: field.type for field in arrow_schema(known)}
    there = {field.name: field.type for field in pq.read_schema(path)}
    lacking = [name for name in wanted if name not in there]
    other = [name for name in wanted if name in there and there[name] != wanted[name]]
    parts = [f"lacks {listed(lacking)}"] * bool(lacking) + [f"has another type in {listed(other)}"] * bool(other)
    return "; ".join(parts) or None


def _table(name: str) -> Table | None:
    return BY_NAME.get(name.removeprefix(catalog.COPIES_PREFIX))


def _remedy(snapshot: Snapshot, unsound: set[str]) -> str:
    again = "or ingest the transcripts that are still there into a new one: tokenlake ingest --lake NEW"
    lost = {table for table, name in _names(snapshot) if name in unsound and not _is_derived(name)}
    if snapshot.settings.keep_raw and lost.isdisjoint(_NOT_MADE_ANEW):
        again = f"or make the lake anew from the lines it kept: tokenlake rebuild; {again}"
    return f"restore the files from a backup of the lake, {again}"


def _is_derived(name: str) -> bool:
    """Whether a data file is one of sums, which can be made again from the requests."""
    return PurePath(name).parts[0] == REQUEST_SUMS.name


def _there(snapshot: Snapshot, missing: list[str], strange: list[str], remedy: str) -> Finding:
    number = counted(len(_names(snapshot)), "data file")
    if strange:
        reason = f"{counted(len(strange), 'data file')} outside the lake: {listed(strange)}"
        return problem("data files", reason, "do not use this lake: its catalog is not one that tokenlake wrote")
    if missing and all(map(_is_derived, missing)):
        reason = f"{len(missing):,} of {number} missing, of sums of requests alone: {listed(missing)}"
        return warning("data files", reason, request_sums.AGAIN)
    if missing:
        return problem("data files", f"{len(missing):,} of {number} missing: {listed(missing)}", remedy)
    size = sum((snapshot.root / name).stat().st_size for _, name in _names(snapshot))
    tables = sum(bool(names) for names in snapshot.files.values())
    return ok("data files", f"{number} of {counted(tables, 'table')}, {size / 1e6:,.1f} MB")


def _intact(snapshot: Snapshot, damaged: dict[str, str], quick: bool, remedy: str) -> Finding:
    if damaged:
        reasons = [f"{name}: {reason}" for name, reason in sorted(damaged.items())]
        remedy = request_sums.DELETE if all(map(_is_derived, damaged)) else remedy
        return problem("checksums", f"{counted(len(damaged), 'data file')} damaged: {listed(reasons)}", remedy)
    names = [name for _, name in _names(snapshot)]
    known = sum(name in snapshot.checksums for name in names)
    found = f"{known:,} of {counted(len(names), 'data file')} as written, by " + ("size" if quick else "CRC-32")
    if known < len(names):
        found += f"; {len(names) - known:,} without a checksum " + ("open" if quick else "read to the end")
    return ok("checksums", found)


def _columns(snapshot: Snapshot, columns: dict[str, str], remedy: str) -> Finding:
    if columns:
        reasons = [f"{name}: {reason}" for name, reason in sorted(columns.items())]
        return problem("columns", listed(reasons), remedy)
    return ok("columns", f"as in schema version {snapshot.version}")


def _extra(snapshot: Snapshot) -> Finding:
    """What lies in the lake's folder and is not the lake's."""
    strays = sorted(_strays(snapshot))
    if not strays:
        return ok("other files", "none in the lake's folder")
    return warning(
        "other files",
        f"{counted(len(strays), 'file')} in the lake's folder that the catalog does not name: {listed(strays)}",
        "nothing reads them; data files among them go with the next ingest that writes, move the others elsewhere",
    )


def _strays(snapshot: Snapshot) -> Iterator[str]:
    known = {name for _, name in _names(snapshot)}
    for place, folders, files in os.walk(snapshot.root):
        inside = Path(place).relative_to(snapshot.root)
        if not inside.parts:
            folders[:] = [name for name in folders if name != STAGING_NAME]
            files = [name for name in files if not name.startswith(_OWN)]
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (name for item in [*files, *links] if (name := (inside / item).as_posix()) not in known)
