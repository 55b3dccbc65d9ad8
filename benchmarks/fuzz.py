"""Lines damaged at random, for as long as one likes: what the reader may never do, whatever the bytes are."""

import argparse
import base64
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.mutations import sample_lines, transcript
from benchmarks.report import save_content

if TYPE_CHECKING:
    from tokenlake.lake import Lake

FILES = 60
"""Transcripts of one tree."""

WITNESS_TOKENS = (3, 400, 900, 20, 42_000)
"""Input, output, writes of 5 minutes and of an hour, and reads of each whole record beside the damaged ones."""

ABSURD_COUNTS = (0, 5, 999_999_999, 1_000_000_000, 2**31, 2**53 + 1, 10**18, 2**62, 2**63 - 1)
"""Tokens that are legal (accounting rule 14) and that no request has; sums of some do not fit 64 bits."""

REPORTS = 8
"""Saved queries that are asked of one tree, others each time."""

_ABSURD = "select count(*) as n from requests where greatest(context_tokens, output_tokens) > 1000000000000000"
_KEPT_BYTES = 4096
_TOKENS = "input_tokens, output_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens"
_WITNESS = (
    '{"parentUuid":null,"isSidechain":false,"userType":"external","cwd":"/w","sessionId":"witness","version":"2.1.120",'
    '"gitBranch":"","type":"assistant","uuid":"%s","timestamp":"2026-05-04T09:00:00.000Z","message":{"id":"%s",'
    '"model":"claude-sonnet-4-6","role":"assistant","content":[{"type":"text","text":"Aye."}],"stop_reason":"end_turn",'
    '"usage":{"input_tokens":3,"cache_creation_input_tokens":920,"cache_read_input_tokens":42000,"output_tokens":400,'
    '"cache_creation":{"ephemeral_5m_input_tokens":900,"ephemeral_1h_input_tokens":20}}}}'
)


@dataclass(slots=True)
class Tried:
    """What was put in, what came out of it, and every failure with the bytes that caused it."""

    rounds: int = 0
    inputs: int = 0
    bytes: int = 0
    records: int = 0
    rejects: int = 0
    rejected_bytes: int = 0
    odd_fields: int = 0
    witnesses: int = 0
    absurd_requests: int = 0
    reports: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)


def run(options: argparse.Namespace) -> int:
    """Fuzz for `options.seconds`, print what was tried and keep it; the exit status is 1 when anything failed."""
    started = time.perf_counter()
    tried = fuzz(options.seconds, options.seed)
    seconds = round(time.perf_counter() - started, 1)
    content = {"seed": options.seed, "seconds": seconds}
    for counted in fields(tried):
        if counted.name != "failures":
            content[counted.name] = getattr(tried, counted.name)
            print(f"{counted.name.replace('_', ' '):>22}  {content[counted.name]:>14,}")
    print(f"{'failures':>22}  {len(tried.failures):>14,}")
    path = save_content(options.results, "fuzz", {}, {**content, "failures": tried.failures}, "fuzz")
    print(f"written: {path}", file=sys.stderr)
    return 1 if tried.failures else 0


def fuzz(seconds: float, seed: int) -> Tried:
    """Trees of damaged transcripts, one after the other until the time is over; equal seeds give equal trees."""
    tried, pool = Tried(), sample_lines()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        tree, witnesses = damaged_tree(pool, Random(f"{seed}:{tried.rounds}"))
        problems = list(broken_laws(tree, witnesses, tried))
        if problems:
            name = _culprit(tree, witnesses)
            data = tree.get(name, b"")
            kept = base64.b64encode(data[:_KEPT_BYTES]).decode()
            tried.failures.append({"round": tried.rounds, "file": name, "problems": problems[:5], "base64": kept})
        tried.rounds += 1
        tried.inputs += len(tree)
        tried.bytes += sum(map(len, tree.values()))
    return tried


def damaged_tree(
    pool: Sequence[bytes], rng: Random, files: int = FILES
) -> tuple[dict[str, bytes], dict[str, list[str]]]:
    """Transcripts by name, damaged lines between whole ones, and the request keys of the whole ones by name.

    Half of the trees hold another transcript, of whole records with absurd counts.
    """
    numbers = count()
    tree: dict[str, bytes] = {}
    witnesses: dict[str, list[str]] = {}
    for file in range(files):
        name = f"-p/{file:04d}.jsonl"
        keys: list[str] = []
        witnesses[name] = keys

        def witness(keys: list[str] = keys) -> bytes:
            keys.append(f"witness-{next(numbers)}")
            return (_WITNESS % (f"uuid-{keys[-1]}", keys[-1])).encode()

        tree[name] = transcript(pool, rng, witness)
    # In every other tree, so that the rest shows what damage alone does.
    if rng.random() < 0.5:
        name = f"-p/{files:04d}.jsonl"
        tree[name] = b"".join(absurd(f"absurd-{n}", rng) for n in range(rng.randint(1, 6)))
        witnesses[name] = []
    return tree, witnesses


def absurd(key: str, rng: Random) -> bytes:
    """A whole record with counts that no request has."""
    record = json.loads(_WITNESS % (f"uuid-{key}", key))
    usage = record["message"]["usage"]
    for counts in (usage, usage["cache_creation"]):
        for name, logged in counts.items():
            if isinstance(logged, int):
                counts[name] = rng.choice(ABSURD_COUNTS)
    return json.dumps(record).encode() + b"\n"


def broken_laws(
    tree: Mapping[str, bytes], witnesses: Mapping[str, Sequence[str]], tried: Tried | None = None
) -> Iterator[str]:
    """What does not hold after an ingest of the tree, in words. Whatever is raised is a law broken, too."""
    from tokenlake.lake import Lake

    base = Path(tempfile.mkdtemp(prefix="tokenlake-fuzz-"))
    try:
        for name, data in tree.items():
            path = base / "logs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        lake = Lake(base / "lake")
        summary = lake.refresh([base / "logs"], host="h")
        files = lake.sql("select * from files").to_pylist()
        rejects = lake.sql('select * from rejects order by file, "offset"').to_pylist()
        counted = lake.sql(f"select key, {_TOKENS} from requests where key like 'witness-%'").to_pylist()
        if tried is not None:
            tried.records += summary.records
            tried.rejects += summary.rejects
            tried.rejected_bytes += sum(reject["bytes"] for reject in rejects)
            tried.odd_fields += summary.odd_fields
            tried.witnesses += sum(map(len, witnesses.values()))
        yield from _uneven_files(files, tree, f"{base / 'logs'}/")
        yield from _misplaced_rejects(rejects, tree, f"{base / 'logs'}/")
        yield from _lost_witnesses(counted, witnesses)
        again = lake.refresh([base / "logs"], host="h")
        if again.files_read:
            yield f"{again.files_read} files were read again though nothing had changed"
        if tried is not None:
            tried.absurd_requests += lake.sql(_ABSURD).to_pylist()[0]["n"]
            tried.reports += REPORTS
        yield from wrong_sums(lake)
        for report, params in reports(Random(sum(map(len, tree.values()))), REPORTS):
            try:
                lake.run(report, tz="UTC", **params).to_pylist()
            except Exception:
                yield f"{report} {params}: {traceback.format_exc()[-2000:]}"
    except Exception:
        yield traceback.format_exc()[-2000:]
    finally:
        shutil.rmtree(base)


def reports(rng: Random, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Saved queries with what they may be asked: one of each parameter's choices, a dedup and a cost mode."""
    from tokenlake.query import saved
    from tokenlake.query.views import COST_MODES, DEDUP

    known = [
        query
        for _, query in sorted(saved.load_all().queries.items())
        if not any(parameter.required for parameter in query.parameters)
    ]
    for query in rng.sample(known, number):
        chosen = {p.name: rng.choice(p.choices) for p in query.parameters if p.choices}
        yield query.name, {**chosen, "dedup": rng.choice([*DEDUP]), "cost_mode": rng.choice([*COST_MODES])}


def wrong_sums(lake: "Lake") -> Iterator[str]:
    """The sums of a report are those of the requests, to the token, however large."""
    requests = lake.sql(f"select {_TOKENS} from requests").to_pylist()
    days = lake.run("cost/daily", tz="UTC").to_pylist()
    for name in _TOKENS.split(", "):
        ours, found = sum(row[name] for row in requests), sum(int(row[name]) for row in days)
        if found != ours:
            yield f"cost/daily: {name} {found} instead of {ours}"


def _uneven_files(files: Sequence[Mapping[str, Any]], tree: Mapping[str, bytes], root: str) -> Iterator[str]:
    """The bytes of records, rejects, newlines, other blanks and the pending tail are those of the file."""
    known = {row["path"].removeprefix(root): row for row in files}
    if known.keys() != tree.keys():
        yield f"files: {sorted(known.keys() ^ tree.keys())}"
    parts = ("record_bytes", "rejected_bytes", "newline_bytes", "blank_bytes", "pending_bytes")
    for name, row in known.items():
        if row["kind"] == "stream-json":
            continue
        found = {part: row[part] for part in parts}
        if sum(found.values()) != len(tree[name]) or min(found.values()) < 0:
            yield f"{name}: {found} are not {len(tree[name])} bytes"
        if row["newline_bytes"] != tree[name][: row["ingested_bytes"]].count(b"\n"):
            yield f"{name}: {row['newline_bytes']} newlines"


def _misplaced_rejects(rejects: Sequence[Mapping[str, Any]], tree: Mapping[str, bytes], root: str) -> Iterator[str]:
    """Rejects lie inside one line of the file, one behind the other, and their heads are what stands there."""
    end: dict[str, int] = {}
    for reject in rejects:
        name, start, length = reject["file"].removeprefix(root), reject["offset"], reject["bytes"]
        lost = tree[name][start : start + length]
        if start < end.get(name, 0) or len(lost) != length or not length or b"\n" in lost:
            yield f"{name}: reject at {start} of {length} bytes"
        if tree[name][:start].count(b"\n") + 1 != reject["line"]:
            yield f"{name}: reject at {start} is not on line {reject['line']}"
        if lost[:200].decode("utf-8", "replace") != reject["head"]:
            yield f"{name}: head of the reject at {start}"
        end[name] = start + length


def _lost_witnesses(counted: Sequence[Mapping[str, Any]], witnesses: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Every whole record beside damaged ones is counted, to the token, and once."""
    planted = {key for keys in witnesses.values() for key in keys}
    tokens = {row["key"]: tuple(row.values())[1:] for row in counted}
    if lost := planted - tokens.keys():
        yield f"whole records lost: {sorted(lost)[:5]}"
    if wrong := [key for key in planted & tokens.keys() if tokens[key] != WITNESS_TOKENS]:
        yield f"whole records with other tokens: {[(key, tokens[key]) for key in wrong[:5]]}"


def _culprit(tree: Mapping[str, bytes], witnesses: Mapping[str, Sequence[str]]) -> str:
    """The name of a file that breaks a law by itself; all names where it takes several."""
    for name in tree:
        if next(broken_laws({name: tree[name]}, {name: witnesses[name]}), None):
            return name
    return json.dumps(sorted(tree))
