"""The commands that read transcripts: ingest, demo, and the refresh before a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tokenlake.lake", reason="the engine's Lake is not there")

RECORD = (
    '{"type":"assistant","uuid":"u%d","timestamp":"2026-03-01T10:00:0%d.000Z","sessionId":"s1","version":"2.1.119",'
    '"cwd":"/home/ada/alpha","isSidechain":false,"requestId":"req_%d","message":{"id":"msg_%d","type":"message",'
    '"role":"assistant","model":"claude-opus-4-5-20251101","content":[{"type":"text","text":"Hello."}],'
    '"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":40,"cache_creation_input_tokens":200,'
    '"cache_read_input_tokens":1000}}}\n'
)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    file = tmp_path / "logs" / "projects" / "-home-ada-alpha" / "s1.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(RECORD % (n, n, n, n) for n in (1, 2)))
    return file


@pytest.fixture
def arguments(tmp_path: Path, logs: Path) -> list[str]:
    return ["--root", str(tmp_path / "logs"), "--lake", str(tmp_path / "lake")]


def test_ingest_sums_up_what_it_did(run, arguments: list[str]) -> None:
    ran = run("ingest", *arguments, "--format", "json")
    assert (ran.code, ran.err) == (0, f"tokenlake: a new lake was made at {arguments[3]}\n")
    (summary,) = json.loads(ran.out)
    assert (summary["files_read"], summary["records"], summary["requests"]) == (1, 2, 2)
    assert (summary["input_tokens"], summary["cache_read_tokens"], summary["rejects"]) == (6, 2000, 0)
    ran = run("ingest", *arguments, "--format", "json")
    assert ran.err == ""
    (again,) = json.loads(ran.out)
    assert (again["files_read"], again["files_unchanged"], again["bytes_read"]) == (0, 1, 0)
    assert again["requests"] == 2


def test_ingest_shows_a_table_for_people(run, arguments: list[str], tmp_path: Path) -> None:
    lines = [line.split() for line in run("ingest", *arguments).out.split("\n")]
    assert ["lake", str(tmp_path / "lake")] in lines
    assert ["cache_read_tokens", "2,000"] in lines


def test_ingest_passes_its_options_on(run, arguments: list[str]) -> None:
    run("ingest", *arguments, "--host", "laptop", "--no-text", "--keep-raw", "--jobs", "1")
    lake = arguments[2:]
    text = "select host, text, (select count(*) from records) as records from texts limit 1"
    ran = run("sql", text, "--no-refresh", "--format", "json", *lake)
    assert json.loads(ran.out) == [{"host": "laptop", "text": None, "records": 2}]


def test_a_report_reads_what_was_appended(run, arguments: list[str], logs: Path) -> None:
    def requests(*more: str) -> int:
        ran = run("cache", "overhead", "--format", "json", *arguments, *more)
        assert (ran.code, ran.out[:1]) == (0, "["), ran.err
        rows = json.loads(ran.out)
        return rows[0]["requests"] if rows else 0

    assert requests() == 2
    with logs.open("a") as file:
        file.write(RECORD % (3, 3, 3, 3))
    assert requests("--no-refresh") == 2
    assert requests() == 3


def test_a_lake_without_its_transcripts_still_answers(
    run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("ingest", *arguments)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "gone"))
    ran = run("cost", "monthly", "--format", "csv", *arguments[2:])
    assert ran.code == 0
    assert ran.out.split("\n")[1].startswith("2026-03,all,2,")


def test_without_lake_and_transcripts_the_missing_sources_are_named(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "gone"))
    ran = run("cost", "monthly", "--lake", str(tmp_path / "new"))
    assert ran.code == 3
    assert str(tmp_path / "gone") in ran.err
    assert ran.err.count("\n") == 1


def test_a_root_that_is_not_there_is_an_error_of_sources(run, tmp_path: Path) -> None:
    ran = run("ingest", "--root", str(tmp_path / "gone"), "--lake", str(tmp_path / "new"))
    assert ran.code == 3
    assert str(tmp_path / "gone") in ran.err


def test_demo_answers_from_the_samples_and_says_where_the_lake_is(run, tmp_path: Path) -> None:
    from tokenlake_cli.demo import samples

    if not (samples() / "logs").is_dir():
        pytest.skip("data-samples/logs is not there")
    answers = json.loads((samples() / "answers.json").read_text())
    totals = answers.get("totals", {})
    ran = run("demo", "--lake", str(tmp_path / "lake"), "--format", "json")
    assert ran.code == 0
    (row,) = json.loads(ran.out)
    for name in ("requests", "input_tokens", "output_tokens", "cache_write_5m_tokens", "cache_read_tokens"):
        assert row[name] == totals[name]
    assert f"were read into the lake {tmp_path}/lake" in ran.err
    assert f"--lake {tmp_path}/lake" in run("demo", "--lake", str(tmp_path / "lake")).out
