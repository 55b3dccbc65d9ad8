"""What ccusage sees of the lake's transcripts: departed, changed, new, of other machines, out of its folders."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from accounting.transcripts import assistant, jsonl, usage
from reconcile import peer
from reconcile.conftest import amounts, reconciled, write

from tokenlake.errors import SourceError, UsageError
from tokenlake.lake import Lake

if TYPE_CHECKING:
    from tokenlake.reconcile import Reconciliation

Made = Callable[..., Lake]


def record(name: str, output: int = 10, **more: Any) -> dict[str, Any]:
    return assistant(f"msg_{name}", usage(output), request_id=f"req_{name}", **more)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A lake of two transcripts with a request each, in a folder of logs."""

    def make(folder: str = "logs", host: str = "h") -> Lake:
        write(tmp_path / folder, {"-p/one.jsonl": jsonl(record("one")), "-p/two.jsonl": jsonl(record("two"))})
        lake = Lake(tmp_path / "lake")
        lake.refresh([tmp_path / folder], host=host)
        return lake

    return make


def explained(found: Reconciliation) -> dict[str, tuple[int, int]]:
    with closing(found.connection):
        assert found.is_explained, found.table("kind").to_pylist()
        return amounts(found)


def test_nothing_differs(made: Made, logs: Path, by: str | None) -> None:
    assert explained(reconciled(made(), logs, by)) == {}


@pytest.mark.parametrize("is_known", [True, False], ids=["marked", "not yet marked"])
def test_a_departed_transcript_is_out_of_sight(made: Made, logs: Path, by: str | None, is_known: bool) -> None:
    """Whether or not the lake has noticed."""
    lake = made()
    (logs / "projects/-p/two.jsonl").unlink()
    if is_known:
        lake.refresh([logs], host="h")
    assert explained(reconciled(lake, logs, by)) == {"not seen: departed": (-1, -12)}


def test_what_was_appended_since_is_not_held(made: Made, logs: Path, by: str | None) -> None:
    """A new request, and more output of one that the lake has."""
    lake = made()
    with (logs / "projects/-p/two.jsonl").open("ab") as out:
        out.write(jsonl(record("three", 30), record("two", 25)))
    assert explained(reconciled(lake, logs, by)) == {"not held: changed since it was ingested": (1, 32 + 15)}


def test_what_was_rewritten_since_is_not_seen(made: Made, logs: Path, by: str | None) -> None:
    """The row that the lake holds is no more there."""
    lake = made()
    (logs / "projects/-p/two.jsonl").write_bytes(jsonl(record("four", 40)))
    assert explained(reconciled(lake, logs, by)) == {
        "not held: changed since it was ingested": (1, 42),
        "not seen: changed since it was ingested": (-1, -12),
    }


def test_a_new_transcript_is_not_ingested_yet(made: Made, logs: Path, by: str | None) -> None:
    lake = made()
    write(logs, {"-q/five.jsonl": jsonl(record("five", 50))})
    assert explained(reconciled(lake, logs, by)) == {"not held: not ingested yet": (1, 52)}


def test_an_archive_is_not_opened(made: Made, logs: Path) -> None:
    write(logs, {"-p/six.jsonl.gz": gzip.compress(jsonl(record("six", 60)))})
    assert explained(reconciled(made(), logs, None)) == {"not seen: archive": (-1, -62)}


def test_a_refused_format_is_counted_there(made: Made, logs: Path) -> None:
    """A stream-json dump whose lines happen to have what ccusage asks for."""
    dump = {**record("dump", 5), "session_id": "s"}
    del dump["sessionId"]
    write(logs, {"-p/dump.jsonl": jsonl(dump)})
    assert explained(reconciled(made(), logs, None)) == {"not held: another format": (1, 7)}


def test_another_machine_is_not_read(made: Made, tmp_path: Path, logs: Path) -> None:
    """A copied tree of another host lies in the lake: one request in both, one of its own."""
    lake = made()
    write(tmp_path / "copied", {"-p/one.jsonl": jsonl(record("one")), "-p/far.jsonl": jsonl(record("far", 70))})
    lake.refresh([tmp_path / "copied"], host="far-away")
    found = reconciled(lake, logs, None, host="h")
    assert explained(found) == {"not seen: another machine's": (-1, -72)}
    with pytest.raises(UsageError, match="holds no transcripts of nobody: name one of far-away, h with --host"):
        reconciled(lake, logs, None, host="nobody")


def test_what_lies_beside_projects_is_not_read(made: Made, logs: Path) -> None:
    """A root that was named is read whole by the lake; ccusage reads its projects only."""
    (logs / "old").mkdir(parents=True)
    (logs / "old/seven.jsonl").write_bytes(jsonl(record("seven", 80)))
    assert explained(reconciled(made(), logs, None)) == {"not seen: outside of projects/": (-1, -82)}


@pytest.mark.parametrize("name", ["plain", "with, a comma", "it's ünusual"])
def test_a_root_without_projects_is_read_all_the_same(tmp_path: Path, program: str, name: str) -> None:
    """A folder of transcripts, with a name that CLAUDE_CONFIG_DIR could not hold."""
    root = tmp_path / name
    (root / "-p").mkdir(parents=True)
    (root / "-p/one.jsonl").write_bytes(jsonl(record("one"), record("two")))
    lake = Lake(tmp_path / "lake")
    lake.refresh([root], host="h")
    found = reconciled(lake, root, program)
    (row,) = found.table("model").to_pylist()
    assert (row["tokens"], row["ccusage_tokens"]) == (24, 24)
    assert explained(found) == {}


def test_roots_are_those_that_the_lake_was_filled_from(made: Made, program: str) -> None:
    from tokenlake.reconcile import reconcile

    found = reconcile(made().snapshot(), tz="UTC", ccusage_path=program)
    assert found.version
    assert explained(found) == {}


def test_roots_that_are_gone_are_named(made: Made, tmp_path: Path, program: str) -> None:
    from tokenlake.reconcile import reconcile

    with pytest.raises(UsageError, match="no-such: no folder that ccusage could read; name one with --root"):
        reconcile(made().snapshot(), roots=[tmp_path / "no-such"], tz="UTC", ccusage_path=program)


def test_a_lake_without_its_logs_is_taken_at_its_word(made: Made, logs: Path, tmp_path: Path) -> None:
    """Of another machine there is a lake and a report: the ledger says what was there."""
    from tokenlake.reconcile import reconcile

    lake, report = made(), peer.report(logs)
    shutil.rmtree(logs)
    found = reconcile(lake.snapshot(), roots=[logs], tz="UTC", report=report)
    assert explained(found) == {}


def test_what_no_rule_leads_to_stays_unexplained(made: Made, logs: Path) -> None:
    """A report that says 1,000 tokens of output and a dollar too many, with the day and the model."""
    from tokenlake.reconcile import reconcile

    lake = made()
    report = json.loads(peer.report(logs))
    for figures in (report["daily"][0], report["daily"][0]["modelBreakdowns"][0]):
        figures["outputTokens"] += 1000
    report["daily"][0]["totalCost"] += 1
    report["daily"][0]["modelBreakdowns"][0]["cost"] += 1
    found = reconcile(lake.snapshot(), roots=[logs], tz="UTC", report=json.dumps(report))
    with closing(found.connection):
        assert (found.unexplained_tokens, found.unexplained_cost) == (1000, 1.0)
        assert not found.is_explained
        (row,) = found.table("day-model").to_pylist()
        assert (row["tokens_difference"], row["tokens_explained"], row["tokens_unexplained"]) == (1000, 0, 1000)
        assert (row["cost_difference"], row["cost_explained"], row["cost_unexplained"]) == (1, 0, 1)
        assert amounts(found) == {"unexplained": (None, 1000)}


def test_what_is_missing_in_one_kind_is_not_made_up_by_another(made: Made, logs: Path) -> None:
    from tokenlake.reconcile import reconcile

    lake = made()
    report = json.loads(peer.report(logs))
    for figures in (report["daily"][0], report["daily"][0]["modelBreakdowns"][0]):
        figures["outputTokens"] += 3
        figures["inputTokens"] -= 3
    found = reconcile(lake.snapshot(), roots=[logs], tz="UTC", report=json.dumps(report))
    with closing(found.connection):
        assert found.unexplained_tokens == 6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "list indices"),
        ('{"weekly": []}', "it has no 'daily'"),
        ('{"daily": [{"date": "2026-01"}]}', "Invalid isoformat"),
        ('{"daily": [{"date": "2026-01-01"}]}', "it has no 'modelBreakdowns'"),
        ('{"daily": [{"date": "2026-01-01", "modelBreakdowns": [{"modelName": "m", "cost": 0, "inputTokens": 1.5, '
         '"outputTokens": 1, "cacheCreationTokens": 0, "cacheReadTokens": 0}]}]}', "no whole numbers"),
    ],
)  # fmt: skip
def test_a_report_of_another_kind_is_named(made: Made, logs: Path, text: str, reason: str) -> None:
    from tokenlake.reconcile import reconcile

    with pytest.raises(SourceError, match=f"r.json: is not the output of `ccusage claude daily --json`: .*{reason}"):
        reconcile(made().snapshot(), roots=[logs], tz="UTC", report=text, source="r.json")
