"""The shape of made-up trees: sizes, shares and special cases near those of real transcripts."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest

from synth.recount import transcripts
from tokenlake.synth.options import SynthOptions
from tokenlake.synth.tree import write_tree
from tokenlake.synth.truth import Truth

# Files, in bytes: of published transcripts.
FILE_SIZES = {50: 105_000, 75: 234_000, 90: 654_000, 95: 1_500_000, 99: 5_400_000}
LINE_SIZES = {50: 1_100, 90: 5_300, 99: 41_000}


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Path]:
    folder = tmp_path_factory.mktemp("year")
    return write_tree(SynthOptions(total_bytes=100_000_000, seed=31), folder), folder / "projects"


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Path]:
    """Five months of the latest releases, with every special case."""
    folder = tmp_path_factory.mktemp("late")
    models = ("claude-opus-4-8[1m]", "claude-haiku-4-5-20251001")
    options = SynthOptions(
        total_bytes=40_000_000, seed=32, months=5, first_day=date(2026, 4, 10), models=models, fork_share=0.4
    )
    return write_tree(options, folder), folder / "projects"


def records(root: Path, pattern: str = "*.jsonl") -> Iterator[dict[str, Any]]:
    for path in sorted(root.rglob(pattern)):
        if path.name != "journal.jsonl":
            yield from map(json.loads, path.read_bytes().split(b"\n")[:-1])


def near(sizes: list[int], targets: dict[int, int], tolerance: float) -> None:
    found = quantiles(sizes, n=100, method="inclusive")
    for percent, target in targets.items():
        assert abs(found[percent - 1] / target - 1) < tolerance, (percent, found[percent - 1], target)


def test_files_have_the_sizes_of_real_ones(year: tuple[Truth, Path]) -> None:
    sizes = [path.stat().st_size for path in transcripts(year[1])]
    near(sizes, FILE_SIZES, 0.2)
    # The largest of the real ones had 87 MB; a session is a tenth of its tree at most, and a turn more.
    assert 8_000_000 < max(sizes) < 12_000_000


def test_lines_have_the_sizes_of_real_ones(year: tuple[Truth, Path]) -> None:
    sizes = [len(line) for path in transcripts(year[1]) for line in path.read_bytes().split(b"\n")[:-1]]
    near(sizes, LINE_SIZES, 0.2)
    assert max(sizes) > 500_000


def test_bytes_go_to_the_types_of_lines_as_in_real_ones(year: tuple[Truth, Path]) -> None:
    sizes: Counter[str] = Counter()
    for path in transcripts(year[1]):
        for line in path.read_bytes().split(b"\n")[:-1]:
            sizes[json.loads(line)["type"]] += len(line)
    total = sum(sizes.values())
    assert abs(sizes["user"] / total - 0.6) < 0.05
    assert abs(sizes["assistant"] / total - 0.25) < 0.05
    assert sizes["progress"] / total > 0.04
    assert sizes["attachment"] / total > 0.015


def test_a_request_has_1_to_18_rows(year: tuple[Truth, Path]) -> None:
    rows: Counter[int] = Counter()
    for path in transcripts(year[1]):
        own = Counter(part.split(b'"', 1)[0] for part in path.read_bytes().split(b'"id":"msg_01')[1:])
        rows.update(own.values())
    requests = rows.total()
    assert min(rows) == 1
    assert 15 <= max(rows) <= 18
    # Of 14,231 real ones: 27%, 50%, 17%, and 6% with more.
    assert abs(rows[1] / requests - 0.27) < 0.1
    assert abs(rows[2] / requests - 0.50) < 0.1
    assert abs(rows[3] / requests - 0.17) < 0.1


def test_a_year_has_the_releases_of_a_year(year: tuple[Truth, Path]) -> None:
    versions = {record["version"] for record in records(year[1]) if "version" in record}
    assert len(versions) >= 12
    assert {version.rsplit(".", 1)[0] for version in versions} == {"1.0", "2.0", "2.1"}


def test_no_context_exceeds_its_window(year: tuple[Truth, Path], late: tuple[Truth, Path]) -> None:
    """By default nothing is above 200,000 tokens, where readers price differently."""
    assert max(cell.band for cell in year[0].priced) == 1
    contexts: dict[str, int] = {}
    for record in records(late[1]):
        if record["type"] == "assistant" and record["message"]["model"] != "<synthetic>":
            usage = record["message"]["usage"]
            context = usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"]
            model = record["message"]["model"]
            contexts[model] = max(contexts.get(model, 0), context)
    assert 400_000 < contexts["claude-opus-4-8"] <= 1_000_000
    assert contexts["claude-haiku-4-5-20251001"] <= 200_000


def test_subagents_lie_beside_their_session(late: tuple[Truth, Path]) -> None:
    truth, root = late
    agents = list(root.glob("*/*/subagents/**/agent-*.jsonl"))
    assert len(agents) == truth.files - truth.sessions > 10
    kinds: Counter[str] = Counter()
    for agent in agents:
        first = json.loads(agent.read_bytes().split(b"\n", 1)[0])
        folder = next(path for path in agent.parents if path.name == "subagents").parent
        assert (first["isSidechain"], first["sessionId"], first["agentId"]) == (True, folder.name, agent.stem[6:])
        if agent.stem.startswith("agent-acompact-"):
            kinds["compactions"] += 1
            continue
        meta = json.loads(agent.with_suffix(".meta.json").read_bytes())
        assert meta["toolUseId"].startswith("toolu_")
        kinds["metas"] += 1
        if agent.parent.parent.name == "workflows":
            assert (agent.parent / "journal.jsonl").is_file()
            kinds["journals"] += 1
    assert min(kinds[kind] for kind in ("compactions", "metas", "journals")) > 0
    assert truth.other_files == kinds["metas"] + kinds["journals"]


def test_a_compaction_is_a_request_that_reads_the_context(late: tuple[Truth, Path]) -> None:
    before = sorted(
        record["compactMetadata"]["preTokens"]
        for record in records(late[1], "????????-*.jsonl")
        if record.get("subtype") == "compact_boundary"
    )
    read = [
        record["message"]["usage"]["cache_read_input_tokens"]
        for record in records(late[1], "agent-acompact-*.jsonl")
        if record["type"] == "assistant"
    ]
    assert set(read) <= set(before)
    assert any(tokens > 960_000 for tokens in before)


def test_forks_copy_history_and_branches_say_from_where(late: tuple[Truth, Path]) -> None:
    truth, root = late
    assert truth.forked_sessions > 5
    owners: dict[str, str] = {}
    named = unnamed = 0
    for path in sorted(root.glob("*/*.jsonl"), key=lambda path: path.stat().st_mtime_ns):
        for record in map(json.loads, path.read_bytes().split(b"\n")[:-1]):
            if record["type"] != "assistant" or record["message"]["model"] == "<synthetic>":
                continue
            assert record["sessionId"] == path.stem
            key = record["uuid"]
            if "forkedFrom" in record:
                assert record["forkedFrom"]["messageUuid"] == key
                assert record["forkedFrom"]["sessionId"] != path.stem
                named += 1
            elif key in owners:
                unnamed += 1
            owners.setdefault(key, path.stem)
    assert named > 50
    assert unnamed > 50


def test_duplicates_are_copied_files_or_messages_logged_twice(tmp_path: Path) -> None:
    truth = write_tree(SynthOptions(total_bytes=6_000_000, seed=33, duplicate_share=0.6), tmp_path)
    assert truth.copied_sessions > 0
    assert truth.repeated_sessions > 0
    copies = [path for path in (tmp_path / "projects").glob("*/*.jsonl") if path.parent.name.startswith("-mnt-backup")]
    assert len({path.stem for path in copies}) == truth.copied_sessions
    for path in copies:
        original = tmp_path / "projects" / path.parent.name.removeprefix("-mnt-backup") / path.name
        assert original.read_bytes() == path.read_bytes()
    twice = 0
    for path in (tmp_path / "projects").glob("*/????????-*.jsonl"):
        answers = [line for line in path.read_bytes().split(b"\n") if b'"type":"assistant","uuid"' in line]
        pairs = sum(one == other for one, other in zip(answers[::2], answers[1::2], strict=False))
        twice += bool(answers) and pairs == len(answers) / 2
    assert twice == truth.repeated_sessions


def test_disputed_requests_have_every_shape(tmp_path: Path) -> None:
    options = SynthOptions(
        total_bytes=12_000_000,
        seed=34,
        months=2,
        first_day=date(2026, 6, 25),
        models=("claude-opus-4-8",),
        disputed_share=0.5,
    )
    truth = write_tree(options, tmp_path)
    assert set(truth.disputed) == {
        *("null_fields", "null_speed", "spaced_usage", "missing_request_ids", "missing_message_ids", "text_counts"),
        *("unsplit_writes", "fast_mode", "us_inference", "batch_tier", "web_searches", "searches_in_results"),
        "advisor_entries",
    }
    share = sum(truth.disputed.values()) / (truth.total.requests - truth.disputed["advisor_entries"])
    assert 0.4 < share < 0.6
    cells = truth.priced
    assert sum(cell.counts.requests for cell in cells if cell.is_fast) == truth.disputed["fast_mode"]
    assert sum(cell.counts.requests for cell in cells if cell.is_us) == truth.disputed["us_inference"]
    assert sum(cell.counts.requests for cell in cells if cell.is_batch) == truth.disputed["batch_tier"]


def test_versions_before_1_0_9_say_what_a_request_cost(tmp_path: Path) -> None:
    """Every row of a request the same, that of the versions after them none."""
    truth = write_tree(SynthOptions(total_bytes=6_000_000, seed=35, months=2, first_day=date(2025, 5, 10)), tmp_path)
    costs: dict[str, set[Any]] = {}
    versions: dict[bool, set[tuple[int, ...]]] = {True: set(), False: set()}
    for record in records(tmp_path / "projects"):
        if record["type"] == "assistant" and record["message"]["model"] != "<synthetic>":
            versions["costUSD" in record].add(tuple(map(int, record["version"].split("."))))
            costs.setdefault(record["message"]["id"], set()).add(record.get("costUSD"))
    assert max(versions[True]) < (1, 0, 9) <= min(versions[False])
    assert {len(found) for found in costs.values()} == {1}
    assert sum(None not in found for found in costs.values()) == truth.logged_requests
