"""A small lake of three months, made once; every test breaks a copy of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from accounting.transcripts import S1, S2, assistant, jsonl, tool_result, tool_use, usage, user

from tokenlake.doctor.examination import examine
from tokenlake.doctor.findings import Finding, Status
from tokenlake.lake import Lake
from tokenlake.schema import BY_NAME
from tokenlake.store import catalog, partitions
from tokenlake.store.catalog import Snapshot
from tokenlake.store.checksums import checksum

HOST = "h"


def month(number: int, session: str) -> bytes:
    day = f"2026-0{number}-10T"
    return jsonl(
        user("Ahoy.", f"{day}08:59:00Z", session=session),
        assistant(f"m{number}a", usage(5, read=100), f"{day}09:00:00Z", session=session),
        assistant(f"m{number}b", usage(7, w5=30), f"{day}09:01:00Z", session=session, content=[tool_use(f"t{number}")]),
        tool_result(f"t{number}", time=f"{day}09:02:00Z", session=session),
        {"type": "custom-title", "customTitle": "Harbour", "sessionId": session},
    )


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `logs` and the `lake` made of them in three ingests."""
    folder = tmp_path_factory.mktemp("whole")
    project = folder / "logs" / "projects" / "p"
    project.mkdir(parents=True)
    for number, session in ((3, S1), (4, S1), (5, S2)):
        with (project / f"{session}.jsonl").open("ab") as file:
            file.write(month(number, session))
        Lake(folder / "lake").refresh([folder / "logs"], host=HOST)
    return folder


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A lake that a test may break."""
    shutil.copytree(whole / "lake", tmp_path / "lake")
    return tmp_path / "lake"


@pytest.fixture
def found(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Finding]]:
    """What the doctor finds about the lake, by check."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def find(root: Path, *roots: Path, **options: object) -> dict[str, Finding]:
        findings = examine(root, roots or (whole / "logs",), host=HOST, **options)  # type: ignore[arg-type]
        names = [finding.check for finding in findings]
        assert len(set(names)) == len(names)
        for finding in findings:
            assert bool(finding.remedy) == (finding.status is not Status.OK), finding
        return {finding.check: finding for finding in findings}

    return find


def wrong(findings: dict[str, Finding]) -> set[str]:
    """The checks that are not ok."""
    return {name for name, finding in findings.items() if finding.status is not Status.OK}


def a_file(root: Path, table: str, part: str = "") -> Path:
    """A data file of the table, the first whose name holds `part`."""
    return next(Path(path) for path in catalog.read(root).paths(table) if part in path)


def rewrite(root: Path, path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Changes the rows of a data file, as a faulty writer would: its checksum in the catalog agrees."""
    table = BY_NAME[path.relative_to(root).parts[0]]
    rows = change(pq.ParquetFile(path).read())
    pq.write_table(rows, path, **partitions.parquet_options(table, rows.num_rows))
    path.chmod(0o600)
    name = path.relative_to(root).as_posix()
    with path.open("rb") as file:
        text = checksum(file)
    publish(root, checksums={**catalog.read(root).checksums, name: text})


def publish(root: Path, **changes: object) -> Snapshot:
    """Replaces parts of the catalog."""
    snapshot = replace(catalog.read(root), **changes)  # type: ignore[arg-type]
    catalog.publish(snapshot)
    return snapshot


def column_set(rows: pa.Table, name: str, row: int, value: object) -> pa.Table:
    """The rows with one value changed."""
    values = rows[name].to_pylist()
    values[row] = value
    index = rows.schema.get_field_index(name)
    return rows.set_column(index, rows.schema.field(index), pa.array(values, rows.schema.field(index).type))


def as_line(**record: object) -> bytes:
    return json.dumps(record).encode() + b"\n"
