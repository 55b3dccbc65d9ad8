"""Each way in which a lake can be broken is found, named, and by the check that is about it."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from accounting.transcripts import assistant, jsonl
from doctor.conftest import a_file, column_set, publish, rewrite, wrong

from tokenlake.doctor.findings import Finding, Status
from tokenlake.errors import LakeError
from tokenlake.lake import Lake
from tokenlake.schema import SCHEMA_VERSION
from tokenlake.store import catalog, lock

Find = Callable[..., dict[str, Finding]]


def test_a_whole_lake_has_nothing_wrong(root: Path, found: Find) -> None:
    findings = found(root)
    assert wrong(findings) == set()
    assert len(findings) == 28
    assert findings["unique keys"].found == "every key names one row, in 7 tables"
    assert findings["lake"].found == f"{root}: commit 3, schema version {SCHEMA_VERSION}"


@pytest.mark.parametrize("quick", [False, True])
def test_a_deleted_data_file(root: Path, found: Find, quick: bool) -> None:
    file = a_file(root, "texts", "2026-04")
    file.unlink()
    findings = found(root, quick=quick)
    finding = findings["data files"]
    assert finding.status is Status.PROBLEM
    if not quick:
        assert findings["unique keys"].found == "every key names one row, in 7 tables, of the rows that can be read"
    assert f"missing: {file.relative_to(root)}" in finding.found
    assert "tokenlake ingest --lake NEW" in finding.remedy


@pytest.mark.parametrize("quick", [False, True])
def test_a_truncated_data_file(root: Path, found: Find, quick: bool) -> None:
    file = a_file(root, "requests", "2026-03")
    size = file.stat().st_size
    with file.open("rb+") as cut:
        cut.truncate(size - 100)
    finding = found(root, quick=quick)["checksums"]
    assert finding.status is Status.PROBLEM
    assert f"{file.relative_to(root)}: {size - 100:,} bytes instead of {size:,}" in finding.found


@pytest.mark.parametrize(("table", "helps"), [("requests", True), ("files", False), ("records", False)])
def test_a_rebuild_is_advised_where_it_helps(logs: Path, ingest: Any, found: Find, table: str, helps: bool) -> None:
    lake = ingest({"p/s.jsonl": jsonl(assistant("m1"))}, keep_raw=True)
    a_file(lake.path, table).write_bytes(b"PAR1")
    remedy = found(lake.path, logs)["checksums"].remedy
    assert ("tokenlake rebuild" in remedy) == helps
    assert "tokenlake ingest --lake NEW" in remedy
    if helps:
        lake.rebuild()
        assert wrong(found(lake.path, logs)) == set()
    else:
        with pytest.raises(LakeError):
            lake.rebuild()


def test_a_flipped_bit_anywhere(root: Path, found: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    """In data, in statistics, in a Bloom filter: the checksum is one of all bytes."""
    from tokenlake.doctor import data_files

    file = a_file(root, "usage_rows", "2026-05")
    before = file.read_bytes()
    chance = random.Random(7)
    for at in [0, len(before) - 1, *(chance.randrange(len(before)) for _ in range(30))]:
        data = bytearray(before)
        data[at] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        findings, sound = data_files.check(catalog.read(root))
        assert [finding.check for finding in findings if finding.status is Status.PROBLEM] == ["checksums"]
        assert findings[1].found.startswith(f"1 data file damaged: {file.relative_to(root)}: its bytes have changed")
        assert len(sound.files["usage_rows"]) == len(catalog.read(root).files["usage_rows"]) - 1
    assert wrong(found(root)) == {"checksums", "sums", "agent versions"}


def test_a_flipped_byte_in_a_lake_without_checksums(root: Path, found: Find) -> None:
    """As one of an earlier version: the data is decoded to the end."""
    file = a_file(root, "texts", "2026-05")
    publish(root, checksums={})
    assert found(root)["checksums"].found.startswith("0 of ")
    assert "without a checksum read to the end" in found(root)["checksums"].found
    data = bytearray(file.read_bytes())
    data[4:400] = b"\xff" * 396
    file.write_bytes(data)
    finding = found(root)["checksums"]
    assert finding.status is Status.PROBLEM
    assert str(file.relative_to(root)) in finding.found


@pytest.mark.parametrize(
    ("table", "key"),
    [("requests", "key"), ("tool_calls", "tool_use_id"), ("prompts", "id"), ("texts", "id"), ("events", "id")],
)
def test_a_key_that_is_there_twice(root: Path, found: Find, table: str, key: str) -> None:
    file = a_file(root, table, "2026-05")
    name = pa.parquet.ParquetFile(file).read()[key][0].as_py()
    rewrite(root, file, lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]))
    finding = found(root)["unique keys"]
    assert finding.status is Status.PROBLEM
    assert f"{table} (2 rows for 1, as {key} {name})" in finding.found


def test_a_key_that_is_there_in_two_months(root: Path, found: Find) -> None:
    other = pa.parquet.ParquetFile(a_file(root, "requests", "2026-05")).read()["key"][0].as_py()
    rewrite(root, a_file(root, "requests", "2026-03"), lambda rows: column_set(rows, "key", 0, other))
    findings = found(root)
    assert wrong(findings) == {"unique keys", "usage rows of requests", "kept rows of requests"}
    assert f"as key {other}" in findings["unique keys"].found


def test_a_row_without_a_key(root: Path, found: Find) -> None:
    rewrite(root, a_file(root, "events", "2026-05"), lambda rows: column_set(rows, "id", 0, None))
    assert "events (1 rows for 1, as no id)" in found(root)["unique keys"].found


@pytest.mark.parametrize("moved", [dt.datetime(2026, 4, 30, 23, 59, 59, tzinfo=dt.UTC), None])
def test_a_row_in_the_folder_of_another_month(root: Path, found: Find, moved: dt.datetime | None) -> None:
    file = a_file(root, "events", "2026-05")
    rewrite(root, file, lambda rows: column_set(rows, "ts", 0, moved))
    findings = found(root)
    assert wrong(findings) == {"months"}
    assert findings["months"].found.endswith(f"{file.relative_to(root)} (1 row)")


def test_sums_that_disagree(root: Path, found: Find) -> None:
    rewrite(root, a_file(root, "files"), lambda rows: column_set(rows, "usage_rows", 0, 99))
    findings = found(root)
    assert wrong(findings) == {"usage rows of the ledger"}
    assert ": 99, not 4" in findings["usage rows of the ledger"].found or ": 99, not 2" in findings[
        "usage rows of the ledger"
    ].found  # fmt: skip
    rewrite(root, a_file(root, "files"), lambda rows: column_set(rows, "rejects", 0, 3))
    assert ": 3, not 0" in found(root)["rejects of the ledger"].found


def test_counts_that_no_row_has(root: Path, found: Find) -> None:
    rewrite(root, a_file(root, "requests", "2026-05"), lambda rows: column_set(rows, "output_tokens", 0, 1_000_000))
    findings = found(root)
    assert wrong(findings) == {"kept rows of requests", "sums of requests"}
    assert "1,000,000, not " in findings["kept rows of requests"].found
    rewrite(root, a_file(root, "sessions"), lambda rows: column_set(rows, "requests", 0, 50))
    assert wrong(found(root)) == {"kept rows of requests", "sums of requests", "requests of sessions"}


def test_sums_of_other_requests(root: Path, found: Find) -> None:
    file = a_file(root, "request_sums", "2026-05")
    rewrite(root, file, lambda rows: column_set(rows, "cache_read_tokens", 0, 7_000))
    assert wrong(findings := found(root)) == {"sums of requests"}
    # The row that is there, and the one that should be.
    assert findings["sums of requests"].found == f"{file.relative_to(root)} differs in 2 rows"
    assert findings["sums of requests"].status is Status.PROBLEM


def test_sums_and_requests_without_each_other(root: Path, found: Find) -> None:
    sums, others = a_file(root, "request_sums", "2026-05"), a_file(root, "requests", "2026-03")
    path = root / catalog.CATALOG_NAME
    content = json.loads(path.read_text())
    content["files"]["request_sums"].remove(str(sums.relative_to(root)))
    content["files"]["requests"].remove(str(others.relative_to(root)))
    path.write_text(json.dumps(content))
    name = str(others.relative_to(root)).replace("requests", "request_sums")
    assert found(root)["sums of requests"].found == f"{name} belongs to no requests"
    assert found(root)["sums of requests"].status is Status.PROBLEM
    content["files"]["request_sums"].remove(name)
    path.write_text(json.dumps(content))
    finding = found(root)["sums of requests"]
    assert (
        finding.found == f"1 data file without any: {str(sums.relative_to(root)).replace('request_sums', 'requests')}"
    )
    assert finding.status is Status.WARNING


@pytest.mark.parametrize("quick", [False, True])
def test_lost_sums_cost_speed_alone(root: Path, found: Find, quick: bool) -> None:
    file = a_file(root, "request_sums", "2026-05")
    file.unlink()
    findings = found(root, quick=quick)
    assert wrong(findings) == ({"data files"} if quick else {"data files", "sums of requests"})
    assert findings["data files"].found.endswith(f"missing, of sums of requests alone: {file.relative_to(root)}")
    for name in wrong(findings):
        assert findings[name].status is Status.WARNING
        assert (
            "an ingest that has something new to read, or tokenlake rebuild, makes them again" in findings[name].remedy
        )
        assert "takes longer" in findings[name].remedy


def test_lost_sums_beside_a_loss_that_counts(root: Path, found: Find) -> None:
    a_file(root, "request_sums", "2026-05").unlink()
    a_file(root, "texts", "2026-04").unlink()
    finding = found(root)["data files"]
    assert finding.status is Status.PROBLEM
    assert finding.found.startswith("2 of ")
    assert "restore the files from a backup" in finding.remedy


def test_damaged_sums_may_be_deleted(root: Path, found: Find) -> None:
    file = a_file(root, "request_sums", "2026-05")
    data = bytearray(file.read_bytes())
    data[40:60] = b"\xff" * 20
    file.write_bytes(data)
    findings = found(root)
    assert wrong(findings) == {"checksums", "sums of requests"}
    assert findings["checksums"].status is Status.PROBLEM
    assert findings["checksums"].found == f"1 data file damaged: {file.relative_to(root)}: its bytes have changed"
    assert findings["checksums"].remedy.startswith("delete the files, and nothing is lost")


def test_damage_that_only_shows_where_rows_are_read(root: Path) -> None:
    """Of a lake without checksums, and a reader of footers that is content."""
    from tokenlake.doctor import rows

    file = a_file(root, "requests", "2026-05")
    data = bytearray(file.read_bytes())
    data[4:1500] = b"\xff" * 1496
    file.write_bytes(data)
    (finding,) = rows.check(catalog.read(root), complete=True)
    assert (finding.check, finding.status) == ("rows", Status.PROBLEM)
    assert "\n" not in finding.found


def test_lost_rows(root: Path, found: Find) -> None:
    rewrite(root, a_file(root, "usage_rows", "2026-05"), lambda rows: rows.slice(1))
    assert wrong(found(root)) == {"usage rows of the ledger", "usage rows of requests", "kept rows of requests"}


def test_other_columns(root: Path, found: Find) -> None:
    rewrite(root, a_file(root, "texts", "2026-05"), lambda rows: rows.drop_columns(["chars"]))
    finding = found(root)["columns"]
    assert finding.status is Status.PROBLEM
    assert finding.found.endswith("lacks chars")


def test_stray_files(root: Path, found: Find) -> None:
    (root / "requests" / "month=2026-05" / "stray.parquet").write_bytes(b"x")
    (root / "notes.txt").write_text("x")
    (root / "texts" / "link").symlink_to("/etc")
    finding = found(root)["other files"]
    assert finding.status is Status.WARNING
    for name in ("requests/month=2026-05/stray.parquet", "notes.txt", "texts/link"):
        assert name in finding.found
    assert "3 files" in finding.found


def test_files_of_the_lakes_own_are_no_strays(root: Path, found: Find) -> None:
    (root / "quota-samples.jsonl").touch(mode=0o600)
    with lock.writer(root):
        findings = found(root)
    assert findings["other files"].status is Status.OK
    assert "another process is writing" in findings["staging"].found
    assert "nothing left over" in found(root)["staging"].found


def test_modes_that_let_others_in(root: Path, found: Find) -> None:
    a_file(root, "texts").chmod(0o644)
    (root / "texts").chmod(0o755)
    finding = found(root)["permissions"]
    assert finding.status is Status.WARNING
    assert "2 files and folders" in finding.found
    assert "texts (0755)" in finding.found
    assert finding.remedy.endswith(f"chmod -R go-rwx {root}")


def test_a_staging_folder_left_over(root: Path, found: Find) -> None:
    (root / ".staging" / "requests").mkdir(parents=True)
    (root / ".staging" / "requests" / "a.parquet").write_bytes(b"x" * 2_000_000)
    finding = found(root)["staging"]
    assert finding.status is Status.WARNING
    assert ".staging of an ingest that did not end, 2.0 MB" in finding.found
    assert wrong(found(root)) == {"staging", "permissions"}


def test_spilled_rows_of_a_killed_process(root: Path, found: Find) -> None:
    from tokenlake.query import spill

    folder = spill.folder()
    (folder / "duckdb_temp_999999999_0_storage_DEFAULT-0.tmp").write_bytes(b"x" * 3_000_000)
    (folder / "duckdb_temp_1_0_storage_DEFAULT-0.tmp").write_bytes(b"x")  # of a process that lives
    finding = found(root)["spilled rows"]
    assert finding.status is Status.WARNING
    assert finding.found == f"3.0 MB of killed processes in {folder} (1 file)"


def test_a_damaged_catalog(root: Path, found: Find) -> None:
    (root / catalog.CATALOG_NAME).write_text('{"schema_version": 2, "commit"')
    findings = found(root)
    assert findings["lake"].status is Status.PROBLEM
    assert "not a readable catalog" in findings["lake"].found
    assert findings["lake"].remedy == "restore it from a backup, or ingest into a new --lake"
    assert "versions" in findings


def test_a_catalog_that_leads_out_of_the_lake(root: Path, found: Find, tmp_path: Path) -> None:
    outside = tmp_path / "outside.parquet"
    outside.write_bytes(a_file(root, "texts").read_bytes())
    files = catalog.read(root).files
    for name in (str(outside), "../outside.parquet"):
        publish(root, files={**files, "texts": (name,)})
        finding = found(root)["data files"]
        assert finding.status is Status.PROBLEM
        assert f"1 data file outside the lake: {name}" in finding.found
    (root / "texts" / "in.parquet").symlink_to(outside)
    publish(root, files={**files, "texts": ("texts/in.parquet",)})
    assert "outside the lake: texts/in.parquet" in found(root)["data files"].found


@pytest.mark.parametrize(("version", "status"), [(1, Status.WARNING), (99, Status.PROBLEM)])
def test_a_lake_of_another_schema_version(root: Path, found: Find, version: int, status: Status) -> None:
    path = root / catalog.CATALOG_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": version}))
    finding = found(root)["lake"]
    assert finding.status is status
    assert f"schema version {version}" in finding.found


def test_no_lake(tmp_path: Path, found: Find) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "none", tmp_path / "empty"):
        finding = found(path)["lake"]
        assert finding.status is Status.PROBLEM
        assert finding.remedy == "make it: tokenlake ingest"
        assert not (path / catalog.CATALOG_NAME).exists()


def test_a_commit_meanwhile_is_no_damage(root: Path, whole: Path, found: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the snapshot at hand vanish as another process commits: the lake is looked at again."""
    from tokenlake.doctor import data_files

    check, calls = data_files.check, []

    def check_after_a_commit(snapshot: Any, quick: bool) -> Any:
        if not calls:
            for path in snapshot.paths("files"):
                Path(path).rename(f"{path}.new.parquet")
            files = {**snapshot.files, "files": tuple(f"{name}.new.parquet" for name in snapshot.files["files"])}
            sums = {name: text for name, text in snapshot.checksums.items() if not name.startswith("files/")}
            publish(root, files=files, commit=snapshot.commit + 1, checksums=sums)
        calls.append(snapshot.commit)
        return check(snapshot, quick)

    monkeypatch.setattr(data_files, "check", check_after_a_commit)
    assert wrong(found(root)) == set()
    assert calls == [3, 4]


def test_nothing_is_written(root: Path, found: Find) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != lock.LOCK_NAME}
    found(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != lock.LOCK_NAME} == before


def test_lakes_of_every_sample_and_of_growing_logs_are_whole(samples: Path, tmp_path: Path, found: Find) -> None:
    lake = Lake(tmp_path / "samples")
    lake.refresh([samples / "logs"], host="h", keep_raw=True)
    findings = found(lake.path, samples / "logs")
    assert [name for name, finding in findings.items() if finding.status is Status.PROBLEM] == []


def test_the_lake_of_the_real_logs_is_whole(real_logs: Path, tmp_path: Path, found: Find) -> None:
    lake = Lake(tmp_path / "real")
    lake.refresh([real_logs], host="h")
    assert wrong(found(lake.path, real_logs)) == set()
