"""What the doctor says of the logs: what was lost or odd, what is new, what the agent will delete before it is read."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accounting.transcripts import agent_progress, assistant, jsonl, usage, user
from doctor.conftest import HOST, a_file, as_line, rewrite, wrong

from tokenlake.doctor import known, novelties, retention
from tokenlake.doctor.examination import examine
from tokenlake.doctor.findings import Finding, Status
from tokenlake.lake import Lake

Find = Callable[..., dict[str, Finding]]


def test_rejects_odd_fields_and_other_formats(logs: Path, ingest: Any, found: Find) -> None:
    tree = {
        "p/bad.jsonl": jsonl(assistant("m1")) + b"{broken\n{broken too\n",
        "p/odd.jsonl": jsonl(assistant("m2", usage("many"), agentId=7)),
        "p/dump.jsonl": b'{"type":"system","subtype":"init","session_id":"x","tools":[]}\n',
        "p/notes.jsonl": b"not json at all\n",
    }
    findings = found(ingest(tree).path, logs)
    assert findings["rejects"].status is Status.WARNING
    parts = re.findall(r"(\d+) parts? \((\d+) bytes\) of 1 file: ", findings["rejects"].found)
    assert sum(int(n) for n, _ in parts) == 3
    assert sum(int(size) for _, size in parts) == len("{broken" + "{broken too" + "not json at all")
    assert findings["rejects"].remedy.endswith("tokenlake lake rejects")
    assert findings["odd fields"].found.startswith("2 fields of an unexpected type in 1 file: ")
    assert findings["odd fields"].found.endswith("/p/odd.jsonl")
    assert "2 files of another format" in findings["formats"].found
    assert "/p/dump.jsonl (stream-json)" in findings["formats"].found
    assert "/p/notes.jsonl (not-jsonl)" in findings["formats"].found
    # The fields of another format are no news.
    assert findings["record fields"].status is Status.OK


def new_records() -> bytes:
    more = usage(5, reasoning_tokens=4, cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1d_input_tokens": 9})
    tiered = usage(6, iterations=[{"type": "jury_message", "input_tokens": 1, "votes": 3}])
    progress = agent_progress("m3", usage(1, thought_tokens=2))
    return jsonl(
        user("Ahoy.", mood="good"),
        assistant("m1", more, hologram=True),
        assistant("m2", tiered, "09:01", content=[{"type": "text", "text": "a"}, {"type": "melody", "notes": []}]),
        progress,
    ) + b"".join(
        [
            as_line(type="telepathy", sessionId="s", timestamp="2026-05-04T09:02:00Z"),
            as_line(type="system", subtype="eclipse", sessionId="s", timestamp="2026-05-04T09:02:00Z"),
            b'{"type": 7}\n[1]\n{broken\n',
        ]
    )


NEW_OF_USAGE = {
    "usage.reasoning_tokens",
    "usage.cache_creation.ephemeral_1d_input_tokens",
    "usage.iterations.votes",
    "usage.thought_tokens",
}
NEW = {
    "user.mood",
    "assistant.hologram",
    "content block melody",
    "record type telepathy",
    "system subtype eclipse",
}


def test_fields_never_seen_before(logs: Path, ingest: Any, found: Find) -> None:
    lake = ingest({"p/new.jsonl": new_records()})
    path = logs / "projects" / "p" / "new.jsonl"
    findings = found(lake.path, logs)
    of_usage, others = findings["usage fields"], findings["record fields"]
    assert of_usage.status is others.status is Status.WARNING
    for name in NEW_OF_USAGE | {"iteration type jury_message"}:
        assert f"{name} ({path})" in of_usage.found
    for name in NEW:
        assert f"{name} ({path})" in others.found
    assert "it may be billed, and is not counted" in of_usage.remedy
    assert findings["lake"].status is Status.OK


def test_what_is_new_is_found_in_lines_that_the_lake_has_kept(logs: Path, ingest: Any, found: Find) -> None:
    lake = ingest({"p/new.jsonl": new_records()}, keep_raw=True)
    path = logs / "projects" / "p" / "new.jsonl"
    path.unlink()
    (logs / "projects" / "p" / "journal.jsonl").touch()
    assert f"usage.reasoning_tokens ({path})" in found(lake.path, logs)["usage fields"].found


def test_a_type_of_events_is_found_though_its_transcript_is_gone(logs: Path, ingest: Any, found: Find) -> None:
    lake = ingest({"p/new.jsonl": new_records()})
    (logs / "projects" / "p" / "new.jsonl").write_bytes(jsonl(user()))
    assert "record type telepathy (1 event)" in found(lake.path, logs)["record fields"].found


def test_the_newest_end_is_looked_at_first_and_time_is_bounded(tmp_path: Path) -> None:
    from tokenlake.ingest.discover import FoundFile

    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    filler = jsonl(user("x" * 2000)) * 1000
    old.write_bytes(as_line(type="ancient") + filler)
    new.write_bytes(as_line(type="early") + filler + as_line(type="late"))
    files = [FoundFile(n, str(path), "main", path.stat().st_size, n) for n, path in enumerate((old, new))]
    assert set(novelties.in_transcripts(files, 60).others) == {"record type late"}
    hurried = novelties.in_transcripts(files, 0)
    assert (hurried.files, hurried.records) == (1, 1)


def test_a_hostile_transcript_cannot_fill_the_memory(tmp_path: Path) -> None:
    from tokenlake.ingest.discover import FoundFile

    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join(as_line(type="t" * 500 + str(n)) for n in range(1000)) + b'{"a":' * 100_000 + b"\n")
    found = novelties.in_transcripts([FoundFile(1, str(path), "main", 1, 1)], 60)
    assert len(found.others) <= 200
    assert max(map(len, found.others)) <= 80


def test_everything_in_real_transcripts_is_known(real_logs: Path) -> None:
    from tokenlake.ingest.discover import discover

    found = novelties.in_transcripts(discover([real_logs], HOST).files, 600)
    assert (found.usage, found.others) == ({}, {})
    assert (found.files, found.records > 10_000) == (88, True)


def test_everything_in_made_up_transcripts_is_known(tmp_path: Path) -> None:
    from tokenlake.ingest.discover import discover
    from tokenlake.synth.options import SynthOptions
    from tokenlake.synth.tree import write_tree

    write_tree(SynthOptions(total_bytes=2_000_000), tmp_path / "tree")
    found = novelties.in_transcripts(discover([tmp_path / "tree"], HOST).files, 600)
    assert (found.usage, found.others) == ({}, {})
    assert found.records > 500


def test_a_version_newer_than_known(root: Path, found: Find) -> None:
    assert "newest in the lake 2.1.120" in found(root)["agent versions"].found
    file = a_file(root, "usage_rows", "2026-05")
    newer = f"{known.VERSION[0]}.{known.VERSION[1]}.{known.VERSION[2] + 1}"

    def change(rows: Any) -> Any:
        import pyarrow as pa

        at = rows.schema.get_field_index("version")
        return rows.set_column(at, rows.schema.field(at), pa.array([newer] * rows.num_rows))

    rewrite(root, file, change)
    finding = found(root)["agent versions"]
    assert finding.status is Status.WARNING
    assert f"2 usage rows of versions up to {newer}" in finding.found
    assert "pip install -U tokenlake" in finding.remedy


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("2.1.9", (2, 1, 9)), ("10.0.0-beta.1", (10, 0, 0)), (None, None), ("x", None), ("9" * 50, None)],
)
def test_versions(text: str | None, wanted: Any) -> None:
    assert novelties.version_of(text) == wanted


def test_a_remembered_folder_that_is_gone(root: Path, found: Find, tmp_path: Path) -> None:
    from doctor.conftest import publish

    from tokenlake.store import catalog

    settings = catalog.read(root).settings
    folders = (*settings.roots[HOST], str(tmp_path / "unplugged"))
    publish(root, settings=type(settings)(roots={HOST: folders}))
    finding = next(f for f in examine(root, host=HOST) if f.check == "log folders")
    assert finding.status is Status.WARNING
    assert f"{tmp_path / 'unplugged'}: no longer there" in finding.found


def test_what_has_changed_since_the_last_ingest(logs: Path, ingest: Any, found: Find) -> None:
    names = ("gone", "grown", "rewritten", "same")
    lake = ingest({f"p/{name}.jsonl": jsonl(assistant(name)) for name in names})
    finding = found(lake.path, logs)["ledger"]
    assert (finding.status, finding.found) == (Status.OK, "4 transcripts as last read")
    project = logs / "projects" / "p"
    (project / "gone.jsonl").unlink()
    with (project / "grown.jsonl").open("ab") as file:
        file.write(jsonl(assistant("more")))
    (project / "rewritten.jsonl").write_bytes(jsonl(assistant("other"), assistant("another")))
    (project / "new.jsonl").write_bytes(jsonl(assistant("new")))
    finding = found(lake.path, logs)["ledger"]
    assert finding.status is Status.WARNING
    assert finding.found == (
        f"1 new: {project}/new.jsonl; 1 grown: {project}/grown.jsonl; "
        f"1 rewritten: {project}/rewritten.jsonl; 1 gone and not marked so: {project}/gone.jsonl"
    )
    assert finding.remedy.endswith(": tokenlake ingest")
    lake.refresh([logs], host=HOST)
    finding = found(lake.path, logs)["ledger"]
    assert (finding.status, finding.found) == (Status.OK, "4 transcripts as last read")


def test_without_a_ledger_nothing_is_said_of_changes(root: Path, found: Find) -> None:
    a_file(root, "files").write_bytes(b"PAR1")
    findings = found(root)
    assert findings["checksums"].status is Status.PROBLEM
    assert "ledger" not in findings


def test_models_without_a_price(logs: Path, ingest: Any, found: Find) -> None:
    lake = ingest({"p/s.jsonl": jsonl(assistant("m1", model="gateway-huge"))})
    finding = found(lake.path, logs)["unpriced models"]
    assert finding.status is Status.WARNING
    assert finding.found == "gateway-huge (1 request)"


# --- what the agent deletes ---------------------------------------------------------------------------------------

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


def aged(path: Path, days: float) -> None:
    """Makes a file one that was last changed so many days before NOW."""
    at = int((NOW - dt.timedelta(days=days)).timestamp() * 1e9)
    os.utime(path, ns=(at, at))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The agent's folder, with transcripts of 29, 20 and 1 days."""
    folder = tmp_path / "claude"
    project = folder / "projects" / "p"
    project.mkdir(parents=True)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    for days in (29, 20, 1):
        (project / f"{days}.jsonl").write_bytes(jsonl(assistant(f"m{days}")))
        aged(project / f"{days}.jsonl", days)
    return folder


def kept(config: Path, tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.refresh([config], host=HOST)
    return lake


def test_transcripts_that_are_all_read_may_go(config: Path, tmp_path: Path, found: Find) -> None:
    lake = kept(config, tmp_path)
    aged(lake.path / "tokenlake.json", 2)
    finding = found(lake.path, config, now=NOW)["retention"]
    assert finding.status is Status.OK
    assert finding.found == (
        f"{config}: transcripts go 30 days after their last change (its default); "
        "1 of 3 go within 7 days, the first on 2026-06-02 (1.0 days left); last commit 2026-05-30; "
        "the lake has read all of them"
    )


@pytest.mark.parametrize(
    ("name", "status", "words", "remedy"),
    [
        ("29.jsonl", Status.WARNING, "the first of them on 2026-06-02 (1.0 days left)", "before 2026-06-02"),
        ("20.jsonl", Status.OK, "the first of them on 2026-06-11 (10.0 days left)", ""),
    ],
)
def test_transcripts_that_go_before_they_are_read(
    config: Path, tmp_path: Path, found: Find, name: str, status: Status, words: str, remedy: str
) -> None:
    lake = kept(config, tmp_path)
    path = config / "projects" / "p" / name
    age = float(name.removesuffix(".jsonl"))
    with path.open("ab") as file:
        file.write(jsonl(assistant("more")))
    aged(path, age)
    finding = found(lake.path, config, now=NOW)["retention"]
    assert finding.status is status
    assert "1 transcript not or not wholly in the lake" in finding.found
    assert words in finding.found
    assert remedy in finding.remedy
    assert bool(finding.remedy) == (status is Status.WARNING)


def test_a_shorter_period_in_the_settings(config: Path, tmp_path: Path, found: Find) -> None:
    (config / "settings.json").write_text('{"cleanupPeriodDays": 10, "env": {"SECRET": "sk"}}')
    findings = found(tmp_path / "none", config, now=NOW)
    finding = findings["retention"]
    assert finding.status is Status.WARNING
    assert "10 days after their last change (cleanupPeriodDays in settings.json)" in finding.found
    assert "2 of 3 go within 7 days, the first overdue since 2026-05-13" in finding.found
    assert "3 transcripts not or not wholly in the lake, the first of them overdue since 2026-05-13" in finding.found
    assert finding.remedy.startswith("run `tokenlake ingest` now, and at least every 5 days")
    assert f"raise cleanupPeriodDays in {config / 'settings.json'}" in finding.remedy
    assert not any("sk" in finding.found.split() for finding in findings.values())


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (None, (30, "its default")),
        ("{}", (30, "its default")),
        ('{"cleanupPeriodDays": 99999}', (99999, "cleanupPeriodDays in settings.json")),
        ('{"cleanupPeriodDays": 0}', (30, "is no number of days")),
        ('{"cleanupPeriodDays": true}', (30, "is no number of days")),
        ('{"cleanupPeriodDays": "7"}', (30, "is no number of days")),
        ('{"cleanupPeriodDays": 1e9}', (30, "is no number of days")),
        ("{broken", (30, "cannot be read")),
        ("[" * 100_000, (30, "cannot be read")),
        ("[1]", (30, "its default")),
        (b"\xff\xfe", (30, "cannot be read")),
    ],
    ids=str,
)
def test_the_period_as_the_settings_say_it(tmp_path: Path, settings: Any, wanted: tuple[int, str]) -> None:
    if settings is not None:
        data = settings if isinstance(settings, bytes) else settings.encode()
        (tmp_path / "settings.json").write_bytes(data)
    days, source = retention.period(tmp_path)
    assert days == wanted[0]
    assert source.endswith(wanted[1])


def test_settings_that_are_no_file_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "settings.json")
    days, source = retention.period(tmp_path)
    assert days == 30
    assert "is no file of settings" in source


def test_every_folder_that_is_looked_into_is_cleaned_up(
    config: Path, tmp_path: Path, found: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the lake remembers, and one that is named, though neither is the agent's default."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "elsewhere"))
    lake = kept(config, tmp_path)
    with (config / "projects" / "p" / "29.jsonl").open("ab") as file:
        file.write(jsonl(assistant("more")))
    aged(config / "projects" / "p" / "29.jsonl", 29)
    remembered = next(f for f in examine(lake.path, host=HOST, now=NOW) if f.check == "retention")
    assert remembered.status is Status.WARNING
    assert remembered.found.startswith(f"{config}: transcripts go 30 days after")
    for root in (config, config / "projects"):
        assert found(lake.path, root, now=NOW)["retention"] == remembered


def test_a_folder_that_is_not_an_agents_is_not_cleaned_up(whole: Path, root: Path, found: Find) -> None:
    findings = found(root, whole / "logs" / "projects" / "p")
    assert "retention" not in findings
    assert wrong(findings) == set()
    assert json.loads((root / "tokenlake.json").read_text())["commit"] == 3


@pytest.mark.parametrize(
    ("table", "about"),
    [
        ("rejects", {"rejects"}),
        ("files", {"odd fields", "formats"}),
        ("usage_rows", {"agent versions"}),
        ("requests", {"unpriced models"}),
    ],
)
def test_nothing_is_said_of_rows_that_cannot_be_read(
    table: str, about: set[str], logs: Path, ingest: Any, found: Find
) -> None:
    """A check that would be of them says so; the other ones of the logs say what they say of the whole lake."""
    lake = ingest({"p/s.jsonl": jsonl(assistant("m1", model="mystery"), assistant("m2")) + b"{broken\n"})
    before = found(lake.path, logs)
    a_file(lake.path, table).unlink()
    findings = found(lake.path, logs)
    for check in ("rejects", "odd fields", "formats", "agent versions", "unpriced models"):
        if check in about:
            assert findings[check].found == f"not checked: rows of {table} cannot be read"
            assert findings[check].status is Status.WARNING
        else:
            assert findings[check] == before[check]
    assert ("ledger" in findings) == (table != "files")


def test_what_the_agent_deletes_is_said_where_the_ledger_cannot_be_read(
    config: Path, tmp_path: Path, found: Find
) -> None:
    made = Lake(tmp_path / "made")
    made.refresh([config], host=HOST)
    a_file(made.path, "files").unlink()
    finding = found(made.path, config)["retention"]
    assert finding.status is Status.WARNING
    assert finding.found.endswith("which of them the lake has read is not known, as its ledger cannot be read")


def test_a_lake_without_transcripts(logs: Path, ingest: Any, found: Find) -> None:
    """All that it knows is how much of a quota was used."""
    (logs / "projects").mkdir(parents=True)
    sample = {"timestamp": "2026-03-02T10:00:00Z", "rate_limits": {"five_hour": {"used_percentage": 13}}}
    (logs / "quota-samples.jsonl").write_bytes(as_line(**sample))
    findings = found(ingest({}).path, logs)
    assert wrong(findings) == {"log folders"}
    for check in ("rejects", "odd fields", "formats", "agent versions"):
        assert findings[check].found == "the lake has read no transcripts"
    assert findings["unpriced models"].found == "the lake has no requests"


@pytest.mark.parametrize("is_there", [False, True])
def test_another_format_is_no_news_without_a_ledger_either(
    is_there: bool, logs: Path, ingest: Any, found: Find
) -> None:
    tree = {
        "p/s.jsonl": jsonl(assistant("m1")),
        "p/dump.jsonl": b'{"type":"system","subtype":"eclipse","session_id":"x","tools":[]}\n',
    }
    lake = ingest(tree)
    if is_there:
        a_file(lake.path, "files").unlink()
    findings = found(lake.path if is_there else lake.path.with_name("none"), logs)
    assert findings["record fields"].found == "all known, in 1 record of 1 file, the newest"
